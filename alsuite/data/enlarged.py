"""A pool made larger by augmented copies, each made when it is looked at: 16 million images never lie in memory.

What a copy looks like depends on its number alone, so that a pool of any size begins with the same images as a smaller
one, and an image is the same whenever it is looked at.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from alsuite.data.dataset import Split
from alsuite.errors import UserError, is_whole
from alsuite.mapped import places

__all__ = ["Change", "Enlarged", "enlarged"]


@dataclass(frozen=True)
class Change:
    """A change of images: mirrored, shifted by some pixels (zeros move in), in another contrast and brightness.

    right, down: pixels, against these directions where negative
    contrast: in 64ths, around the middle gray
    brightness: what is added to each value of 0..255

    It is done in whole numbers, so that it gives the same images on every device.
    """

    mirrored: bool
    right: int
    down: int
    contrast: int
    brightness: int

    def __call__(self, images: Tensor) -> Tensor:
        """Return (B, C, H, W) uint8 images after the change; values outside 0..255 are clipped."""
        images = images.flip(-1) if self.mirrored else images
        moved = functional.pad(images, (self.right, -self.right, self.down, -self.down))
        offset = 128 * (64 - self.contrast) + 64 * self.brightness
        values = moved.to(torch.int16).mul_(self.contrast).add_(offset).bitwise_right_shift_(6)
        return values.clamp_(0, 255).to(torch.uint8)


@cache
def change(copy: int, side: int) -> Change:
    """Return the change of the copy with this number, whatever the size of the pool; the first stays as it is.

    side: the shorter side of the images, a sixteenth of which they move at the most
    """
    if copy == 0:
        return Change(False, 0, 0, 64, 0)
    draw = random.Random(copy)
    most = max(1, side // 16)
    shift = [draw.randint(-most, most) for _ in "xy"]
    return Change(draw.random() < 0.5, *shift, contrast=draw.randint(52, 76), brightness=draw.randint(-24, 24))


@dataclass(frozen=True, eq=False)
class Enlarged:
    """A tensor of n images (N, C, H, W) that holds only the originals.

    Image i is the original i % len(originals) with the change of the copy i // len(originals), the first of which has
    none. It is as much of a tensor as it takes to gather rows.
    """

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
        """Return the bytes that all images would take, by which it is told whether they fit into memory."""
        return self.shape.numel()

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, chosen: Tensor | slice | int) -> Any:
        """Make the chosen rows; [:] makes none, and returns this tensor itself.

        chosen: a slice or a tensor of places or of truth values
        """
        if isinstance(chosen, slice) and chosen == slice(None):
            return self
        rows = places(self.n, chosen).to(self.device)
        return self.index_select(0, rows.flatten()).reshape(*rows.shape, *self.shape[1:])

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Make the rows of these places, in their order; `dim` is 0, as in a tensor's method of this name.

        Places that follow one another in the same copy are changed at once, so that sorted places are made fastest.
        """
        size, side = len(self.originals), min(self.shape[2:])
        images = self.originals.index_select(dim, index % size)
        copies, counts = (index // size).unique_consecutive(return_counts=True)
        parts = zip(copies.tolist(), images.split(counts.tolist()), strict=True)
        return torch.cat([images[:0], *(change(copy, side)(part) for copy, part in parts)])

    def to(self, device: torch.device) -> Enlarged:
        """Return the same pool with its originals on that device."""
        return Enlarged(self.originals.to(device), self.n)


def enlarged(split: Split, n: int) -> Split:
    """Return a split of n images with the targets of their originals; fewer than there are leave the rest out.

    Labels of pixels are refused: they would have to be mirrored and shifted with their images.
    """
    if not is_whole(n):
        raise UserError(f"enlarge={n} is no number of images: give one from 1, or null")
    if split.targets.ndim > 1:
        raise UserError(f"enlarge={n} copies no labels of pixels: leave it out")
    copies = -(-n // len(split.targets))
    images = cast(Tensor, Enlarged(split.images, n))
    return replace(split, images=images, targets=split.targets.repeat(copies)[:n], files=None)
