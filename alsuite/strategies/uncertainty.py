"""Uncertainty sampling (Lewis & Gale 1994): the n samples with the largest score under the task model.

The score is a function of log-probabilities (U, K) -> (U,): entropy (ASAL eq. 2; M2-VAAL eq. 3), margin (M2-VAAL
eq. 2), least confidence (M2-VAAL eq. 1) or, for two classes, minimum distance (ASAL eq. 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from alsuite.pool import Pool
from alsuite.scores import best
from alsuite.strategies import Query
from alsuite.tasks import Task

__all__ = ["Uncertainty"]


class Uncertainty:
    def __init__(self, score: Callable[[Tensor], Tensor]) -> None:
        self.score = score

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = pool.unlabelled
        scores = self.score(task.log_probs(pool.rows(among)))
        picks = best(scores, n)
        return Query(among[picks], scores[picks], {"memory": math.prod(pool.images.shape)})
