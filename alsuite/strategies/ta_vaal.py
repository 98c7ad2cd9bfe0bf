"""TA-VAAL and its root, the learning loss: both take a task model that learns to rank its losses.

K. Kim, D. Park, K. I. Kim, S. Y. Chun: Task-Aware Variational Adversarial Active Learning, 2021.
https://arxiv.org/abs/2002.04709
D. Yoo, I. S. Kweon: Learning Loss for Active Learning, 2019. https://arxiv.org/abs/1905.03677

The learning loss asks for the largest predicted losses. TA-VAAL plays VAAL's game with each image's predicted loss,
standardised over the pool and squashed to (0, 1), beside its code, for the decoder and for D.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alsuite.errors import UserError
from alsuite.pool import Pool, Rows
from alsuite.strategies import Query
from alsuite.strategies.vaal import VAAL
from alsuite.tasks import Task

__all__ = ["TAVAAL", "LearningLoss"]


class LearningLoss:
    """Asks for the samples whose loss the task model predicts to be largest."""

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = pool.unlabelled
        return Query.best(among, predicted_losses(task, pool.rows(among)), n)


class TAVAAL(VAAL):
    """Asks as VAAL does, which it shares its arguments with; decoder and D see the predicted losses, too."""

    def conditioning(self, pool: Pool, task: Task) -> Tensor:
        losses = predicted_losses(task, pool.rows(torch.arange(len(pool), device=pool.device)))
        return torch.sigmoid((losses - losses.mean()) / losses.std().clamp(min=1e-6))[:, None]


def predicted_losses(task: Task, images: Rows) -> Tensor:
    predict = getattr(task, "predicted_losses", None)
    if predict is None:
        raise UserError("this strategy needs a task model that predicts its loss: alsuite.tasks.ranked.Ranked")
    return predict(images)
