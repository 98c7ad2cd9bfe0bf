"""Core-set selection by k-center greedy (Sener & Savarese 2018, algorithm 1) on the task model's features.

Each pick is the unlabelled sample farthest from its nearest centre, and becomes a centre. Since distances only fall,
the `candidates` largest stale ones bound all others from above: only the candidates are kept up to date, and all are
refreshed, by one matrix product, once the best candidate drops below that bound. The picks are the plain loop's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alsuite.pool import Pool
from alsuite.strategies import Query
from alsuite.tasks import Task

__all__ = ["CoreSet", "k_center_greedy"]


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
    points = features - shift
    squares = points.square().sum(1)
    nearest = torch.full_like(squares, torch.inf)
    _approach(nearest, points, squares, centres - shift)
    picks: list[int] = []
    distances: list[float] = []
    while len(picks) < n:
        before = len(picks)
        stale, order = nearest.topk(min(candidates + 1, len(nearest)))
        bound = float(stale[-1]) if len(stale) > candidates else -torch.inf
        top = order[:candidates].sort().values
        close, ours, sizes = nearest[top], points[top], squares[top]
        while len(picks) < n:
            best = int(close.argmax())
            farthest = float(close[best])
            if farthest <= bound and len(picks) > before:
                break
            picks.append(int(top[best]))
            distances.append(max(farthest, 0.0) ** 0.5)
            close = torch.minimum(close, sizes + sizes[best] - 2 * (ours @ ours[best]))
            close[best] = -torch.inf
        _approach(nearest, points, squares, points[picks[before:]])
        nearest[picks] = -torch.inf
    return torch.tensor(picks, device=features.device), torch.tensor(distances)


def _approach(nearest: Tensor, points: Tensor, squares: Tensor, centres: Tensor, rows: int = 4096) -> None:
    """nearest = min(nearest, squared distance to the closest of the centres), in place."""
    if not len(centres):
        return
    norms = centres.square().sum(1)
    for first in range(0, len(points), rows):
        block = slice(first, first + rows)
        reach = torch.addmm(norms, points[block], centres.T, alpha=-2).amin(1) + squares[block]
        torch.minimum(nearest[block], reach, out=nearest[block])
