"""Uniform sampling without replacement: what every other strategy has to beat."""

from __future__ import annotations

import torch

from alsuite.pool import Pool
from alsuite.strategies import Query
from alsuite.tasks import Task

__all__ = ["Random"]


class Random:
    """Asks for any n of the unlabelled images."""

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = pool.unlabelled
        return Query(among[torch.randperm(len(among))[:n].to(among.device)])
