"""Losses of the task models, as functions of raw outputs and labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = ["cross_entropy", "hinge", "two_class"]


def two_class(outputs: Tensor) -> Tensor:
    """A single output f stands for the logits (0, f); more outputs are logits already."""
    return torch.cat([torch.zeros_like(outputs), outputs], -1) if outputs.shape[-1] == 1 else outputs


def cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    """-log p(label); for a single output f the logistic loss."""
    if outputs.shape[-1] == 1:
        return F.binary_cross_entropy_with_logits(outputs.squeeze(-1), labels.to(outputs.dtype))
    return F.cross_entropy(outputs, labels)


def hinge(outputs: Tensor, labels: Tensor) -> Tensor:
    """max(0, 1 - y f) with y in {-1, 1}."""
    return F.relu(1 - (2 * labels - 1) * outputs.squeeze(-1)).mean()
