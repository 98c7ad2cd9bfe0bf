"""ActiveGAN's game: AC-GAN's, in which the generator is rewarded for images that the task is uncertain of (eq. 6-12).

The paper (see alsuite.strategies.active_gan) leaves open how P(x|theta) relates to the noise z. `drawn` offers both
readings:

- generator, to the letter: x^ = G(z, y) with z ~ N(0, I) counts and joins, as in "we use the trained generator G to
  synthesize", and P(x^|theta) is N(z; mu(x^), e^sigma), of samples in the buffer, too. Then a reward weighs how well
  the noise can be told from its image, and has no hold on which images are made. On the toy of the tests, whose made
  images should come near a boundary, their mean distance from it is 0.445 (sd 0.073 over 8 seeds) with the rewards,
  0.428 to 0.436 with constants of 1 to 2 in their place, and 0.444 (0.030) by AC-GAN. On MNIST images do become less
  certain, and by a constant just as much (active_gan_drawn).
- policy: a Gaussian policy sees the state x = G(z, y), and its action z' = mu(x) + e^sigma eps is the noise of the
  image G(z', y) that counts and joins; eq. 12 is then a policy gradient, and the distance 0.289 (5 seeds), with the
  reward's sign turned 0.618, with a constant in its place 0.451.

Where this hold comes from: batch norm hides the shift of the noise that a batch shares, so that while the policy learns
neither rewards nor D see it (the last batches' distance is 0.42). What is made for a query is normalised by running
statistics, those of states and of actions, and shows it. By statistics of actions alone the distance is 0.421, and
0.441 with the sign turned: a reward has little hold then, either.

A policy needs two things that the paper doesn't have. Its rewards count relative to the mean and the spread of those in
the buffer (`standardised`): as they are, they leave the distance at 0.410. A divergence from N(0, I) holds the noise
(`prior`): without it mu runs away, since batch norm hides a shift that all share, and images lose their variety and
then their class; of the toy's, with rewards as they are, 16 % lie on the wrong side.

The buffer keeps each sample's reward beside it: computed anew it would be the same, since the task stays as it is while
the game is played.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from alsuite.errors import UserError, not_negative, one_of, whole_if_given, whole_number
from alsuite.generators.acgan import ACGANGame, ACGANRules
from alsuite.nets.acgan import Conditional, Gaussian
from alsuite.training.together import part

__all__ = ["Guidance", "Guided", "Samples", "log_likelihood"]

DRAWN = ("policy", "generator")


def log_likelihood(actions: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    """Return (B,) log N(actions; mu, e^sigma) of actions that are constants, as eq. 12 has them."""
    away = (actions.detach() - mu) / sigma.exp()
    return -(0.5 * away.square() + sigma + 0.5 * math.log(2 * math.pi)).sum(1)


@dataclass(frozen=True)
class Guidance:
    """How the generator is rewarded.

    drawn: what makes the images that count and join, policy or generator
    weight: lambda, of the reward in eq. 11
    warmup: m of algorithm 1, as a share of the iterations
    buffer: M of algorithm 1, how many of the latest samples are kept, rounded up to whole batches
    rewarded: images of a batch that get a reward; None takes all
    standardised: whether rewards count relative to the mean and the spread of those in the buffer
    prior: of KL(policy, N(0, I)) beside the reward, both of which `weight` multiplies, where images are the policy's
    hidden: widths of the policy's network
    """

    drawn: str = "policy"
    weight: float = 0.1
    warmup: float = 0.5
    buffer: int = 1000
    rewarded: int | None = None
    standardised: bool = True
    prior: float = 0.3
    hidden: Sequence[int] = (100, 50, 25)

    def __post_init__(self) -> None:
        one_of("strategy.drawn", self.drawn, DRAWN)
        not_negative("strategy.", weight=self.weight, warmup=self.warmup, prior=self.prior)
        if self.warmup > 1:
            raise UserError(f"strategy.warmup={self.warmup} is a share of the iterations: give a number from 0 to 1")
        whole_number("strategy.", buffer=self.buffer)
        whole_if_given("strategy.", rewarded=self.rewarded)


class Samples(NamedTuple):
    """Some images (B, C, H, W), the noise (B, latent) that they were made of, and their (B,) rewards."""

    images: Tensor
    noise: Tensor
    rewards: Tensor


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
        self.buffer: deque[Samples] = deque(maxlen=self.batches)

    @property
    def rewarded(self) -> int | None:
        """How many images of a batch, or of a rank's part of it, get a reward; None for all."""
        return self.guidance.rewarded and part(self.guidance.rewarded)

    def codes(self, noise: Tensor, labels: Tensor) -> Tensor:
        if self.done < self.warmup or self.guidance.drawn == "generator":
            return super().codes(noise, labels)
        return self.acted(noise, labels)[0]

    def acted(self, noise: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the actions z', and (B,) their log-likelihoods and the divergences from the prior."""
        z, eps = noise.unbind(1)
        mu, sigma = self.policy(self.net(z, labels))
        action = mu + sigma.exp() * eps
        divergence = 0.5 * (mu.square() + (2 * sigma).exp() - 2 * sigma - 1).sum(1)
        return action, log_likelihood(action, mu, sigma), divergence

    def generator_loss(self, labels: Tensor) -> Tensor:
        """Return the negative of eq. 11."""
        noise = self.noise(len(labels))
        if self.done < self.warmup:
            return self.warming_loss(noise, labels)
        of = self._of_policy if self.guidance.drawn == "policy" else self._of_generator
        images, gain = of(noise, labels)
        return self.fooling_loss(images, labels) - self.guidance.weight * gain

    def warming_loss(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Return AC-GAN's loss; towards the end of the warm-up the samples fill the buffer."""
        z = self.codes(noise, labels)
        images = self.net(z, labels)
        if self.warmup - self.done <= self.batches:
            self.sampled(images, z)
        return self.fooling_loss(images, labels)

    def _of_policy(self, noise: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        action, likelihoods, divergences = self.acted(noise, labels)
        images = self.net(action, labels)
        rewards = self.relative(self.sampled(images, action).rewards)
        return images, (rewards * likelihoods[: len(rewards)]).mean() - self.guidance.prior * divergences.mean()

    def _of_generator(self, noise: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images, and the gain from them; so many of the buffer add theirs, which teach the policy alone."""
        z = self.codes(noise, labels)
        images = self.net(z, labels)
        earlier = self.buffer[int(torch.randint(len(self.buffer), ()))] if self.buffer else None
        latest = self.sampled(images, z)._replace(images=images[: self.rewarded])
        return images, torch.stack([self._gain(some) for some in (latest, earlier) if some]).sum()

    def _gain(self, samples: Samples) -> Tensor:
        likelihoods = log_likelihood(samples.noise, *self.policy(samples.images))
        return (self.relative(samples.rewards) * likelihoods).mean()

    def sampled(self, images: Tensor, noise: Tensor) -> Samples:
        """Return the rewarded part of a batch, which joins the buffer."""
        some = self.rewarded
        seen = images[:some].detach()
        self.buffer.append(Samples(seen, noise[:some].detach(), self.reward(seen)))
        return self.buffer[-1]

    def relative(self, rewards: Tensor) -> Tensor:
        """Return by how many standard deviations rewards exceed those in the buffer, or as they are."""
        if not self.guidance.standardised:
            return rewards
        recent = torch.cat([samples.rewards for samples in self.buffer])
        return (rewards - recent.mean()) / recent.std(correction=0).clamp(min=1e-6)
