"""TA-VAAL (Kim et al. 2021) and its root, the learning loss (Yoo & Kweon 2019): both take a task model that ranks.

The learning loss asks for the largest predicted losses. TA-VAAL plays VAAL's game with each image's predicted loss,
standardised over the pool and squashed to (0, 1), beside its code, for the decoder and for D.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from alsuite.errors import UserError
from alsuite.pool import Pool
from alsuite.scores import best
from alsuite.strategies import Query
from alsuite.strategies.vaal import VAAL
from alsuite.tasks import Task

__all__ = ["TAVAAL", "LearningLoss"]


class LearningLoss:
    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = pool.unlabelled
        scores = predicted_losses(task, pool.rows(among))
        picks = best(scores, n)
        return Query(among[picks], scores[picks])


class TAVAAL(VAAL):
    def conditioning(self, pool: Pool, task: Task) -> Tensor:
        losses = predicted_losses(task, pool.rows(torch.arange(len(pool), device=pool.device)))
        return torch.sigmoid((losses - losses.mean()) / losses.std().clamp(min=1e-6))[:, None]


def predicted_losses(task: Task, images: Any) -> Tensor:
    predict = getattr(task, "predicted_losses", None)
    if predict is None:
        raise UserError("this strategy needs a task model that predicts its loss: alsuite.tasks.ranked.Ranked")
    return predict(images)
