"""Bayesian active learning by dropout at query time: mc_dropout, dbal and bald.

Y. Gal, Z. Ghahramani: Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep Learning, 2016.
https://arxiv.org/abs/1506.02142
Y. Gal, R. Islam, Z. Ghahramani: Deep Bayesian Active Learning with Image Data, 2017. https://arxiv.org/abs/1703.02910
N. Houlsby, F. Huszár, Z. Ghahramani, M. Lengyel: Bayesian Active Learning for Classification and Preference Learning,
2011. https://arxiv.org/abs/1112.5745

VAAL compares itself with MC-Dropout and DBAL. Of DBAL it says that it takes the maximum entropy, of MC-Dropout no more
than its 10 masks; here that asks for the largest mean standard deviation of the classes' probabilities.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from alsuite.errors import whole_number
from alsuite.pool import Pool
from alsuite.strategies import Query
from alsuite.tasks import Task

__all__ = ["Dropout"]


class Dropout:
    """Asks for the samples that the task model, under different dropout masks, is least sure of.

    score: log-probabilities under all masks (T, U, K) -> (U,): mean standard deviation (mc_dropout), predictive entropy
        (dbal), or mutual information of label and weights (bald)
    masks: T
    whole: whether each mask is a pass through the whole network, as VAAL's table 1 times it, and not through what
        dropout changes alone; the picks are the same
    """

    def __init__(self, score: Callable[[Tensor], Tensor], masks: int = 10, whole: bool = False) -> None:
        whole_number("strategy.", 2, masks=masks)
        self.score = score
        self.masks = masks
        self.whole = whole

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = pool.unlabelled
        return Query.best(among, task.scored(pool.rows(among), self.score, self.masks, self.whole), n)
