"""TA-VAAL and its root, the learning loss: both take a task model that learns to rank its losses.

K. Kim, D. Park, K. I. Kim, S. Y. Chun: Task-Aware Variational Adversarial Active Learning, 2021.
https://arxiv.org/abs/2002.04709
D. Yoo, I. S. Kweon: Learning Loss for Active Learning, 2019. https://arxiv.org/abs/1905.03677

The learning loss asks for the largest predicted losses. TA-VAAL plays VAAL's game with each image's predicted loss,
standardised over the pool and squashed to (0, 1), beside its code, for the decoder and for D. Both ask among 10,000
unlabelled images, drawn anew for each query against picks that are much alike; TA-VAAL's VAE sees no others, as in its
release. All else of the game is VAAL's as it is here: five layers of D, where the release has three, and a bound of
sums, where it has means.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import torch
from torch import Tensor

from alsuite.errors import UserError, whole_if_given
from alsuite.nets.vae import VAE
from alsuite.pool import Pool, Rows
from alsuite.strategies import Query
from alsuite.strategies.vaal import VAAL
from alsuite.tasks import PredictsLosses, Task

__all__ = ["TAVAAL", "LearningLoss"]


class LearningLoss:
    """Asks for the samples whose loss the task model predicts to be largest.

    subset: how many unlabelled images it asks among; null takes all
    """

    def __init__(self, subset: int | None = 10000) -> None:
        whole_if_given("strategy.", subset=subset)
        self.subset = subset

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = thinned(pool, self.subset, n).unlabelled
        return Query.best(among, predicted_losses(task, pool.rows(among)), n)


class TAVAAL(VAAL):
    """Asks as VAAL does, which it shares its arguments with; decoder and D see the predicted losses, too.

    subset: how many unlabelled images it plays with and asks among; null takes all
    """

    def __init__(self, vae: Callable[..., VAE], *, subset: int | None = 10000, **options: Any) -> None:
        super().__init__(vae, **options)
        whole_if_given("strategy.", subset=subset)
        self.subset = subset

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        return super().query(thinned(pool, self.subset, n), task, n)

    def conditioning(self, pool: Pool, task: Task) -> Tensor:
        losses = predicted_losses(task, pool.rows(torch.arange(len(pool), device=pool.device)))
        return torch.sigmoid((losses - losses.mean()) / losses.std().clamp(min=1e-6))[:, None]


def thinned(pool: Pool, subset: int | None, n: int) -> Pool:
    """Return the pool with as many of its unlabelled images, drawn at random, and no fewer than n of them."""
    unlabelled = pool.unlabelled
    if subset is None or max(subset, n) >= len(unlabelled):
        return pool
    other, order = copy(pool), torch.randperm(len(unlabelled)).to(unlabelled.device)
    other.known = pool.known.clone()
    other.known[unlabelled[order[max(subset, n) :]]] = True
    return other


def predicted_losses(task: Task, images: Rows) -> Tensor:
    if not isinstance(task, PredictsLosses):
        raise UserError("this strategy needs a task model that predicts its loss: alsuite.tasks.ranked.Ranked")
    return task.predicted_losses(images)
