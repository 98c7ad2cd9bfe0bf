"""What a trained task is worth on a test set, from its predictions."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["confusion", "metrics"]


def confusion(predicted: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Count (K, K) pairs of classes: a row a true one, a column a predicted one.

    >>> confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    return torch.bincount(targets * classes + predicted, minlength=classes * classes).view(classes, classes)


def metrics(predicted: Tensor, targets: Tensor, classes: int) -> dict[str, float | list[float]]:
    """Return accuracy, macro-F1, and both for each class, of (N,) predicted classes and (N,) true ones.

    Classes without a test sample count in neither mean.
    """
    counts = confusion(predicted, targets, classes).double()
    hits, actual, claimed = counts.diag(), counts.sum(1), counts.sum(0)
    present = actual > 0
    f1 = 2 * hits / (actual + claimed).clamp(min=1)
    return {
        "accuracy": float(hits.sum() / counts.sum()),
        "macro_f1": float(f1[present].mean()),
        "per_class": (hits / actual.clamp(min=1)).tolist(),
        "per_class_f1": f1.tolist(),
    }
