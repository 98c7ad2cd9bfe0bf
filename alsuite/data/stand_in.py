"""Made-up pictures in the shape of a data set that isn't there, to try an experiment's wiring at the smoke scale."""

from collections.abc import Sequence

import torch

from alsuite.data.dataset import Dataset, Split, statistics

__all__ = ["stand_in"]


def stand_in(
    name: str, shape: Sequence[int], extra_tests: Sequence[str] = (), train: int = 500, test: int = 200
) -> Dataset:
    """`shape` is (C, H, W, classes): each class a pattern of its own under noise."""
    channels, height, width, classes = shape
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randint(0, 128, (classes, channels, 4, 4), generator=generator, dtype=torch.uint8)

    def split(n: int) -> Split:
        targets = torch.arange(n) % classes
        coarse = patterns[targets].repeat_interleave(-(-height // 4), 2).repeat_interleave(-(-width // 4), 3)
        noise = torch.randint(0, 128, (n, channels, height, width), generator=generator, dtype=torch.uint8)
        return Split(coarse[:, :, :height, :width] + noise, targets)

    pool = split(max(train, 2 * classes))
    tests = {key: split(test) for key in (name, *extra_tests)}
    return Dataset(name, pool, tests, tuple(map(str, range(classes))), None, *statistics(pool.images))
