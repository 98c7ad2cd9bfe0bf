"""Generators that need no training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from alsuite.generators import Trained
from alsuite.nets.ranges import unit
from alsuite.pool import Pool
from alsuite.training.once import originals


class Gaussian:
    """A linear generator: the pool's mean and its first principal components."""

    latent = 32

    def __init__(self, images: Tensor) -> None:
        pixels = images.flatten(1).float() / 255
        self.shape, self.mean = images.shape[1:], pixels.mean(0)
        _, lengths, directions = torch.linalg.svd(pixels - self.mean, full_matrices=False)
        self.decoder = directions[: self.latent] * lengths[: self.latent, None] / len(images) ** 0.5

    def images(self, z: Tensor) -> Tensor:
        return (self.mean + z @ self.decoder).clamp(0, 1).unflatten(1, self.shape)

    def features(self, images: Tensor) -> Tensor:
        return unit(images).flatten(1).sum(1, keepdim=True)


@dataclass
class Trainer:
    """Counts what it was trained on; a training draws random numbers, as real ones do."""

    make: Callable[[Tensor], Trained] = Gaussian
    sizes: list[int] = field(default_factory=list)

    def trained(self, pool: Pool) -> Trained:
        images = originals(pool)
        self.sizes.append(len(images))
        torch.rand(len(self.sizes))
        return self.make(images)
