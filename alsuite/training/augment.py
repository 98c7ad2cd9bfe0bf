"""Random changes of a batch of training images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["augmentations", "crop", "flip", "flip_together", "shift"]


def flip(images: Tensor) -> Tensor:
    """Each image mirrored with probability 1/2."""
    mirrored = torch.rand(len(images), device=images.device) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)


def crop(images: Tensor, pad: int = 4) -> Tensor:
    """Each image shifted by up to `pad` pixels a side (an eighth of its width at the most), zeros moving in."""
    n, _, height, width = images.shape
    pad = min(pad, max(1, width // 8))
    padded = nn.functional.pad(images, (pad,) * 4)
    offset = torch.randint(0, 2 * pad + 1, (2, n, 1), device=images.device)
    rows = offset[0] + torch.arange(height, device=images.device)
    columns = offset[1] + torch.arange(width, device=images.device)
    sample = torch.arange(n, device=images.device).view(-1, 1, 1)
    return padded.permute(0, 2, 3, 1)[sample, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def flip_together(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The same samples mirrored in all tensors, (B, ..., W) each, with probability 1/2; they are changed in place."""
    mirrored = torch.nonzero(torch.rand(len(tensors[0]), device=tensors[0].device) < 0.5).squeeze(1)
    for tensor in tensors:
        tensor[mirrored] = tensor[mirrored].flip(-1)
    return tensors


def shift(images: Tensor, most: int = 2) -> Tensor:
    """Each image shifted by up to `most` pixels a side, its mirror image moving in."""
    n, _, height, width = images.shape
    offset = torch.randint(-most, most + 1, (2, n, 1), device=images.device)
    rows = _mirrored(offset[0] + torch.arange(height, device=images.device), height)
    columns = _mirrored(offset[1] + torch.arange(width, device=images.device), width)
    sample = torch.arange(n, device=images.device).view(-1, 1, 1)
    return images.permute(0, 2, 3, 1)[sample, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _mirrored(places: Tensor, size: int) -> Tensor:
    """Mirror places that lie outside 0..size - 1."""
    return (size - 1 - (size - 1 - places.abs()).abs()) % size


augmentations: dict[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    "none": (),
    "flip": (flip,),
    "crop": (crop,),
    "crop_flip": (crop, flip),
    "shift_flip": (shift, flip),
}
