"""The one mutable object of a run: all images, and which labels are known. It holds no hidden label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Normalise", "Pool", "Rows"]


@dataclass(frozen=True)
class Normalise:
    """Images to what a network sees: uint8 in 0..255, or floats in 0..1, to zero mean and unit spread per channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        unit = 1.0 if images.is_floating_point() else 255.0
        shift = torch.tensor(self.mean, device=images.device).view(-1, 1, 1) * unit
        scale = torch.tensor(self.std, device=images.device).view(-1, 1, 1) * unit
        return (images.to(torch.float32) - shift) / scale


@dataclass(frozen=True)
class Rows:
    """Some images of a tensor, gathered only when they are sliced."""

    images: Tensor  # (N, C, H, W)
    indices: Tensor  # (M,)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        return self.images[self.indices[chosen]]


class Pool:
    def __init__(self, images: Tensor, classes: int, mean: Sequence[float], std: Sequence[float]) -> None:
        self.images = images  # (N, C, H, W) uint8
        self.classes = classes
        self.normalise = Normalise(tuple(mean), tuple(std))
        self.known = torch.zeros(len(images), dtype=torch.bool, device=images.device)
        self.labels = torch.full((len(images),), -1, dtype=torch.int64, device=images.device)  # -1 where unknown
        self.labelled = torch.empty(0, dtype=torch.int64, device=images.device)  # in order of acquisition

    def __len__(self) -> int:
        return len(self.images)

    @property
    def unlabelled(self) -> Tensor:
        """(U,) indices, sorted."""
        return torch.nonzero(~self.known).squeeze(1)

    def rows(self, indices: Tensor) -> Rows:
        return Rows(self.images, indices)

    def label(self, indices: Tensor, labels: Tensor) -> None:
        indices, labels = indices.to(self.known.device), labels.to(self.known.device)
        self._check(indices, labels)
        self.known[indices] = True
        self.labels[indices] = labels
        self.labelled = torch.cat([self.labelled, indices])

    def extend(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Synthetic images join the pool; returns their indices."""
        if images.dtype != torch.uint8 or images.shape[1:] != self.images.shape[1:]:
            wanted = tuple(self.images.shape[1:])
            raise ValueError(
                f"the pool takes uint8 images of shape {wanted}, not {images.dtype} {tuple(images.shape[1:])}"
            )
        first, device = len(self), self.images.device
        self.images = torch.cat([self.images, images.to(device)])
        self.known = torch.cat([self.known, torch.zeros(len(images), dtype=torch.bool, device=device)])
        self.labels = torch.cat([self.labels, torch.full((len(images),), -1, device=device)])
        indices = torch.arange(first, len(self), device=device)
        if labels is not None:
            self.label(indices, labels)
        return indices

    def _check(self, indices: Tensor, labels: Tensor) -> None:
        if indices.dtype != torch.int64 or indices.ndim != 1 or indices.shape != labels.shape:
            raise ValueError("indices and labels must be two int64 vectors of one length")
        if len(indices) and not (int(indices.min()) >= 0 and int(indices.max()) < len(self)):
            raise ValueError(f"an index lies outside the pool of {len(self)}")
        if len(indices.unique()) != len(indices):
            raise ValueError("an index is repeated")
        if self.known[indices].any():
            raise ValueError("a sample that is labelled already was queried again")
        if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < self.classes):
            raise ValueError(f"a label lies outside 0..{self.classes - 1}")
