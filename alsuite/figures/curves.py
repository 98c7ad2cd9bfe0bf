"""Learning curves, and what they share with dots: values over seeds, published values, the label of an axis.

What is drawn of a series depends on how many seeds it has: its mean alone, from two on each seed as a thin line, from
ENOUGH on a band instead. Fractions become percentages, and published values are hollow. Bands of many curves would
hide one another: from CROWD on each has a bar beside its last point instead.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alsuite.figures.parts import Part, per_run
from alsuite.figures.ranges import cut_bands, whole_ticks
from alsuite.figures.spec import Panel, bare, most
from alsuite.figures.style import FAINT, LABELS, Look, Style
from alsuite.results.intervals import ENOUGH, interval
from alsuite.results.measures import factor
from alsuite.results.statistics import FULL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "HOLLOW",
    "PUBLISHED",
    "along_x",
    "band",
    "crowded",
    "curves",
    "in_lines",
    "published_entry",
    "y_label",
]

PUBLISHED = "published"
CROWD = 7
HOLLOW = {"linestyle": "none", "markerfacecolor": "none", "markeredgewidth": 1.1, "zorder": 5}


def curves(axes: "Axes", part: Part, look: Look) -> None:
    """Draw the mean over seeds against x, with a band or bar; a run with all labels is a dashed line across.

    part: runs with the columns `series`, the panel's x and its y
    look: the style of each series, by its name
    """
    panel, full = part.panel, part.frame["strategy"] == FULL
    data, table = along_x(part)
    if panel.kind == "timing":
        axes.set(xscale="log", yscale="log")
        table["low"] = table["low"].clip(lower=table["mean"] / 10)
    bars = crowded(part)
    for place, name in enumerate(filter({*table["series"]}.__contains__, part.order)):
        rows, style = table[table["series"] == name], look[name]
        _each_seed(axes, data[data["series"] == name], style, panel)
        if bars or len(rows) == 1:
            _bar(axes, rows, style, panel.x, place + 1 if bars else 0)
        else:
            axes.fill_between(rows[panel.x], *band(rows), color=style.colour, alpha=0.15, linewidth=0)
        _curve(axes, rows, style, panel.x, name)
    for name, runs in per_run(part.frame[full], panel).groupby("series"):
        _level(axes, runs.assign(value=factor(panel.y) * runs[panel.y]), look[str(name)], part)
    _overlay(axes, part, look)
    axes.set(xlabel=LABELS.get(panel.x, bare(panel.x)), ylabel=y_label(panel))
    if panel.x == "labelled":
        whole_ticks(axes)
        cut_bands(axes)


def _level(axes: "Axes", runs: pd.DataFrame, style: Style, part: Part) -> None:
    """Draw the mean of one series as a dashed line across, with its interval; of few seeds each as a thin line.

    runs: a row for each seed, with its `value`
    """
    table = _intervals(runs, ["series"], part)
    axes.axhline(
        table["mean"].item(), color=style.colour, linestyle=style.dash, linewidth=1.1, label=table["series"].item()
    )
    if 1 < len(runs) < ENOUGH:
        for value in runs["value"]:
            axes.axhline(value, color=style.colour, linewidth=0.6, alpha=0.6)
    elif len(runs) >= ENOUGH:
        low, high = (float(edge[0]) for edge in band(table))
        axes.axhspan(low, high, color=style.colour, alpha=0.08, linewidth=0)


def along_x(part: Part) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what curves show, both in the unit of the axis: each run's `value`, and the means over seeds.

    A run with all labels has no curve, and is left out.
    """
    panel = part.panel
    frame = part.frame[part.frame["strategy"] != FULL]
    data = frame if panel.x == "labelled" else per_run(frame, panel)
    if (shown := data[panel.x] >= panel.since).any():  # a reduced scale may end before
        data = data[shown]
    data = data.assign(value=factor(panel.y) * data[panel.y])
    return data, _intervals(data, ["series", panel.x], part)


def in_lines(part: Part) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what a dot for each series shows, both in the unit of the axis: each run's `value`, and the means."""
    panel, runs = part.panel, per_run(part.frame, part.panel)
    runs = runs.assign(value=factor(panel.y) * runs[panel.y])
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


def crowded(part: Part) -> bool:
    """Tell whether a panel has so many curves with an interval that their bands would hide one another."""
    measured = part.frame[part.frame["strategy"] != FULL]
    seeds = measured.groupby("series")["seed"].nunique()
    return part.panel.curved and int((seeds >= ENOUGH).sum()) >= CROWD


def _bar(axes: "Axes", table: pd.DataFrame, style: Style, along: str, place: int) -> None:
    """Draw the interval at the last x of a curve as a bar at its right.

    table: a row for each x, as `_intervals` returns it
    place: how many steps to the right, so that the bars of many curves stand side by side, each with its marker
    """
    x, mean = table[along].to_numpy(float), table["mean"].to_numpy(float)[-1]
    low, high = (edge[-1] for edge in band(table))
    ends = np.nan_to_num([[mean - low], [high - mean]])
    look = {"color": style.colour, "marker": style.marker if place else "", "markersize": 3}
    axes.errorbar([x[-1] + place * np.ptp(x) / 50], [mean], yerr=ends, capsize=2, elinewidth=1, **look)


def _curve(axes: "Axes", table: pd.DataFrame, style: Style, x: str, label: str) -> None:
    """Draw the mean of one series, with a marker at about eight points.

    table: a row for each x, as `_intervals` returns it
    """
    look = {"color": style.colour, "linestyle": style.dash, "marker": style.marker}
    axes.plot(table[x], table["mean"], markevery=max(1, round(len(table) / 8)), label=label, **look)


def band(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of the band, within what the measure can be; NaN where the seeds are too few.

    table: rows of `_intervals`
    """
    edges = [table[edge].where(table["n"] >= ENOUGH).to_numpy(float) for edge in ("low", "high")]
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
        published_entry(axes)


def published_entry(axes: "Axes") -> None:
    """Add one entry of the legend for all hollow points, which are those of measured series."""
    axes.plot([], [], marker="o", markersize=5.5, color=FAINT, markeredgecolor=FAINT, label=PUBLISHED, **HOLLOW)


def y_label(panel: Panel) -> str:
    return LABELS.get(panel.y, bare(panel.y).replace("_", " "))
