"""The one mutable object of a run: all images, and which labels are known. It holds no hidden label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alsuite.errors import UserError

__all__ = ["Normalise", "Pool", "Rows", "gather", "pixels"]


@dataclass(frozen=True)
class Normalise:
    """Images to what a network sees: uint8 in 0..255, or floats in 0..1, to zero mean and unit spread per channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        unit = 1.0 if images.is_floating_point() else 255.0
        shift = torch.tensor(self.mean, device=images.device).view(-1, 1, 1) * unit
        scale = torch.tensor(self.std, device=images.device).view(-1, 1, 1) * unit
        return images.to(torch.float32, copy=True).sub_(shift).div_(scale)


def gather(tensor: Tensor, indices: Tensor) -> Tensor:
    """Rows of a tensor that may lie on another device, on the device of the indices."""
    return tensor.index_select(0, indices.to(tensor.device)).to(indices.device)


def pixels(images: Tensor) -> Tensor:
    """Floats in 0..1 to uint8; what lies outside is clipped."""
    return (255 * images).round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Rows:
    """Some images of a tensor, gathered only when they are sliced."""

    images: Tensor  # (N, C, H, W), on the device or a memory map larger than it
    indices: Tensor  # (M,), on the device

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        return gather(self.images, self.indices[chosen])


class Pool:
    def __init__(
        self,
        images: Tensor,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device | None = None,
    ) -> None:
        device = device or images.device
        self.device = device
        self.originals = len(images)  # what comes after them is synthetic
        self.images = images  # (N, C, H, W) uint8, on the device, or a memory map or made anew where larger than it
        self.classes = classes
        self.normalise = Normalise(tuple(mean), tuple(std))
        self.known = torch.zeros(len(images), dtype=torch.bool, device=device)
        self.labels = torch.full((len(images),), -1, dtype=torch.int64, device=device)  # -1 where unknown
        self.labelled = torch.empty(0, dtype=torch.int64, device=device)  # in order of acquisition

    def __len__(self) -> int:
        return len(self.images)

    @property
    def unlabelled(self) -> Tensor:
        """(U,) indices, sorted."""
        return torch.nonzero(~self.known).squeeze(1)

    @property
    def labelled_originals(self) -> Tensor:
        """(L,) indices of labelled images that are not synthetic, in order of acquisition."""
        return self.labelled[self.labelled < self.originals]

    def rows(self, indices: Tensor) -> Rows:
        return Rows(self.images, indices)

    def label(self, indices: Tensor, labels: Tensor) -> None:
        indices, labels = indices.to(self.device), labels.to(self.device)
        self._check(indices, labels)
        self.known[indices] = True
        self.labels[indices] = labels
        self.labelled = torch.cat([self.labelled, indices])

    def extend(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Synthetic images join the pool; returns their indices."""
        if not isinstance(self.images, Tensor):
            raise UserError("an enlarged pool takes no synthetic images: set enlarge=null, or take another strategy")
        if images.dtype != torch.uint8 or images.shape[1:] != self.images.shape[1:]:
            wanted = tuple(self.images.shape[1:])
            raise ValueError(
                f"the pool takes uint8 images of shape {wanted}, not {images.dtype} {tuple(images.shape[1:])}"
            )
        first, device = len(self), self.device
        if labels is not None and (len(labels) != len(images) or not self._are_classes(labels)):
            raise ValueError(f"each synthetic image needs one label in 0..{self.classes - 1}")
        self.images = torch.cat([self.images, images.to(self.images.device)])
        self.known = torch.cat([self.known, torch.zeros(len(images), dtype=torch.bool, device=device)])
        self.labels = torch.cat([self.labels, torch.full((len(images),), -1, device=device)])
        indices = torch.arange(first, len(self), device=device)
        if labels is not None:
            self.label(indices, labels)
        return indices

    def _check(self, indices: Tensor, labels: Tensor) -> None:
        if indices.ndim != 1 or indices.shape != labels.shape or {indices.dtype, labels.dtype} != {torch.int64}:
            raise ValueError("indices and labels must be two int64 vectors of one length")
        if len(indices) and not (int(indices.min()) >= 0 and int(indices.max()) < len(self)):
            raise ValueError(f"an index lies outside the pool of {len(self)}")
        if len(indices.unique()) != len(indices):
            raise ValueError("an index is repeated")
        if self.known[indices].any():
            raise ValueError("a sample that is labelled already was queried again")
        if not self._are_classes(labels):
            raise ValueError(f"a label lies outside 0..{self.classes - 1}")

    def _are_classes(self, labels: Tensor) -> bool:
        return not len(labels) or (int(labels.min()) >= 0 and int(labels.max()) < self.classes)
