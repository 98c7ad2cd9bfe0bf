"""How to choose: a strategy maps (pool, task, n) to n indices; it sees images, known labels and the task alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from alsuite.pool import Pool
from alsuite.tasks import Task

__all__ = ["Query", "Strategy"]


@dataclass(frozen=True)
class Query:
    indices: Tensor  # (n,) into pool.images, best first
    scores: Tensor | None = None  # (n,) larger = asked for more eagerly
    notes: dict[str, Any] = field(default_factory=dict)  # numbers for the journal and the tracker
    images: dict[str, np.ndarray] = field(default_factory=dict)  # pictures kept beside the journal, uint8 N x C x H x W


class Strategy(Protocol):
    def query(self, pool: Pool, task: Task, n: int) -> Query: ...
