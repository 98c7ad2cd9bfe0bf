"""Charts that a browser draws: what the panels of a figure show, and what one run did, as plotly takes it.

A chart holds data alone. The browser adds fonts and colours of the page, so that a chart is right on a light and on a
dark one, and switches a series by its name in all charts of a section at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from alsuite.figures.curves import along_x, band, in_lines, y_label
from alsuite.figures.dots import one_each
from alsuite.figures.images import groups_of
from alsuite.figures.panels import class_name, class_shares
from alsuite.figures.parts import Part, per_run
from alsuite.figures.spec import bare
from alsuite.figures.style import BLUE, CLASS_COLOURS, DASHES, LABELS, MARKERS, Look, Style, styles
from alsuite.report.traces import Chart, Section, Trace, axes_of, curve, dot, hollow, line, numbers
from alsuite.results.intervals import ENOUGH
from alsuite.results.measures import factor
from alsuite.results.statistics import FULL

__all__ = ["chart_of", "classes_chart", "lines_chart", "section_of"]

MOST_TOLD = 20  # series that a chart tells of all at once


def section_of(parts: Iterable[Part]) -> Section:
    """Make a chart of each part that has something to draw, with one style for a series in all of them."""
    drawn = [part for part in parts if part.panel.of.shows not in ("matrix", "pictures") and not part.note]
    look = styles(name for part in drawn for name in part.order)
    return Section([chart_of(part, look) for part in drawn])


def chart_of(part: Part, look: Look) -> Chart:
    """Make the chart of a part: curves, a dot for each series, class shares or places on a plane."""
    if part.panel.kind == "labels":
        return classes_chart(part.panel.title, part.frame)
    if part.panel.kind == "plane":
        return _plane(part)
    curved = part.panel.curved or part.panel.x != "labelled"
    return _curves(part, look) if curved else _dots(part, look)


def _curves(part: Part, look: Look) -> Chart:
    """Draw means over seeds with their bands, single seeds where these are few, and the published points."""
    panel = part.panel
    finite = part.frame[np.isfinite(part.frame[panel.y])]
    data, table = along_x(Part(panel, finite, part.points, order=part.order))
    traces: list[Trace] = []
    for name in filter({*table["series"]}.__contains__, part.order):
        rows = table[table["series"] == name].sort_values(panel.x)
        low, high = band(rows)
        traces += _each_seed(data[data["series"] == name], name, panel.x, look[name])
        traces += curve(name, rows[panel.x], rows["mean"], (low, high), look[name])
    edge = float(table[panel.x].max()) if len(table) else 1.0
    start = float(table[panel.x].min()) if len(table) else 0.0
    for name, runs in per_run(finite[finite["strategy"] == FULL], panel).groupby("series"):
        level = factor(panel.y) * runs[panel.y].mean()
        traces.append(line(str(name), [start, edge], [level] * 2, look[str(name)], mode="lines"))
    traces += [hollow(point, edge if point.level else point.x, point.y, look[point.series]) for point in part.points]
    kind = "log" if panel.of.logarithmic else "linear"
    axes = axes_of(LABELS.get(panel.x, bare(panel.x)), y_label(panel), x=kind, y=kind)
    return Chart(panel.title, traces, axes, _used(part, look, traces))


def _each_seed(data: pd.DataFrame, name: str, x: str, style: Style) -> Iterable[Trace]:
    """Yield a thin line for each seed where these are several, yet too few for a band."""
    runs = [run.sort_values(x) for _, run in data.groupby("seed")]
    for run in runs if 1 < len(runs) < ENOUGH else ():
        thin = {"mode": "lines", "opacity": 0.5, "hoverinfo": "skip", "line": {"color": style.colour, "width": 1}}
        yield line(name, numbers(run[x]), numbers(run["value"]), style, **thin)


def _dots(part: Part, look: Look) -> Chart:
    """Draw a dot with its whiskers for each series, the published value a little below."""
    panel, (_, table) = part.panel, in_lines(part)
    points = one_each(part.points, panel)
    names = [name for name in part.order if name in {*table["series"], *points}]
    traces: list[Trace] = []
    for name in filter({*table["series"]}.__contains__, names):
        row = table[table["series"] == name]
        low, high = band(row)
        traces.append(dot(name, names.index(name), float(row["mean"].iloc[0]), (low[0], high[0]), look[name]))
    traces += [hollow(one, one.y, names.index(name) + 0.25, look[name]) for name, one in points.items()]
    axes = axes_of(y_label(panel), "", x="log" if panel.of.logarithmic else "linear")
    lines = {"tickvals": [*range(len(names))], "ticktext": names, "range": [len(names) - 0.4, -0.6]}
    return Chart(panel.title, traces, {**axes, "yaxis": lines, "hovermode": "closest"}, _used(part, look, traces))


def classes_chart(title: str, frame: pd.DataFrame) -> Chart:
    """Draw the mean share of each class in the labelled set, and a dotted line at its share in the pool."""
    table, pool = class_shares(frame.drop_duplicates(["run", "cycle"]))
    names = [class_name(frame["classes"].iloc[0], k) for k in range(len(table.columns))]
    look = {name: _class_style(k) for k, name in enumerate(names)}
    traces: list[Trace] = []
    for k, (name, style) in enumerate(look.items()):
        traces.append(line(name, numbers(table.index), numbers(table[k]), style, hovertemplate="%{y:.1f} %"))
        if k < len(pool):
            ends = numbers([table.index[0], table.index[-1]])
            dotted = {"line": {"color": style.colour, "width": 1, "dash": "dot"}, "hoverinfo": "skip", "mode": "lines"}
            traces.append(line(name, ends, numbers([pool[k]] * 2), style, **dotted))
    hover = {"hovermode": "closest"} if len(look) > MOST_TOLD else {}
    return Chart(title, traces, {**axes_of(LABELS["labelled"], "Share of labels (%)"), **hover}, look)


def _class_style(k: int) -> Style:
    """Return how a class is drawn, of which some hundred look unlike each other."""
    turn, place = divmod(k, len(CLASS_COLOURS))
    return Style(CLASS_COLOURS[place], MARKERS[turn % len(MARKERS)], DASHES[turn % len(DASHES)])


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


def lines_chart(title: str, y: str, frame: pd.DataFrame, columns: Mapping[str, str], scale: float = 1) -> Chart:
    """Draw columns of one run against its labelled counts, each called by the name that is given for it."""
    shown = {column: name for column, name in columns.items() if column in frame and frame[column].notna().any()}
    alone = len(shown) == 1
    look = dict.fromkeys(shown.values(), Style(BLUE, "o")) if alone else styles(shown.values())
    traces = []
    for column, name in shown.items():
        rows = frame.dropna(subset=[column]).sort_values("labelled")
        traces.append(line(name, numbers(rows["labelled"]), numbers(scale * rows[column].astype(float)), look[name]))
    return Chart(title, traces, axes_of(LABELS["labelled"], y), {} if alone else look)


def _used(part: Part, look: Look, traces: Sequence[Trace]) -> dict[str, Style]:
    """Return the style of each series that has a trace, in the order of legends."""
    named = {trace["name"] for trace in traces}
    return {name: look[name] for name in part.order if name in named}
