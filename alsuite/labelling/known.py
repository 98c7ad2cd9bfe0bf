"""What is labelled already: a class for some images, as somebody has written it down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from alsuite.errors import UserError
from alsuite.labelling.sheet import UNSURE, read_rows

__all__ = ["Known", "by_position", "classes_of", "read_labels"]

Known = dict[int, str]  # position -> class, or "unsure"


def by_position(labels: object, size: int, names: Sequence[str] | None) -> Known:
    """Return position -> class, or "unsure", of what somebody has looked at."""
    if isinstance(labels, pd.Series):  # as the table that `query` returns, by position
        labels = labels.to_dict()
    if not isinstance(labels, Mapping):
        listed = np.asarray(labels, dtype=object).ravel()
        if len(listed) not in (0, size):
            raise UserError(f"there are {len(listed):,} labels of {size:,} images: give one each, None where unknown")
        labels = dict(enumerate(listed))
    places = {name: place for place, name in enumerate(names or ())}
    found: Known = {}
    for key, label in labels.items():
        place = _place(key, places) if isinstance(key, str) else _whole(key)
        place = int(place) if isinstance(place, str) and place.isdecimal() else place
        if not isinstance(place, int) or not 0 <= place < size:
            raise UserError(f"a label is given for {key!r}, which is none of the {size:,} images: mend or delete it")
        if not _is_unknown(label) and found.setdefault(place, name := str(label).strip()) != name:
            raise UserError(f"{key!r} is labelled {found[place]} and {name}: delete one of both")
    return found


def classes_of(known: Known) -> list[str]:
    """Return the classes in order, numbers first."""
    return sorted({*known.values()} - {UNSURE}, key=lambda name: (not name.isdecimal(), name.zfill(9), name))


def _place(key: str, places: Mapping[str, int]) -> int | str:
    """Return the place of an image, which may be called as its copy beside a sheet is; the key where it has none."""
    return places.get(key, places.get(key.removeprefix("images/"), key))


def _whole(key: object) -> int | None:
    """Return a whole number as Python has it; None for all else."""
    return int(key) if isinstance(key, int | np.integer) and not isinstance(key, bool) else None


def read_labels(path: Path) -> dict[str, object]:
    """Read the filled rows of a CSV, by their images' files or else by their positions."""
    columns, rows = read_rows(path, "give a CSV with the columns image and label")
    key = next((name for name in ("image", "index") if name in columns), None)
    if key is None or "label" not in columns:
        raise UserError(f"{path} lacks a column: it must have image or index, and label")
    found: dict[str, object] = {}
    for number, row in enumerate(rows, start=2):
        name = str(row[key]).strip()
        if not _is_unknown(row["label"]) and found.setdefault(name, row["label"]) != row["label"]:
            raise UserError(f"{path}, line {number}: {name} stands here again with another label; delete one of both")
    return found


def _is_unknown(label: object) -> bool:
    """Tell whether a label says nothing: None, nan, -1 or an empty text."""
    return label is None or str(label).strip() in ("", "-1", "-1.0", "nan", "None")
