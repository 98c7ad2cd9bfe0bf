"""Bayesian active learning by dropout at query time (Gal & Ghahramani 2016; Gal, Islam & Ghahramani 2017).

T masks give log-probabilities (T, U, K). The score tells the strategies apart: mean standard deviation (mc_dropout),
predictive entropy (dbal), mutual information of label and weights (bald; Houlsby et al. 2011).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from alsuite.errors import UserError
from alsuite.pool import Pool
from alsuite.scores import best
from alsuite.strategies import Query
from alsuite.tasks import Task

__all__ = ["Dropout"]


class Dropout:
    def __init__(self, score: Callable[[Tensor], Tensor], masks: int = 10) -> None:
        self.score = score
        self.masks = masks

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = pool.unlabelled
        sample = getattr(task, "dropout_log_probs", None)
        if sample is None:
            raise UserError("this strategy needs a task model with dropout, such as task_model=vgg16")
        scores = self.score(sample(pool.rows(among), self.masks))
        picks = best(scores, n)
        return Query(among[picks], scores[picks])
