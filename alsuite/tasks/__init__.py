"""What a run learns: a task is made afresh each cycle, learns from the pool's labels, and predicts."""

from __future__ import annotations

from typing import Any, Protocol, Self

from torch import Tensor

from alsuite.pool import Pool

__all__ = ["Task"]


class Task(Protocol):
    def learn(self, pool: Pool) -> Self: ...

    def log_probs(self, images: Any) -> Tensor:
        """(N, K) log-probabilities of uint8 images, a tensor or `pool.rows(...)`; eval mode, no augmentation."""
        ...

    def outputs(self, images: Any) -> tuple[Tensor, Tensor]:
        """(N, D) features and (N, K) log-probabilities from one pass."""
        ...
