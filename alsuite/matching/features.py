"""Where ASAL compares images (section 4.2): raw pixels, an auto-encoder's code, what a discriminator makes of them, or
what the ImageNet VGG-16 does, which the paper names as future work.

Each gives a function of images, uint8 or floats in 0..1, (B, C, H, W) -> (B, D). VGG-16's can be kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from alsuite.generators import Trained, spent
from alsuite.nets.ranges import unit
from alsuite.pool import Pool

__all__ = ["Code", "Discriminator", "Features", "Pixels"]

LUMA = (0.299, 0.587, 0.114)


class Features(Protocol):
    """What images are compared by."""

    def of(self, pool: Pool, trained: Trained) -> Callable[[Tensor], Tensor]:
        """Return the function of images that gives their features.

        trained: the model that makes the images to be compared with the pool's
        """
        ...


class Pixels:
    """Pixels as they are, or as gray values.

    gray: whether the channels of colour images become one by their luma
    """

    def __init__(self, gray: bool) -> None:
        self.gray = gray

    def of(self, pool: Pool, trained: Trained) -> Callable[[Tensor], Tensor]:
        def pixels(images: Tensor) -> Tensor:
            values = unit(images)
            if self.gray and values.shape[1] == 3:
                values = (values * values.new_tensor(LUMA).view(-1, 1, 1)).sum(1)
            return values.flatten(1)

        return pixels


class Code:
    """The code of an auto-encoder, which is trained on the pool once."""

    def __init__(self, autoencoder: Any) -> None:
        self.autoencoder = autoencoder

    def of(self, pool: Pool, trained: Trained) -> Callable[[Tensor], Tensor]:
        return self.autoencoder.trained(pool).features

    def seconds(self, pool: Pool) -> float:
        """Return how long the whole training takes, at the pace that was measured when the auto-encoder was made."""
        return spent(self.autoencoder.trained(pool)).whole_seconds


class Discriminator:
    """What the discriminator of the generative model tells real from synthetic images by."""

    def of(self, pool: Pool, trained: Trained) -> Callable[[Tensor], Tensor]:
        return trained.features
