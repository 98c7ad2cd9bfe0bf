"""The colours of classes in pictures of labels per pixel."""

from __future__ import annotations

import colorsys

__all__ = ["colour", "shade"]

STEP = 0.618034  # of the hue: no two of the first classes are alike


def colour(label: int) -> tuple[int, int, int]:
    """Return the red, green and blue of a class, in 0..255."""
    red, green, blue = colorsys.hsv_to_rgb(label * STEP % 1, 0.75, 0.95 if label % 2 else 0.55)
    return round(255 * red), round(255 * green), round(255 * blue)


def shade(label: int) -> tuple[float, float, float]:
    """Return the red, green and blue of a class, in 0..1."""
    red, green, blue = colour(label)
    return red / 255, green / 255, blue / 255
