"""Memory of what was last made of a pool's images."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from torch import Tensor

from alsuite.pool import Pool

__all__ = ["Latest"]

Made = TypeVar("Made")


class Latest(Generic[Made]):
    """Keeps what it made of a pool's images for as long as they are the pool's."""

    def __init__(self, make: Callable[[Pool], Made]) -> None:
        self.make = make
        self.made: tuple[weakref.ref[Tensor], Made] | None = None

    def __call__(self, pool: Pool) -> Made:
        if self.made is None or self.made[0]() is not pool.images:
            self.made = weakref.ref(pool.images), self.make(pool)
        return self.made[1]
