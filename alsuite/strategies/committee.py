"""Query by committee: ensembles with variation ratios (Beluch et al. 2018, VAAL's strongest uncertainty baseline).

The cycle's task model is the first member; the others learn from the same labels with another initialisation. Their
log-probabilities (T, U, K) go to the score.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from alsuite.pool import Pool
from alsuite.scores import best
from alsuite.strategies import Query
from alsuite.tasks import Task

__all__ = ["Committee"]


class Committee:
    def __init__(self, task_model: Callable[[], Task], score: Callable[[Tensor], Tensor], members: int = 5) -> None:
        self.task_model = task_model
        self.score = score
        self.members = members

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = pool.unlabelled
        others = (self.task_model().learn(pool) for _ in range(self.members - 1))
        votes = [member.log_probs(pool.rows(among)) for member in (task, *others)]
        scores = self.score(torch.stack(votes))
        picks = best(scores, n)
        return Query(among[picks], scores[picks])
