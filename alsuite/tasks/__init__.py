"""What a run learns: a task is made afresh each cycle, learns from the pool's labels, and predicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import Tensor

from alsuite.pool import Images, Pool, Rows
from alsuite.training.fit import infer

__all__ = [
    "Differentiable",
    "FeaturesAlone",
    "PredictsLosses",
    "Task",
    "chunked",
    "features_of",
    "precision",
    "scanned",
]

LARGE = 2**28  # values of a table, a gigabyte
Kept = TypeVar("Kept")  # a tensor, or a tuple of them, with the images first


class Task(Protocol):
    """A model that is to be trained with few labels; strategies may look into it.

    >>> import torch
    >>> from alsuite.nets.classifiers import linear
    >>> from alsuite.tasks.classification import Classification
    >>> pool = Pool(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), classes=3, mean=[0], std=[1])
    >>> pool.label(torch.tensor([0, 1]), torch.tensor([2, 0]))
    >>> task = Classification(linear, epochs=2).learn(pool)
    >>> task.log_probs(pool.rows(pool.unlabelled)).shape
    torch.Size([2, 3])
    """

    def learn(self, pool: Pool) -> Self:
        """Learn from the labels that the pool knows."""
        ...

    def log_probs(self, images: Images) -> Tensor:
        """Return (N, K) log-probabilities of uint8 images, in eval mode and without augmentation."""
        ...

    def scored(self, images: Images, score: Callable[[Tensor], Tensor], masks: int = 0, whole: bool = False) -> Tensor:
        """Return (N,) scores of uint8 images, a chunk of them at a time, so that no table of all is ever held.

        `score` maps the log-probabilities of a chunk, (B, K), or (T, B, K) under T dropout masks, to (B,).
        Each mask is one pass through what dropout changes, or through the `whole` network.
        """
        ...

    def outputs(self, images: Images) -> tuple[Tensor, Tensor]:
        """Return (N, D) features and (N, K) log-probabilities from one pass."""
        ...


@runtime_checkable
class Differentiable(Protocol):
    """A task with gradients down to the pixels."""

    def differentiable_log_probs(self, images: Tensor) -> Tensor:
        """Return (N, K) log-probabilities of images in 0..1; gradients reach the images."""
        ...


@runtime_checkable
class PredictsLosses(Protocol):
    """A task that tells how wrong it may be."""

    def predicted_losses(self, images: Images) -> Tensor:
        """Return (N,) losses of uint8 images as it predicts them, without their labels."""
        ...


@runtime_checkable
class FeaturesAlone(Protocol):
    """A task that may have features without log-probabilities."""

    def features_alone(self, images: Images) -> Tensor:
        """Return (N, D) features of uint8 images."""
        ...


def chunked(rows: Rows, seen: Callable[[Rows], Kept]) -> Kept:
    """Return what is made of a chunk of images at a time, joined; what comes next is read meanwhile."""
    return infer(lambda images, at: seen(Rows(rows.images, rows.indices[at], images)), rows, placed=True)


def scanned(task: Task, rows: Rows, kept: Callable[[Tensor, Tensor, Tensor], Kept]) -> Kept:
    """Return what is kept of images' indices, features and log-probabilities, which are held for a chunk at a time."""
    return chunked(rows, lambda some: kept(some.indices, *task.outputs(some)))


def precision(values: int) -> torch.dtype:
    """Return how a table of so many values is kept: in half precision where it would fill gigabytes."""
    return torch.float16 if values > LARGE else torch.float32


def features_of(task: Task, rows: Rows) -> Tensor:
    """Return (N, D) features, without a table of the log-probabilities beside them."""
    if isinstance(task, FeaturesAlone):
        return task.features_alone(rows)
    return scanned(task, rows, lambda indices, features, log_probs: features)
