"""ActiveGAN's game: AC-GAN's, in which the generator is rewarded for images that the task is uncertain of (eq. 6-12).

The paper (see alsuite.strategies.active_gan) leaves open how P(x|theta) relates to the noise z. Here a Gaussian policy
sees the state x = G(z, y) with z ~ N(0, I), and its action z' = mu(x) + e^sigma eps is the noise of the image
x^ = G(z', y) that counts: eq. 12 is then an exact policy gradient. Rewards are taken relative to the mean and the
spread in the buffer. A divergence from N(0, I) holds the noise, which the paper doesn't have: without it mu runs away,
since batch norm hides a shift that all share, and the images lose their variety and then their class.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alsuite.errors import UserError
from alsuite.generators.acgan import ACGANGame, ACGANRules
from alsuite.nets.acgan import Conditional, Gaussian

__all__ = ["Guidance", "Guided", "log_likelihood"]


def log_likelihood(actions: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    """Return (B,) log N(actions; mu, e^sigma) of actions that are constants, as eq. 12 has them."""
    away = (actions.detach() - mu) / sigma.exp()
    return -(0.5 * away.square() + sigma + 0.5 * math.log(2 * math.pi)).sum(1)


@dataclass(frozen=True)
class Guidance:
    """How the policy is rewarded.

    weight: lambda, of the reward in eq. 11
    warmup: m of algorithm 1, as a share of the iterations
    buffer: M of algorithm 1, the rewards that a new one is compared with
    rewarded: images of a batch that get a reward; None takes all
    prior: weight of KL(policy, N(0, I))
    hidden: widths of the policy's network
    """

    weight: float = 0.1
    warmup: float = 0.5
    buffer: int = 1000
    rewarded: int | None = None
    prior: float = 0.3
    hidden: Sequence[int] = (100, 50, 25)

    def __post_init__(self) -> None:
        for name, most in (("weight", math.inf), ("warmup", 1), ("prior", math.inf)):
            if not 0 <= (value := getattr(self, name)) <= most:
                raise UserError(f"strategy.{name}={value} must be a number from 0 to {most}")
        if self.buffer < 1 or (self.rewarded or 1) < 1:
            raise UserError("strategy.buffer and strategy.rewarded count images: give 1 at the least")


class Guided(ACGANGame):
    """Algorithm 1: AC-GAN until the warm-up is over, then eq. 11. `reward` gives (B,) for images in 0..1."""

    draws = 2  # the state's and the action's

    def __init__(
        self,
        net: Conditional,
        rules: ACGANRules,
        policy: Gaussian,
        reward: Callable[[Tensor], Tensor],
        guidance: Guidance,
    ) -> None:
        super().__init__(net, rules)
        self.policy = policy
        self.reward = reward
        self.guidance = guidance
        self.warmup = round(guidance.warmup * rules.steps)
        self.batches = -(-guidance.buffer // min(guidance.rewarded or rules.batch, rules.batch))
        self.buffer: deque[Tensor] = deque(maxlen=self.batches)

    def generated(self, noise: Tensor, labels: Tensor) -> Tensor:
        if self.done < self.warmup:
            return super().generated(noise, labels)
        return self.acted(noise, labels)[0]

    def acted(self, noise: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return x^, and (B,) the log-likelihoods of z' and the divergences from the prior."""
        z, eps = noise.unbind(1)
        mu, sigma = self.policy(self.net(z, labels))
        action = mu + sigma.exp() * eps
        divergence = 0.5 * (mu.square() + (2 * sigma).exp() - 2 * sigma - 1).sum(1)
        return self.net(action, labels), log_likelihood(action, mu, sigma), divergence

    def generator_loss(self, labels: Tensor) -> Tensor:
        """Return the negative of eq. 11."""
        noise = self.noise(len(labels))
        if self.done < self.warmup:
            return self.warming_loss(noise, labels)
        images, likelihoods, divergences = self.acted(noise, labels)
        advantages = self.advantages(images)
        gain = (advantages * likelihoods[: len(advantages)]).mean() - self.guidance.prior * divergences.mean()
        return self.fooling_loss(images, labels) - self.guidance.weight * gain

    def warming_loss(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Return AC-GAN's loss; towards the end of the warm-up the images' rewards fill the buffer."""
        images = self.generated(noise, labels)
        if self.warmup - self.done <= self.batches:
            self.advantages(images)
        return self.fooling_loss(images, labels)

    def advantages(self, images: Tensor) -> Tensor:
        """Return by how many standard deviations the rewards exceed those in the buffer, which they join."""
        rewards = self.reward(images[: self.guidance.rewarded].detach())
        self.buffer.append(rewards)
        recent = torch.cat([*self.buffer])
        return (rewards - recent.mean()) / recent.std(correction=0).clamp(min=1e-6)
