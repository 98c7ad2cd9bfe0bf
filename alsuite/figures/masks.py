"""Images that a run asked for, beside their labels per pixel, what the task predicted, and where it was unsure."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alsuite.figures.images import as_drawn, read_rows, stored_in
from alsuite.figures.parts import Part
from alsuite.figures.style import Look
from alsuite.palette import shade

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["masks"]

ROWS = ("image", "label", "prediction", "entropy")
GAP = 0.03  # of an image's width


def masks(axes: "Axes", part: Part, _: Look) -> None:
    """Draw a column for each of the first images that the run with the lowest seed asked for in a cycle."""
    first = part.frame.iloc[0]
    stored, _captions = read_rows(stored_in(Path(first["folder"]), part.panel.cycle), ROWS, part.panel.columns)
    ratio = stored["image"].shape[2] / stored["image"].shape[3]
    for row, name in enumerate(ROWS):
        axes.text(-0.08, -(row + 0.5) * ratio, name, ha="right", va="center", size=7)
        for column, image in enumerate(stored[name]):
            _draw(axes, image, (column, row), ratio)
    axes.set(xlim=(0, len(stored["image"])), ylim=(-len(ROWS) * ratio, 0), aspect="equal")
    axes.set_axis_off()
    for label, title in enumerate(first["classes"]):
        axes.plot([], [], linestyle="none", marker="s", color=shade(label), label=title)
    if (stored["label"] == 0).all(axis=1).any():
        axes.plot([], [], linestyle="none", marker="s", color="black", label="void")


def _draw(axes: "Axes", image: np.ndarray, place: tuple[int, int], ratio: float) -> None:
    left, top = place[0], -place[1] * ratio
    extent = (left + GAP, left + 1 - GAP, top - ratio + GAP, top - GAP)
    axes.imshow(as_drawn(image), cmap="gray", vmin=0, vmax=255, extent=extent, interpolation="nearest")
