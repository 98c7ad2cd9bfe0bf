"""Core-set selection by k-center greedy on the task model's features.

O. Sener, S. Savarese: Active Learning for Convolutional Neural Networks: A Core-Set Approach, 2018, algorithm 1.
https://arxiv.org/abs/1708.00489

Each pick is the unlabelled sample farthest from its nearest centre, and becomes a centre. Since distances only fall,
a stale one, to some of the centres alone, bounds the true one from above. So only a front of the samples that are
farthest by their stale distances is brought up to date, and picked from until the stale distances of all others exceed
what is left of it. Most samples never come to the front. The picks are the plain loop's. The front is picked from on
the CPU, since each pick is a little work that needs the one before: a GPU would be waited for thousands of times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from alsuite.errors import UserError, whole_number
from alsuite.matching.neighbours import full_precision
from alsuite.pool import Pool
from alsuite.strategies import Query
from alsuite.tasks import Task, features_of
from alsuite.training.fit import infer

__all__ = ["CoreSet", "k_center_greedy", "squares"]

FIRST = 1024  # of the centres, what all distances are measured to at once
ROWS, CENTRES = 4096, 2**13  # whose products are held at once


class CoreSet:
    """Asks for the samples whose features lie farthest from those of all labelled ones and of the picks before.

    Where nothing is labelled the mean of all features stands for it.

    candidates: samples in the front; it changes the speed, not the picks
    """

    def __init__(self, candidates: int = 1024) -> None:
        whole_number("strategy.", candidates=candidates)
        self.candidates = candidates

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = pool.unlabelled
        features, known = features_of(task, pool.rows(among)), pool.labelled
        centres = features_of(task, pool.rows(known)) if len(known) else features.mean(0, keepdim=True)
        picks, distances = k_center_greedy(features, centres, n, self.candidates)
        return Query(among[picks], distances)


def k_center_greedy(features: Tensor, centres: Tensor, n: int, candidates: int = 1024) -> tuple[Tensor, Tensor]:
    """Return positions (n,) in `features` (U, D) in order of choice, and the distance of each to its centre then."""
    with full_precision():  # rounded distances to the centres would be no bounds
        cover = Cover(features, centres, n)
        while len(cover.picks) < n:
            cover.pick_from(cover.front(candidates))
    return torch.tensor(cover.picks, device=features.device), torch.tensor(cover.distances)


@dataclass
class Front:
    """The samples farthest by their stale distances, on the CPU; `others` is the largest one of all the rest."""

    positions: Tensor
    points: Tensor
    squares: Tensor
    nearest: Tensor
    others: float

    def approach(self, pick: int) -> None:
        """Make a centre of one of them."""
        distances = self.squares + self.squares[pick] - 2 * (self.points @ self.points[pick])
        self.nearest = torch.minimum(self.nearest, distances)
        self.nearest[pick] = -torch.inf


class Cover:
    """All samples, their centres, and for each the squared distance to the nearest of the first `seen` centres."""

    def __init__(self, features: Tensor, centres: Tensor, n: int) -> None:
        self.shift = features.mean(0, dtype=torch.float32)  # so that features far from 0 lose no digits
        self.n = n
        self.features = features
        self.squares = squares(features, self._shifted)
        self.given = centres
        self.added = self.shift.new_empty(n, features.shape[1])  # room for the picks, which are shifted already
        self.count, first = len(centres), min(FIRST, len(centres))
        unknown = torch.full_like(self.squares, torch.inf)
        self.nearest = self._approached(unknown, features, self.squares, 0, first)
        self.seen = torch.full_like(self.squares, first, dtype=torch.int64)
        self.picks: list[int] = []
        self.distances: list[float] = []

    def front(self, size: int) -> Front:
        """Return the farthest samples, brought up to date."""
        stale, order = self.nearest.topk(min(size + 1, len(self.nearest)))
        others = float(stale[-1]) if len(stale) > size else -torch.inf
        top = order[:size].sort().values
        points, nearest = self._shifted(self.features[top]), self._up_to_date(top)
        return Front(top.cpu(), points.cpu(), self.squares[top].cpu(), nearest.cpu(), others)

    def pick_from(self, front: Front) -> None:
        """Pick the farthest again and again, until one of the others may be farther."""
        chosen: list[int] = []
        while len(self.picks) + len(chosen) < self.n:
            pick = int(front.nearest.argmax())
            farthest = float(front.nearest[pick])
            if farthest < front.others:
                break
            chosen.append(pick)
            self.distances.append(max(farthest, 0.0) ** 0.5)
            front.approach(pick)
        self._add(front.positions[chosen], front.points[chosen])
        self.nearest[front.positions], self.seen[front.positions] = front.nearest.to(self.nearest), self.count

    def _add(self, positions: Tensor, points: Tensor) -> None:
        """Make centres of what was picked."""
        self.picks += positions.tolist()
        first = self.count - len(self.given)
        self.added[first : first + len(points)] = points
        self.count += len(points)

    def _up_to_date(self, top: Tensor) -> Tensor:
        nearest, points, squares, seen = self.nearest[top], self.features[top], self.squares[top], self.seen[top]
        for start in seen.unique().tolist():
            part = seen == start
            nearest[part] = self._approached(nearest[part], points[part], squares[part], start, self.count)
        return nearest

    def _approached(self, nearest: Tensor, features: Tensor, squares: Tensor, first: int, end: int) -> Tensor:
        """Return min(nearest, squared distance to the closest of the centres from `first` to before `end`)."""
        for some in self._centres(first, end):
            reach = infer(partial(_reach, some, some.square().sum(1)), features, self._shifted, ROWS)
            nearest = torch.minimum(nearest, reach + squares)
        return nearest

    def _centres(self, first: int, end: int) -> Iterator[Tensor]:
        """Yield these centres in parts, shifted."""
        given = len(self.given)
        for start in range(first, min(end, given), CENTRES):
            yield self._shifted(self.given[start : min(start + CENTRES, end)])
        for start in range(max(first, given), end, CENTRES):
            yield self.added[start - given : min(start + CENTRES, end) - given]

    def _shifted(self, features: Tensor) -> Tensor:
        """Shift a block of the features, of which no second table is ever held."""
        return features.float() - self.shift


def squares(vectors: Tensor, prepare: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Return (N,) squared lengths, a chunk at a time, so that no table of squares is ever held."""
    lengths: Tensor = infer(lambda chunk: chunk.square().sum(1), vectors, prepare)
    if not lengths.isfinite().all():
        raise UserError("what the task model gives is not a number: it has diverged; lower its learning rate")
    return lengths


def _reach(centres: Tensor, norms: Tensor, points: Tensor) -> Tensor:
    """Return for each point the squared distance to the closest of the centres, less the square of its own length."""
    return torch.addmm(norms, points, centres.T, alpha=-2).amin(1)
