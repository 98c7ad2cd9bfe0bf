"""What the tests share: one thread, fixed seeds, small pools, tasks that learn in a moment."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import Generator, Tensor, nn

from alsuite import CONF
from alsuite.data.digits import digits
from alsuite.loop import seed_all
from alsuite.pool import Pool, Rows
from alsuite.tasks.classification import Classification

__all__ = ["FixedTask", "composed", "digit_pool", "dropout_net", "fast_task", "laid_out", "synthetic_pool"]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    seed_all(0, 0)


def composed(*overrides: str) -> DictConfig:
    """The configuration of a command line."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", [*overrides])


def laid_out(*names: str) -> Path:
    """Where the real data lies; a test that finds none of it there is skipped."""
    root = Path(os.environ.get("ALSUITE_DATA") or os.devnull)
    if absent := [name for name in names if not (root / name).is_dir()]:
        pytest.skip(f"{' and '.join(absent)} not laid out under ALSUITE_DATA")
    return root


def digit_pool(labelled: int = 100, classes: Sequence[int] | None = None, seed: int = 0) -> tuple[Pool, Tensor]:
    """The 1,437 training digits, some of them labelled, and all their targets."""
    data = digits(classes)
    pool = Pool(data.train.images, len(data.classes), data.mean, data.std)
    return with_labels(pool, data.train.targets, labelled, seed), data.train.targets


def synthetic_pool(n: int = 120, shape: tuple[int, int, int] = (3, 16, 16), labelled: int = 40) -> tuple[Pool, Tensor]:
    """Ten classes of noisy images: class c has the brightness 20 c."""
    generator = Generator().manual_seed(0)
    targets = torch.arange(n) % 10
    noise = torch.randint(0, 60, (n, *shape), generator=generator)
    images = (noise + 20 * targets.view(-1, 1, 1, 1)).to(torch.uint8)
    return with_labels(Pool(images, 10, [0.5] * shape[0], [0.25] * shape[0]), targets, labelled), targets


def with_labels(pool: Pool, targets: Tensor, labelled: int, seed: int = 0) -> Pool:
    chosen = torch.randperm(len(pool), generator=Generator().manual_seed(seed))[:labelled]
    pool.label(chosen, targets[chosen])
    return pool


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

    def log_probs(self, images: Rows) -> Tensor:
        return self.predicted[images.indices]

    def outputs(self, images: Rows) -> tuple[Tensor, Tensor]:
        return self.features[images.indices], self.predicted[images.indices]
