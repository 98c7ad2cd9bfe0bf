"""Training sets that have fewer images of some classes: with a long tail, or with a step.

Y. Cui, M. Jia, T.-Y. Lin, Y. Song, S. Belongie: Class-Balanced Loss Based on Effective Number of Samples, 2019.
https://arxiv.org/abs/1901.05555
M. Buda, A. Maki, M. Mazurowski: A systematic study of the class imbalance problem in convolutional neural networks,
2018. https://arxiv.org/abs/1710.05381

With a long tail (`exp`) class k of 0..K - 1 keeps ratio^(k / (K - 1)) of its images, with a `step` the last half of the
classes keep the ratio, and all others all. Which images stay doesn't depend on a run's seed, and those of a smaller
ratio are among those of a larger one. Test images stay as they are, and so do the mean and the spread that images are
normalised by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from alsuite.data.dataset import Dataset, chosen_of
from alsuite.errors import UserError, one_of, positive

__all__ = ["imbalanced", "shares"]

SEED = 6
FORM = "write it as imbalance={ratio: 0.1, kind: exp}"


def imbalanced(dataset: Dataset, options: object) -> Dataset:
    """Return the data set with a share of the training images of each class, but with one of each at the least.

    options: the `ratio` of the rarest class, and the `kind`, exp or step, by default exp

    What is held out for validation counts as thinned as much. Labels of pixels are refused, and images without one.
    """
    ratio, kind = checked(options)
    targets = dataset.train.targets
    if targets.ndim > 1:
        raise UserError("imbalance thins the classes of images, and these have a label per pixel: leave it out")
    if dataset.train.unlabelled:
        raise UserError("imbalance thins the classes of images, and some here have no label: leave it out")
    order = torch.from_numpy(np.random.default_rng(SEED).permutation(len(targets)))
    kept = []
    for label, share in enumerate(shares(kind, ratio, len(dataset.classes))):
        members = order[targets[order] == label]
        kept.append(members[: max(1, round(share * len(members)))])
    places = torch.cat(kept).sort().values
    held = round(dataset.held * len(places) / len(targets))
    return replace(dataset, train=chosen_of(dataset.train, places), held=held)


def shares(kind: str, ratio: float, classes: int) -> list[float]:
    """Return the share of its images that each class keeps.

    >>> shares("step", 0.1, 4)
    [1.0, 1.0, 0.1, 0.1]
    """
    if kind == "step":
        return [1.0 if label < classes - classes // 2 else ratio for label in range(classes)]
    return [ratio ** (label / max(1, classes - 1)) for label in range(classes)]


def checked(options: object) -> tuple[float, str]:
    """Return the ratio and the kind of an imbalance, and refuse what is none."""
    if not isinstance(options, Mapping) or not {"ratio"} <= options.keys() <= {"ratio", "kind"}:
        raise UserError(f"imbalance={options} must have a ratio, may have a kind, and nothing else: {FORM}")
    ratio, kind = options["ratio"], options.get("kind", "exp")
    positive("imbalance.", ratio=ratio)
    if ratio > 1:
        raise UserError(f"imbalance.ratio={ratio} is no share of a class: give a number up to 1")
    one_of("imbalance.kind", kind, ("exp", "step"))
    return ratio, kind
