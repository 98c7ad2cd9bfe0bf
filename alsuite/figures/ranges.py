"""How far axes reach, and where they have ticks."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["cut_bands", "whole_ticks"]


def cut_bands(axes: "Axes") -> None:
    """Leave a band no more room than half of what the lines take, so that a wide one does not flatten these."""
    drawn = np.concatenate([[np.nan], *(np.asarray(line.get_ydata(), float) for line in axes.lines)])
    if np.isnan(drawn).all():
        return
    low, high = np.nanmin(drawn), np.nanmax(drawn)
    room, (lowest, highest) = (high - low) / 2, axes.get_ylim()
    if room:
        axes.set_ylim(max(lowest, low - room), min(highest, high + room))


def whole_ticks(axes: "Axes") -> None:
    """Mark a few whole numbers along x, each once, as labels and pools are counted."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter("{x:,.0f}")
