"""A line for each series, where a run gives one value: a dot at the mean, whiskers, the published value below.

Where the seeds are too few for an interval, each is a small dot instead.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alsuite.figures.curves import HOLLOW, band, curves, in_lines, published_entry, y_label
from alsuite.figures.parts import Part
from alsuite.figures.published import Point
from alsuite.figures.spec import Panel, bare
from alsuite.figures.style import BLUE, Look, Style
from alsuite.results.intervals import ENOUGH
from alsuite.results.measures import factor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_values", "one_each"]


def draw_values(axes: "Axes", part: Part, look: Look) -> None:
    """Draw a value per series with its interval, the published one beside it; against x where the panel names one."""
    (_dots if part.panel.x == "labelled" else curves)(axes, part, look)


def _dots(axes: "Axes", part: Part, look: Look) -> None:
    """Draw a line for each series: a dot at its mean, whiskers, single seeds and the published value a little below.

    Where numbers name the series, such as values of a parameter, all share one style, and the parameter names the axis.
    """
    panel, (runs, table) = part.panel, in_lines(part)
    points = one_each(part.points, panel)
    names = [name for name in part.order if name in {*table["series"], *points}]
    if all(map(_is_number, names)):
        look = dict.fromkeys(names, Style(BLUE, "o"))
        axes.set_ylabel(bare(panel.series[-1]))
    look = _alike(part, look)
    for name in table["series"]:
        _dot(axes, names.index(name), table[table["series"] == name], look[name], panel)
        _seed_dots(axes, names.index(name), runs.loc[runs["series"] == name, "value"], look[name])
    _published_dots(axes, points, names, look)
    at = f"\nat {runs['labelled'].iloc[0]:,.0f} labelled samples" if isinstance(panel.at, int) else ""
    scale = "log" if panel.of.logarithmic else "linear"
    axes.set(xlabel=y_label(panel) + at, ylim=(len(names) - 0.4, -0.6), xscale=scale)
    axes.set_yticks(range(len(names)), names)
    axes.margins(x=0.08)
    axes.grid(visible=False, axis="y")


def _alike(part: Part, look: Look) -> Look:
    """Give the series that share the value of their first column one colour, where several columns tell them apart.

    Strategies keep their own colours, as these are known from other figures.
    """
    if len(part.panel.series) < 2 or part.panel.series[0] == "strategy":
        return look
    groups = part.frame.drop_duplicates("series").groupby(part.panel.series[0])["series"]
    return {**look, **{name: look[next(iter(names))] for _, names in groups for name in names}}


def _published_dots(axes: "Axes", points: Mapping[str, Point], names: Sequence[str], look: Look) -> None:
    """Draw the published value of each series, a quarter of a line below the measured one.

    names: the series from the top to the bottom, as their lines are numbered
    """
    for name, point in points.items():
        place, style = names.index(name) + 0.25, look[name]
        axes.plot([point.y], [place], marker=style.marker, color=style.colour, markersize=5.5, **HOLLOW)
    if points:
        published_entry(axes)


def _dot(axes: "Axes", place: int, row: pd.DataFrame, style: Style, panel: Panel) -> None:
    """Draw the mean of a series in its line, with whiskers, and write its value at the right edge.

    row: the one row that `interval` returns for the series

    On a logarithmic axis a whisker must not reach zero.
    """
    mean, (low, high) = float(row["mean"].iloc[0]), (float(edge[0]) for edge in band(row))
    down = min(mean - low, 0.9 * mean) if panel.of.logarithmic else mean - low
    whiskers = np.nan_to_num([[down], [high - mean]])
    axes.errorbar([mean], [place], xerr=whiskers, fmt=style.marker, color=style.colour, capsize=2.5, markersize=5.5)
    shown = f"{mean:.1f}" if factor(panel.y) == 100 else f"{mean:.3g}"
    axes.text(1.02, place, shown, transform=axes.get_yaxis_transform(), va="center", size=7.5)


def _seed_dots(axes: "Axes", place: int, seeds: pd.Series, style: Style) -> None:
    """Draw a small dot for each seed where these are several, yet too few for an interval."""
    if 1 < len(seeds) < ENOUGH:
        axes.plot(seeds, [place] * len(seeds), linestyle="none", marker=".", color=style.colour, alpha=0.6)


def one_each(points: Sequence[Point], panel: Panel) -> dict[str, Point]:
    """Return one point per series: the last, or the one nearest to the labelled count that is shown.

    Points without an x come last, so that any other of their series is taken before them.
    """

    def nearness(point: Point) -> float:
        if math.isnan(point.x):
            return -math.inf
        return -abs(point.x - panel.at) if isinstance(panel.at, int) else point.x

    return {point.series: point for point in sorted(points, key=nearness)}


def _is_number(name: str) -> bool:
    """Tell whether a series' name is a number, as values of a parameter are."""
    return name.replace(".", "", 1).isdigit()
