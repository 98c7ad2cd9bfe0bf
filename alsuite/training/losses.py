"""Losses as functions of tensors: of task models on raw outputs and labels, of VAEs, of rankings."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = ["bound", "cross_entropy", "hinge", "ranking_hinge", "ranking_logistic", "two_class"]


def two_class(outputs: Tensor) -> Tensor:
    """A single output f stands for the logits (0, f); more outputs are logits already."""
    return torch.cat([torch.zeros_like(outputs), outputs], -1) if outputs.shape[-1] == 1 else outputs


def cross_entropy(outputs: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """-log p(label); for a single output f the logistic loss. `reduction` is mean, or none for each sample's."""
    if outputs.shape[-1] == 1:
        targets = labels.to(outputs.dtype)
        return F.binary_cross_entropy_with_logits(outputs.squeeze(-1), targets, reduction=reduction)
    return F.cross_entropy(outputs, labels, reduction=reduction)


def hinge(outputs: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """max(0, 1 - y f) with y in {-1, 1}."""
    losses = F.relu(1 - (2 * labels - 1) * outputs.squeeze(-1))
    return losses.mean() if reduction == "mean" else losses


def bound(x: Tensor, decoded: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0, reduction: str = "elbo") -> Tensor:
    """(B,) the negative of VAAL's eq. 1 for each sample: squared error, a decoder of unit variance, + beta KL.

    `elbo` sums both over what a sample holds, a true bound; `mean` averages each over its own values; `sum` adds up the
    KL over the whole batch beside an averaged error, as VAAL's release does. The last two give the KL more weight than
    a bound does, and the code collapses.
    """
    error = (x - decoded).square().flatten(1)
    kl = 0.5 * (mu.square() + logvar.exp() - logvar - 1)
    if reduction == "elbo":
        return 0.5 * error.sum(1) + beta * kl.sum(1)
    return error.mean(1) + beta * (kl.mean(1) if reduction == "mean" else len(x) * kl.sum(1))


def ranking_hinge(scores: Tensor, losses: Tensor, margin: float = 1.0) -> Tensor:
    """Yoo & Kweon 2019, AALU eq. 8: sample i of the first half of a batch against sample n + i; a lone one is free."""
    n = len(scores) // 2
    if not n:
        return 0 * scores.sum()
    order = (losses[:n] - losses[n : 2 * n]).sign()
    return F.relu(margin - order * (scores[:n] - scores[n : 2 * n])).mean()


def ranking_logistic(scores: Tensor, losses: Tensor) -> Tensor:
    """TA-VAAL: the probability that the first of a pair has the larger loss, by cross entropy."""
    n = len(scores) // 2
    if not n:
        return 0 * scores.sum()
    larger = (losses[:n] > losses[n : 2 * n]).float()
    return F.binary_cross_entropy_with_logits(scores[:n] - scores[n : 2 * n], larger)
