"""What plotly draws: a chart of traces and axes, and the traces of a series in its style."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from plotly.io.json import to_json_plotly

from alsuite.figures.published import Point
from alsuite.figures.style import Look, Style

__all__ = ["Chart", "Section", "Trace", "axes_of", "curve", "dot", "hollow", "line", "numbers"]

Trace = dict[str, object]
SYMBOLS = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross"}
FEW = 8  # markers on a curve


@dataclass(frozen=True)
class Chart:
    """A chart: its title, the traces and axes that plotly draws, and the style of each name in its legend."""

    title: str
    traces: Sequence[Trace] = ()
    layout: Mapping[str, object] = field(default_factory=dict)
    legend: Look = field(default_factory=dict)

    @property
    def spec(self) -> str:
        """Write what plotly draws as JSON, which may stand inside a page as it is."""
        return str(to_json_plotly({"data": [*self.traces], "layout": {**self.layout}}))

    @property
    def told(self) -> str:
        """Say in words what the chart shows."""
        axes = [self.layout.get(axis) for axis in ("yaxis", "xaxis")]
        titles = [str(axis["title"]["text"]) for axis in axes if isinstance(axis, dict) and "title" in axis]
        what = " against ".join(title.replace("<br>", " ") for title in titles) or "Places"
        return f"{what} of {', '.join(self.legend)}" if self.legend else what


@dataclass(frozen=True)
class Section:
    """Charts that share a legend: its names, each with the line and the marker that show it."""

    charts: Sequence[Chart]

    @property
    def legend(self) -> list[tuple[str, Style]]:
        """List the names of all charts, each once."""
        return [*{name: style for chart in self.charts for name, style in chart.legend.items()}.items()]


def curve(
    name: str, x: pd.Series, mean: pd.Series, edges: tuple[np.ndarray, np.ndarray], style: Style
) -> Iterable[Trace]:
    """Yield the band of a curve, where it has one, and its line; hovering tells the mean with its interval."""
    low, high = edges
    known = ~(np.isnan(low) | np.isnan(high))
    if known.any():
        around = [*numbers(high[known]), *numbers(low[known][::-1])]
        along = [*numbers(x[known]), *numbers(x[known])[::-1]]
        shade = {"fill": "toself", "fillcolor": style.colour, "opacity": 0.17, "line": {"width": 0}}
        shade |= {"hoverinfo": "skip"}
        yield {"type": "scatter", "mode": "lines", "x": along, "y": around, "legendgroup": name, "name": name, **shade}
    told = [f" [{a:.4g}, {b:.4g}]" if sure else "" for a, b, sure in zip(low, high, known, strict=True)]
    hover = {"customdata": told, "hovertemplate": "%{y:.4g}%{customdata}"}
    yield line(name, numbers(x), numbers(mean), style, **hover)


def line(name: str, x: Sequence[object], y: Sequence[object], style: Style, **more: object) -> Trace:
    """Return a line with a few markers, in the style of its series."""
    look = {
        "line": {"color": style.colour, "width": 2, "dash": dash(style)},
        "marker": {"color": style.colour, "symbol": SYMBOLS.get(style.marker, "star"), "size": 7, "maxdisplayed": FEW},
    }
    base = {"type": "scatter", "mode": "lines+markers", "name": name, "legendgroup": name}
    return {**base, "x": x, "y": y, "hovertemplate": "%{y:.4g}", **look, **more}


def hollow(point: Point, x: float, y: float, style: Style) -> Trace:
    """Return a hollow marker, which stands for a number of the paper's own."""
    symbol = f"{SYMBOLS.get(style.marker, 'star')}-open"
    marker = {"color": style.colour, "symbol": symbol, "size": 10, "line": {"width": 1.5}}
    told = {"hovertemplate": f"published {point.y:.4g}<extra>{point.series}</extra>"}
    base = {"type": "scatter", "mode": "markers", "name": point.series, "legendgroup": point.series}
    return {**base, "x": numbers([x]), "y": numbers([y]), "marker": marker, **told}


def dot(name: str, place: int, mean: float, edges: tuple[float, float], style: Style) -> Trace:
    low, high = edges
    known = low == low
    whisker = {"array": [high - mean], "arrayminus": [mean - low]} if known else {"array": [0]}
    told = f" [{low:.4g}, {high:.4g}]" if known else ""
    marker = {"color": style.colour, "symbol": SYMBOLS.get(style.marker, "star"), "size": 9}
    base = {"type": "scatter", "mode": "markers", "name": name, "legendgroup": name}
    error = {"type": "data", "symmetric": False, "color": style.colour, "thickness": 1.5, **whisker}
    hover = {"hovertemplate": f"%{{x:.4g}}{told}<extra>%{{fullData.name}}</extra>"}
    return {**base, "x": numbers([mean]), "y": [place], "marker": marker, "error_x": error, **hover}


def dash(style: Style) -> str:
    """Write a style's dashes as plotly takes them."""
    if isinstance(style.dash, str):
        return "solid"
    return ",".join(f"{2 * length:g}px" for length in style.dash[1])


def numbers(values: Iterable[float]) -> list[float | None]:
    """Return values as JSON holds them, with no more digits than can be seen; None in a gap."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in map(float, values)]


def axes_of(x_title: str, y_title: str, x: str = "linear", y: str = "linear") -> dict[str, object]:
    """Return the titles and kinds of both axes."""
    titles = [{"text": title.replace("\n", "<br>")} for title in (x_title, y_title)]
    axes = {"xaxis": {"title": titles[0], "type": x}, "yaxis": {"title": titles[1], "type": y}}
    return {**axes, "hovermode": "x unified"}
