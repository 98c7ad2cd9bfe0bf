"""How to choose: a strategy maps (pool, task, n) to n indices; it sees images, known labels and the task alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from alsuite import scores as scoring
from alsuite.pool import Pool
from alsuite.tasks import Task
from alsuite.training.rehearsal import lasting

__all__ = ["Notes", "Once", "Query", "Strategy", "makes_images"]

Made = TypeVar("Made")
Notes = Mapping[str, Any]  # what JSON holds: numbers, texts, lists, null


@dataclass(frozen=True)
class Query:
    """A strategy's reply: which samples it asks for, and what is worth keeping of how it chose them.

    indices: (n,) int64 positions in the pool, best first, each unlabelled and none twice
    scores: (n,) floats, larger = asked for more eagerly
    notes: numbers and texts for the journal and the tracker; `alsuite.notes` names those that have a meaning
    images: arrays kept beside the journal: uint8 pictures (N, C, H, W), captions (N,) or places (N, 2)
    generated: (M, C, H, W) uint8 images that the samples stand for; an oracle that can says what they show
    shown: (N,) which of the indices the images called "original" are; None where they are the first

    >>> query = Query(torch.tensor([7, 2]), torch.tensor([0.9, 0.8]), notes={"tried": 100})
    >>> query.indices.tolist()
    [7, 2]
    """

    indices: Tensor
    scores: Tensor | None = None
    notes: Notes = field(default_factory=dict)
    images: Mapping[str, np.ndarray] = field(default_factory=dict)
    generated: Tensor | None = None
    shown: Tensor | None = None

    @classmethod
    def best(
        cls,
        among: Tensor,
        scores: Tensor,
        n: int,
        notes: Notes | None = None,
        images: Mapping[str, np.ndarray] | None = None,
    ) -> Self:
        """Ask for the n samples `among` whose scores are largest; of equal ones any.

        >>> Query.best(torch.tensor([3, 5, 8]), torch.tensor([0.1, 0.7, 0.4]), 2).indices.tolist()
        [5, 8]
        """
        picks = scoring.best(scores, n)
        return cls(among[picks], scores[picks], notes or {}, images or {})


class Strategy(Protocol):
    """What chooses. It never sees a hidden label, and keeps nothing from one query to the next, so that a run that was
    stopped goes on as if it hadn't been; only what follows from the images alone may stay, as a `Once`.

    >>> class Darkest:
    ...     def query(self, pool: Pool, task: Task, n: int) -> Query:
    ...         among = pool.unlabelled
    ...         brightness = pool.rows(among)[:].float().mean((1, 2, 3))
    ...         return Query.best(among, -brightness, n)
    >>> pool = Pool(torch.tensor([9, 1, 5], dtype=torch.uint8).view(3, 1, 1, 1), classes=2, mean=[0], std=[1])
    >>> Darkest().query(pool, task=None, n=2).indices.tolist()
    [1, 2]
    """

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        """Choose n of `pool.unlabelled`; `task` has just learned from the labels that are known."""
        ...


def makes_images(strategy: Strategy) -> bool:
    """Tell whether a strategy has images of its own labelled, and none of the pool's, which then bounds no budget.

    A class says so by `makes_images = True`.
    """
    return getattr(strategy, "makes_images", False)


class Once(Generic[Made]):
    """What a strategy makes of the pool's images once and keeps while the pool grows; a resumed run makes it again.

    >>> spread = Once(lambda pool: pool.images.float().std())
    >>> pool = Pool(torch.tensor([0, 2], dtype=torch.uint8).view(2, 1, 1, 1), classes=2, mean=[0], std=[1])
    >>> spread(pool) is spread(pool)
    True
    """

    def __init__(self, make: Callable[[Pool], Made]) -> None:
        self.make = make
        self.made: tuple[Pool, Made] | None = None

    def __call__(self, pool: Pool) -> Made:
        if self.made is None or self.made[0] is not pool:
            devices = [pool.device] if pool.device.type == "cuda" else []
            with (
                lasting(),
                torch.random.fork_rng(devices),
            ):  # so that a run goes on alike, whether this was made before or not
                torch.manual_seed(0)
                self.made = pool, self.make(pool)
        return self.made[1]
