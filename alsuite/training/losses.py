"""Losses as functions of tensors: of task models on raw outputs and labels, of VAEs, of rankings."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from alsuite import ranks
from alsuite.pool import VOID

__all__ = ["bound", "cross_entropy", "hinge", "pixel_cross_entropy", "ranking_hinge", "ranking_logistic", "two_class"]

LEAST = 1e-12


def two_class(outputs: Tensor) -> Tensor:
    """Return logits: a single output f, (..., 1), stands for (0, f); more outputs, (..., K), are logits already."""
    return torch.cat([torch.zeros_like(outputs), outputs], -1) if outputs.shape[-1] == 1 else outputs


def cross_entropy(outputs: Tensor, labels: Tensor, reduction: str = "mean", smoothing: float = 0.0) -> Tensor:
    """Return -log p(label) of (B, K) outputs and (B,) labels; for a single output f it is the logistic loss.

    `reduction` is mean, or none for each sample's; a share `smoothing` of each label is spread over all classes.
    """
    if outputs.shape[-1] == 1:
        targets = labels.to(outputs.dtype) * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(outputs.squeeze(-1), targets, reduction=reduction)
    return F.cross_entropy(outputs, labels, reduction=reduction, label_smoothing=smoothing)


def pixel_cross_entropy(outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean of -log p(label) over the pixels of (B, K, H, W) outputs and (B, H, W) labels that aren't void.

    `weights` are those of the classes, (K,); without any labelled pixel the loss is 0. Where several ranks train, the
    mean is over the pixels of all, of which each may have another number.
    """
    labels, counted = labels.long(), labels != VOID
    whole = F.cross_entropy(outputs.float(), labels, weights, ignore_index=VOID, reduction="sum")
    weighed = counted.sum() if weights is None else weights[labels.where(counted, 0)].where(counted, 0).sum()
    return whole / ranks.mean(weighed.float()).clamp(min=LEAST)  # an `if` would have each step wait for a GPU


def hinge(outputs: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """Return max(0, 1 - y f) of (B, 1) outputs f, where y in {-1, 1} stands for the labels 0 and 1."""
    losses = F.relu(1 - (2 * labels - 1) * outputs.squeeze(-1))
    return losses.mean() if reduction == "mean" else losses


def bound(
    x: Tensor, decoded: Tensor, mu: Tensor, logvar: Tensor, beta: float | Tensor = 1.0, reduction: str = "elbo"
) -> Tensor:
    """Return the (B,) negatives of VAAL's eq. 1: squared error, a decoder of unit variance, + beta KL.

    `elbo` sums both over what a sample holds, a true bound; `elbo_per_value` divides that by how many values a sample
    has, so that it weighs alike at each size of images. All else averages the error over a sample's values, and gives
    the KL more weight than a bound does: `sample` sums it over a sample's code, `mean` averages it over the code, and
    `sum` adds it up over the whole batch, as VAAL's release does.
    """
    decoded, mu, logvar = (each.to(x.dtype) for each in (decoded, mu, logvar))  # bfloat16 has 8 bits for what is summed
    error = (x - decoded).square().flatten(1)
    kl = 0.5 * (mu.square() + logvar.exp() - logvar - 1)
    if reduction in ("elbo", "elbo_per_value"):
        whole = 0.5 * error.sum(1) + beta * kl.sum(1)
        return whole if reduction == "elbo" else whole / error.shape[1]
    weighed = {"sample": kl.sum(1), "mean": kl.mean(1), "sum": len(x) * kl.sum(1)}
    return error.mean(1) + beta * weighed[reduction]


def ranking_hinge(scores: Tensor, losses: Tensor, margin: float = 1.0) -> Tensor:
    """Rank (B,) scores as the losses are ranked (Yoo & Kweon 2019; AALU eq. 8).

    Sample i of the first half of a batch is compared with sample n + i; a lone one is free.
    """
    n = len(scores) // 2
    if not n:
        return 0 * scores.sum()
    order = (losses[:n] - losses[n : 2 * n]).sign()
    return F.relu(margin - order * (scores[:n] - scores[n : 2 * n])).mean()


def ranking_logistic(scores: Tensor, losses: Tensor) -> Tensor:
    """Learn the probability that the first of a pair has the larger loss, by cross entropy, as TA-VAAL does."""
    n = len(scores) // 2
    if not n:
        return 0 * scores.sum()
    larger = (losses[:n] > losses[n : 2 * n]).float()
    return F.binary_cross_entropy_with_logits(scores[:n] - scores[n : 2 * n], larger)
