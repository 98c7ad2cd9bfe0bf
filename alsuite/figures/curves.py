"""Values over seeds: learning curves, and a row of dots where a run gives one value.

What is drawn of a series depends on how many seeds it has: its mean alone, from two on each seed as a thin line or
small dot, from ENOUGH on a band or whisker instead. Fractions become percentages, and published values are hollow.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alsuite.figures.parts import Part, per_run
from alsuite.figures.published import Point
from alsuite.figures.ranges import cut_bands, whole_ticks
from alsuite.figures.spec import Panel, bare, most, unit
from alsuite.figures.style import BLUE, FAINT, LABELS, Look, Style
from alsuite.results.intervals import ENOUGH, interval
from alsuite.results.statistics import FULL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "ENOUGH",
    "PUBLISHED",
    "along_x",
    "band",
    "curves",
    "draw_values",
    "in_lines",
    "one_each",
    "y_label",
]

PUBLISHED = "published"
HOLLOW = {"linestyle": "none", "markerfacecolor": "none", "markeredgewidth": 1.1, "zorder": 5}


def curves(axes: "Axes", part: Part, look: Look) -> None:
    """Draw the mean over seeds against x, with a band; a run with all labels is a dashed line across.

    part: runs with the columns `series`, the panel's x and its y
    look: the style of each series, by its name
    """
    panel, full = part.panel, part.frame["strategy"] == FULL
    data, table = along_x(part)
    if panel.kind == "timing":
        axes.set(xscale="log", yscale="log")
        table["low"] = table["low"].clip(lower=table["mean"] / 10)
    for name in filter({*table["series"]}.__contains__, part.order):
        _each_seed(axes, data[data["series"] == name], look[name], panel)
        _curve(axes, table[table["series"] == name], look[name], panel, name)
    for name, runs in per_run(part.frame[full], panel).groupby("series"):
        style, level = look[str(name)], unit(panel.y) * runs[panel.y].mean()
        axes.axhline(level, color=style.colour, linestyle=style.dash, linewidth=1.1, label=str(name))
    _overlay(axes, part, look)
    axes.set(xlabel=LABELS.get(panel.x, bare(panel.x)), ylabel=y_label(panel))
    if panel.x == "labelled":
        whole_ticks(axes)
        cut_bands(axes)


def along_x(part: Part) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what curves show, both in the unit of the axis: each run's `value`, and the means over seeds.

    A run with all labels has no curve, and is left out.
    """
    panel = part.panel
    frame = part.frame[part.frame["strategy"] != FULL]
    data = frame if panel.x == "labelled" else per_run(frame, panel)
    if (shown := data[panel.x] >= panel.since).any():  # a reduced scale may end before
        data = data[shown]
    data = data.assign(value=unit(panel.y) * data[panel.y])
    return data, _intervals(data, ["series", panel.x], part)


def in_lines(part: Part) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what a dot for each series shows, both in the unit of the axis: each run's `value`, and the means."""
    panel, runs = part.panel, per_run(part.frame, part.panel)
    runs = runs.assign(value=unit(panel.y) * runs[panel.y])
    return runs, _intervals(runs, ["series"], part)


def _intervals(values: pd.DataFrame, by: Sequence[str], part: Part) -> pd.DataFrame:
    """Return the means and intervals of groups, each with the most that there can be."""
    highest = most(part.panel.y, part.frame)
    return interval(values, by, "value", highest).assign(most=np.nan if highest is None else highest)


def _each_seed(axes: "Axes", data: pd.DataFrame, style: Style, panel: Panel) -> None:
    """Draw each seed as a thin line where these are several, yet too few for an interval."""
    runs = [run.sort_values(panel.x) for _, run in data.groupby("seed")]
    if not 1 < len(runs) < ENOUGH:
        return
    for run in runs:
        axes.plot(run[panel.x], run["value"], color=style.colour, linewidth=0.6, marker=".", markersize=3, alpha=0.6)


def _curve(axes: "Axes", table: pd.DataFrame, style: Style, panel: Panel, label: str) -> None:
    """Draw one series: its mean with a marker at about eight points, and its band.

    table: a row for each x, as `_intervals` returns it

    A series with one x has no line to carry a band, so that it gets whiskers.
    """
    x, mean = table[panel.x].to_numpy(float), table["mean"].to_numpy(float)
    low, high = band(table, panel)
    axes.fill_between(x, low, high, color=style.colour, alpha=0.15, linewidth=0)
    if len(x) == 1:
        axes.errorbar(x, mean, yerr=np.nan_to_num([mean - low, high - mean]), color=style.colour, capsize=2)
    every = max(1, round(len(x) / 8))
    axes.plot(x, mean, color=style.colour, linestyle=style.dash, marker=style.marker, markevery=every, label=label)


def band(table: pd.DataFrame, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of the band, within what the measure can be; NaN where the seeds are too few.

    table: rows of `_intervals`; the panel chooses between its interval and the standard deviation
    """
    low, high = table["low"], table["high"]
    if panel.band == "sd":
        low, high = table["mean"] - table["sd"], table["mean"] + table["sd"]
    edges = [edge.where(table["n"] >= ENOUGH).to_numpy(float) for edge in (low, high)]
    if table["most"].notna().all():
        edges = [edge.clip(0, table["most"].to_numpy(float)) for edge in edges]
    return edges[0], edges[1]


def _overlay(axes: "Axes", part: Part, look: Look) -> None:
    """Draw the published points; those of a series that was not measured bring its entry of the legend.

    A point that is a level, such as that of full supervision, has no x and stands at the right edge.
    """
    measured = set(part.frame["series"])
    labels = {point.series: f"{point.series}, {PUBLISHED}" for point in part.points if point.series not in measured}
    for point in part.points:
        style, label = look[point.series], labels.pop(point.series, None)
        place = {"transform": axes.get_yaxis_transform(), "clip_on": False} if point.level else {}
        x = 1.0 if point.level else point.x
        colour = {"color": style.colour, "markeredgecolor": style.colour}
        axes.plot([x], [point.y], marker=style.marker, markersize=5.5, label=label, **colour, **HOLLOW, **place)
    if any(point.series in measured for point in part.points):
        _published_entry(axes)


def _published_entry(axes: "Axes") -> None:
    """Add one entry of the legend for all hollow points, which are those of measured series."""
    axes.plot([], [], marker="o", markersize=5.5, color=FAINT, markeredgecolor=FAINT, label=PUBLISHED, **HOLLOW)


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
    scale = "log" if panel.kind == "timing" else "linear"
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
        _published_entry(axes)


def _dot(axes: "Axes", place: int, row: pd.DataFrame, style: Style, panel: Panel) -> None:
    """Draw the mean of a series in its line, with whiskers, and write its value at the right edge.

    row: the one row that `interval` returns for the series

    On the logarithmic axis of times a whisker must not reach zero.
    """
    mean, (low, high) = float(row["mean"].iloc[0]), (float(edge[0]) for edge in band(row, panel))
    down = min(mean - low, 0.9 * mean) if panel.kind == "timing" else mean - low
    whiskers = np.nan_to_num([[down], [high - mean]])
    axes.errorbar([mean], [place], xerr=whiskers, fmt=style.marker, color=style.colour, capsize=2.5, markersize=5.5)
    shown = f"{mean:.1f}" if unit(panel.y) == 100 else f"{mean:.3g}"
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


def y_label(panel: Panel) -> str:
    return LABELS.get(panel.y, bare(panel.y).replace("_", " "))
