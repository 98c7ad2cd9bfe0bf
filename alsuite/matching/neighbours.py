"""Ways to find the nearest free rows: all distances, and a k-d tree (scipy); inverted_file.py has a third."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn.functional import pad

from alsuite.errors import UserError

__all__ = ["Exact", "Neighbours", "Tree", "finite", "full_precision"]

GROUP = 256  # queries a pass
CHUNK, SPARE = 32, 8  # rows whose least distance stands for them, and how many more such chunks are looked into


class Neighbours(Protocol):
    @property
    def nbytes(self) -> int:
        """What a search reads, in memory or mapped."""
        ...

    def nearest(self, queries: Tensor, k: int) -> Tensor:
        """(n, k) free rows, closest first, -1 where fewer were found; at least one where any is free."""
        ...

    def mark(self, rows: Tensor, *, free: bool) -> None: ...


class Exact:
    """|x|^2 - 2 x.q by products, the least of each chunk of rows, then the true distances in the best chunks.

    It runs on the features' own device: the flat index of faiss knows no free rows on a GPU and is slower on a CPU.
    """

    def __init__(self, features: Tensor) -> None:
        self.features = features.float()
        self.shift = self.features[:1000].mean(0)
        blocks = self.features.split(2**14)
        self.squares = finite(torch.cat([(block - self.shift).square().sum(1) for block in blocks]))

    @property
    def nbytes(self) -> int:
        return self.features.nbytes + self.squares.nbytes

    def mark(self, rows: Tensor, *, free: bool) -> None:
        rows = rows.to(self.squares.device)
        self.squares[rows] = (self.features[rows] - self.shift).square().sum(1) if free else torch.inf

    def nearest(self, queries: Tensor, k: int) -> Tensor:
        queries = queries.detach().to(self.features)
        with full_precision():
            return torch.cat([self._nearest(group, k) for group in queries.split(GROUP)])

    def _nearest(self, queries: Tensor, k: int) -> Tensor:
        offsets, many = queries - self.shift, len(queries) > GROUP // 4
        size = 2**19 if queries.is_cuda else 2**12 if many else 2**14  # products that stay in the cache
        parts = zip(self.features.split(size), self.squares.split(size), strict=True)
        least = torch.cat([_least(torch.addmm(squares, offsets, block.T, alpha=-2)) for block, squares in parts], 1)
        chunks = least.topk(min(k + SPARE, least.shape[1]), largest=False).indices.sort().values
        rows = (chunks[..., None] * CHUNK + torch.arange(CHUNK, device=chunks.device)).flatten(1)
        inside = rows.clamp(max=len(self.features) - 1)
        distances = (self.features[inside] - queries[:, None]).square().sum(-1)
        distances[(rows != inside) | self.squares[inside].isinf()] = torch.inf
        distances, order = distances.sort(stable=True)
        found = rows.gather(1, order).masked_fill(distances.isinf(), -1)[:, :k]
        return pad(found, (0, k - found.shape[1]), value=-1)


def _least(values: Tensor) -> Tensor:
    """(n, m) to the least of every CHUNK of the columns."""
    if short := -values.shape[1] % CHUNK:
        values = pad(values, (0, short), value=torch.inf)
    return values.unflatten(1, (-1, CHUNK)).amin(-1)


class Tree:
    def __init__(self, features: Tensor) -> None:
        self.tree = KDTree(finite(features).numpy())
        self.free = np.ones(len(features), bool)

    @property
    def nbytes(self) -> int:
        return self.tree.data.nbytes + self.tree.indices.nbytes + self.free.nbytes

    def mark(self, rows: Tensor, *, free: bool) -> None:
        self.free[rows.cpu().numpy()] = free

    def nearest(self, queries: Tensor, k: int) -> Tensor:
        return torch.tensor([self._nearest(query, k) for query in queries.detach().cpu().numpy()])

    def _nearest(self, query: np.ndarray, k: int) -> list[int]:
        asked, found = k, np.empty(0, int)
        while len(found) < k and asked < 2 * self.tree.n:
            rows = np.atleast_1d(self.tree.query(query, min(asked, self.tree.n))[1])
            found, asked = rows[self.free[rows]][:k], 2 * asked
        return [*found.tolist(), *[-1] * (k - len(found))]


def finite(features: Tensor) -> Tensor:
    if not features.isfinite().all():
        raise UserError("some features of the pool are infinite or no number; train the network that gives them anew")
    return features


@contextmanager
def full_precision() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
