"""First labels that are spread over the pool: core-set selection before anything is labelled."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from alsuite.strategies.coreset import k_center_greedy
from alsuite.tasks.vgg import Extractor, FeatureStore

__all__ = ["coreset"]


def coreset(
    targets: Tensor,
    n: int,
    generator: Generator,
    *,
    images: Tensor,
    features: Extractor,
    folder: str,
    known: Tensor | None = None,
) -> Tensor:
    """Draw n times the image whose features lie farthest from those of the known images and of all drawn before.

    Where no image is known the first one is drawn at random.

    Arguments:
        targets: (N,) labels, which are not looked at
        images: (N, C, H, W) of the pool
        known: (M, C, H, W) whose labels there are already, and which are not among the others
        features: a fixed network's
        folder: where the features are kept
    """
    features_of = FeatureStore(features, folder, torch.device("cpu"))
    found = features_of(images)
    if known is not None:
        return k_center_greedy(found, features_of(known), n)[0]
    first = torch.randint(len(images), (1,), generator=generator)
    if n == 1:
        return first
    rest = torch.arange(len(images))[torch.arange(len(images)) != first]
    picks, _ = k_center_greedy(found[rest], found[first], n - 1)
    return torch.cat([first, rest[picks]])
