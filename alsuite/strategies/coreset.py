"""Core-set selection by k-center greedy (Sener & Savarese 2018, algorithm 1) on the task model's features.

Each pick is the unlabelled sample farthest from its nearest centre, and becomes a centre. Since distances only fall,
a stale one, to some of the centres alone, bounds the true one from above. So only the `candidates` that are farthest
by their stale distances are brought up to date, and picked from until the best of them drops below the stale distances
of all others, most of which are never brought up to date. The picks are the plain loop's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alsuite.pool import Pool
from alsuite.strategies import Query
from alsuite.tasks import Task

__all__ = ["CoreSet", "k_center_greedy"]

FIRST = 1024  # of the centres, what all distances are measured to at once


class CoreSet:
    def __init__(self, candidates: int = 1024) -> None:
        self.candidates = candidates

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = pool.unlabelled
        features = task.outputs(pool.rows(among))[0]
        centres = task.outputs(pool.rows(pool.labelled))[0]
        picks, distances = k_center_greedy(features, centres, n, self.candidates)
        return Query(among[picks], distances)


def k_center_greedy(features: Tensor, centres: Tensor, n: int, candidates: int = 1024) -> tuple[Tensor, Tensor]:
    """Positions (n,) in `features` (U, D) in order of choice, and the distance of each to its centre when chosen."""
    shift = features.mean(0)
    points, total = features - shift, len(centres)
    squares = points.square().sum(1)
    known = torch.cat([centres - shift, points.new_empty(n, points.shape[1])])  # room for the picks
    nearest = _approach(torch.full_like(squares, torch.inf), points, squares, known[: min(FIRST, total)])
    seen = torch.full_like(squares, min(FIRST, total), dtype=torch.int64)  # how many of the known each distance covers
    picks: list[int] = []
    distances: list[float] = []
    while len(picks) < n:
        stale, order = nearest.topk(min(candidates + 1, len(nearest)))
        bound = float(stale[-1]) if len(stale) > candidates else -torch.inf
        top = order[:candidates].sort().values
        close, ours, sizes, since = nearest[top], points[top], squares[top], seen[top]
        for start in since.unique().tolist():
            part = since == start
            close[part] = _approach(close[part], ours[part], sizes[part], known[start:total])
        while len(picks) < n:
            best = int(close.argmax())
            farthest = float(close[best])
            if farthest < bound:
                break
            picks.append(int(top[best]))
            distances.append(max(farthest, 0.0) ** 0.5)
            known[total] = ours[best]
            total += 1
            close = torch.minimum(close, sizes + sizes[best] - 2 * (ours @ ours[best]))
            close[best] = -torch.inf
        nearest[top], seen[top] = close, total
    return torch.tensor(picks, device=features.device), torch.tensor(distances)


def _approach(nearest: Tensor, points: Tensor, squares: Tensor, centres: Tensor, rows: int = 4096) -> Tensor:
    """min(nearest, squared distance to the closest of the centres)."""
    if not len(centres):
        return nearest
    norms = centres.square().sum(1)
    reach = [torch.addmm(norms, block, centres.T, alpha=-2).amin(1) for block in points.split(rows)]
    return torch.minimum(nearest, torch.cat(reach) + squares)
