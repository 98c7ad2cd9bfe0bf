"""Generative models: trained once on all images of a pool, without a label, and kept for later runs (`gan`,
`autoencoder`), or anew for each query on the labelled ones (`acgan`, `guided`)."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from alsuite.pool import Pool

__all__ = ["Generator", "Spent", "Trained", "spent"]


class Trained(Protocol):
    """A generative model after its training."""

    latent: int

    def images(self, z: Tensor) -> Tensor:
        """Make (B, C, H, W) images in 0..1 from (B, latent) codes; gradients reach the codes."""
        ...

    def features(self, images: Tensor) -> Tensor:
        """Return (B, D) features of uint8 images, or of floats in 0..1."""
        ...


@runtime_checkable
class Generator(Protocol):
    """What trains a generative model on a pool, or finds the one that was trained before."""

    def trained(self, pool: Pool) -> Trained: ...


class Spent(NamedTuple):
    """What a training took.

    seconds: of the iterations that were done
    whole_seconds: what all iterations take, where a scale has cut them
    """

    iterations: int = 0
    seconds: float = 0.0
    whole_seconds: float = 0.0


def spent(net: object) -> Spent:
    """Return what the training of a network took; nothing is known of one that was not trained once and kept."""
    return getattr(net, "spent", Spent())
