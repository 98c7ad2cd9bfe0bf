"""A task that all labels of a pool are taught once, and that is kept as <folder>/<name>-<hash> from then on."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

from torch import Tensor, nn

from alsuite.pool import Pool
from alsuite.training import rehearsal, shipped, weights
from alsuite.training.once import WEIGHTS, makers

__all__ = ["Learner", "Taught", "learned_once"]


class Learner(Protocol):
    """A task whose network can be kept: all that the network depends on is among its attributes."""

    @property
    def net(self) -> nn.Module: ...

    def learn(self, pool: Pool) -> Self: ...

    def recalled(self, pool: Pool, state: dict[str, Tensor]) -> Self:
        """Restore a task that had learned from this pool."""
        ...


Task = TypeVar("Task", bound=Learner)


class Taught(NamedTuple, Generic[Task]):
    task: Task
    home: Path | None  # where it is kept


def learned_once(task: Task, pool: Pool, name: str, folder: Path | None, seed: int) -> Taught[Task]:
    """Return a task that knows all labels of a pool: from the folder, as it comes with alsuite, or taught now.

    The folder, if there is one, keeps it from then on.
    """
    if folder is None:
        return Taught(task.learn(pool), None)
    config = {"name": name, "seed": seed, "labels": weights.fingerprint(pool.labels), **vars(task)}
    net = config.pop("make_net")
    facts = weights.about(pool.images, net, task.__module__, **config)
    home = folder / f"{name}-{weights.key(facts)}"
    with weights.one_trainer(folder.parent / f".{home.name}.lock", home):
        if state := weights.read(home / WEIGHTS, facts):
            return Taught(task.recalled(pool, state), home)
        came = shipped.found(shipped.about(facts, makers(net, task)))
        task = task.recalled(pool, came.state) if came else task.learn(pool)
        if not rehearsal.under_way():
            home.mkdir(parents=True, exist_ok=True)
            weights.write(home / WEIGHTS, task.net, facts)
    return Taught(task, home)
