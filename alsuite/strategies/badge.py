"""BADGE: k-means++ seeding on the gradients that the predicted labels would give.

J. Ash, C. Zhang, A. Krishnamurthy, J. Langford, A. Agarwal: Deep Batch Active Learning by Diverse, Uncertain Gradient
Lower Bounds, 2020. https://arxiv.org/abs/1906.03671

The gradient of the last layer for sample i is a_i h_i^T with a_i = p_i - onehot(argmax p_i) (K,) and features h_i (D,).
Its K x D values are never built: |g_i - g_j|^2 = |a_i|^2 |h_i|^2 + |a_j|^2 |h_j|^2 - 2 (a_i.a_j) (h_i.h_j).
"""

from __future__ import annotations

import torch
from torch import Tensor

from alsuite.pool import Pool
from alsuite.strategies import Query
from alsuite.strategies.coreset import squares
from alsuite.tasks import Task

__all__ = ["Badge", "k_means_plus_plus"]


class Badge:
    """Asks for samples whose gradients are long and point apart."""

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        pool.one_label_each("this strategy", "strategy=entropy")
        among = pool.unlabelled
        features, log_probs = task.outputs(pool.rows(among))
        errors = log_probs.exp_()  # in place, as the table may be as large as the memory allows
        errors[torch.arange(len(errors), device=errors.device), errors.argmax(1)] -= 1
        return Query(among[k_means_plus_plus(errors, features, n)])


def k_means_plus_plus(errors: Tensor, features: Tensor, n: int) -> Tensor:
    """Return positions (n,): first the longest gradient, then each by its squared distance to the nearest pick."""
    lengths = squares(errors) * squares(features)
    nearest = torch.full_like(lengths, torch.inf)
    picks = [int(lengths.argmax())]
    while len(picks) < n:
        last = picks[-1]
        inner = (errors @ errors[last]) * (features @ features[last])
        torch.minimum(nearest, (lengths + lengths[last] - 2 * inner).clamp_(min=0), out=nearest)
        nearest[last] = 0
        picks.append(_draw(nearest, picks))
    return torch.tensor(picks, device=errors.device)


def _draw(weights: Tensor, picks: list[int]) -> int:
    """Draw a position by its weight; where all weight is spent, take the lowest one not picked yet."""
    total = weights.cumsum(0, dtype=torch.float64)
    if float(total[-1]) > 0:
        reached = float(torch.rand((), dtype=torch.float64)) * float(total[-1])
        found = int(
            torch.searchsorted(total, torch.tensor(reached, dtype=torch.float64, device=total.device), right=True)
        )
        return min(found, len(weights) - 1)
    left = torch.ones(len(weights), dtype=torch.bool, device=weights.device)
    left[picks] = False
    return int(torch.nonzero(left)[0])
