"""ActiveGAN's base classifier: a support vector machine on features of the ImageNet VGG-16.

C and gamma are those whose predictions of left-out folds have the largest macro F1. The paper, which needs posterior
probabilities, says no more than "SVM" and "grid search". Here the decisions of the machines between two classes are
coupled, with the temperature t that predicts a left-out fold best. Learned from 2,000 images of cifar10 at 64 pixels,
its macro F1 on 2,500 others is 78.6 to 78.8 % for t from 1 to 8; the most votes' is 79.0 %, the largest sum's 77.1 %.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from alsuite.errors import UserError, whole_number
from alsuite.metrics import metrics
from alsuite.pool import Images, Pool, Rows
from alsuite.progress import watched
from alsuite.tasks.machine import ROWS, Settings, coupled, fitted, products
from alsuite.tasks.vgg import CHUNK, Extractor, FeatureStore
from alsuite.training import rehearsal
from alsuite.training.fit import infer

__all__ = ["SVM", "Prepared", "searched", "tempered"]

ABSENT = 50.0  # below the least logit: a probability of 1e-22


@dataclass(frozen=True)
class Prepared:
    """Signed roots of features, centred, of mean square norm 1: `gamma` means the same on every data set."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def like(cls, features: Tensor) -> Self:
        """Prepare all features as the labelled ones, (N, D), are centred and scaled."""
        roots = signed_root(features)
        mean = roots.mean(0)
        return cls(mean, (roots - mean).square().sum(1).mean().sqrt().clamp(min=1e-6))

    def __call__(self, features: Tensor) -> Tensor:
        return (signed_root(features) - self.mean) / self.scale


class SVM:
    """Learns a machine; `features` are kept under `folder`, `C` and `gamma` list what `folds` folds search."""

    def __init__(
        self,
        features: Extractor,
        folder: str,
        *,
        C: Sequence[float] = (1.0, 3.0, 10.0, 30.0),
        gamma: Sequence[float] = (0.5, 1.0),
        folds: int = 3,
    ) -> None:
        for name, values in (("C", C), ("gamma", gamma)):
            if not len(values) or not all(isinstance(value, int | float) and value > 0 for value in values):
                raise UserError(f"task_model.{name}={values} must list numbers above 0, such as [1]")
        whole_number("task_model.", 2, folds=folds)
        self.extractor = features
        self.folder = folder
        self.grid = [Settings(*pair) for pair in product(C, gamma)]
        self.folds = folds

    def learn(self, pool: Pool, search: bool = True) -> Self:
        """Fit a machine to the pool's labelled images.

        Without a search it keeps the settings, the temperature and the features of the last time;
        `copy(task).learn(...)` leaves the task as it is.
        """
        pool.check_one_label_each("this task model", "task_model=segnet_small")
        self.classes, self.device, self.originals = pool.classes, pool.device, pool.originals
        if search:
            self.store = FeatureStore(self.extractor, self.folder, pool.device)
        found = self._features(pool.rows(pool.labelled))
        self.prepared = Prepared.like(found)
        x, y = self.prepared(found), pool.labels[pool.labelled].to(self.device)
        if search:
            self.settings, self.temperature = searched(x, y, self.grid, self.folds)
        self.machine = fitted(x, y, self.settings)
        return self

    def log_probs(self, images: Images) -> Tensor:
        """Return (N, K) log-probabilities of uint8 images, or of floats in 0..1."""
        return self.outputs(images)[1]

    def scored(self, images: Images, score: Callable[[Tensor], Tensor], masks: int = 0, whole: bool = False) -> Tensor:
        """Return (N,) scores of images."""
        if masks:
            raise UserError("this strategy needs a task model with dropout, such as task_model=vgg16")
        return infer(lambda chunk: score(self.log_probs(chunk)), images, size=CHUNK)

    def outputs(self, images: Images) -> tuple[Tensor, Tensor]:
        """Return (N, D) prepared features and (N, K) log-probabilities."""
        x = self.prepared(self._features(images))
        logits = torch.cat([coupled(self.machine(rows), self.temperature) for rows in x.split(ROWS)])
        every = (logits.amin(1, keepdim=True) - ABSENT).repeat(1, self.classes)
        every[:, self.machine.classes] = logits
        return x.float(), every.log_softmax(1).float()

    def _features(self, images: Images) -> Tensor:
        found = self._found(images)
        return found.double() if found.is_cuda else found  # a GPU may round a float's products too far for a kernel

    def _found(self, images: Images) -> Tensor:
        """Return the features; no file keeps those of what was made."""
        if isinstance(images, Rows) and bool((made := images.indices >= self.originals).any()):
            return self._of_both(images, made)
        if images[:1].is_floating_point():
            return infer(self.store.function, images)
        return self.store(images).to(self.device)

    def _of_both(self, rows: Rows, made: Tensor) -> Tensor:
        found = torch.empty(len(rows), self.extractor.size, device=self.device)
        found[made] = self.store.passing(Rows(rows.images, rows.indices[made]))
        if not made.all():
            found[~made] = self.store(Rows(rows.images, rows.indices[~made])).to(self.device)
        return found


def searched(x: Tensor, y: Tensor, grid: Sequence[Settings], folds: int) -> tuple[Settings, float]:
    """Return the first of the settings with the largest macro F1 on left-out folds, and the temperature that fits.

    Of one class, or of fewer than two samples a fold, nothing is searched.

    x: (N, D) prepared features, y: (N,) classes
    """
    if len(y.unique()) == 1 or len(y) < 2 * folds:
        return grid[len(grid) // 2], 1.0
    fold = folds_of(y, folds)
    predicted = left_out(x, y, grid, fold)
    best = max(grid, key=lambda settings: metrics(predicted[settings], y, int(y.max()) + 1)["macro_f1"])
    return best, _temperature(x, y, best, fold)


def left_out(x: Tensor, y: Tensor, grid: Sequence[Settings], fold: Tensor) -> dict[Settings, Tensor]:
    """Return for all settings the (N,) classes predicted by machines that have not seen the fold; kernels, which take
    longer than machines, are shared by those that differ in C alone."""
    found = {settings: torch.zeros_like(y) for settings in grid}
    parts = [(fold == i, gamma) for i in fold.unique() for gamma in {each.gamma for each in grid}]
    for out, gamma in watched(rehearsal.few(parts, len(parts)), "settings of the SVM", len(parts)):
        seen, labels = x[~out], y[~out]
        kernels = products(seen, seen, gamma)
        machines = {each: fitted(seen, labels, each, kernels) for each in found if each.gamma == gamma}
        for rows in out.nonzero()[:, 0].split(ROWS):
            kernels = products(x[rows], seen, gamma)
            for settings, machine in machines.items():
                found[settings][rows] = machine.classes[coupled(machine.decisions(kernels), 1.0).argmax(1)]
    return found


def folds_of(y: Tensor, folds: int) -> Tensor:
    """Return the (N,) fold of each sample: those of a class are dealt out in turn."""
    order = torch.randperm(len(y)).to(y.device)
    order = order[y[order].argsort(stable=True)]
    fold = torch.empty_like(y)
    fold[order] = torch.arange(len(y), device=y.device) % folds
    return fold


def _temperature(x: Tensor, y: Tensor, settings: Settings, fold: Tensor) -> float:
    """Return the temperature that fits the first fold, of which a machine has learned the classes."""
    out = fold == 0
    machine = fitted(x[~out], y[~out], settings)
    out &= torch.isin(y, machine.classes)
    return tempered(machine(x[out]), torch.searchsorted(machine.classes, y[out])) if out.any() else 1.0


def tempered(decisions: Tensor, y: Tensor) -> float:
    """Return what (N, K, K) decisions are multiplied with, so that their coupling predicts the labels best.

    That one more label might be wrong keeps it finite where none is (Platt 1999).
    """
    factors, doubt = np.geomspace(0.1, 100, 61).tolist(), 1 / (1 + len(y))
    return min(factors, key=lambda factor: float(cross_entropy(coupled(decisions, factor), y, label_smoothing=doubt)))


def signed_root(x: Tensor) -> Tensor:
    """Return roots that keep the sign, so that a few large values don't tower."""
    return x.sign() * x.abs().sqrt()
