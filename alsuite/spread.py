"""First labels that are spread over the pool: core-set selection before anything is labelled."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from alsuite.strategies.coreset import k_center_greedy
from alsuite.tasks.vgg import Extractor, FeatureStore

__all__ = ["coreset"]


def coreset(
    targets: Tensor, n: int, generator: Generator, *, images: Tensor, features: Extractor, folder: str
) -> Tensor:
    """Draw one image, then n - 1 times the one whose features lie farthest from those of all before.

    Arguments:
        targets: (N,) labels, which are not looked at
        images: (N, C, H, W) of the pool
        features: a fixed network's
        folder: where the features are kept
    """
    found = FeatureStore(features, folder, torch.device("cpu"))(images)
    first = torch.randint(len(images), (1,), generator=generator)
    if n == 1:
        return first
    rest = torch.arange(len(images))[torch.arange(len(images)) != first]
    picks, _ = k_center_greedy(found[rest], found[first], n - 1)
    return torch.cat([first, rest[picks]])
