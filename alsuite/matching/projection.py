"""Features on their first principal components, in memory or in a file."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from alsuite.errors import UserError
from alsuite.matching.neighbours import full_precision
from alsuite.pool import Rows
from alsuite.tables import in_file
from alsuite.training.fit import infer

__all__ = ["LARGE", "Projection", "pca", "reduced"]

BLOCK = 2**24  # values of features at once
WHOLE = 1024  # values of an image up to which their covariance is made
ROUNDS, SPARE = 5, 10  # how often a few vectors meet the covariance, and how many more there are than axes
ROUNDING = 1e-10  # of a vector's length, up to which what is left of it is none
PCA_VALUES = 2**27  # of features that the components are found from; 512 MB
LARGE = 2**28  # bytes of features from which on a file holds them
JOINED = 2**16  # images whose features are joined before they go there


@dataclass(frozen=True)
class Projection:
    """A projection onto the directions of largest variance.

    mean: (D,)
    axes: (D, d)
    """

    mean: Tensor
    axes: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Return the (N, d) projections of (N, ...) features that have D values each."""
        mean, axes = self.mean.to(features.device), self.axes.to(features.device)
        if features[:1].numel() != len(features[:1]) * len(mean):
            raise ValueError(f"features of shape {tuple(features.shape[1:])} for a projection of {len(mean)} values")
        with full_precision():
            return torch.cat([(block.flatten(1).float() - mean) @ axes for block in _blocks(features)])


def pca(features: Tensor, dimensions: int = 50) -> Projection:
    """Find the principal components of (N, ...) features; as many dimensions as there are, if fewer.

    The features may be a memory map. Each axis points to where its largest entry is positive, so that the same features
    give the same axes. Features that are none, or not finite, are refused.
    """
    if not features.numel():
        raise UserError(f"PCA needs features of at least one image, not of shape {tuple(features.shape)}")
    mean = torch.stack([block.flatten(1).double().sum(0) for block in _blocks(features)]).sum(0) / len(features)
    if not mean.isfinite().all():
        raise UserError("PCA: some features are infinite or no number; train the network that gives them anew")
    kept = min(dimensions, len(mean), len(features))
    if len(mean) <= max(WHOLE, 8 * (kept + SPARE)):
        covariance = sum((block.T @ block for block in _centred(features, mean)), mean.new_zeros(len(mean), len(mean)))
        axes = torch.linalg.eigh(covariance)[1][:, -kept:].flip(1)
    else:
        axes = _krylov(features, mean, kept)
    signs = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    return Projection(mean.float(), (axes * signs).float())


def _krylov(features: Tensor, mean: Tensor, kept: int) -> Tensor:
    """Find the first axes without the covariance, which is met only by what it does to a few vectors at a time.

    For images in colour the axes are exact to 1e-3 of a radian.
    """

    def spread(vectors: Tensor) -> Tensor:
        return sum((block.T @ (block @ vectors) for block in _centred(features, mean)), torch.zeros_like(vectors))

    random = torch.Generator().manual_seed(0)
    known = torch.linalg.qr(torch.randn(len(mean), kept + SPARE, generator=random).to(mean))[0]
    products = [spread(known)]
    for _ in range(ROUNDS):
        if not (fresh := _added(products[-1], known)).shape[1]:
            break
        known = torch.cat([known, fresh], 1)
        products.append(spread(fresh))
    seen = known.T @ torch.cat(products, 1)
    return known @ torch.linalg.eigh((seen + seen.T) / 2)[1][:, -kept:].flip(1)


def _added(vectors: Tensor, known: Tensor) -> Tensor:
    """Return (D, k) directions that vectors add to the (D, m) known ones; where they add but rounding errors, fewer."""
    size = vectors.norm()
    for _ in range(2):  # once leaves a trace of what is known
        rest = vectors - known @ (known.T @ vectors)
        vectors, upper = torch.linalg.qr(rest)
        if (upper.diagonal().abs() < ROUNDING * size).any():
            left, sizes, _right = torch.linalg.svd(rest, full_matrices=False)
            vectors = left[:, sizes > ROUNDING * size]
        size = torch.ones_like(size)
    return vectors


def _centred(features: Tensor, mean: Tensor) -> Iterator[Tensor]:
    return (block.flatten(1).double() - mean for block in _blocks(features))


def _blocks(features: Tensor) -> Sequence[Tensor]:
    """Split features into parts of so many values that one fits into memory as doubles."""
    return features.split(max(1, BLOCK // features[0].numel())) if len(features) else [features]


def reduced(
    extract: Callable[[Tensor], Tensor], images: Rows, dimensions: int, folder: Callable[[], Path]
) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """Return the features on their first principal components: as a function, and of all images.

    extract: gives a batch of images its features
    images: the pool's
    folder: makes the folder whose file holds the features of many images; called only where it is needed

    The components are found from a share of the images where their features would not fit into memory.
    """
    values, device = infer(extract, images[:1]).numel(), images.indices.device
    stride = -(-len(images) * values // PCA_VALUES)
    found = infer(extract, Rows(images.images, images.indices[::stride]))
    project = pca(found, dimensions)

    def features(shown: Tensor) -> Tensor:
        return project(extract(shown))

    if stride == 1:
        return features, project(found)
    del found
    shape = len(images), project.axes.shape[1]
    mapped = device.type == "cpu" and 4 * math.prod(shape) > LARGE
    vectors = table(*shape, folder()) if mapped else torch.empty(shape, device=device)
    for first in range(0, len(images), JOINED):
        rows = slice(first, first + JOINED)
        vectors[rows] = infer(features, Rows(images.images, images.indices[rows]))
    return features, vectors


def table(rows: int, dimensions: int, folder: Path) -> Tensor:
    """Return room for (rows, dimensions) features in a file without a name, whose space is freed when the run ends.

    A disk that could not hold the index beside it is refused at once.
    """
    size, free = 4 * rows * dimensions, shutil.disk_usage(folder).free
    if free < 2 * size:  # the index takes more than half as much again
        raise UserError(
            f"the features of {rows:,} images and their index take {2 * size / 1e9:.1f} GB, but {folder} has "
            f"{free / 1e9:.1f} left: free some space, or set root to where there is more"
        )
    return in_file((rows, dimensions), torch.float32, folder)
