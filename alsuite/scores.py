"""How much a sample is worth asking for, from log-probabilities alone: larger = query first.

`log_probs_N_K` are one model's, `log_probs_T_N_K` those of T dropout masks or committee members; the scores are (N,).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import torch
from torch import Tensor

from alsuite.errors import UserError

__all__ = [
    "bald",
    "best",
    "entropy",
    "first_below",
    "least_confidence",
    "margin",
    "mean_entropy",
    "mean_std",
    "min_distance",
    "per_image",
    "variance",
    "variation_ratio",
]


def entropy(log_probs_N_K: Tensor) -> Tensor:
    """Return -sum p log p in nats: 0 log 0 = 0, so it's finite where the softmax saturates."""
    return torch.special.entr(log_probs_N_K.exp()).sum(-1)


def margin(log_probs_N_K: Tensor) -> Tensor:
    """Return -(p1 - p2) of the two likeliest classes, as doubles, which tell those apart that are all but sure."""
    second = log_probs_N_K.topk(2, dim=-1).values[..., 1].exp()
    return (least_confidence(log_probs_N_K) + second).double() - 1


def least_confidence(log_probs_N_K: Tensor) -> Tensor:
    """Return 1 - max p, as the sum of all other p, whose small ones keep their digits."""
    return log_probs_N_K.exp().scatter(-1, log_probs_N_K.argmax(-1, keepdim=True), 0).sum(-1)


def min_distance(log_probs_N_2: Tensor) -> Tensor:
    """Return -|f| of a two-class model, f = log p(1) - log p(0): the larger, the nearer its separating plane."""
    if log_probs_N_2.shape[-1] != 2:
        raise UserError("min_distance needs two classes: take strategy=entropy or strategy=margin for more")
    return -(log_probs_N_2[..., 1] - log_probs_N_2[..., 0]).abs()


def mean_entropy(log_probs_T_N_K: Tensor) -> Tensor:
    """Return H(mean_t p_t), the predictive entropy."""
    return torch.special.entr(log_probs_T_N_K.exp().mean(0)).sum(-1)


def bald(log_probs_T_N_K: Tensor) -> Tensor:
    """Return H(mean_t p_t) - mean_t H(p_t), the mutual information of label and model.

    "Bayesian Active Learning for Classification and Preference Learning", Neil Houlsby, Ferenc Huszar, Zoubin
    Ghahramani and Mate Lengyel, 2011, https://arxiv.org/abs/1112.5745
    """
    return mean_entropy(log_probs_T_N_K) - entropy(log_probs_T_N_K).mean(0)


def mean_std(log_probs_T_N_K: Tensor) -> Tensor:
    """Return mean_k std_t p_t(k)."""
    return _variances(log_probs_T_N_K).sqrt_().mean(-1)


def variation_ratio(log_probs_T_N_K: Tensor) -> Tensor:
    """Return 1 - the share of the T votes that the most voted class gets."""
    return 1 - reduce(torch.maximum, _shares(log_probs_T_N_K))


def variance(log_probs_T_N_K: Tensor) -> Tensor:
    """Return mean_k var_t p_t(k)."""
    return _variances(log_probs_T_N_K).mean(-1)


def per_image(scores: Tensor) -> Tensor:
    """Return (N,) means of scores of any shape (N, ...), such as those of pixels."""
    return scores.flatten(1).mean(1) if scores.ndim > 1 else scores


def _variances(log_probs_T_N_K: Tensor) -> Tensor:
    """Return var_t p_t(k); a core takes a fifteenth of the time of Tensor.var with four members and 1,000 classes."""
    probs = log_probs_T_N_K.exp()
    return (probs - probs.mean(0)).square_().mean(0)


def _shares(log_probs_T_N_K: Tensor) -> Iterator[Tensor]:
    """Yield for each class the share of the T votes that it gets."""
    votes = log_probs_T_N_K.argmax(-1)
    for label in range(log_probs_T_N_K.shape[-1]):
        yield (votes == label).float().mean(0)


def first_below(margins: Tensor, most: float) -> Tensor:
    """Return for each column of the margins the flat position of the first that is `most` at most, or of the least."""
    return margins.clamp(min=most).argmin(0) * margins.shape[1] + torch.arange(margins.shape[1], device=margins.device)


def best(scores: Tensor, n: int) -> Tensor:
    """Return the positions of the n largest of (N,) scores, best first; of equal ones any, since pools may be in order.

    >>> best(torch.tensor([0.1, 0.7, 0.9, 0.4]), 2).tolist()
    [2, 1]
    """
    if scores.isnan().any():
        told = "the strategy gave a score that is not a number"
        raise UserError(f"{told}: mend its formula, or lower task_model.lr if the task model has diverged")
    order = torch.randperm(len(scores)).to(scores.device)
    return order[scores[order].sort(descending=True).indices[:n]]
