"""Made-up pictures in the shape of a data set that isn't there, to try an experiment's wiring at the smoke scale."""

from collections.abc import Callable, Sequence

import torch

from alsuite.data.dataset import Dataset, Split, statistics
from alsuite.errors import MissingDataError
from alsuite.pool import VOID
from alsuite.progress import say

__all__ = ["load_or_make_up", "made_up", "made_up_masks"]


def load_or_make_up(
    name: str, load: Callable[[], Dataset], shape: Sequence[int] | None, extra_tests: Sequence[str] = ()
) -> tuple[Dataset, int | None]:
    """Return the data set; where it is missing and a shape is given, made-up pictures, and its true number of images.

    name: what the pictures stand in for, which is said aloud
    load: loads the true data set; any failure but missing data is passed on
    shape: (C, H, W, classes, training images), and a sixth value where each pixel has a label
    extra_tests: the names of further test sets to make up
    """
    try:
        return load(), None
    except Exception as error:
        if shape is None or not is_missing(error):
            raise
    say(f"MADE-UP PICTURES stand in for {name}, which isn't laid out")
    pictures = made_up_masks(name, shape[:4]) if len(shape) > 5 else made_up(name, shape[:4], extra_tests)
    return pictures, shape[4]


def is_missing(error: BaseException | None) -> bool:
    """Tell whether any cause of the error is that data is missing."""
    return error is not None and (isinstance(error, MissingDataError) or is_missing(error.__cause__))


def made_up(
    name: str, shape: Sequence[int], extra_tests: Sequence[str] = (), train: int = 500, test: int = 200
) -> Dataset:
    """Make a data set in which each class is a pattern of its own under noise, always the same.

    shape: (C, H, W, classes)
    train, test: how many images each split has, the train split at least two of each class
    """
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


def made_up_masks(name: str, shape: Sequence[int]) -> Dataset:
    """Make a data set of images of 4 x 4 patches, each of a class that has a brightness of its own, always the same.

    shape: (C, H, W, classes)

    The first row of pixels of each mask is void, so that this is tried, too.
    """
    channels, height, width, classes = shape
    generator = torch.Generator().manual_seed(0)
    colours = torch.randint(0, 192, (classes, channels), generator=generator, dtype=torch.uint8)

    def split(n: int) -> Split:
        patches = torch.randint(0, classes, (n, 4, 4), generator=generator, dtype=torch.uint8)
        targets = patches.repeat_interleave(-(-height // 4), 1).repeat_interleave(-(-width // 4), 2)
        targets = targets[:, :height, :width].contiguous()
        noise = torch.randint(0, 64, (n, channels, height, width), generator=generator, dtype=torch.uint8)
        images = colours[targets.long()].movedim(-1, 1).contiguous() + noise
        targets[:, 0] = VOID
        return Split(images, targets)

    pool = split(160)
    return Dataset(name, pool, {name: split(40)}, tuple(map(str, range(classes))), None, *statistics(pool.images))
