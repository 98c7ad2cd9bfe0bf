"""ASAL, and GAAL, which it is compared with.

C. Mayer, R. Timofte: Adversarial Sampling for Active Learning, 2018. https://arxiv.org/abs/1808.06671
J.-J. Zhu, J. Bento: Generative Adversarial Active Learning, 2017. https://arxiv.org/abs/1702.07956

Codes z ~ N(0, I) of a generative model G that was trained on the pool climb the task's uncertainty of G(z) (eq. 3), by
its entropy or, for two classes, by the distance to the separating plane (eq. 1), as GAAL does by default: "the
traditional minimal distance optimization problem" (section 2). GAAL has the synthetic images labelled as they are; ASAL
asks for the unlabelled image next to each (section 4.2): by Euclidean distance in features that stay
fixed, on their first principal components, without replacement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from alsuite.errors import UserError, positive, whole_if_given, whole_number
from alsuite.generators import Generator, Trained
from alsuite.generators.autoencoder import AutoEncoder
from alsuite.matching.features import Code, Features
from alsuite.matching.projection import LARGE, reduced
from alsuite.notes import FIT_SECONDS, MEMORY
from alsuite.pool import Pool, pixels
from alsuite.scores import entropy, min_distance
from alsuite.strategies import Once, Query
from alsuite.tasks import Task
from alsuite.training.clock import clock
from alsuite.training.fit import check_finite

__all__ = ["ASAL", "GAAL", "Ascent"]

LEAST = -80.0  # well before p = exp(log p) is 0, at -104, and the gradient of the entropy no number
SHOWN = 10  # images that are kept
AT_ONCE = 64  # codes whose gradients a CPU takes at once; the maps of 384 leave its caches, and take 1.4 times as long

LogProbs = Callable[[Tensor], Tensor]


class Index(Protocol):
    def search(self, queries: Tensor, known: Tensor) -> Tensor: ...


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


@dataclass(frozen=True)
class Matching:
    """What the pool's images are compared by."""

    trained: Trained
    features: Callable[[Tensor], Tensor]  # images -> (B, dimensions)
    index: Index
    size: int
    memory: int  # bytes that a search needs
    seconds: dict[str, float]  # that each part of the preparation takes


class ASAL:
    """Asks for the unlabelled images next to uncertain synthetic ones.

    generator: the generative model G, trained once on the pool
    features: what images are compared by, section 4.2
    index: `index(vectors)` finds neighbours among the rows of its vectors
    dimensions: principal components of the features (the paper: 50)
    ascent: how codes climb (Ascent)
    """

    def __init__(
        self,
        generator: Generator,
        features: Features,
        index: Callable[..., Index],
        *,
        dimensions: int = 50,
        **ascent: Any,
    ) -> None:
        whole_number("strategy.", dimensions=dimensions)
        self.generator = generative(generator)
        self.features = features
        self.make_index = index
        self.dimensions = dimensions
        self.ascent = Ascent(**ascent)
        self.matching = Once(self._matching)

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        log_probs = differentiable(task, pool, self.ascent.score)
        matching, preparation = self._prepared(pool)
        left = int((~pool.known[: matching.size]).sum())
        if n > left:
            raise UserError(f"{n} images are to be matched, but {left} are left: lower budget.query or budget.end")
        start, z = self.ascent.codes(matching.trained, log_probs, n, pool.device)
        with torch.no_grad():
            generated = matching.trained.images(z)
            queries = matching.features(generated)
            notes = gained(log_probs, matching.trained.images(start), generated)
        indices = matching.index.search(queries, pool.known).to(pool.device)
        matched = entropy(task.log_probs(pool.rows(indices)))
        iterations = getattr(matching.trained, "iterations", 0)
        notes |= {"entropy_matched": float(matched.mean()), MEMORY: matching.memory, "generator_iterations": iterations}
        notes |= preparation
        examples = pixels(generated[:SHOWN])
        pictures = pairs_shown(examples, pool.rows(indices[:SHOWN])[:], indices)
        return Query(indices, None, notes, pictures, generated=examples)

    def _prepared(self, pool: Pool) -> tuple[Matching, dict[str, float]]:
        """Return what images are compared by, and the seconds that it took, where this query had to make it."""
        before, start = self.matching.made, clock(pool.device)
        matching = self.matching(pool)
        if self.matching.made is before:
            return matching, {}
        spent = {FIT_SECONDS: clock(pool.device) - start, **matching.seconds}
        return matching, {name: round(each, 4) for name, each in spent.items()}

    def _matching(self, pool: Pool) -> Matching:
        """Prepare the matching; a training that a reduced scale has cut counts as whole, at the pace that it had."""
        trained = self.generator.trained(pool)
        extract = self.features.of(pool, trained)
        start = clock(pool.device)
        everything = pool.rows(torch.arange(pool.originals, device=pool.device))
        features, vectors = reduced(extract, everything, self.dimensions, self._folder)
        extracted = clock(pool.device)
        index = self._indexed(vectors)
        seconds = {
            "generator_seconds": getattr(trained, "whole_seconds", 0.0),
            "autoencoder_seconds": self.features.seconds(pool) if isinstance(self.features, Code) else 0.0,
            "extract_seconds": extracted - start,
            "index_seconds": clock(pool.device) - extracted,
        }
        return Matching(trained, features, index, len(vectors), getattr(index, "nbytes", vectors.nbytes), seconds)

    def _indexed(self, vectors: Tensor) -> Index:
        if vectors.is_cuda or vectors.nbytes <= LARGE:
            return self.make_index(vectors)
        with TemporaryDirectory(dir=self._folder(), ignore_cleanup_errors=True) as folder:  # a map outlives its name
            return self.make_index(vectors, folder=Path(folder))

    def _folder(self) -> Path:
        """Return one beside the generator, since the system's temporary folder may lie in memory."""
        folder = Path(getattr(self.generator, "folder", gettempdir()))
        folder.mkdir(parents=True, exist_ok=True)
        return folder


class GAAL:
    """Makes uncertain synthetic images, which join the pool and are labelled as they are.

    generator: the generative model G, trained once on the pool
    ascent: how codes climb (Ascent)
    """

    makes_images = True

    def __init__(self, generator: Generator, **ascent: Any) -> None:
        self.generator = generative(generator)
        self.ascent = Ascent(**ascent)
        self.trained = Once(self.generator.trained)

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        log_probs = differentiable(task, pool, self.ascent.score)
        pool.check_takes_images()
        trained = self.trained(pool)
        start, z = self.ascent.codes(trained, log_probs, n, pool.device)
        with torch.no_grad():
            generated = trained.images(z)
            notes = gained(log_probs, trained.images(start), generated)
        indices = pool.extend(pixels(generated))
        return Query(indices, None, notes, {"generated": pixels(generated[:SHOWN]).cpu().numpy()})


def gained(log_probs: LogProbs, before: Tensor, after: Tensor) -> dict[str, float]:
    """Note the mean entropy of images before the ascent, and after it."""
    return {
        "entropy_started": float(entropy(log_probs(before)).mean()),
        "entropy_generated": float(entropy(log_probs(after)).mean()),
    }


def generative(generator: Generator) -> Generator:
    if not hasattr(generator, "trained") or isinstance(generator, AutoEncoder):
        raise UserError("this strategy needs a generative model of the images: take generator=wgan_gp or dcgan")
    return generator


def differentiable(task: Task, pool: Pool, score: Callable[[Tensor], Tensor]) -> LogProbs:
    pool.check_one_label_each("this strategy", "strategy=entropy")
    if score is min_distance and pool.classes != 2:
        raise UserError(
            f"min_distance needs two classes, not {pool.classes}: set strategy.score.path=alsuite.scores.entropy"
        )
    log_probs = getattr(task, "differentiable_log_probs", None)
    if log_probs is None:
        raise UserError("this strategy needs a task model with gradients down to the pixels, such as task_model=lenet")
    return log_probs


def pairs_shown(generated: Tensor, matched: Tensor, indices: Tensor) -> dict[str, np.ndarray]:
    """Show the first images and their matches, as figure 2 does; a bare number would stand for a class."""
    captions = np.array([f"#{index}" for index in indices[:SHOWN].tolist()])
    return {"generated": generated.cpu().numpy(), "matched": matched.cpu().numpy(), "matched_captions": captions}
