"""The nearest pool row of each generated one: an index that gives every row at most once.

Rows that are known, or were given, are marked in the index rather than taken out of it, so that it is built once a run.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from alsuite.errors import UserError, one_of
from alsuite.matching.inverted_file import inverted_file
from alsuite.matching.neighbours import Exact, Neighbours

__all__ = ["FeatureIndex"]

EXACT = 200_000  # rows up to which no index pays
NEIGHBOURS = 32  # how many are looked up at once for a query whose nearest may be taken


class FeatureIndex:
    """An index of a pool's features, for queries in the same space.

    It follows the mask of known rows that each search is given, so that it needs no word of what was labelled since.
    """

    def __init__(self, features: Tensor, *, kind: str = "auto", folder: Path | None = None) -> None:
        """Build the index.

        features: (N, d), maybe a memory map
        kind: exact, ivf, or auto, which takes ivf for many rows on a CPU
        folder: where an inverted file is written and read from; without one it lies in memory
        """
        if features.ndim != 2 or not features.numel():
            raise ValueError(f"an index takes (N, d) features, not {tuple(features.shape)}")
        one_of("strategy.index.kind", kind, ("auto", "exact", "ivf"))
        if kind == "auto":
            kind = "exact" if features.is_cuda or len(features) <= EXACT else "ivf"
        self.kind = kind
        self.rows, self.dimensions = features.shape
        self.neighbours: Neighbours = (
            Exact(features) if kind == "exact" else inverted_file(features.cpu().float(), folder)
        )
        self._marked = torch.empty(0, dtype=torch.int64)  # known rows, and those given last

    @property
    def nbytes(self) -> int:
        """Return the bytes that a search reads, in memory or mapped."""
        return self.neighbours.nbytes

    def search(self, queries: Tensor, known: Tensor) -> Tensor:
        """Give each query (n, d), in order, its nearest row that is neither known nor an earlier query's.

        known: (N,) or longer, true where a row can't be given

        More queries than rows are left are refused; so are queries without finite features, which have no nearest row.
        """
        self._check(queries, known)
        self._follow(known)
        left = self.rows - len(self._marked)
        if left < len(queries):
            raise UserError(f"{len(queries)} samples are to be matched but the pool has only {left} left; query fewer")
        picks = torch.empty(0, dtype=torch.int64, device=known.device)
        while len(picks) < len(queries):
            rest = queries[len(picks) :]
            given = _each_once(self.neighbours.nearest(rest, min(len(rest), NEIGHBOURS)).tolist())
            picks = torch.cat([picks, self._mark(torch.tensor(given, dtype=torch.int64, device=known.device))])
        return picks

    def _check(self, queries: Tensor, known: Tensor) -> None:
        """Refuse queries and masks of another shape than the index has, and queries without finite distances."""
        if queries.ndim != 2 or queries.shape[1] != self.dimensions:
            raise ValueError(f"queries of shape {tuple(queries.shape)} for an index of {self.dimensions} dimensions")
        if known.dtype != torch.bool or len(known) < self.rows:
            raise ValueError(f"an index of {self.rows} rows needs a mask over as many, not {len(known)} {known.dtype}")
        if not queries.float().square().sum(1).isfinite().all():
            raise UserError("some generated samples have features that are infinite or no number: lower strategy.lr")

    def _follow(self, known: Tensor) -> None:
        """Mark what has changed alone: what was given last is known by now, as a rule, and nothing else is new."""
        known = known[: self.rows]
        self._marked = self._marked.to(known.device)
        still = known.index_select(0, self._marked)
        if not still.all():
            self.neighbours.mark(self._marked[~still], free=True)
            self._marked = self._marked[still]
        if int(known.count_nonzero()) != len(self._marked):
            rows = known.nonzero().squeeze(1)
            self._mark(rows[~torch.isin(rows, self._marked, assume_unique=True)])

    def _mark(self, rows: Tensor) -> Tensor:
        """Mark rows as given and return them."""
        self.neighbours.mark(rows, free=False)
        self._marked = torch.cat([self._marked, rows])
        return rows


def _each_once(candidates: list[list[int]]) -> list[int]:
    """Give each the first that no earlier one has, up to where one has none left."""
    given: dict[int, None] = {}
    for row in candidates:
        pick = next((i for i in row if i >= 0 and i not in given), None)
        if pick is None:
            break
        given[pick] = None
    return list(given)
