"""Charts that a browser draws: what the panels of a figure show, and what one run did, as plotly takes it.

A chart holds data alone. The browser adds fonts and colours of the page, so that a chart is right on a light and on a
dark one, and switches a series by its name in all charts of a section at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from plotly.io.json import to_json_plotly

from alsuite.figures.curves import along_x, band, in_lines, one_each, y_label
from alsuite.figures.images import groups_of
from alsuite.figures.names import name_of
from alsuite.figures.panels import class_name, shares
from alsuite.figures.parts import Part, per_run
from alsuite.figures.published import Point
from alsuite.figures.spec import bare, unit
from alsuite.figures.style import BLUE, CLASS_COLOURS, LABELS, Look, Style, styles
from alsuite.results.statistics import ENOUGH, FULL

__all__ = ["DRAWN", "Chart", "Section", "chart_of", "classes_chart", "lines_chart", "section_of", "summary_chart"]

Trace = dict[str, object]
SYMBOLS = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross"}
DRAWN = ("accuracy", "entropy", "labels", "bars", "timing", "gains", "preparation", "transition", "plane")
LOGARITHMIC = ("timing", "preparation", "transition")
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


def section_of(parts: Iterable[Part]) -> Section:
    """Make a chart of each part that has something to draw, with one style for a series in all of them."""
    drawn = [part for part in parts if part.panel.kind in DRAWN and not part.note]
    look = styles(name for part in drawn for name in part.order)
    return Section([chart_of(part, look) for part in drawn])


def chart_of(part: Part, look: Look) -> Chart:
    """Make the chart of a part: curves, a dot for each series, class shares or places on a plane."""
    if part.panel.kind == "labels":
        return _labels(part)
    if part.panel.kind == "plane":
        return _plane(part)
    curved = part.panel.kind in ("accuracy", "entropy") or part.panel.x != "labelled"
    return _curves(part, look) if curved else _dots(part, look)


def _curves(part: Part, look: Look) -> Chart:
    """Draw means over seeds with their bands, single seeds where these are few, and the published points."""
    panel = part.panel
    finite = part.frame[np.isfinite(part.frame[panel.y])]
    data, table = along_x(Part(panel, finite, part.points, order=part.order))
    traces: list[Trace] = []
    for name in filter({*table["series"]}.__contains__, part.order):
        rows = table[table["series"] == name].sort_values(panel.x)
        low, high = band(rows, panel)
        traces += _each_seed(data[data["series"] == name], name, panel.x, look[name])
        traces += curve(name, rows[panel.x], rows["mean"], (low, high), look[name])
    edge = float(table[panel.x].max()) if len(table) else 1.0
    start = float(table[panel.x].min()) if len(table) else 0.0
    for name, runs in per_run(finite[finite["strategy"] == FULL], panel).groupby("series"):
        level = unit(panel.y) * runs[panel.y].mean()
        traces.append(_line(str(name), [start, edge], [level] * 2, look[str(name)], mode="lines"))
    traces += [_hollow(point, edge if point.level else point.x, point.y, look[point.series]) for point in part.points]
    kind = "log" if panel.kind in LOGARITHMIC else "linear"
    axes = _axes(LABELS.get(panel.x, bare(panel.x)), y_label(panel), x=kind, y=kind)
    return Chart(panel.title, traces, axes, _used(part, look, traces))


def curve(
    name: str, x: pd.Series, mean: pd.Series, edges: tuple[np.ndarray, np.ndarray], style: Style
) -> Iterable[Trace]:
    """Yield the band of a curve, where it has one, and its line; hovering tells the mean with its interval."""
    low, high = edges
    known = ~(np.isnan(low) | np.isnan(high))
    if known.any():
        around = [*numbers(high[known]), *numbers(low[known][::-1])]
        along = [*numbers(x[known]), *numbers(x[known])[::-1]]
        shade = {"fill": "toself", "fillcolor": f"{style.colour}2b", "line": {"width": 0}, "hoverinfo": "skip"}
        yield {"type": "scatter", "mode": "lines", "x": along, "y": around, "legendgroup": name, "name": name, **shade}
    told = [f" [{a:.4g}, {b:.4g}]" if sure else "" for a, b, sure in zip(low, high, known, strict=True)]
    hover = {"customdata": told, "hovertemplate": "%{y:.4g}%{customdata}"}
    yield _line(name, numbers(x), numbers(mean), style, **hover)


def _line(name: str, x: Sequence[object], y: Sequence[object], style: Style, **more: object) -> Trace:
    """Return a line with a few markers, in the style of its series."""
    look = {
        "line": {"color": style.colour, "width": 2, "dash": dash(style)},
        "marker": {"color": style.colour, "symbol": SYMBOLS.get(style.marker, "star"), "size": 7, "maxdisplayed": FEW},
    }
    base = {"type": "scatter", "mode": "lines+markers", "name": name, "legendgroup": name}
    return {**base, "x": x, "y": y, "hovertemplate": "%{y:.4g}", **look, **more}


def _each_seed(data: pd.DataFrame, name: str, x: str, style: Style) -> Iterable[Trace]:
    """Yield a thin line for each seed where these are several, yet too few for a band."""
    runs = [run.sort_values(x) for _, run in data.groupby("seed")]
    for run in runs if 1 < len(runs) < ENOUGH else ():
        thin = {"mode": "lines", "opacity": 0.5, "hoverinfo": "skip", "line": {"color": style.colour, "width": 1}}
        yield _line(name, numbers(run[x]), numbers(run["value"]), style, **thin)


def _hollow(point: Point, x: float, y: float, style: Style) -> Trace:
    """Return a hollow marker, which stands for a number of the paper's own."""
    symbol = f"{SYMBOLS.get(style.marker, 'star')}-open"
    marker = {"color": style.colour, "symbol": symbol, "size": 10, "line": {"width": 1.5}}
    told = {"hovertemplate": f"published {point.y:.4g}<extra>{point.series}</extra>"}
    base = {"type": "scatter", "mode": "markers", "name": point.series, "legendgroup": point.series}
    return {**base, "x": numbers([x]), "y": numbers([y]), "marker": marker, **told}


def _dots(part: Part, look: Look) -> Chart:
    """Draw a dot with its whiskers for each series, the published value a little below."""
    panel, (_, table) = part.panel, in_lines(part)
    points = one_each(part.points, panel)
    names = [name for name in part.order if name in {*table["series"], *points}]
    traces: list[Trace] = []
    for name in filter({*table["series"]}.__contains__, names):
        row = table[table["series"] == name]
        low, high = band(row, panel)
        traces.append(_dot(name, names.index(name), float(row["mean"].iloc[0]), (low[0], high[0]), look[name]))
    traces += [_hollow(one, one.y, names.index(name) + 0.25, look[name]) for name, one in points.items()]
    axes = _axes(y_label(panel), "", x="log" if panel.kind == "timing" else "linear")
    lines = {"tickvals": [*range(len(names))], "ticktext": names, "range": [len(names) - 0.4, -0.6]}
    return Chart(panel.title, traces, {**axes, "yaxis": lines, "hovermode": "closest"}, _used(part, look, traces))


def _dot(name: str, place: int, mean: float, edges: tuple[float, float], style: Style) -> Trace:
    low, high = edges
    known = low == low
    whisker = {"array": [high - mean], "arrayminus": [mean - low]} if known else {"array": [0]}
    told = f" [{low:.4g}, {high:.4g}]" if known else ""
    marker = {"color": style.colour, "symbol": SYMBOLS.get(style.marker, "star"), "size": 9}
    base = {"type": "scatter", "mode": "markers", "name": name, "legendgroup": name}
    error = {"type": "data", "symmetric": False, "color": style.colour, "thickness": 1.5, **whisker}
    hover = {"hovertemplate": f"%{{x:.4g}}{told}<extra>%{{fullData.name}}</extra>"}
    return {**base, "x": numbers([mean]), "y": [place], "marker": marker, "error_x": error, **hover}


def _labels(part: Part) -> Chart:
    return classes_chart(part.panel.title, part.frame)


def classes_chart(title: str, frame: pd.DataFrame) -> Chart:
    """Draw the mean share of each class in the labelled set, and a dotted line at its share in the pool."""
    frame = frame.drop_duplicates(["run", "cycle"]).sort_values("labelled")
    each = frame[["labelled"]].join(pd.DataFrame([shares(c) for c in frame["label_counts"]], index=frame.index))
    table, first = each.groupby("labelled").mean(), frame.iloc[0]
    pool = shares(first["pool_counts"]) if isinstance(first["pool_counts"], list) else []
    names = [class_name(first["classes"], k) for k in range(len(table.columns))]
    look = {name: Style(CLASS_COLOURS[k % len(CLASS_COLOURS)], "o") for k, name in enumerate(names)}
    traces: list[Trace] = []
    for k, (name, style) in enumerate(look.items()):
        traces.append(_line(name, numbers(table.index), numbers(table[k]), style, hovertemplate="%{y:.1f} %"))
        if k < len(pool):
            ends = numbers([table.index[0], table.index[-1]])
            dotted = {"line": {"color": style.colour, "width": 1, "dash": "dot"}, "hoverinfo": "skip", "mode": "lines"}
            traces.append(_line(name, ends, numbers([pool[k]] * 2), style, **dotted))
    return Chart(title, traces, _axes(LABELS["labelled"], "Share of labels (%)"), look)


def _plane(part: Part) -> Chart:
    """Draw where one run has placed its groups of samples."""
    called = {part.panel.names.get(name, name.replace("_", " ")): at for name, at in groups_of(part).items()}
    look = {name: Style(CLASS_COLOURS[k % len(CLASS_COLOURS)], "o") for k, name in enumerate(called)}
    traces: list[Trace] = []
    for name, at in called.items():
        marker = {"color": look[name].colour, "size": 5, "opacity": 0.7}
        base = {"type": "scattergl", "mode": "markers", "name": name, "legendgroup": name, "hoverinfo": "name"}
        traces.append({**base, "x": numbers(at[:, 0]), "y": numbers(at[:, 1]), "marker": marker})
    bare_axis = {"showticklabels": False}
    return Chart(part.panel.title, traces, {"xaxis": bare_axis, "yaxis": bare_axis, "hovermode": "closest"}, look)


def summary_chart(title: str, table: pd.DataFrame, measure: str) -> Chart:
    """Draw the curves of a stored summary, which has means and intervals of each series, and no runs."""
    look, scale = styles(table["series"]), unit(measure)
    counts = table.loc[table["series"] != name_of("strategy", FULL), "labelled"]
    ends = (counts.min(), counts.max())
    traces: list[Trace] = []
    for name, rows in table.groupby("series"):
        rows = rows.sort_values("labelled")
        low, high = (scale * rows[edge].to_numpy(float) for edge in ("low", "high"))
        if name == name_of("strategy", FULL):
            level = numbers([scale * rows["mean"].mean()]) * 2
            traces.append(_line(str(name), numbers(ends), level, look[str(name)], mode="lines"))
        else:
            traces += curve(str(name), rows["labelled"], scale * rows["mean"], (low, high), look[str(name)])
    axes = _axes(LABELS["labelled"], LABELS.get(measure, measure))
    return Chart(title, traces, axes, {name: look[name] for name in dict.fromkeys(table["series"])})


def lines_chart(title: str, y: str, frame: pd.DataFrame, columns: Mapping[str, str], scale: float = 1) -> Chart:
    """Draw columns of one run against its labelled counts, each called by the name that is given for it."""
    shown = {column: name for column, name in columns.items() if column in frame and frame[column].notna().any()}
    alone = len(shown) == 1
    look = dict.fromkeys(shown.values(), Style(BLUE, "o")) if alone else styles(shown.values())
    traces = []
    for column, name in shown.items():
        rows = frame.dropna(subset=[column]).sort_values("labelled")
        traces.append(_line(name, numbers(rows["labelled"]), numbers(scale * rows[column].astype(float)), look[name]))
    return Chart(title, traces, _axes(LABELS["labelled"], y), {} if alone else look)


def dash(style: Style) -> str:
    """Write a style's dashes as plotly takes them."""
    if isinstance(style.dash, str):
        return "solid"
    return ",".join(f"{2 * length:g}px" for length in style.dash[1])


def numbers(values: Iterable[float]) -> list[float | None]:
    """Return values as JSON holds them, with no more digits than can be seen; None in a gap."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in map(float, values)]


def _axes(x_title: str, y_title: str, x: str = "linear", y: str = "linear") -> dict[str, object]:
    """Return the titles and kinds of both axes."""
    titles = [{"text": title.replace("\n", "<br>")} for title in (x_title, y_title)]
    axes = {"xaxis": {"title": titles[0], "type": x}, "yaxis": {"title": titles[1], "type": y}}
    return {**axes, "hovermode": "x unified"}


def _used(part: Part, look: Look, traces: Sequence[Trace]) -> dict[str, Style]:
    """Return the style of each series that has a trace, in the order of legends."""
    named = {trace["name"] for trace in traces}
    return {name: look[name] for name in part.order if name in named}
