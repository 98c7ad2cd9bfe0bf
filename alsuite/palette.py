"""The colours of classes in pictures of labels per pixel."""

from __future__ import annotations

import colorsys

__all__ = ["colour", "shade"]

STEP = 0.618034  # of the hue
LEVELS = ((0.9, 0.75), (0.9, 0.45), (0.45, 0.75))  # saturation and value in turn: no two of the first 19 are alike


def colour(label: int) -> tuple[int, int, int]:
    """Return the red, green and blue of a class, in 0..255."""
    red, green, blue = colorsys.hsv_to_rgb(label * STEP % 1, *LEVELS[label % len(LEVELS)])
    return round(255 * red), round(255 * green), round(255 * blue)


def shade(label: int) -> tuple[float, float, float]:
    """Return the red, green and blue of a class, in 0..1."""
    red, green, blue = colour(label)
    return red / 255, green / 255, blue / 255
