"""Tables of the report: what they hold, as a page shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alsuite.claims.told import what_was_measured
from alsuite.figures.panels import class_name, shares
from alsuite.figures.reduced import Row
from alsuite.results.intervals import interval
from alsuite.results.measures import factor, largest
from alsuite.results.statistics import FULL, RUN, SETTING

__all__ = ["Cell", "Table", "areas", "claims", "classes", "cycles", "penalties", "settings", "tests", "times", "values"]

SECONDS = {"query_seconds": "Query", "select_seconds": "Query without training", "fit_seconds": "Training"}
OVERALL = ("aubc", "final")
WHOLE = 10_000  # numbers from which on no digit after the point is shown


@dataclass(frozen=True)
class Cell:
    """What a cell shows: a text, the number that sorts it, a share from 0 to 1 that shades it, and where it leads."""

    text: str
    value: float | None = None
    share: float | None = None
    link: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Table:
    """A table: its caption, heads and rows; its first column names the rows."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def areas(table: pd.DataFrame) -> list[Table]:
    """Tell, for each panel of a stored summary, the area under each curve and its end, with their intervals."""
    return [_areas(str(panel), part) for panel, part in table.groupby("panel", sort=False)]


def _areas(panel: str, part: pd.DataFrame) -> Table:
    measure = next((one for one in part["measure"] if one not in OVERALL), "accuracy")
    varying = [column for column in SETTING if part[column].nunique() > 1]
    overall = part[part["measure"].isin(OVERALL)]
    rows = []
    for key, of_series in overall.groupby(["series", *varying], sort=False, dropna=False):
        each = {row["measure"]: row for row in of_series.to_dict("records")}
        rows.append(
            [
                *(Cell(str(part)) for part in (key if isinstance(key, tuple) else (key,))),
                number(of_series["n"].max()),
                *(spread(each.get(name), factor(measure)) for name in OVERALL),
            ]
        )
    sign = " (%)" if factor(measure) == 100 else ""
    what = measure.replace("_", " ")
    heads = ["Series", *varying, "Seeds", f"Mean {what} over the budget{sign}", f"Last {what}{sign}"]
    return Table(f"{panel}: mean ± sd over seeds [95 % interval]", heads, rows)


def spread(row: Row | None, scale: float = 1) -> Cell:
    """Write mean ± standard deviation [interval], as far as there are seeds for them."""
    if row is None or row["mean"] != row["mean"]:
        return Cell("")
    mean, sd, low, high = (scale * row[name] for name in ("mean", "sd", "low", "high"))
    digits = ".2f" if scale == 100 else ".3g"
    text = f"{mean:{digits}}" + (f" ± {sd:{digits}}" if sd == sd else "")
    return Cell(text + (f" [{low:{digits}}, {high:{digits}}]" if low == low else ""), float(mean))


def values(table: pd.DataFrame) -> list[Table]:
    """Tell, for each panel of one value a run, the means of its series."""
    made = []
    for panel, part in table.groupby("panel", sort=False):
        measure = str(part["measure"].iloc[0])
        rows = [
            [Cell(str(row["series"])), number(row["n"]), spread(row, factor(measure))]
            for row in part.to_dict("records")
        ]
        heads = ["Series", "Seeds", measure.replace("_", " ") + (" (%)" if factor(measure) == 100 else "")]
        made.append(Table(f"{panel}: mean ± sd over seeds [95 % interval]", heads, rows))
    return made


def tests(table: pd.DataFrame) -> list[Table]:
    """Tell, for each panel, which areas differ, paired by seed."""
    heads = ["First", "Second", "Seeds", "Difference of areas", "p of the t-test", "after Holm", "p of Wilcoxon"]
    return [
        Table(f"{panel}: areas compared, paired by seed", heads, [_test(row) for row in part.to_dict("records")])
        for panel, part in table.groupby("panel", sort=False)
        if part["t_p"].notna().any()
    ]


def _test(row: Row) -> list[Cell]:
    p = [number(row[name], ".2g") for name in ("t_p", "holm_p", "wilcoxon_p")]
    return [
        Cell(str(row["first"])),
        Cell(str(row["second"])),
        number(row["seeds"]),
        number(row["difference"], ".4f"),
        *p,
    ]


def penalties(table: pd.DataFrame) -> list[Table]:
    """Show, for each panel, at which share of the budgets the series of a row beats that of a column."""
    made = []
    for panel, part in table.groupby("panel", sort=False):
        names = [name for name in part["series"] if name in part and name != "mean"]
        rows = [
            [Cell(str(row["series"])), *(_penalty(row, name) for name in names)]
            for row in part.to_dict("records")
            if row["series"] in (*names, "mean")
        ]
        if any(cell.text for row in rows for cell in row[1:]):
            caption = f"{panel}: share of budgets at which the row beats the column; mean: the lower the better"
            made.append(Table(caption, ["Row", *names], rows))
    return made


def _penalty(row: Row, name: str) -> Cell:
    value = float(row[name])
    return Cell("") if row["series"] == name or np.isnan(value) else Cell(f"{value:.2f}", value, value)


def times(title: str, frame: pd.DataFrame) -> Table:
    """Tell the seconds that queries and training take, means over each run's cycles."""
    runs = frame.groupby(["series", *RUN], sort=False)[[*SECONDS]].mean().reset_index()
    each = {name: interval(runs, ["series"], name, largest(name, frame)).set_index("series") for name in SECONDS}
    names = [*dict.fromkeys(runs["series"])]
    rows = [
        [Cell(name), *(spread(table.loc[name].to_dict() if name in table.index else None) for table in each.values())]
        for name in names
    ]
    heads = ["Series", *(f"{name} (s)" for name in SECONDS.values())]
    return Table(f"{title}: seconds of a cycle, mean ± sd over runs", heads, rows)


def classes(title: str, frame: pd.DataFrame) -> list[Table]:
    """Show, for each choice of classes, their shares of the labels at the end of the runs beside those in the pool."""
    frame = frame[frame["label_counts"].map(lambda counts: isinstance(counts, list)) & (frame["strategy"] != FULL)]
    last = frame.sort_values("cycle").drop_duplicates(["series", *RUN], keep="last")
    return [_shares(title, part) for _, part in last.groupby(last["classes"].map(str), sort=False)]


def _shares(title: str, last: pd.DataFrame) -> Table:
    """Show the shares of runs of the same classes, by the last row of each, shaded by their share of the largest."""
    first = last.iloc[0]
    heads = ["Series", *(class_name(first["classes"], k) for k in range(len(first["label_counts"])))]
    rows = {str(name): np.mean([*map(shares, part["label_counts"])], axis=0) for name, part in last.groupby("series")}
    if isinstance(first["pool_counts"], list):
        rows = {"the pool": shares(first["pool_counts"]), **rows}
    highest = max(float(row.max()) for row in rows.values())
    cells = [[Cell(name), *(Cell(f"{v:.1f}", float(v), float(v) / highest) for v in row)] for name, row in rows.items()]
    return Table(f"{title}: share of each class among the labels at the end (%), mean over seeds", heads, cells)


def claims(verdicts: pd.DataFrame, link: Callable[[str], str] | None = None) -> Table:
    """List claims with their verdicts and what was measured.

    Arguments:
        verdicts: rows as `alsuite.claims.verdicts` makes them
        link: gives the address of a figure's page, empty where it has none; None leaves the figures out
    """
    rows = [
        [
            Cell(row["verdict"], verdict=row["verdict"].replace(" ", "-")),
            Cell(row["says"]),
            Cell(row["place"]),
            Cell(what_was_measured(row)),
            *([Cell(row["experiment"], link=link(row["experiment"]))] if link else []),
        ]
        for row in verdicts.to_dict("records")
    ]
    return Table("What the paper claims, and what the runs say", CLAIMS[: None if link else -1], rows)


CLAIMS = ["Verdict", "Claim", "Where", "Measured", "Figure"]


def cycles(run: pd.DataFrame, measures: Iterable[str]) -> Table:
    """Tell what each cycle of a run measured, counted from 1 as on the progress line."""
    columns = {"cycle": "Cycle", "labelled": "Labelled", "test": "Test set"}
    columns |= {name: name.replace("_", " ") + (" (%)" if factor(name) == 100 else "") for name in measures}
    columns |= {name: f"{told} (s)" for name, told in SECONDS.items() if name in run}
    counted = run.assign(cycle=run["cycle"] + 1)
    rows = [[_cell(name, row[name]) for name in columns] for row in counted.to_dict("records")]
    return Table("What each cycle measured", [*columns.values()], rows)


def _cell(name: str, value: object) -> Cell:
    if isinstance(value, str):
        return Cell(value)
    return number(factor(name) * float(value), ".2f" if factor(name) == 100 else ".4g")  # type: ignore[arg-type]


def settings(caption: str, values: Mapping[str, object]) -> Table:
    """List names with their values."""
    rows = [
        [Cell(str(name)), Cell(f"{value:g}" if isinstance(value, float) else str(value))]
        for name, value in values.items()
    ]
    return Table(caption, ["Name", "Value"], rows)


def number(value: float, digits: str = ".4g") -> Cell:
    """Write a number, by thousands where it is a large one; a gap stays empty."""
    if value is None or value != value:
        return Cell("")
    whole = digits == ".4g" and float(value).is_integer()
    shown = f"{value:,.0f}" if whole or abs(value) >= WHOLE else f"{value:{digits}}"
    return Cell(shown, float(value))
