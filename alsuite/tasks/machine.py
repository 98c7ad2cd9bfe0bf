"""Support vector machines for any number of classes: scikit-learn's SVC, one machine for each pair of them.

Each is exact, with the kernel exp(-gamma |x - x'|^2). Their decisions d_ij are coupled as
p_i = 1 / (1 + sum_j exp(-t d_ij)), up to a constant (D. Price, S. Knerr, L. Personnaz, G. Dreyfus: Pairwise Neural
Network Classifiers with Probabilistic Outputs, 1994). The likeliest class is, but for near ties, the one with the most
votes. SVC decides by loops over all pairs; a product of matrices does so five times faster for 200 classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.svm import SVC
from torch import Tensor

__all__ = ["ROWS", "Machine", "Settings", "coupled", "fitted", "products"]

ROWS = 128  # of kernels at a time: of more the (K, K) decisions leave the cache


@dataclass(frozen=True)
class Settings:
    """What a search chooses: the weight of the losses and the width of the kernel."""

    C: float
    gamma: float


@dataclass(frozen=True)
class Machine:
    """Support vector machines, one for each pair of classes.

    samples: (M, D) what they learned from
    classes: (K,) sorted
    own: of each class which samples are its
    weights: (M, K) of each sample in the machines of its class against the others, at least 0; 0 against its own
    offsets: (K, K) of the decisions, antisymmetric
    """

    samples: Tensor
    classes: Tensor
    gamma: float
    own: list[Tensor]
    weights: Tensor
    offsets: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Return the (N, K, K) decisions for the first class of a pair and against the second, of (N, D) features."""
        return torch.cat([self.decisions(products(rows, self.samples, self.gamma)) for rows in x.split(ROWS)])

    def decisions(self, kernels: Tensor) -> Tensor:
        """Return the (N, K, K) decisions from (N, M) kernels of features with the samples."""
        k = len(self.classes)
        votes = self.samples.new_empty(len(kernels), k, k)
        for i, own in enumerate(self.own):
            votes[:, i] = kernels[:, own] @ self.weights[own]
        return (votes - votes.transpose(1, 2)).add_(self.offsets)


def fitted(x: Tensor, y: Tensor, settings: Settings, kernels: Tensor | None = None) -> Machine:
    """Fit a machine to (N, D) prepared features of (N,) classes, whose (N, N) kernels may be known."""
    classes = y.unique()
    k = len(classes)
    own = [(y == each).nonzero()[:, 0] for each in classes]
    weights, offsets = torch.zeros(len(y), k, dtype=torch.double), torch.zeros(k, k, dtype=torch.double)
    if k > 1:
        pairs = SVC(C=settings.C, kernel="precomputed", cache_size=1000)
        kernels = products(x, x, settings.gamma) if kernels is None else kernels
        pairs.fit(kernels.cpu().numpy(), y.cpu().numpy())
        support = torch.from_numpy(pairs.support_.astype(np.int64))
        others = torch.searchsorted(classes, y)[support, None].cpu() != torch.arange(k)
        rows, columns = others.nonzero(as_tuple=True)
        weights[support[rows], columns] = torch.from_numpy(pairs.dual_coef_).abs().T.flatten()
        first, second = torch.triu_indices(k, k, 1)
        offsets[first, second] = torch.from_numpy(pairs.intercept_) * (1 if k > 2 else -1)  # of two it is the second's
        offsets -= offsets.T.clone()
    return Machine(x, classes, settings.gamma, own, weights.to(x.device), offsets.to(x))


def products(x: Tensor, y: Tensor, gamma: float) -> Tensor:
    """Return the kernels exp(-gamma |x - y|^2), (N, M), of (N, D) and (M, D), in double precision."""
    kernels = torch.empty(len(x), len(y), dtype=torch.double, device=x.device)
    for rows, found in zip(x.split(ROWS), kernels.split(ROWS), strict=True):
        found.copy_(torch.cdist(rows, y)).square_().mul_(-gamma).exp_()
    return kernels


def coupled(decisions: Tensor, factor: float) -> Tensor:
    """Return the (N, K) logits of the classes from the (N, K, K) decisions between them, whose diagonal is 0."""
    return torch.cat([-(-factor * rows).logsumexp(2) for rows in decisions.split(ROWS)])
