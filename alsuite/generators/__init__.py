"""Generative models that are trained once on all images of a pool, without a label, and kept for later runs."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from alsuite.pool import Pool

__all__ = ["Features", "Generator", "Trained"]


class Features(Protocol):
    def features(self, images: Tensor) -> Tensor:
        """(B, D) of uint8 images, or of floats in 0..1."""
        ...


class Trained(Features, Protocol):
    latent: int

    def images(self, z: Tensor) -> Tensor:
        """(B, C, H, W) in 0..1 from (B, latent), differentiable."""
        ...


@runtime_checkable
class Generator(Protocol):
    def trained(self, pool: Pool) -> Trained: ...
