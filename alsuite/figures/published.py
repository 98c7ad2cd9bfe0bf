"""The papers' own numbers, in the units of the measured ones.

A row of published.csv has figure, series, dataset, x_name, x, y_name and y, as the paper prints them: percentages or
fractions, accuracies or errors. UNITS knows what each y_name means, so that no number is converted by hand.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from alsuite.errors import UserError
from alsuite.figures.reduced import images
from alsuite.figures.spec import Panel, bare
from alsuite.recorded import Options
from alsuite.results.statistics import FULL, RUN

__all__ = ["Point", "published"]

# y_name -> the column it speaks of, then offset and factor into the unit of the axis
UNITS = {
    "accuracy_percent": ("accuracy", 0, 1),
    "accuracy_fraction": ("accuracy", 0, 100),
    "error_percent": ("accuracy", 100, -1),
    "error_fraction": ("accuracy", 100, -100),
    "macro_f1_percent": ("macro_f1", 0, 1),
    "macro_f1_fraction": ("macro_f1", 0, 100),
    "f1_points": ("f1_gain", 0, 1),
    "mean_iou_percent": ("mean_iou", 0, 1),
    "entropy": ("entropy", 0, 1),
    "query_seconds": ("query_seconds", 0, 1),
    "select_seconds": ("select_seconds", 0, 1),
    "query_seconds_per_100": ("query_seconds_per_100", 0, 1),
    "memory_gigabytes": ("notes.memory", 0, 1e9),
    "preparation_seconds": ("preparation_seconds", 0, 1),
    "cycles_until_cheaper_than_max_entropy": ("cycles_until_cheaper", 0, 1),
}


@dataclass(frozen=True)
class Point:
    """A published value of a series, or its level where it has no x of its own.

    series: as the runs' column `series` would have it, before it is named
    x: a labelled count or another column's value; NaN where the paper gives none
    y: in the unit of the axis
    level: whether it stands for the whole curve, as full supervision does
    """

    series: str
    x: float
    y: float
    level: bool = False


def published(panel: Panel, frame: pd.DataFrame, path: Path) -> list[Point]:
    """Read the points of the panel's measure on its test sets that `published:` asks for.

    frame: the runs that are drawn beside them; their images turn percentages of labels into counts
    path: the file of published values
    """
    rows = _rows(path) if panel.published else []
    found = [row for wanted in panel.published for row in _asked(rows, wanted, set(frame["test"]))]
    whole = max(map(images, frame.drop_duplicates(RUN).to_dict("records")))
    points = [_point(row, panel, whole) for row in found]
    return [point for point in points if point]


def _rows(path: Path) -> list[dict[str, str]]:
    """Read the table as texts: what is a number depends on the row."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _asked(rows: list[dict[str, str]], wanted: str | Options, tests: set[str]) -> list[dict[str, str]]:
    """Pick the rows of a figure's name, or of values of columns; without a dataset there, the test set tells it.

    wanted: the name, or a mapping of columns to values

    A name that no row has is refused: it is a slip, not a gap.
    """
    filters = {"figure": wanted} if isinstance(wanted, str) else wanted
    matching = [row for row in rows if all(row.get(name) == str(value) for name, value in filters.items())]
    if not matching:
        raise UserError(f"published.csv has no rows with {', '.join(f'{k}={v}' for k, v in filters.items())}")
    return [row for row in matching if "dataset" in filters or row["dataset"] in tests]


def _point(row: Mapping[str, str], panel: Panel, whole: float) -> Point | None:
    """Return the row's point; none where it tells another measure, or has no place in this panel.

    whole: how many training images the data set of the measured runs has

    Where the panel's series are values of the row's x, such as budgets, this x names the point's series.
    """
    measure, offset, factor = UNITS.get(row["y_name"], ("", 0, 1))
    y = offset + factor * _number(row["y"])
    if measure != panel.y or math.isnan(y):
        return None
    x_name, x = _x(row, whole)
    if x_name in map(bare, panel.series):
        return Point(f"{x:g}", x, y) if _fits(x_name, x, panel) else None
    if row["series"] == FULL:
        return Point(FULL, x, y, level=True)
    return Point(row["series"], x, y) if _fits(x_name, x, panel) else None


def _x(row: Mapping[str, str], whole: float) -> tuple[str, float]:
    """Return the column that a row's x speaks of, and its value; percentages of labels become counts of the whole."""
    x = _number(row["x"])
    return ("labelled", x / 100 * whole) if row["x_name"] == "labelled_percent" else (row["x_name"], x)


def _fits(x_name: str, x: float, panel: Panel) -> bool:
    """Tell whether a value at this x has a place: anywhere beside bars, on a curve only at the curve's own x."""
    beside = not panel.curved and panel.x == "labelled"
    return beside or (x_name == bare(panel.x) and not math.isnan(x))


def _number(text: str) -> float:
    """Return the number that a cell holds; NaN where it is empty or a word."""
    try:
        return float(text)
    except ValueError:
        return math.nan
