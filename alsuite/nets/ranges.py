"""The ranges that images lie in: uint8 in 0..255, floats in 0..1, and what a network exchanges, floats in [low, 1]."""

from __future__ import annotations

from torch import Tensor

__all__ = ["from_range", "to_range", "unit"]


def unit(images: Tensor) -> Tensor:
    """Turn uint8 into floats in 0..1, and leave floats as they are."""
    return images if images.is_floating_point() else images.float() / 255


def to_range(images: Tensor, low: float) -> Tensor:
    """Stretch images in 0..1, or uint8, to [low, 1]."""
    return unit(images) * (1 - low) + low


def from_range(images: Tensor, low: float) -> Tensor:
    """Bring images in [low, 1] back to 0..1."""
    return (images - low) / (1 - low)
