"""What a trained task is worth on a test set, from its predictions: of images, or of their pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from alsuite.errors import UserError

__all__ = ["confusion", "counted", "measured", "metrics"]


def confusion(predicted: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Count (K, K) pairs of classes: a row a true one, a column a predicted one.

    >>> confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    return torch.bincount(targets.long() * classes + predicted, minlength=classes * classes).view(classes, classes)


def metrics(predicted: Tensor, targets: Tensor, classes: int) -> dict[str, float | list[float]]:
    """Return accuracy, macro-F1, and both for each class, of (N,) predicted classes and (N,) true ones."""
    if len(predicted) and int(predicted.max()) >= classes:
        raise UserError(f"the task model predicts class {int(predicted.max())} of 0..{classes - 1}: mend its outputs")
    return measured(confusion(predicted, targets, classes))


def measured(counts: Tensor, pixels: bool = False) -> dict[str, float | list[float]]:
    """Return accuracy, macro-F1, and both for each class, of (K, K) pairs; of `pixels` also the mean IoU.

    Classes without a test sample count in no mean.

    >>> found = measured(torch.tensor([[6, 2], [0, 4]]), pixels=True)
    >>> found["per_class_iou"], round(found["mean_iou"], 4)
    ([0.75, 0.6666666666666666], 0.7083)
    """
    counts = counts.double()
    hits, actual, claimed = counts.diag(), counts.sum(1), counts.sum(0)
    present = actual > 0
    f1 = 2 * hits / (actual + claimed).clamp(min=1)
    iou = hits / (actual + claimed - hits).clamp(min=1)
    united: dict[str, float | list[float]] = {"mean_iou": float(iou[present].mean()), "per_class_iou": iou.tolist()}
    return {
        "accuracy": float(hits.sum() / counts.sum()),
        "macro_f1": float(f1[present].mean()),
        "per_class": (hits / actual.clamp(min=1)).tolist(),
        "per_class_f1": f1.tolist(),
        **(united if pixels else {}),
    }


def counted(labels: Tensor, classes: int) -> Tensor:
    """Count (K,) how often each class occurs in labels of any shape; void counts for none.

    >>> counted(torch.tensor([[0, 2], [2, 255]], dtype=torch.uint8), classes=3).tolist()
    [1, 0, 2]
    """
    parts = labels.split(64) if labels.ndim > 1 else (labels,)
    counts = [torch.bincount(part.flatten(), minlength=classes)[:classes] for part in parts]
    return torch.stack(counts).sum(0)
