"""Uncertainty sampling: the n samples with the largest score under the task model.

D. Lewis, W. Gale: A Sequential Algorithm for Training Text Classifiers, 1994. https://arxiv.org/abs/cmp-lg/9407020
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from alsuite.notes import MEMORY
from alsuite.pool import Pool
from alsuite.strategies import Query
from alsuite.tasks import Task

__all__ = ["Uncertainty"]


class Uncertainty:
    """Asks for the samples that the task model is least sure of.

    score: log-probabilities (U, K) -> (U,): entropy (ASAL eq. 2; M2-VAAL eq. 3), margin (M2-VAAL eq. 2), least
        confidence (M2-VAAL eq. 1) or, for two classes, minimum distance (ASAL eq. 1)
    """

    def __init__(self, score: Callable[[Tensor], Tensor]) -> None:
        self.score = score

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = pool.unlabelled
        scores = task.scored(pool.rows(among), self.score)
        return Query.best(among, scores, n, {MEMORY: math.prod(pool.images.shape)})
