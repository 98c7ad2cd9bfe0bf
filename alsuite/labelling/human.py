"""A person who answers by filling in a sheet, by hand or through a page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from alsuite.data.images import Files
from alsuite.errors import AwaitingLabels, UserError
from alsuite.labelling.sheet import MADE, UNSURE, ByHand, Sheet, enough
from alsuite.palette import picture
from alsuite.pool import Pool

__all__ = ["Human"]


class Human:
    """It answers with what is known; of the rest it writes the images and a sheet, and answers with what is filled in.

    The folder holds images/, and labels_<how many were looked at>.csv for each query. With a page the run
    waits, and goes on by itself; with Label Studio, or without either, it ends until the answers are there.

    folder: where these files are written
    names: of the classes
    files: the images' own, which are shown in place of the smaller ones that are learned from
    page: where a person labels, or the Label Studio that does it; None leaves the sheets to be filled in
    known: (N,) classes that need not be asked for, -1 where they must; None where all must
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        files: Files | None = None,
        page: ByHand | None = None,
        known: Tensor | None = None,
    ) -> None:
        if odd := [name for name in names if name in ("", UNSURE) or name != name.strip()]:
            raise UserError(f"a class is called '{odd[0]}', which cannot be told as an answer: rename it")
        self.folder = folder
        self.names = list(names)
        self.known = torch.empty(0, dtype=torch.int64) if known is None else known
        self.files = files
        self.page = page or ByHand()

    def __call__(self, pool: Pool, indices: Tensor) -> Tensor:
        indices = indices.cpu()
        labels = torch.full((len(indices),), -1)
        real = indices < len(self.known)
        labels[real] = self.known[indices[real]]
        if len(left := torch.nonzero(labels < 0).squeeze(1)):
            made = bool((indices >= pool.originals).all())  # of which none may be passed over for others
            one_at_least = made or (not len(pool.labelled) and len(left) == len(indices))
            labels[left] = self._told(pool, indices[left], one_at_least)
        return labels

    def judge(self, pool: Pool, images: Tensor) -> Tensor | None:
        return None

    def _told(self, pool: Pool, indices: Tensor, one_at_least: bool) -> Tensor:
        """Return what is filled in for images.

        one_at_least: whether somebody must be sure of one: of the first labels of all, and of images that were made
        """
        looked_at = len(pool.labelled) + len(pool.left_out)
        sheet = Sheet(self.folder / f"labels_{looked_at:06d}.csv", self.names)
        wanted = indices.tolist()
        if not sheet.path.exists():
            rows = [{"index": str(i), "image": f"images/{self._show(pool, i)}", "label": ""} for i in wanted]
            getattr(os, "sync", lambda: None)()  # once the sheet is there, its images are not written again
            sheet.write(rows)
        self.page.fill(sheet, wanted, one_at_least)
        return torch.tensor(self._whole(sheet.answers(wanted), sheet, one_at_least))

    def _whole(self, answers: Sequence[int | None], sheet: Sheet, one_at_least: bool) -> list[int]:
        """Return the answers, or say how many there are to be given, or that one must be a label."""
        given = [answer for answer in answers if answer is not None]
        left, names = len(answers) - len(given), ", ".join(self.names[:12]) + ", ..." * (len(self.names) > 12)
        if left:
            which = f"{left} images await" if left == len(answers) else f"{left} of {len(answers)} images still await"
            raise AwaitingLabels(f"{which} labels ({names}): {self.page.advice(sheet)}, then start again")
        if not enough(answers, one_at_least):
            where = self.page.source(sheet)
            raise UserError(f"{where} is unsure of every image: label one at least ({names}), then start again")
        return given

    def _show(self, pool: Pool, index: int) -> str:
        """Write an image for the person to look at, and return its name: its own file, or what is learned from."""
        own = self.files.names[index] if self.files and index < len(self.files.names) else f"{index}.png"
        name = own if index < pool.originals else f"{MADE}/{index}.png"
        target = self.folder / "images" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # a link there would lead to another file
        if self.files and index < len(self.files.names):
            shutil.copyfile(self.files.root / name, target)
            return name
        from PIL import Image

        Image.fromarray(picture(pool.images[index])).save(target)
        return name
