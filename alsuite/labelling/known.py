"""What is labelled already: a class for some images, as somebody has written it down."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alsuite.errors import UserError
from alsuite.labelling.sheet import MADE, UNSURE, read_rows

__all__ = ["Known", "by_position", "classes_of", "read_labels"]

Known = dict[int, str]  # position -> class, or "unsure"


def by_position(labels: object, size: int, names: Sequence[str] | None) -> Known:
    """Return position -> class, or "unsure", of what somebody has looked at.

    A text is the name of an image, and its position only where the images have no names.
    """
    places = None if names is None else {name: place for place, name in enumerate(names)}
    found: Known = {}
    for given, told in _as_mapping(labels, size).items():
        key = given.as_posix() if isinstance(given, Path) else given
        place, label = _position(key, places), _one(told, key)
        if place is None and isinstance(key, str) and key.startswith(f"images/{MADE}/"):
            continue  # a strategy has made it for the run that asked
        if place is None or not 0 <= place < size:
            raise UserError(f"a label is given for {key!r}, which is none of the {size:,} images: mend or delete it")
        if not _is_unknown(label) and found.setdefault(place, name := _named(label)) != name:
            raise UserError(f"{key!r} is labelled {found[place]} and {name}: delete one of both")
    return found


def _as_mapping(labels: object, size: int) -> Mapping[Any, object]:
    """Return image -> label of a CSV, a table, a series, a mapping, or a list of one for each image."""
    import pandas as pd

    if isinstance(labels, str | Path):
        return read_labels([Path(labels)])
    if isinstance(labels, pd.DataFrame):
        if "label" not in labels:
            raise UserError(f"the table of labels has the columns {', '.join(map(str, labels))}: it needs one label")
        labels = labels.set_index("image")["label"] if "image" in labels else labels["label"]
    if isinstance(labels, pd.Series):  # as the table that `query` returns, by position
        return labels.to_dict()
    if isinstance(labels, Mapping):
        return labels
    listed = labels.tolist() if isinstance(labels, np.ma.MaskedArray) else labels  # None where it is masked
    each = np.asarray(() if listed is None else listed, dtype=object).ravel()
    if len(each) not in (0, size):
        raise UserError(f"there are {len(each):,} labels of {size:,} images: give one each, None where unknown")
    return dict(enumerate(each))


def _position(key: object, places: Mapping[str, int] | None) -> int | None:
    """Return an image's place, by its name, or by its number; None where it has none.

    Arguments:
        key: a name, also as its copy beside a sheet is called, or a number
        places: of the names; where these are None, as images have no names, a text is a number, too
    """
    if not isinstance(key, str):
        return int(key) if isinstance(key, int | np.integer) and not isinstance(key, bool) else None
    if places is None:
        return int(key) if key.isdecimal() else None
    return places.get(key, places.get(key.removeprefix("images/")))


def _one(label: object, key: object) -> object:
    """Return a label that may be wrapped as an array of none but itself; several are refused."""
    if getattr(label, "ndim", None) == 0 and hasattr(label, "item"):
        return label.item()  # pyright: ignore[reportAttributeAccessIssue]
    if hasattr(label, "__len__") and not isinstance(label, str):
        raise UserError(f"the label of {key!r} is {label!r}: give one class for each image")
    return label


def classes_of(labels: Iterable[str]) -> list[str]:
    """Return the classes, numbers by size and names by the alphabet.

    Numbers beside names are refused, as these may be places among the names.
    """
    names = sorted({*labels} - {UNSURE}, key=lambda name: (int(name) if name.isdecimal() else math.inf, name))
    if names and names[0].isdecimal() and not names[-1].isdecimal():
        advice = "write names alone, or name all classes, such as dataset.classes=[cat,dog]"
        raise UserError(f"labels are numbers ({names[0]}) and names ({names[-1]}) at once: {advice}")
    return names


def _named(label: object) -> str:
    """Return a class's name; numbers with nothing behind their points, as a column with gaps has them, are whole."""
    if isinstance(label, float | np.floating) and float(label).is_integer():
        label = int(label)
    if isinstance(label, int | np.integer) and label < 0:
        raise UserError(f"the label {label} is no class: number classes from 0, and give None or -1 where unknown")
    return str(label).strip()


def read_labels(paths: Iterable[Path]) -> dict[str | int, str]:
    """Read the filled rows of CSVs, or of all in a folder, by their images' files or else by their positions."""
    found: dict[str | int, tuple[str, str]] = {}
    for path in paths:
        for sheet in _sheets(path):
            for number, name, label in _filled(sheet):
                before, where = found.setdefault(name, (label, f"{sheet}, line {number}"))
                if before != label:
                    raise UserError(f"{sheet}, line {number}: {name} is {label}, but {before} in {where}: delete one")
    return {name: label for name, (label, _) in found.items()}


def _sheets(path: Path) -> list[Path]:
    """Return the CSVs of a folder, or the one that a path names."""
    sheets = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not sheets:
        raise UserError(f"{path} holds no CSV: give one with the columns image and label")
    return sheets


def _filled(sheet: Path) -> Iterator[tuple[int, str | int, str]]:
    """Yield line, image and label of the filled rows of a CSV; an index is a number, an image's name a text."""
    columns, rows = read_rows(sheet, "give a CSV with the columns image and label")
    key = next((name for name in ("image", "index") if name in columns), None)
    if key is None or "label" not in columns:
        raise UserError(f"{sheet} lacks a column: it must have image or index, and label")
    for number, row in enumerate(rows, start=2):
        name = str(row[key]).strip()
        if not _is_unknown(row["label"]):
            yield number, int(name) if key == "index" and name.isdecimal() else name, row["label"].strip()


def _is_unknown(label: object) -> bool:
    """Tell whether a label says nothing: None, nan, -1 or an empty text; a class may be called "None"."""
    text = str(label).strip()
    return text in ("", "-1", "-1.0") or (not isinstance(label, str) and text in ("None", "nan", "<NA>"))
