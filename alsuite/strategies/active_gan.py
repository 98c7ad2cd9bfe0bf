"""ActiveGAN (Kong et al. 2019) makes labelled images and asks no oracle; so does AC-GAN, which it is compared with.

ActiveGAN rewards AC-GAN's generator G for images that the task is uncertain of (eq. 6-9). The paper leaves open how
P(x|theta) relates to the noise z. Here a Gaussian policy sees the state x = G(z, y) with z ~ N(0, I), and its action
z' = mu(x) + e^sigma eps is the noise of the image x^ = G(z', y) that counts: eq. 12 is then an exact policy gradient.
Rewards are taken relative to the mean and the spread in the buffer. `prior` weighs KL(policy, N(0, I)), which the paper
doesn't have: without it mu runs away, since batch norm hides a shift that all share, and the images lose their variety
and then their class.

Unstated are also the sizes of warm-up and buffer, and how many images join: here as many as are labelled.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alsuite.errors import UserError
from alsuite.generators.acgan import ACGANGame, ACGANRules, health, trained_on_labelled
from alsuite.matching.embedding import plane
from alsuite.metrics import metrics
from alsuite.nets.acgan import Conditional, Gaussian
from alsuite.nets.ranges import unit
from alsuite.pool import Pool
from alsuite.scores import entropy, margin
from alsuite.strategies import Query
from alsuite.tasks import Task
from alsuite.tasks.svm import SVM
from alsuite.training.clock import clock

__all__ = ["ACGAN", "ActiveGAN", "FilteredACGAN", "Guidance", "Guided", "log_likelihood", "uncertainty"]

CHUNK = 1024  # images scored at a time
SHOWN = 10  # rows and columns of images that are kept
HARD = 0.2
Notes = dict[str, Any]


def uncertainty(log_probs: Tensor, epsilon: float, alpha: float, otherwise: float) -> Tensor:
    """(N,) rewards by eq. 9: alpha times that of the margin, eq. 8, and 1 - alpha times that of the entropy, eq. 7."""
    margins = -margin(log_probs)
    smallest = torch.where(margins <= epsilon, (-margins).exp(), otherwise)
    return alpha * smallest + (1 - alpha) * entropy(log_probs).exp()


def log_likelihood(actions: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    """(B,) log N(actions; mu, e^sigma) of actions that are constants, as eq. 12 has them."""
    away = (actions.detach() - mu) / sigma.exp()
    return -(0.5 * away.square() + sigma + 0.5 * math.log(2 * math.pi)).sum(1)


@dataclass(frozen=True)
class Guidance:
    weight: float = 0.1  # lambda
    warmup: float = 0.5  # m, as a share of the iterations
    buffer: int = 1000  # M
    rewarded: int | None = None  # images of a batch; None takes all
    prior: float = 0.3
    hidden: Sequence[int] = (100, 50, 25)

    def __post_init__(self) -> None:
        for name, most in (("weight", math.inf), ("warmup", 1), ("prior", math.inf)):
            if not 0 <= (value := getattr(self, name)) <= most:
                raise UserError(f"strategy.{name}={value} must be a number from 0 to {most}")
        if self.buffer < 1 or (self.rewarded or 1) < 1:
            raise UserError("strategy.buffer and strategy.rewarded count images: give 1 at the least")


class Guided(ACGANGame):
    """Algorithm 1: AC-GAN until the warm-up is over, then eq. 11. `reward` is one of images in 0..1."""

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
        self.kept = -(-guidance.buffer // min(guidance.rewarded or rules.batch, rules.batch))
        self.buffer: deque[Tensor] = deque(maxlen=self.kept)

    def generated(self, noise: Tensor, labels: Tensor) -> Tensor:
        return super().generated(noise, labels) if self.done < self.warmup else self.acted(noise, labels)[0]

    def acted(self, noise: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x^, and (B,) the log-likelihoods of z' and the divergences from the prior."""
        z, eps = noise.unbind(1)
        mu, sigma = self.policy(self.net(z, labels))
        action = mu + sigma.exp() * eps
        divergence = 0.5 * (mu.square() + (2 * sigma).exp() - 2 * sigma - 1).sum(1)
        return self.net(action, labels), log_likelihood(action, mu, sigma), divergence

    def generator_loss(self, labels: Tensor) -> Tensor:
        """The negative of eq. 11."""
        noise, left = self.noise(len(labels)), self.warmup - self.done
        if left > 0:
            images = self.generated(noise, labels)
            if left <= self.kept:
                self.advantages(images)
            return self.fooling_loss(images, labels)
        images, likelihoods, divergences = self.acted(noise, labels)
        advantages = self.advantages(images)
        gain = (advantages * likelihoods[: len(advantages)]).mean() - self.guidance.prior * divergences.mean()
        return self.fooling_loss(images, labels) - self.guidance.weight * gain

    def advantages(self, images: Tensor) -> Tensor:
        """By how many standard deviations the rewards exceed those in the buffer, which they join."""
        rewards = self.reward(images[: self.guidance.rewarded].detach())
        self.buffer.append(rewards)
        recent = torch.cat([*self.buffer])
        return (rewards - recent.mean()) / recent.std(correction=0).clamp(min=1e-6)


class ACGAN:
    """All images that it makes join. Of `embedded` of them the place among others is kept, for figure 4."""

    def __init__(self, generator: ACGANRules, *, embedded: int = 0) -> None:
        if not isinstance(generator, ACGANRules):
            raise UserError("this strategy makes images of given classes: take generator=acgan, or leave it out")
        self.rules = generator
        self.embedded = embedded

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        start = clock(pool.device)
        game = trained_on_labelled(self.game(pool, task), pool)
        seconds = clock(pool.device) - start
        labels = balanced(pool, n)
        images, notes = self.made(game, pool, task, labels)
        notes |= {**self.notes(game, task.log_probs(images)), **health(game, pool, images, labels)}
        shown = {**grid(game, pool), **(groups(pool, task, images, self.embedded) if self.embedded else {})}
        return Query(pool.extend(images, labels), None, {**notes, "fit_seconds": seconds}, shown)

    def game(self, pool: Pool, task: Task) -> ACGANGame:
        return ACGANGame(self.net(pool), self.rules)

    def net(self, pool: Pool) -> Conditional:
        return self.rules.net(tuple(pool.images.shape[1:]), pool.classes)

    def made(self, game: ACGANGame, pool: Pool, task: Task, labels: Tensor) -> tuple[Tensor, Notes]:
        return game.images(game.noise(len(labels)), labels), {}

    def notes(self, game: ACGANGame, log_probs: Tensor) -> Notes:
        return {"margin": float(-margin(log_probs).mean()), "entropy_generated": float(entropy(log_probs).mean())}


class FilteredACGAN(ACGAN):
    """Of several images for each that joins, the first whose margin is small enough, or else the one with the smallest.

    The threshold is the best in a cross-validation of `task_model` on the labelled images; the paper takes the best on
    the test set.
    """

    def __init__(
        self,
        generator: ACGANRules,
        task_model: Callable[[], Task],
        thresholds: Sequence[float] = (0.1, 0.15, 0.2, 0.25, 0.3),
        candidates: int = 5,
        folds: int = 3,
        embedded: int = 0,
    ) -> None:
        super().__init__(generator, embedded=embedded)
        if candidates < 1 or folds < 2 or not thresholds:
            raise UserError("strategy.candidates must be 1 at the least, strategy.folds 2, and thresholds not empty")
        self.task_model = task_model
        self.thresholds = thresholds
        self.candidates = candidates
        self.folds = folds

    def made(self, game: ACGANGame, pool: Pool, task: Task, labels: Tensor) -> tuple[Tensor, Notes]:
        many, _ = super().made(game, pool, task, labels.repeat(self.candidates))
        floats = (task.log_probs(unit(some)) for some in many.split(CHUNK))  # a task may keep what it makes of bytes
        margins = -margin(torch.cat([*floats])).view(self.candidates, -1)
        places = torch.arange(len(labels), device=labels.device)
        kept = {t: many[margins.clamp(min=t).argmin(0) * len(labels) + places] for t in self.thresholds}
        real = pool.labelled_originals
        held = real[torch.randperm(len(real)).to(real.device)].chunk(self.folds)
        scores = {t: self.validated(pool, task, images, labels, held) for t, images in kept.items()}
        best = max(scores, key=lambda t: scores[t])
        passed = float((margins <= best).any(0).float().mean())
        return kept[best], {"threshold": best, "passed": passed, "validation_f1": scores[best]}

    def validated(self, pool: Pool, task: Task, images: Tensor, labels: Tensor, folds: Sequence[Tensor]) -> float:
        """Mean macro F1 on each fold of a task that learns from the others and from the made images; an SVM keeps the
        settings that a search has found."""
        grown, found = torch.cat([pool.images, images.to(pool.images.device)]), []
        for fold in folds:
            part = Pool(grown, pool.classes, pool.normalise.mean, pool.normalise.std, pool.device)
            part.originals = pool.originals
            kept = pool.labelled[~torch.isin(pool.labelled, fold)]
            part.label(kept, pool.labels[kept])
            part.label(torch.arange(len(pool), len(grown), device=pool.device), labels)
            learned = copy(task).learn(part, search=False) if isinstance(task, SVM) else self.task_model().learn(part)
            predicted = learned.log_probs(part.rows(fold)).argmax(1)
            found.append(metrics(predicted, pool.labels[fold], pool.classes)["macro_f1"])
        return mean(found)


class ActiveGAN(ACGAN):
    """`epsilon` and C, `otherwise`, are those of eq. 8, `alpha` that of eq. 9; without a `weight` it is AC-GAN."""

    def __init__(
        self,
        generator: ACGANRules,
        *,
        epsilon: float = 0.2,
        alpha: float = 0.5,
        otherwise: float = 0.0,
        embedded: int = 0,
        **guidance: Any,
    ) -> None:
        super().__init__(generator, embedded=embedded)
        for name, value in (("epsilon", epsilon), ("alpha", alpha)):
            if not 0 <= value <= 1:
                raise UserError(f"strategy.{name}={value} must be a number from 0 to 1")
        self.terms = (epsilon, alpha, otherwise)
        self.guidance = Guidance(**guidance)

    def game(self, pool: Pool, task: Task) -> ACGANGame:
        def reward(images: Tensor) -> Tensor:
            return uncertainty(task.log_probs(images), *self.terms)

        net = self.net(pool)
        if not self.guidance.weight:
            return ACGANGame(net, self.rules)
        policy = Gaussian(pool.images[0].numel(), net.latent, self.guidance.hidden)
        return Guided(net, self.rules, policy, reward, self.guidance)

    def notes(self, game: ACGANGame, log_probs: Tensor) -> Notes:
        notes = {**super().notes(game, log_probs), "reward": float(uncertainty(log_probs, *self.terms).mean())}
        return {**notes, "sigma": float(game.policy.log_spread.detach().mean())} if isinstance(game, Guided) else notes


def balanced(pool: Pool, n: int) -> Tensor:
    """(n,) labels, of each class that has a label as many, give or take one."""
    classes = pool.labels[pool.labelled].unique()
    order = torch.randperm(len(classes)).to(classes.device)
    return classes[order].repeat(-(-n // len(classes)))[:n]


def grid(game: ACGANGame, pool: Pool) -> dict[str, np.ndarray]:
    """Figure 5: a column for each label, a row for each draw of the noise."""
    labels = pool.labels[pool.labelled].unique()[:SHOWN]
    rows = game.noise(SHOWN)
    shown = {
        f"generated_{i + 1}": game.images(row.expand(len(labels), -1, -1), labels).cpu().numpy()
        for i, row in enumerate(rows)
    }
    return {**shown, "generated_1_captions": np.array([str(label) for label in labels.tolist()])}


def groups(pool: Pool, task: Task, made: Tensor, n: int) -> dict[str, np.ndarray]:
    """Figure 4: training, generated and truly hard images by the task's features; the last, which the paper takes from
    the test set, are unlabelled ones of the pool whose margin is at most HARD."""

    def some(rows: Tensor, most: int) -> Tensor:
        return rows[torch.randperm(len(rows))[:most].to(rows.device)]

    among = some(pool.unlabelled, 10 * n)
    hard = among[-margin(task.log_probs(pool.rows(among))) <= HARD][:n]
    shown = {"training": pool.rows(some(pool.labelled, n)), "generated": unit(some(made, n)), "hard": pool.rows(hard)}
    return plane({name: task.outputs(images)[0] for name, images in shown.items() if len(images)})
