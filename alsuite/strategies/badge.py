"""BADGE: k-means++ seeding on the gradients that the predicted labels would give.

J. Ash, C. Zhang, A. Krishnamurthy, J. Langford, A. Agarwal: Deep Batch Active Learning by Diverse, Uncertain Gradient
Lower Bounds, 2020. https://arxiv.org/abs/1906.03671

The gradient of the last layer for sample i is a_i h_i^T with a_i = p_i - onehot(argmax p_i) (K,) and features h_i (D,).
Its K x D values are never built: |g_i - g_j|^2 = |a_i|^2 |h_i|^2 + |a_j|^2 |h_j|^2 - 2 (a_i.a_j) (h_i.h_j).
All a_i and h_i are kept in half precision where the a_i would fill gigabytes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alsuite.pool import Pool, Rows
from alsuite.strategies import Query
from alsuite.strategies.coreset import squares
from alsuite.tasks import Task, precision, scanned
from alsuite.training.fit import infer

__all__ = ["Badge", "k_means_plus_plus"]

ROWS = 4096  # turned into full precision at a time


class Badge:
    """Asks for samples whose gradients are long and point apart."""

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        pool.check_one_label_each("this strategy", "strategy=entropy")
        among = pool.unlabelled
        errors, features = gradients(task, pool.rows(among), precision(len(among) * pool.classes))
        return Query(among[k_means_plus_plus(errors, features, n)])


def gradients(task: Task, rows: Rows, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the factors of all gradients in a precision: (N, K) a and (N, D) h."""

    def kept(indices: Tensor, features: Tensor, log_probs: Tensor) -> tuple[Tensor, Tensor]:
        errors = log_probs.exp()
        errors[torch.arange(len(errors), device=errors.device), errors.argmax(1)] -= 1
        return errors.to(kind), features.to(kind)

    return scanned(task, rows, kept)


def k_means_plus_plus(errors: Tensor, features: Tensor, n: int) -> Tensor:
    """Return positions (n,): first the longest gradient, then each by its squared distance to the nearest pick."""
    lengths = squares(errors, Tensor.float) * squares(features, Tensor.float)
    nearest = torch.full_like(lengths, torch.inf)
    picks = [int(lengths.argmax())]
    while len(picks) < n:
        last = picks[-1]
        inner = products(errors, errors[last]) * products(features, features[last])
        torch.minimum(nearest, (lengths + lengths[last] - 2 * inner).clamp_(min=0), out=nearest)
        nearest[last] = 0
        picks.append(_draw(nearest, picks))
    return torch.tensor(picks, device=errors.device)


def products(table: Tensor, row: Tensor) -> Tensor:
    """Return the (N,) products of all rows of a table with one; those in half precision are computed in full."""
    if table.dtype != torch.float16:
        return table @ row
    return infer(lambda some: some.float() @ row.float(), table, size=ROWS)


def _draw(weights: Tensor, picks: list[int]) -> int:
    """Draw a position by its weight; where all weight is spent, any that is not picked yet."""
    total = weights.cumsum(0, dtype=torch.float64)
    if float(total[-1]) > 0:
        reached = float(torch.rand((), dtype=torch.float64)) * float(total[-1])
        found = int(
            torch.searchsorted(total, torch.tensor(reached, dtype=torch.float64, device=total.device), right=True)
        )
        return min(found, len(weights) - 1)
    left = torch.ones(len(weights), dtype=torch.bool, device=weights.device)
    left[picks] = False
    rest = torch.nonzero(left)
    return int(rest[torch.randint(len(rest), ())])
