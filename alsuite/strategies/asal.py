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

from alsuite.errors import UserError, whole_number
from alsuite.generators import Generator, Trained, spent
from alsuite.generators.autoencoder import AutoEncoder
from alsuite.matching.features import Code, Features
from alsuite.matching.projection import LARGE, reduced
from alsuite.notes import FIT_SECONDS, MEMORY
from alsuite.pool import Pool, pixels
from alsuite.scores import entropy, min_distance
from alsuite.strategies import Once, Query
from alsuite.strategies.ascent import Ascent, LogProbs
from alsuite.tasks import Differentiable, Task
from alsuite.training.clock import clock

__all__ = ["ASAL", "GAAL", "Ascent"]

SHOWN = 10  # images that are kept


class Index(Protocol):
    def search(self, queries: Tensor, known: Tensor) -> Tensor: ...


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
        iterations = spent(matching.trained).iterations
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
        seconds = {FIT_SECONDS: clock(pool.device) - start, **matching.seconds}
        return matching, {name: round(each, 4) for name, each in seconds.items()}

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
            "generator_seconds": spent(trained).whole_seconds,
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
    if not isinstance(task, Differentiable):
        raise UserError("this strategy needs a task model with gradients down to the pixels, such as task_model=lenet")
    return task.differentiable_log_probs


def pairs_shown(generated: Tensor, matched: Tensor, indices: Tensor) -> dict[str, np.ndarray]:
    """Show the first images and their matches, as figure 2 does; a bare number would stand for a class."""
    captions = np.array([f"#{index}" for index in indices[:SHOWN].tolist()])
    return {"generated": generated.cpu().numpy(), "matched": matched.cpu().numpy(), "matched_captions": captions}
