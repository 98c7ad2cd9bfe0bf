"""ActiveGAN makes labelled images and asks no oracle; so does AC-GAN, which it is compared with.

Q. Kong, B. Tong, M. Klinkigt, Y. Watanabe, N. Akira, T. Murakami: Active Generative Adversarial Network for Image
Classification, 2019. https://arxiv.org/abs/1906.07133
A. Odena, C. Olah, J. Shlens: Conditional Image Synthesis with Auxiliary Classifier GANs, 2017.
https://arxiv.org/abs/1610.09585

Unstated are the sizes of warm-up and buffer (alsuite.generators.guided), and how many images join: here as many as are
labelled. Learning rates are searched in {0.0002, 0.001} there, and fixed here: both players' are 0.001 for MNIST,
Fashion-MNIST and USPS, and AC-GAN's 0.0002 for others. InfoGAN's release has 0.0002 for the discriminator of gray ones,
and batches of 128 in the place of 64; with these half of the classes of MNIST collapse (conf/generator/acgan.yaml).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from statistics import mean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alsuite.errors import UserError, whole_number
from alsuite.generators.acgan import ACGANGame, ACGANRules, health, trained_on_labelled
from alsuite.generators.guided import Guidance, Guided
from alsuite.matching.embedding import plane
from alsuite.metrics import metrics
from alsuite.nets.acgan import Conditional, Gaussian
from alsuite.nets.ranges import unit
from alsuite.notes import FIT_SECONDS
from alsuite.pool import Pool, Rows, pixels
from alsuite.scores import entropy, first_below, margin
from alsuite.strategies import Query
from alsuite.tasks import Task
from alsuite.tasks.svm import SVM
from alsuite.training.clock import clock

__all__ = ["ACGAN", "ActiveGAN", "FilteredACGAN", "uncertainty"]

SHOWN = 10  # rows and columns of images that are kept
HARD = 0.2
Notes = dict[str, Any]


def uncertainty(log_probs: Tensor, epsilon: float, alpha: float, floor_reward: float) -> Tensor:
    """Return (N,) rewards by eq. 9: alpha parts of that of the margin, eq. 8, and 1 - alpha of the entropy's, eq. 7."""
    margins = -margin(log_probs).to(log_probs.dtype)
    smallest = torch.where(margins <= epsilon, (-margins).exp(), floor_reward)
    return alpha * smallest + (1 - alpha) * entropy(log_probs).exp()


class ACGAN:
    """Makes labelled images, all of which join.

    generator: the rules by which AC-GAN is trained, eq. 4 and 5
    embedded: made images whose places among others are kept, for figure 4
    """

    makes_images = True

    def __init__(self, generator: ACGANRules, *, embedded: int = 0) -> None:
        if not isinstance(generator, ACGANRules):
            raise UserError("this strategy makes images of given classes: take generator=acgan, or leave it out")
        whole_number("strategy.", 0, embedded=embedded)
        self.rules = generator
        self.embedded = embedded

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        pool.check_takes_images()
        start = clock(pool.device)
        game = trained_on_labelled(self.game(pool, task), pool)
        seconds = clock(pool.device) - start
        labels = balanced(pool, n)
        images, notes = self.joining(game, pool, task, labels)
        judged, shown = health(game, pool, images, labels), grid(game, pool)
        if self.embedded:
            shown |= groups(pool, task, images, self.embedded)
        indices = pool.extend(images, labels)
        notes |= {**self.notes(game, task.log_probs(pool.rows(indices))), **judged, FIT_SECONDS: seconds}
        return Query(indices, None, notes, shown)

    def game(self, pool: Pool, task: Task) -> ACGANGame:
        return ACGANGame(self.net(pool), self.rules)

    def net(self, pool: Pool) -> Conditional:
        return self.rules.net(tuple(pool.images.shape[1:]), pool.classes)

    def joining(self, game: ACGANGame, pool: Pool, task: Task, labels: Tensor) -> tuple[Tensor, Notes]:
        """Return an image for each label, and what is worth noting of them."""
        return game.images(game.noise(len(labels)), labels), {}

    def notes(self, game: ACGANGame, log_probs: Tensor) -> Notes:
        return {"margin": float(-margin(log_probs).mean()), "entropy_generated": float(entropy(log_probs).mean())}


class FilteredACGAN(ACGAN):
    """Of several images for each that joins takes the first whose margin is small enough, or else the one with the
    smallest. The threshold is the best in a cross-validation on the labelled images; the paper takes the best on the
    test set.

    task_model: makes the models of the cross-validation, unless the task is an SVM, of which copies learn
    thresholds: of the margin, tried
    candidates: images for each that joins
    folds: of the cross-validation
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
        whole_number("strategy.", candidates=candidates)
        whole_number("strategy.", 2, folds=folds)
        whole_number("strategy's number of ", thresholds=len(thresholds))
        self.task_model = task_model
        self.thresholds = thresholds
        self.candidates = candidates
        self.folds = folds

    def joining(self, game: ACGANGame, pool: Pool, task: Task, labels: Tensor) -> tuple[Tensor, Notes]:
        many, _ = super().joining(game, pool, task, labels.repeat(self.candidates))
        margins = -margin(task.log_probs(following(pool, many))).view(self.candidates, -1)
        passing = {most: many[first_below(margins, most)] for most in self.thresholds}
        held = self._held_out(pool)
        scores = {most: self.validated(pool, task, images, labels, held) for most, images in passing.items()}
        best = max(self.thresholds, key=lambda most: scores[most])
        passed = float((margins <= best).any(0).float().mean())
        return passing[best], {"threshold": best, "passed": passed, "validation_f1": scores[best]}

    def _held_out(self, pool: Pool) -> Sequence[Tensor]:
        real = pool.labelled_originals
        return real[torch.randperm(len(real)).to(real.device)].chunk(self.folds)

    def validated(self, pool: Pool, task: Task, images: Tensor, labels: Tensor, folds: Sequence[Tensor]) -> float:
        """Return the mean macro F1 on each fold of a task that learns from the others and from the made images."""
        scores = []
        for part, fold in without_each(folds, pool, images, labels):
            predicted = self._taught(task, part).log_probs(part.rows(fold)).argmax(1)
            scores.append(metrics(predicted, pool.labels[fold], pool.classes)["macro_f1"])
        return mean(scores)

    def _taught(self, task: Task, pool: Pool) -> Task:
        """Return a fresh task that has learned from the pool; an SVM keeps the settings that its search has found."""
        if isinstance(task, SVM):
            return copy(task).learn(pool, search=False)
        return self.task_model().learn(pool)


class ActiveGAN(ACGAN):
    """Makes labelled images that the task is uncertain of, for which it rewards AC-GAN's generator.

    epsilon: margin up to which an image is uncertain, eq. 8
    alpha: share of the margin's reward, the rest is the entropy's, eq. 9
    floor_reward: C, the reward of larger margins, eq. 8
    guidance: of the policy (alsuite.generators.guided.Guidance): among them weight, lambda of eq. 11, without which it
        is AC-GAN
    """

    def __init__(
        self,
        generator: ACGANRules,
        *,
        epsilon: float = 0.2,
        alpha: float = 0.5,
        floor_reward: float = 0.0,
        embedded: int = 0,
        **guidance: Any,
    ) -> None:
        super().__init__(generator, embedded=embedded)
        for name, value in (("epsilon", epsilon), ("alpha", alpha)):
            if not 0 <= value <= 1:
                raise UserError(f"strategy.{name}={value} must be a number from 0 to 1")
        self.terms = (epsilon, alpha, floor_reward)
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
        if isinstance(game, Guided):
            notes["sigma"] = float(game.policy.log_spread.detach().mean())
        return notes


def without_each(folds: Sequence[Tensor], pool: Pool, images: Tensor, labels: Tensor) -> Iterator[tuple[Pool, Tensor]]:
    """Yield for each fold a pool that the made images have joined, in which the fold has no labels."""
    made = following(pool, images)
    for fold in folds:
        part = pool.emptied(made.images)
        part.originals = pool.originals
        others = pool.labelled[~torch.isin(pool.labelled, fold)]
        part.label(others, pool.labels[others])
        part.label(made.indices, labels)
        yield part, fold


def following(pool: Pool, images: Tensor) -> Rows:
    """Return made images as rows behind the pool's, by which a task knows that no other run will see them."""
    grown = torch.cat([pool.images, images.to(pool.images.device)])
    return Rows(grown, torch.arange(len(pool), len(grown), device=pool.device))


def balanced(pool: Pool, n: int) -> Tensor:
    """Return (n,) labels, of each class that has a label as many, give or take one."""
    classes = pool.labels[pool.labelled].unique()
    order = torch.randperm(len(classes)).to(classes.device)
    return classes[order].repeat(-(-n // len(classes)))[:n]


@torch.no_grad()
def grid(game: ACGANGame, pool: Pool) -> dict[str, np.ndarray]:
    """Return figure 5: a column for each label, a row for each latent vector.

    A policy's vector depends on the label that it saw: a row takes that of one label, and all its images share it.
    """
    labels = pool.labels[pool.labelled].unique()[:SHOWN]
    codes = game.codes(game.noise(SHOWN), labels.repeat(SHOWN)[:SHOWN])
    shown = {
        f"generated_{i + 1}": pixels(game.net(code.expand(len(labels), -1), labels)).cpu().numpy()
        for i, code in enumerate(codes)
    }
    return {**shown, "generated_1_captions": np.array([str(label) for label in labels.tolist()])}


def groups(pool: Pool, task: Task, made: Tensor, n: int) -> dict[str, np.ndarray]:
    """Return figure 4: training, generated and truly hard images by the task's features; the last, which the paper
    takes from the test set, are unlabelled ones of the pool whose margin is at most HARD."""

    def some(rows: Tensor, most: int) -> Tensor:
        return rows[torch.randperm(len(rows))[:most].to(rows.device)]

    among = some(pool.unlabelled, 10 * n)
    hard = among[-margin(task.log_probs(pool.rows(among))) <= HARD][:n] if len(among) else among
    shown = {"training": pool.rows(some(pool.labelled, n)), "generated": unit(some(made, n)), "hard": pool.rows(hard)}
    return plane({name: task.outputs(images)[0] for name, images in shown.items() if len(images)})
