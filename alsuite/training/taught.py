"""A task that all labels of a pool are taught once, and that is kept as <folder>/<name>-<hash> from then on."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self, TypeVar

from torch import Tensor, nn

from alsuite.pool import Pool
from alsuite.training import rehearsal, weights
from alsuite.training.once import WEIGHTS

__all__ = ["Learner", "learned_once"]


class Learner(Protocol):
    """A task whose network can be kept: all that the network depends on is among its attributes."""

    @property
    def net(self) -> nn.Module: ...

    def learn(self, pool: Pool) -> Self: ...

    def recalled(self, pool: Pool, state: dict[str, Tensor]) -> Self:
        """Restore a task that had learned from this pool."""
        ...


Task = TypeVar("Task", bound=Learner)


def learned_once(task: Task, pool: Pool, name: str, folder: Path | None, seed: int) -> Task:
    """Return a task that all labels of a pool are taught, which the folder keeps, too."""
    if folder is None or rehearsal.under_way():
        return task.learn(pool)
    config = {"name": name, "seed": seed, "labels": weights.fingerprint(pool.labels), **vars(task)}
    facts = weights.about(pool.images, config.pop("make_net"), type(task).__module__, **config)
    home = folder / f"{name}-{weights.key(facts)}"
    with weights.alone(folder.parent / f".{home.name}.lock", home):
        if state := weights.read(home / WEIGHTS, facts):
            return task.recalled(pool, state)
        task.learn(pool)
        home.mkdir(parents=True, exist_ok=True)
        weights.write(home / WEIGHTS, task.net, facts)
    return task
