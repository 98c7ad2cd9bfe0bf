"""What each panel draws: the runs it selects, named by series, with the published points.

A panel becomes one part or more, which hold all that is to be drawn and nothing of how: so what a figure shows can be
told without drawing it. Whatever a panel can't show becomes a note in its place, and never ends the whole figure.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from alsuite.errors import UserError
from alsuite.figures.names import names_of
from alsuite.figures.published import Point, published
from alsuite.figures.spec import METRICS, Panel
from alsuite.results import lacking, select
from alsuite.results.statistics import FULL, RUN, aubc, one_setting, unique_seeds, with_series

__all__ = [
    "BLANK",
    "Part",
    "derived",
    "heading",
    "letters",
    "part_named",
    "parts_of",
    "per_run",
    "runs_shown",
    "selection",
]


def derived(frame: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """Return the rows that a panel is about: those of the runs' cycles, or others that are made of these, once."""
    return panel.of.rows(frame) if panel.of.rows and panel.y not in frame else frame


@dataclass(frozen=True)
class Part:
    """A panel with what is to be drawn in it, its series called by their names, or with a note that says why not.

    frame: the rows of the runs, with the column `series`
    points: what the paper published of it
    note: why there is nothing to draw; empty where there is
    lacking: values that it should show beside, but that were not run
    order: the names of the series, as legends list them
    """

    panel: Panel
    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    points: list[Point] = field(default_factory=list)
    note: str = ""
    lacking: list[str] = field(default_factory=list)
    order: tuple[str, ...] = ()


BLANK = Part(Panel("labels"), note=" ")  # fills a row up


def letters(parts: Sequence[Part]) -> Iterator[str]:
    """Yield the letter of each part of several, none for a part that only fills a row up."""
    alphabet = itertools.count(ord("a"))
    for part in parts:
        yield "" if part is BLANK or len(parts) == 1 else chr(next(alphabet))


def heading(panel: Panel) -> str:
    """Return what tables call a panel that has no title of its own: what it measures, and of which runs."""
    measure, where = selection(panel)
    return f"{measure}: {where}" if where else panel.title or measure


def selection(panel: Panel) -> tuple[str, str]:
    """Return what a panel measures, and of which runs."""
    measure = panel.y.replace("aubc", "accuracy") if panel.of.by_cycle else panel.kind
    return measure, ", ".join(f"{column}={value}" for column, value in panel.where.items())


def parts_of(panel: Panel, runs: pd.DataFrame | str, table: Path) -> list[Part]:
    """Prepare what a panel draws: a part for each protocol and, of class shares, for each series.

    runs: the table of the panel's experiment, or why there is none
    table: the file of published values

    Runs of two protocols are never averaged: unless the panel selects one, each gets a part of its own.
    """
    if isinstance(runs, str):
        return [Part(panel, note=runs)]
    protocols = sorted(runs["protocol"].dropna().unique(), reverse=True)
    if len(protocols) > 1 and "protocol" not in panel.where:
        each = (_of_protocol(panel, protocol) for protocol in protocols)
        return [part for one in each for part in parts_of(one, runs, table)]
    try:
        part = _part_of(panel, runs, table)
    except UserError as error:
        return [Part(panel, note=str(error))]
    return _by_series(part) if panel.kind == "labels" else [part]


def _of_protocol(panel: Panel, protocol: str) -> Panel:
    """Return the panel that shows the runs of one protocol, and says so in its title."""
    title = f"{panel.title}\nprotocol: {protocol}".lstrip()
    return replace(panel, where={**panel.where, "protocol": protocol}, title=title)


def _part_of(panel: Panel, runs: pd.DataFrame, table: Path) -> Part:
    """Select the panel's runs, turn them into the rows of its kind and name its series."""
    shown = runs_shown(panel, runs)
    frame = _rows_of_kind(panel, shown)
    part = part_named(panel, frame, published(panel, frame, table))
    return replace(part, lacking=lacking(shown, panel.where, panel.swept))


def runs_shown(panel: Panel, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that a panel shows; refuse one that would show none but those that the others show as well."""
    try:
        select(runs, panel.varied)
    except UserError as error:
        if len(panel.varied) == 1:
            raise
        own = ", ".join(f"{column}={value}" for column, value in panel.varied.items())
        raise UserError(f"no runs where {own}") from error
    return select(runs, panel.where)


def part_named(panel: Panel, frame: pd.DataFrame, points: Sequence[Point] = ()) -> Part:
    """Call the series of runs and of published points by their names.

    Published series that were not measured are named and ordered as if they were, so that they stand among the others.
    """
    frame = with_series(frame, panel.series)
    columns = [*panel.series]
    alone = sorted({point.series for point in points} - {*frame["series"]})
    beside = pd.DataFrame({columns[0]: alone}, dtype=object)
    rows = with_series(pd.concat([frame[columns], beside]), columns) if alone else frame
    names = names_of(rows, columns, panel.names)
    shown = [replace(point, series=names[point.series]) for point in points]
    return Part(panel, frame.assign(series=frame["series"].map(names)), shown, order=tuple(names.values()))


def _by_series(part: Part) -> list[Part]:
    """Split a part into one for each measured series, whose name goes into the title."""
    measured = part.frame.loc[part.frame["strategy"] != FULL]
    each = {name: measured[measured["series"] == name] for name in part.order}
    return [
        Part(replace(part.panel, title=f"{part.panel.title}\n{name}".lstrip()), frame, order=(name,))
        for name, frame in each.items()
        if len(frame)
    ]


def _rows_of_kind(panel: Panel, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that a kind of panel draws; refuse to average over what differs in more than the seed.

    Measures that don't depend on the test set keep one row of a cycle. Columns that the runs lack are refused, and so
    are two runs of one series and seed, whose average would pass for one run.
    """
    of_tests = panel.kind == "gains" or (panel.of.measures and panel.y in (*METRICS, "aubc"))
    if not of_tests:
        frame = frame.drop_duplicates([*RUN, "cycle"]).assign(test=frame["test"].iloc[0])
    frame = derived(frame, panel)
    for column in {panel.x, panel.y} - {"aubc"}:
        if column not in frame:
            raise UserError(f"the runs have no column {column} to draw")
    if panel.kind == "timing":
        frame = frame[frame["strategy"] != FULL]
    if panel.of.stored:
        return _of_lowest_seed(with_series(frame, panel.series))
    against = [] if panel.x == "labelled" else [panel.x]
    apart = (
        ["task_model"] if isinstance(panel.where.get("task_model"), list) else []
    )  # where the panel asks for several
    named = with_series(frame, [*panel.series, *against])
    one_setting(named, free=[*panel.series, *against], apart=apart)
    unique_seeds(named)
    return frame


def _of_lowest_seed(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep each series' run of the lowest seed, which stands for it where one run is shown."""
    return frame[frame["seed"] == frame.groupby("series")["seed"].transform("min")]


def per_run(frame: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """Return a row per run: its last, its mean, or its value at the labelled count nearest to the one asked for.

    The panel's `at` tells which; of the area under a curve there is but one value.
    """
    if panel.y == "aubc":
        return aubc(frame, "series")
    frame = frame.dropna(subset=[panel.y]).sort_values("labelled")
    if panel.at == "mean":
        return frame.drop_duplicates(RUN).assign(**{panel.y: frame.groupby(RUN)[panel.y].transform("mean")})
    if panel.at == "final":
        return frame.drop_duplicates(RUN, keep="last")
    distance = (frame["labelled"] - int(panel.at)).abs()
    return frame.assign(distance=distance).sort_values("distance", kind="stable").drop_duplicates(RUN)
