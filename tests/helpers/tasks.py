"""Tasks that learn in a moment, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from torch import Tensor, nn

from alsuite.pool import Images, Pool, Rows
from alsuite.tasks.classification import Classification


def dropout_net(shape: Sequence[int], outputs: int, dropout: float = 0.5) -> nn.Sequential:
    hidden = nn.Linear(shape[0] * shape[1] * shape[2], 32)
    return nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), nn.Dropout(dropout), nn.Linear(32, outputs))


def fast_task(net: Callable[..., nn.Sequential] = dropout_net, **changes: Any) -> Classification:
    return Classification(net, **{"epochs": 15, "batch": 25, "lr": 1e-2, **changes})


class FixedTask:
    """Predicts what it is told, a row an image of the pool."""

    def __init__(self, log_probs: Tensor, features: Tensor | None = None) -> None:
        self.predicted = log_probs
        self.features = log_probs if features is None else features

    def learn(self, pool: Pool) -> Self:
        return self

    def log_probs(self, images: Images) -> Tensor:
        assert isinstance(images, Rows)
        return self.predicted[images.indices]

    def scored(self, images: Images, score: Callable[[Tensor], Tensor], masks: int = 0, whole: bool = False) -> Tensor:
        return score(self.log_probs(images))

    def outputs(self, images: Images) -> tuple[Tensor, Tensor]:
        assert isinstance(images, Rows)
        return self.features[images.indices], self.predicted[images.indices]
