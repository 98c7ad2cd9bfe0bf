"""Values over seeds: learning curves, and a row of dots where a run gives one value."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from alsuite.figures.parts import Part, per_run
from alsuite.figures.published import Point
from alsuite.figures.spec import METRICS, Panel
from alsuite.figures.style import BLUE, FAINT, LABELS, Look, Style
from alsuite.results.statistics import FULL, interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PUBLISHED", "curves", "values"]

PUBLISHED = "published"
ENOUGH = 3  # seeds that make an interval
HOLLOW = {"linestyle": "none", "markerfacecolor": "none", "markeredgewidth": 1.1, "zorder": 5}


def curves(axes: "Axes", part: Part, look: Look) -> None:
    """The mean over seeds against x, with a band; a run with all labels is a dashed line across."""
    panel, frame = part.panel, part.frame
    full = frame["strategy"] == FULL
    data = frame[~full] if panel.x == "labelled" else per_run(frame[~full], panel)
    data = data[data[panel.x] >= panel.since]
    table = interval(data.assign(value=_unit(panel.y) * data[panel.y]), ["series", panel.x], "value")
    if panel.kind == "timing":
        axes.set(xscale="log", yscale="log")
        table["low"] = table["low"].clip(lower=table["mean"] / 10)
    _few_seeds(axes, data, table, look, panel)
    for name in sorted(table["series"].unique(), key=panel.order):
        _curve(axes, table[table["series"] == name], look[name], panel, panel.name(name))
    for name, runs in per_run(frame[full], panel).groupby("series"):
        style = look[str(name)]
        level = _unit(panel.y) * runs[panel.y].mean()
        axes.axhline(level, color=style.colour, linestyle=style.dash, linewidth=1.1, label=panel.name(str(name)))
    _overlay(axes, part, look)
    axes.set(xlabel=LABELS.get(panel.x, _last(panel.x)), ylabel=_y_label(panel))
    if panel.x == "labelled":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axes.xaxis.set_major_formatter("{x:,.0f}")


def _few_seeds(axes: "Axes", data: pd.DataFrame, table: pd.DataFrame, look: Look, panel: Panel) -> None:
    """Show each seed's values where these are too few for an interval."""
    for name, rows in table.groupby("series"):
        if 1 < rows["n"].max() < ENOUGH:
            own, style = data[data["series"] == name], look[str(name)]
            axes.plot(own[panel.x], _unit(panel.y) * own[panel.y], ".", color=style.colour, alpha=0.5, markersize=3)


def _curve(axes: "Axes", table: pd.DataFrame, style: Style, panel: Panel, label: str) -> None:
    x, mean = table[panel.x].to_numpy(float), table["mean"].to_numpy(float)
    low, high = _band(table, panel)
    if table["n"].max() >= ENOUGH:
        axes.fill_between(x, low, high, color=style.colour, alpha=0.15, linewidth=0)
    if len(x) == 1:
        axes.errorbar(x, mean, yerr=np.nan_to_num([mean - low, high - mean]), color=style.colour, capsize=2)
    every = max(1, round(len(x) / 8))
    axes.plot(x, mean, color=style.colour, linestyle=style.dash, marker=style.marker, markevery=every, label=label)


def _band(table: pd.DataFrame, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Return the band's edges, within what the measure can be; the mean itself where the seeds are too few."""
    if panel.band == "sd":
        table = table.assign(low=table["mean"] - table["sd"], high=table["mean"] + table["sd"])
    few = table["n"] < ENOUGH
    low, high = (table[edge].mask(few, table["mean"]).to_numpy(float) for edge in ("low", "high"))
    return (low.clip(0, 100), high.clip(0, 100)) if _unit(panel.y) == 100 else (low, high)


def _overlay(axes: "Axes", part: Part, look: Look) -> None:
    measured = set(part.frame["series"])
    labelled: set[str] = set()
    for point in part.points:
        style = look[point.series]
        alone = point.series not in measured | labelled
        label = f"{part.panel.name(point.series)}, {PUBLISHED}" if alone else None
        labelled |= {point.series} if alone else set()
        place = {"transform": axes.get_yaxis_transform(), "clip_on": False} if point.series == FULL else {}
        x = 1.0 if point.series == FULL else point.x
        colour = {"color": style.colour, "markeredgecolor": style.colour}
        axes.plot([x], [point.y], marker=style.marker, markersize=5.5, label=label, **colour, **HOLLOW, **place)
    if any(point.series in measured for point in part.points):
        _published_entry(axes, part)


def _published_entry(axes: "Axes", part: Part) -> None:
    if part.points:
        axes.plot([], [], marker="o", markersize=5.5, color=FAINT, markeredgecolor=FAINT, label=PUBLISHED, **HOLLOW)


def values(axes: "Axes", part: Part, look: Look) -> None:
    """A value per series with its interval, the published one beside it; against x where the panel names one."""
    (_dots if part.panel.x == "labelled" else curves)(axes, part, look)


def _dots(axes: "Axes", part: Part, look: Look) -> None:
    panel, runs = part.panel, per_run(part.frame, part.panel)
    table = interval(runs.assign(value=_unit(panel.y) * runs[panel.y]), ["series"], "value")
    points = _comparable(part.points, panel)
    names = sorted({*table["series"], *points}, key=panel.order)
    if all(panel.order(name)[1] < math.inf for name in names):
        look = dict.fromkeys(names, Style(BLUE, "o"))
        axes.set_ylabel(_last(panel.series[-1]))
    for name in table["series"]:
        _dot(axes, names.index(name), table[table["series"] == name], look[name], panel)
    for name, point in points.items():
        place, style = names.index(name) + 0.25, look[name]
        axes.plot([point.y], [place], marker=style.marker, color=style.colour, markersize=5.5, **HOLLOW)
    _published_entry(axes, part)
    scale = "log" if panel.kind == "timing" else "linear"
    at = f"\nat {runs['labelled'].iloc[0]:,} labelled samples" if isinstance(panel.at, int) else ""
    axes.set(xlabel=_y_label(panel) + at, ylim=(len(names) - 0.4, -0.6), xscale=scale)
    axes.set_yticks(range(len(names)), [panel.name(name) for name in names])
    axes.margins(x=0.08)
    axes.grid(visible=False, axis="y")


def _dot(axes: "Axes", place: int, row: pd.DataFrame, style: Style, panel: Panel) -> None:
    mean, (low, high) = float(row["mean"].iloc[0]), (float(edge[0]) for edge in _band(row, panel))
    down = min(mean - low, 0.9 * mean) if panel.kind == "timing" else mean - low
    whiskers = np.nan_to_num([[down], [high - mean]])
    axes.errorbar([mean], [place], xerr=whiskers, fmt=style.marker, color=style.colour, capsize=2.5, markersize=5.5)
    axes.text(
        1.02,
        place,
        f"{mean:.1f}" if _unit(panel.y) == 100 else f"{mean:.3g}",
        transform=axes.get_yaxis_transform(),
        va="center",
        size=7.5,
    )


def _comparable(points: Sequence[Point], panel: Panel) -> dict[str, Point]:
    """One point per series: the last, or the one nearest to the labelled count that is shown."""
    nearness = (lambda p: -abs(p.x - panel.at)) if isinstance(panel.at, int) else (lambda p: p.x)
    ranked = sorted(points, key=lambda p: -math.inf if math.isnan(p.x) else nearness(p))
    return {point.series: point for point in ranked}


def _unit(y: str) -> int:
    return 100 if y in (*METRICS, "agreement", "aubc", "wrong") else 1


def _last(column: str) -> str:
    return column.rpartition(".")[2]


def _y_label(panel: Panel) -> str:
    return LABELS.get(panel.y, _last(panel.y).replace("_", " "))
