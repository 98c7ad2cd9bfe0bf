"""Images that runs have stored, as a page holds them: each one a small PNG inside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from alsuite.errors import UserError
from alsuite.figures.images import as_drawn, picture_rows, read_rows
from alsuite.figures.parts import Part

__all__ = ["Picture", "Strip", "of_part", "of_run", "thumbnail"]

COLUMNS = 10  # images of a row
CYCLES = 4  # of a run, evenly from its first to its last


@dataclass(frozen=True)
class Picture:
    """An image, as the address that holds it, with the words below it and those that stand in its place."""

    source: str
    caption: str
    alt: str


@dataclass(frozen=True)
class Strip:
    """A row of images under one name."""

    name: str
    pictures: Sequence[Picture]


def of_part(part: Part) -> list[Strip]:
    """Return the rows that a panel shows; none where the runs stored no such images."""
    try:
        rows, captions = picture_rows(part)
    except (UserError, OSError):
        return []
    return [_strip(name, images, captions.get(name, ())) for name, images in rows.items()]


def of_run(folder: Path) -> Iterator[tuple[str, list[Strip]]]:
    """Yield what a run stored in a few of its cycles, each with its title."""
    paths = sorted(folder.glob("images_cycle_*.npz"))
    places = {round(k * (len(paths) - 1) / (CYCLES - 1)) for k in range(CYCLES)} if paths else ()
    for path in (paths[place] for place in sorted(places)):
        rows, captions = read_rows(path, (), COLUMNS)
        strips = [_strip(name, images, captions.get(name, ())) for name, images in rows.items()]
        yield f"Cycle {int(path.stem.rpartition('_')[2]) + 1}", [strip for strip in strips if strip.pictures]


def _strip(name: str, images: np.ndarray, captions: Sequence[str]) -> Strip:
    """Return the images of a row with their captions; what is no image, such as places, makes none."""
    called = name.replace("_", " ")
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[1] not in (1, 3):
        return Strip(called, ())
    told = [*captions, *[""] * len(images)]
    return Strip(
        called,
        [
            Picture(_address(image), caption, f"{called} {place}" + (f": {caption}" if caption else ""))
            for place, (image, caption) in enumerate(zip(images, told, strict=False), start=1)
        ],
    )


def _address(image: np.ndarray) -> str:
    """Write a (C, H, W) image as a PNG inside an address."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(as_drawn(image))).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def thumbnail(picture: Path, path: Path, width: int = 640) -> None:
    """Write a small copy of a picture."""
    with Image.open(picture) as image:
        small = image.convert("RGB")
        small.thumbnail((width, width))
        small.save(path, "PNG", optimize=True)
