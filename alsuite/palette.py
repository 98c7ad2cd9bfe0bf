"""What a picture shows of an image, and the colours of classes in pictures of labels per pixel."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:  # figures are drawn without torch
    from torch import Tensor

__all__ = ["colour", "picture", "seen", "shade"]

Images = TypeVar("Images", "Tensor", np.ndarray)

STEP = 0.618034  # of the hue
LEVELS = ((0.9, 0.75), (0.9, 0.45), (0.45, 0.75))  # saturation and value in turn: no two of the first 19 are alike


def seen(images: Images) -> Images:
    """Return what a picture shows of (..., C, H, W) images: three channels, red, green and blue, or one."""
    return images[..., : 3 if images.shape[-3] > 2 else 1, :, :]


def picture(image: Tensor) -> np.ndarray:
    """Return what a picture shows of a (C, H, W) image: its colours (H, W, 3), or its grays (H, W)."""
    return seen(image).permute(1, 2, 0).squeeze(-1).cpu().numpy()


def colour(label: int) -> tuple[int, int, int]:
    """Return the red, green and blue of a class, in 0..255."""
    red, green, blue = colorsys.hsv_to_rgb(label * STEP % 1, *LEVELS[label % len(LEVELS)])
    return round(255 * red), round(255 * green), round(255 * blue)


def shade(label: int) -> tuple[float, float, float]:
    """Return the red, green and blue of a class, in 0..1."""
    red, green, blue = colour(label)
    return red / 255, green / 255, blue / 255
