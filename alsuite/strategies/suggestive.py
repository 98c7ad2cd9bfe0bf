"""Suggestive annotation: a committee's doubts first, then how well the picks stand for the rest.

L. Yang, Y. Zhang, J. Chen, S. Zhang, D. Chen: Suggestive Annotation: A Deep Active Learning Framework for Biomedical
Image Segmentation, 2017. https://arxiv.org/abs/1706.04737

Each member learns from a bootstrap sample of the labels. The images whose predictions vary most between the members are
candidates; of these, one after another is taken that adds most to

    F(S) = sum over all unlabelled x of max over s in S of cos(f(x), f(s))

with the features f of the cycle's task model (the paper joins those of all members). The paper takes twice as many
candidates as it asks for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy

import torch
from torch import Tensor
from torch.nn.functional import normalize

from alsuite.errors import UserError, whole_number
from alsuite.matching.neighbours import full_precision
from alsuite.notes import FIT_SECONDS
from alsuite.pool import Pool
from alsuite.scores import best, variance
from alsuite.strategies import Query
from alsuite.strategies.committee import disagreement
from alsuite.tasks import Task, features_of
from alsuite.training.clock import clock

__all__ = ["Suggestive", "most_representative"]

BLOCK = 32  # candidates whose likeness to all is held at once


class Suggestive:
    """Asks for doubtful images that resemble as many others as they can.

    task_model: makes the members, each of which learns from as many labels, drawn with repetition
    score: log-probabilities of all members (T, U, K) -> (U,)
    members: T
    candidates: how many there are for each image that is asked for
    """

    def __init__(
        self,
        task_model: Callable[[], Task],
        score: Callable[[Tensor], Tensor] = variance,
        members: int = 4,
        candidates: float = 2.0,
    ) -> None:
        whole_number("strategy.", 2, members=members)
        if not 1 <= candidates < math.inf:
            raise UserError(f"strategy.candidates={candidates} must be a number from 1, for each that is asked for")
        self.task_model = task_model
        self.score = score
        self.members = members
        self.candidates = candidates

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = pool.unlabelled
        images = pool.rows(among)
        start = clock(pool.device)
        members = [self.task_model().learn(bootstrapped(pool)) for _ in range(self.members)]
        notes = {FIT_SECONDS: clock(pool.device) - start}
        doubts = disagreement(members, pool, among, self.score)
        candidates = best(doubts, round(self.candidates * n))
        features = features_of(task, images)
        picks, gains = most_representative(normalize(features, dim=1, out=features), candidates, n)
        return Query(among[picks], gains, notes)


def bootstrapped(pool: Pool) -> Pool:
    """Return the pool with as many labelled images, drawn from its own with repetition."""
    other, size = copy(pool), len(pool.labelled)
    other.labelled = pool.labelled[torch.randint(size, (size,)).to(pool.labelled.device)]
    return other


def most_representative(directions: Tensor, candidates: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return positions (n,) of `candidates` in unit vectors (U, D), greedily, and what each adds to F.

    What a candidate adds only falls, so that a stale value bounds it from above, and few are brought up to date.
    """
    with full_precision():  # rounded likenesses would give no bounds
        return _greedily(directions, candidates, n)


def _greedily(directions: Tensor, candidates: Tensor, n: int) -> tuple[Tensor, Tensor]:
    covered = directions.new_full((len(directions),), -1.0)
    bounds = len(directions) + torch.cat([(directions @ directions[part].T).sum(0) for part in candidates.split(BLOCK)])
    picks, gains = [], []
    while len(picks) < n:
        best = int(bounds.argmax())
        likeness = directions @ directions[candidates[best]]
        bounds[best] = (likeness - covered).clamp_(min=0).sum()
        if bounds[best] < bounds.max():
            continue
        picks.append(candidates[best])
        gains.append(float(bounds[best]))
        covered, bounds[best] = torch.maximum(covered, likeness), -torch.inf
    return torch.stack(picks), torch.tensor(gains)
