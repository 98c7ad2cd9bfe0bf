"""The papers' own numbers, in the units of the measured ones."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from alsuite.errors import UserError
from alsuite.figures.spec import Panel
from alsuite.results.statistics import FULL

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
    series: str
    x: float
    y: float


def published(panel: Panel, frame: pd.DataFrame, path: Path) -> list[Point]:
    """The points of the panel's measure on its test sets that `published:` asks for."""
    rows = _rows(path) if panel.published else []
    found = [row for wanted in panel.published for row in _asked(rows, wanted, set(frame["test"]))]
    points = [_point(row, panel, float(frame["pool"].max())) for row in found]
    return [point for point in points if point]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _asked(rows: list[dict[str, str]], wanted: str | Mapping[str, Any], tests: set[str]) -> list[dict[str, str]]:
    """`wanted` is the name of a figure, or values of columns; without a dataset among them, the test set tells it."""
    filters = {"figure": wanted} if isinstance(wanted, str) else wanted
    matching = [row for row in rows if all(row.get(name) == str(value) for name, value in filters.items())]
    if not matching:
        raise UserError(f"published.csv has no rows with {', '.join(f'{k}={v}' for k, v in filters.items())}")
    return [row for row in matching if "dataset" in filters or row["dataset"] in tests]


def _point(row: Mapping[str, str], panel: Panel, pool: float) -> Point | None:
    measure, offset, factor = UNITS.get(row["y_name"], ("", 0, 1))
    x, y, x_name = _number(row["x"]), offset + factor * _number(row["y"]), row["x_name"]
    if x_name == "labelled_percent":
        x, x_name = x / 100 * pool, "labelled"
    placed = panel.kind in ("accuracy", "entropy") or panel.x != "labelled"
    fits = not placed or row["series"] == FULL or (x_name == panel.x.rpartition(".")[2] and not math.isnan(x))
    series = f"{x:g}" if x_name in {column.rpartition(".")[2] for column in panel.series} else row["series"]
    return Point(series, x, y) if fits and measure == panel.y and not math.isnan(y) else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
