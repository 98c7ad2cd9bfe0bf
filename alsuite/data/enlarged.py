"""A pool made larger by augmented copies, each made when it is looked at: 16 million images never lie in memory."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from alsuite.data.dataset import Split
from alsuite.errors import UserError

__all__ = ["Change", "Enlarged", "enlarged"]


@dataclass(frozen=True)
class Change:
    """Mirrored, shifted by some pixels (zeros move in), in another contrast and brightness."""

    mirrored: bool
    right: int
    down: int
    contrast: int  # in 64ths, around the middle gray
    brightness: int

    def __call__(self, images: Tensor) -> Tensor:
        images = images.flip(-1) if self.mirrored else images
        moved = functional.pad(images, (self.right, -self.right, self.down, -self.down))
        offset = 128 * (64 - self.contrast) + 64 * self.brightness
        values = moved.to(torch.int16).mul_(self.contrast).add_(offset).bitwise_right_shift_(6)
        return values.clamp_(0, 255).to(torch.uint8)


@cache
def change(copy: int, side: int) -> Change:
    """That of the copy with this number, whatever the size of the pool; the first stays as it is."""
    if copy == 0:
        return Change(False, 0, 0, 64, 0)
    draw = random.Random(copy)
    most = max(1, side // 16)
    shift = [draw.randint(-most, most) for _ in "xy"]
    return Change(draw.random() < 0.5, *shift, contrast=draw.randint(52, 76), brightness=draw.randint(-24, 24))


@dataclass(frozen=True, eq=False)
class Enlarged:
    """Image i is the original i % len(originals) with the change of the copy i // len(originals), the first of which
    has none. It is as much of a tensor (N, C, H, W) as it takes to gather rows."""

    originals: Tensor
    n: int

    @property
    def shape(self) -> torch.Size:
        return torch.Size((self.n, *self.originals.shape[1:]))

    @property
    def dtype(self) -> torch.dtype:
        return self.originals.dtype

    @property
    def device(self) -> torch.device:
        return self.originals.device

    @property
    def nbytes(self) -> int:
        """What all images would take."""
        return self.shape.numel()

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, chosen: Any) -> Any:
        if isinstance(chosen, slice) and chosen.indices(self.n) == (0, self.n, 1):
            return self
        rows = torch.arange(self.n, device=self.device)[chosen]
        return self.index_select(0, rows.flatten()).reshape(*rows.shape, *self.shape[1:])

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        size, side = len(self.originals), min(self.shape[2:])
        images = self.originals.index_select(dim, index % size)
        copies, counts = (index // size).unique_consecutive(return_counts=True)
        parts = zip(copies.tolist(), images.split(counts.tolist()), strict=True)
        return torch.cat([images[:0], *(change(copy, side)(part) for copy, part in parts)])

    def to(self, device: torch.device) -> Enlarged:
        return Enlarged(self.originals.to(device), self.n)


def enlarged(split: Split, n: int) -> Split:
    """To n images with the targets of their originals; fewer than there are leave the rest out."""
    if not isinstance(n, int) or n < 1:
        raise UserError(f"enlarge={n} is no number of images: give one from 1, or null")
    if split.targets.ndim > 1:
        raise UserError(f"enlarge={n} copies no labels of pixels: leave it out")
    copies = -(-n // len(split.targets))
    return Split(cast(Tensor, Enlarged(split.images, n)), split.targets.repeat(copies)[:n])
