"""Generative models: trained once on all images of a pool, without a label, and kept for later runs (`gan`,
`autoencoder`), or anew for each query on the labelled ones (`acgan`, `guided`)."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from alsuite.pool import Pool

__all__ = ["Generator", "Trained"]


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
