"""Small pools, and where the real data lies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor

from alsuite.data.digits import digits
from alsuite.pool import Pool


def laid_out(*names: str) -> Path:
    """Return where the real data lies, or skip the test if it does not."""
    root = Path(os.environ.get("ALSUITE_DATA") or os.devnull)
    if absent := [name for name in names if not (root / name).is_dir()]:
        pytest.skip(f"{' and '.join(absent)} not laid out under ALSUITE_DATA")
    return root


def digit_pool(labelled: int = 100, classes: Sequence[int] | None = None, seed: int = 0) -> tuple[Pool, Tensor]:
    """Return the 1,437 training digits, some of them labelled, and all their targets."""
    data = digits(classes)
    pool = Pool(data.train.images, len(data.classes), data.mean, data.std)
    return with_labels(pool, data.train.targets, labelled, seed), data.train.targets


def synthetic_pool(n: int = 120, shape: tuple[int, int, int] = (3, 16, 16), labelled: int = 40) -> tuple[Pool, Tensor]:
    """Return ten classes of noisy images, where class c has the brightness 20 c, and their targets."""
    generator = Generator().manual_seed(0)
    targets = torch.arange(n) % 10
    noise = torch.randint(0, 60, (n, *shape), generator=generator)
    images = (noise + 20 * targets.view(-1, 1, 1, 1)).to(torch.uint8)
    return with_labels(Pool(images, 10, [0.5] * shape[0], [0.25] * shape[0]), targets, labelled), targets


def with_labels(pool: Pool, targets: Tensor, labelled: int, seed: int = 0) -> Pool:
    chosen = torch.randperm(len(pool), generator=Generator().manual_seed(seed))[:labelled]
    pool.label(chosen, targets[chosen])
    return pool
