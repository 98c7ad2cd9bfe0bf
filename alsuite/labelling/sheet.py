"""A table of images that a person is asked about: a row for each, with its label as soon as there is one."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from alsuite.errors import UserError
from alsuite.files import written_whole

__all__ = ["MADE", "UNSURE", "ByHand", "Sheet", "enough", "read_rows"]

COLUMNS = ("index", "image", "label")
MADE = "_made"  # the folder of images that a strategy has made, beside those of the pool
UNSURE = "unsure"  # in place of a label: the image is never asked for again


class Sheet:
    """A CSV with the columns index, image and label, on disk as a whole at any moment.

    path: the file, which need not be there yet
    names: of the classes, any of which, or its number from 1 on, or "unsure", may be filled in
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path = path
        self.names = list(names)

    def rows(self) -> list[dict[str, str]]:
        """Return the rows as they stand in the file, with a label, if only an empty one, in each."""
        columns, rows = read_rows(self.path, "save it as CSV in UTF-8, then start again")
        if not {*COLUMNS} <= {*columns}:
            raise UserError(f"{self.path} lacks a column: save it with {', '.join(COLUMNS)}, and commas between them")
        return [{**row, "label": (row["label"] or "").strip()} for row in rows]

    def filled_in(self, indices: set[str]) -> list[dict[str, str]]:
        """Return the rows; those of other images than these are refused, and labels that are no class."""
        rows = self.rows()
        for row in rows:
            self.label(row["label"], f"{self.path} (index {row['index']})")
        if {row["index"] for row in rows} != indices:
            raise UserError(f"{self.path} has other rows than it was written with: mend them, then start again")
        return rows

    def write(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Write all rows; once this returns, not even a power cut loses them."""
        columns = dict.fromkeys([*COLUMNS, *(name for row in rows[:1] for name in row if name)])
        with written_whole(self.path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*columns], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    def answers(self, wanted: Sequence[int]) -> list[int | None]:
        """Return the classes of the wanted images: -1 of what somebody is unsure of, None where there is no label yet.

        Rows may have been sorted otherwise since. One that is missing, comes twice, or names no class is refused by its
        line.
        """
        found: dict[int, int | None] = {}
        for number, row in enumerate(self.rows(), start=2):
            where = f"{self.path}, line {number} (index {row['index']})"
            index = _index(row, wanted, where)
            if index in found:
                raise UserError(f"{where}: this index stands here a second time; delete one of its rows")
            found[index] = self.label(row["label"], where)
        if missing := [index for index in wanted if index not in found]:
            raise UserError(
                f"{self.path} lacks a row for index {missing[0]}: add it, as it was written, with its label"
            )
        return [found[index] for index in wanted]

    def label(self, answer: str, where: str) -> int | None:
        """Return the class that a cell tells, -1 for "unsure", None for nothing.

        It is told by its name, or by its number, from 1 as on the page, where no class is called by one.
        """
        if answer in self.names:
            return self.names.index(answer)
        numbered = not any(name.isdecimal() for name in self.names)
        if numbered and answer.isdecimal() and 0 < int(answer) <= len(self.names):
            return int(answer) - 1
        if answer and answer != UNSURE:
            others = f"its number from 1 on, or {UNSURE}" if numbered else f"or {UNSURE}"
            raise UserError(
                f"{where}: '{answer}' is no class; write one of {', '.join(self.names[:12])}, {others}, and start again"
            )
        return -1 if answer else None


class ByHand:
    """How the answers come into a sheet: here a person writes them there; other ways are made of this."""

    def fill(self, sheet: Sheet, wanted: Sequence[int], one_at_least: bool) -> None:
        """Bring the answers that there are into the sheet.

        Arguments:
            sheet: with a row for each image, some of which may have an answer
            wanted: the indices of these images
            one_at_least: whether somebody must be sure of one
        """

    def advice(self, sheet: Sheet) -> str:
        """Say what a person does to give the labels that are missing."""
        return f"fill the column 'label' of {sheet.path}, or give ui=page"

    def source(self, sheet: Sheet) -> Path:
        """Return the file that a person's answers stand in."""
        return sheet.path


def enough(answers: Sequence[int | None], one_at_least: bool) -> bool:
    """Tell whether all is answered, and one image is labelled where one at least must be."""
    return None not in answers and (not one_at_least or any(answer != -1 for answer in answers))


def read_rows(path: Path, remedy: str) -> tuple[list[str], list[dict[str, str]]]:
    """Read the columns and the rows of a CSV; `remedy` says what to do about one that cannot be read.

    A quote that opens or closes within a cell is refused: the lines up to the next one would be taken for a label.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            return [*(reader.fieldnames or ())], [*reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error}): {remedy}") from None


def _index(row: Mapping[str, str], wanted: Sequence[int], where: str) -> int:
    """Return the index of a row, if it is one of those that were asked for."""
    index = (row["index"] or "").strip()
    if not index.isdecimal() or int(index) not in wanted:
        raise UserError(f"{where}: this index was not asked for; restore the column 'index' as it was written")
    return int(index)
