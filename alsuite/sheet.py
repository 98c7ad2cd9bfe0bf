"""A person who answers by filling in a sheet."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from alsuite.errors import AwaitingLabels, UserError
from alsuite.pool import Pool

__all__ = ["Human"]


class Human:
    """It writes the queried images and a CSV to fill in, and goes on from the filled CSV when started again.

    The folder holds images/<index>.png, and labels_<how many were known>.csv for each query, with a row for each image.

    folder: where these files are written
    names: of the classes, any of which, or its number, may be filled in
    asked: how many labels it gave
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.names = list(names)
        self.asked = 0

    def __call__(self, pool: Pool, indices: Tensor) -> Tensor:
        self.asked += len(indices)
        sheet = self.folder / f"labels_{len(pool.labelled):06d}.csv"
        wanted = indices.tolist()
        if not sheet.exists():
            self._ask(pool, wanted, sheet)
            raise AwaitingLabels(
                f"{len(wanted)} images await labels: fill the column 'label' of {sheet}, then start again"
            )
        return torch.tensor(self._answers(sheet, wanted))

    def judge(self, pool: Pool, images: Tensor) -> Tensor | None:
        return None

    def _ask(self, pool: Pool, indices: list[int], sheet: Path) -> None:
        """Write the images, then the sheet, which appears only when it is complete."""
        from PIL import Image

        (self.folder / "images").mkdir(parents=True, exist_ok=True)
        for index in indices:
            pixels = pool.images[index].permute(1, 2, 0).squeeze(-1).cpu().numpy()
            Image.fromarray(pixels).save(self.folder / "images" / f"{index}.png")
        part = sheet.with_suffix(".part")
        with part.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["index", "image", "label"])
            rows.writerows([index, f"images/{index}.png", ""] for index in indices)
        part.replace(sheet)

    def _answers(self, sheet: Path, wanted: list[int]) -> list[int]:
        """Return the classes of the wanted images from a sheet; its rows may have been sorted otherwise since.

        A row that is missing, comes twice, or names no class is refused by its line.
        """
        with sheet.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        found: dict[int, int] = {}
        for number, row in enumerate(rows, start=2):
            where = f"{sheet}, line {number} (index {row.get('index')})"
            index = self._index(row, wanted, where)
            if index in found:
                raise UserError(f"{where}: this index stands here a second time; delete one of its rows")
            found[index] = self._class(row, where)
        missing = [index for index in wanted if index not in found]
        if missing:
            raise UserError(
                f"{sheet} lacks a row for index {missing[0]}: add it (or delete the file to have it written again)"
            )
        return [found[index] for index in wanted]

    def _index(self, row: Mapping[str, str], wanted: list[int], where: str) -> int:
        """Return the index of a row, if it is one of those that were asked for."""
        index = (row.get("index") or "").strip()
        if not index.isdecimal() or int(index) not in wanted:
            raise UserError(f"{where}: this index was not asked for; restore the column 'index' as it was written")
        return int(index)

    def _class(self, row: Mapping[str, str], where: str) -> int:
        """Return the class of a row, which is filled in as a name or a number."""
        answer = (row.get("label") or "").strip()
        if answer in self.names:
            return self.names.index(answer)
        if answer.isdecimal() and int(answer) < len(self.names):
            return int(answer)
        problem = f"'{answer}' is no class" if answer else "the label is missing"
        raise UserError(
            f"{where}: {problem}; write one of {', '.join(self.names[:12])}, or its number, and start again"
        )
