"""What is kept of a pool's images, and for how long."""

from __future__ import annotations

import torch

from alsuite.generators.latest import Latest
from alsuite.pool import Pool


def pool_of(images: torch.Tensor) -> Pool:
    return Pool(images, classes=2, mean=[0.5], std=[0.5])


def test_what_was_made_is_kept_for_as_long_as_the_images_are_the_same() -> None:
    made: list[int] = []
    latest = Latest(lambda pool: made.append(len(pool)) or len(made))
    images = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    pool, twin, other = pool_of(images), pool_of(images), pool_of(images.clone())
    assert [latest(each) for each in (pool, pool, twin)] == [1, 1, 1]
    assert latest(other) == 2
    assert latest(pool) == 3
    pool.extend(images)
    assert latest(pool) == 4
    assert made == [4, 4, 4, 8]
