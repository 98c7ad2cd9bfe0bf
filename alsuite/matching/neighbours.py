"""Exact search for the nearest free rows; inverted_file.py has one that reads a part of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from alsuite.errors import UserError

__all__ = ["Exact", "Neighbours", "finite", "full_precision"]

PRODUCTS = 2**24  # values at once
SPARE = 96  # rows beyond k that are ranked by their true distance, as products are rounded and rows may be alike


class Neighbours(Protocol):
    """What finds the nearest rows: all are free at first."""

    @property
    def nbytes(self) -> int:
        """What a search reads, in memory or mapped."""
        ...

    def nearest(self, queries: Tensor, k: int) -> Tensor:
        """(n, k) free rows, closest first, -1 where fewer were found; at least one where any is free."""
        ...

    def mark(self, rows: Tensor, *, free: bool) -> None:
        """Mark rows as free, or as ones that no search may find."""
        ...


class Exact:
    """A search of all rows, on the features' own device.

    Products |x|^2 - 2 x.q choose a few rows, whose true distances are then compared. A row that isn't free has an
    infinite square, so that no product chooses it.
    """

    def __init__(self, features: Tensor) -> None:
        self.features = features.float()
        self.shift = self.features[:1000].mean(0)
        blocks = self.features.split(2**14)
        self.squares = finite(torch.cat([(block - self.shift).square().sum(1) for block in blocks]))

    @property
    def nbytes(self) -> int:
        """Return the bytes of the features and their squares."""
        return self.features.nbytes + self.squares.nbytes

    def mark(self, rows: Tensor, *, free: bool) -> None:
        """Mark rows as free or not; a row that is freed gets its square again."""
        rows = rows.to(self.squares.device)
        self.squares[rows] = (self.features[rows] - self.shift).square().sum(1) if free else torch.inf

    def nearest(self, queries: Tensor, k: int) -> Tensor:
        """Return (n, k) free rows, closest first, then -1; as many queries at once as memory is meant for."""
        groups = queries.detach().to(self.features).split(max(1, PRODUCTS // len(self.features)))
        with full_precision():
            return torch.cat([self._ranked(group, self._candidates(group, k + SPARE))[:, :k] for group in groups])

    def _candidates(self, queries: Tensor, n: int) -> Tensor:
        """Return (n queries, n) rows of the smallest products, in the order of rows, then -1."""
        products = torch.addmm(self.squares, queries - self.shift, self.features.T, alpha=-2)
        rows = products.topk(min(n, len(self.features)), largest=False).indices.sort().values
        return pad(rows, (0, n - rows.shape[1]), value=-1)

    def _ranked(self, queries: Tensor, rows: Tensor) -> Tensor:
        """Sort each query's rows by true distance, the first of equal ones first; -1 for those that aren't free."""
        distances = (self.features[rows] - queries[:, None]).square().sum(-1)
        distances[(rows < 0) | self.squares[rows].isinf()] = torch.inf
        distances, order = distances.sort(stable=True)
        return rows.gather(1, order).masked_fill(distances.isinf(), -1)


def finite(features: Tensor) -> Tensor:
    """Return the features if all are finite numbers; refuse them otherwise, as no distance to them means anything."""
    if not features.isfinite().all():
        raise UserError("some features of the pool are infinite or no number; train the network that gives them anew")
    return features


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute float32 products in full within the block, whatever was set before."""
    with precision_left():
        torch.set_float32_matmul_precision("highest")
        yield


@contextmanager
def precision_left() -> Iterator[None]:
    """Leave the precision of float32 products as it was, in whichever of torch's ways it was set."""
    newer = (torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul"))  # noqa: B009 which pyright misses
    before = [one.fp32_precision for one in newer]
    try:
        older = torch.get_float32_matmul_precision()
    except RuntimeError:  # it was set in the newer way alone, which has no word for it in the older
        older = "highest"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(older)
        for one, precision in zip(newer, before, strict=True):
            one.fp32_precision = precision
