"""The one mutable object of a run: all images, and which labels are known. It holds no hidden label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alsuite.errors import UserError

__all__ = ["VOID", "Images", "Normalise", "Pool", "Rows", "evenly", "gather", "pixels"]

VOID = 255  # in place of a class, where a pixel has none


@dataclass(frozen=True)
class Normalise:
    """What turns images, uint8 or floats in 0..1, into what a network sees: zero mean and unit spread per channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        unit = 1.0 if images.is_floating_point() else 255.0
        shift = torch.tensor(self.mean, device=images.device).view(-1, 1, 1) * unit
        scale = torch.tensor(self.std, device=images.device).view(-1, 1, 1) * unit
        return images.to(torch.float32, copy=True).sub_(shift).div_(scale)


def gather(tensor: Tensor, indices: Tensor) -> Tensor:
    """Return rows of a tensor that may lie on another device, on the device of the indices."""
    return tensor.index_select(0, indices.to(tensor.device)).to(indices.device)


def evenly(indices: Tensor, n: int) -> Tensor:
    """Return n of (M,) indices, evenly spread over their order from the first to the last; all where M is smaller."""
    places = torch.linspace(0, len(indices) - 1, min(n, len(indices)), dtype=torch.float64)
    return indices[places.round().long().to(indices.device)]


def pixels(images: Tensor) -> Tensor:
    """Turn floats in 0..1 into uint8; what lies outside is clipped."""
    return (255 * images).round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Rows:
    """Some images of a tensor, gathered only when they are sliced.

    images: (N, C, H, W), on the device, or a memory map or file larger than it
    indices: (M,), on the device
    read: (M, C, H, W) the same images, where they were gathered already
    """

    images: Tensor
    indices: Tensor
    read: Tensor | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, places: slice | Tensor) -> Tensor:
        return gather(self.images, self.indices[places]) if self.read is None else self.read[places]


Images = Tensor | Rows


class Pool:
    """All images of a run, and the labels that are known so far; `label`, `leave_out` and `extend` alone change it.

    images: (N, C, H, W) uint8, on the device, or a memory map or made anew where larger than it
    known: (N,) whether an image need not be asked for: it has a label, or is left out
    labels: (N,) int64, -1 where unknown; with a label per pixel, `label_shape`, (N, H, W) uint8 on the host, VOID where
        unknown
    labelled: (L,) indices, in order of acquisition
    left_out: (M,) indices, sorted, of those that nobody could label, which are known and have no label
    originals: how many images there were at the start; what comes after them is synthetic

    >>> images = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    >>> pool = Pool(images, classes=3, mean=[0.5], std=[0.5])
    >>> pool.label(torch.tensor([2, 0]), torch.tensor([1, 2]))
    >>> pool.labels.tolist(), pool.unlabelled.tolist()
    ([2, -1, 1, -1], [1, 3])
    >>> pool.extend(images[:1]).tolist(), len(pool), pool.originals
    ([4], 5, 4)
    """

    def __init__(
        self,
        images: Tensor,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device | None = None,
        label_shape: Sequence[int] = (),
    ) -> None:
        self.device = device or images.device
        self.originals = len(images)
        self.images = images
        self.classes = classes
        self.normalise = Normalise(tuple(mean), tuple(std))
        self.known, self.labels = _unknown(len(images), self.device)
        if label_shape:
            self.labels = torch.full((len(images), *label_shape), VOID, dtype=torch.uint8)
        self.labelled = torch.empty(0, dtype=torch.int64, device=self.device)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def per_pixel(self) -> bool:
        """Whether each pixel has a label of its own."""
        return self.labels.ndim > 1

    @property
    def unlabelled(self) -> Tensor:
        """(U,) indices, sorted."""
        return torch.nonzero(~self.known).squeeze(1)

    @property
    def left_out(self) -> Tensor:
        """(M,) indices, sorted."""
        known = self.known.clone()
        known[self.labelled] = False
        return torch.nonzero(known).squeeze(1)

    @property
    def original_images(self) -> Tensor:
        """The images that were there at the start."""
        return self.images if len(self) == self.originals else self.images[: self.originals]

    @property
    def labelled_originals(self) -> Tensor:
        """(L,) indices of labelled images that are not synthetic, in order of acquisition."""
        return self.labelled[self.labelled < self.originals]

    def rows(self, indices: Tensor) -> Rows:
        """Return the images at (M,) indices, in their order, not gathered yet."""
        return Rows(self.images, indices)

    def label(self, indices: Tensor, labels: Tensor) -> None:
        """Write down what an oracle answered; a label is never changed later.

        Arguments:
            indices: (n,) int64, none of them labelled, in the order in which they are to be remembered
            labels: (n,) int64 classes; with a label per pixel (n, H, W) uint8, VOID where a pixel has no class
        """
        indices, labels = indices.to(self.device), labels.to(self.labels.device)
        self._check(indices, labels)
        self.known[indices] = True
        self.labels[indices.to(labels.device)] = labels
        self.labelled = torch.cat([self.labelled, indices])

    def leave_out(self, indices: Tensor) -> None:
        """Ask never again for (n,) images that nobody can label."""
        self.known[indices.to(self.device)] = True

    def extend(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Take synthetic images into the pool, and return their indices.

        Arguments:
            images: (M, C, H, W) uint8, of the size of the others
            labels: (M,) classes, if they have any; without, they are unlabelled like others
        """
        self._check_joining(images, labels)
        first = len(self)
        known, unknown = _unknown(len(images), self.device)
        self.images = torch.cat([self.images, images.to(self.images.device)])
        self.known, self.labels = torch.cat([self.known, known]), torch.cat([self.labels, unknown])
        indices = torch.arange(first, len(self), device=self.device)
        if labels is not None:
            self.label(indices, labels)
        return indices

    def check_one_label_each(self, what: str, instead: str) -> None:
        """Refuse a label per pixel for what takes one label of each image; `instead` is the option to take."""
        if self.per_pixel:
            raise UserError(f"{what} takes one label for each image, and these have one per pixel: take {instead}")

    def _check(self, indices: Tensor, labels: Tensor) -> None:
        """Refuse labels of a wrong form, and those of an index that isn't there, comes twice, or has one already."""
        known = self.labels
        shape = (*indices.shape, *known.shape[1:])
        if indices.ndim != 1 or (indices.dtype, labels.dtype, labels.shape) != (torch.int64, known.dtype, shape):
            wanted = f"{known.dtype} of shape (n, {', '.join(map(str, known.shape[1:]))})"
            kind = "two int64 vectors of one length" if known.ndim == 1 else f"n int64 numbers and {wanted}"
            raise UserError(f"to label, indices and labels must be {kind}")
        if len(indices) and not (int(indices.min()) >= 0 and int(indices.max()) < len(self)):
            raise UserError(f"an index to be labelled lies outside the pool of {len(self)}")
        if len(indices.unique()) != len(indices):
            raise UserError("an index to be labelled is repeated: give each once")
        if self.known[indices].any():
            raise UserError("a sample was to be labelled again that is labelled already")
        if not self._are_classes(labels):
            raise UserError(f"a label lies outside 0..{self.classes - 1}")

    def emptied(self, images: Tensor | None = None) -> Pool:
        """Return a pool of the same images, or of other ones of their kind, without a label."""
        shown, shape = self.images if images is None else images, self.labels.shape[1:]
        return Pool(shown, self.classes, self.normalise.mean, self.normalise.std, self.device, shape)

    def check_takes_images(self) -> None:
        """Refuse a pool that no synthetic image can join; whoever makes them asks before."""
        self.check_one_label_each("a strategy that makes images", "strategy=entropy")
        if not isinstance(self.images, Tensor):
            kind = "an enlarged pool" if hasattr(self.images, "originals") else "a pool that is read from its file"
            option = "enlarge=null" if hasattr(self.images, "originals") else "++dataset.shuffle=full"
            raise UserError(f"{kind} takes no synthetic images: set {option}, or take another strategy")

    def _check_joining(self, images: Tensor, labels: Tensor | None) -> None:
        """Refuse images that don't fit those of the pool, and a pool that can't take any."""
        self.check_takes_images()
        shape, given = tuple(self.images.shape[1:]), (images.dtype, *images.shape[1:])
        if given != (torch.uint8, *shape):
            raise UserError(f"the pool takes uint8 images of shape {shape}, not {images.dtype} {tuple(given[1:])}")
        if labels is not None and (len(labels) != len(images) or not self._are_classes(labels)):
            raise UserError(f"each synthetic image needs one label in 0..{self.classes - 1}")

    def _are_classes(self, labels: Tensor) -> bool:
        """Tell whether all labels are classes of the data set; of pixels some may be void."""
        if labels.ndim > 1:
            return bool(((labels < self.classes) | (labels == VOID)).all())
        return not len(labels) or (int(labels.min()) >= 0 and int(labels.max()) < self.classes)


def _unknown(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return `known` and `labels` of n images without a label."""
    return torch.zeros(n, dtype=torch.bool, device=device), torch.full((n,), -1, dtype=torch.int64, device=device)
