"""How codes of a generative model climb to where a task is uncertain of what it makes, for ASAL and GAAL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from alsuite.errors import not_negative, positive, whole_if_given, whole_number
from alsuite.generators import Trained
from alsuite.scores import min_distance
from alsuite.training.fit import check_finite

__all__ = ["Ascent", "LogProbs"]

LEAST = -80.0  # well before p = exp(log p) is 0, at -104, and the gradient of the entropy no number
AT_ONCE = 64  # codes whose gradients a CPU takes at once; the maps of 384 leave its caches, and take 1.4 times as long

LogProbs = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Ascent:
    """How codes climb, by gradient steps (Adam).

    Where the task is confident of an image, the gradient of its entropy sinks below Adam's eps of 1e-8, and the code
    stays where it is; `entropy_started` beside `entropy_generated` in the notes tells what the ascent has gained.

    score: log-probabilities (B, K) -> (B,), larger = less certain: entropy, eq. 3, or minimum distance, eq. 1
    steps: gradient steps (the paper: 100)
    lr: of Adam (the paper: 0.01)
    batch: codes that climb at once; None takes all of them
    diversity: weight of the mean distance between the codes of a batch, which the paper leaves to the future
    """

    score: Callable[[Tensor], Tensor]
    steps: int = 100
    lr: float = 0.01
    batch: int | None = None
    diversity: float = 0.0

    def __post_init__(self) -> None:
        whole_number("strategy.", 0, steps=self.steps)
        whole_if_given("strategy.", batch=self.batch)
        positive("strategy.", lr=self.lr)
        not_negative("strategy.", diversity=self.diversity)

    def codes(self, trained: Trained, log_probs: LogProbs, n: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return (n, latent) random codes, and those that they have climbed to."""
        start = torch.randn(n, trained.latent).to(device)
        return start, torch.cat([self._climbed(z, trained, log_probs) for z in start.split(self.batch or n)])

    def _climbed(self, z: Tensor, trained: Trained, log_probs: LogProbs) -> Tensor:
        z = z.clone()
        climb = torch.optim.Adam([z], self.lr, maximize=True)
        at_once = len(z) if z.is_cuda or self.diversity else AT_ONCE
        for _ in range(self.steps):
            z.grad = torch.cat([self._slope(part, trained, log_probs) for part in z.split(at_once)])
            climb.step()
        check_finite(z.sum(), "ascent over z")
        return z

    def _slope(self, z: Tensor, trained: Trained, log_probs: LogProbs) -> Tensor:
        """Return the gradient of what the codes are worth, each for itself but for their diversity."""
        z = z.detach().requires_grad_()
        told = log_probs(trained.images(z))
        worth = self.score(told if self.score is min_distance else told.clamp(min=LEAST)).sum()
        if self.diversity and len(z) > 1:
            worth = worth + self.diversity * len(z) * torch.pdist(z).mean()
        return torch.autograd.grad(worth, z)[0]
