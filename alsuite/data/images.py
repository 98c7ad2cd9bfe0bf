"""Image files: found in folders, decoded in threads, written one by one into a memory map."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from alsuite.errors import UserError
from alsuite.training.progress import watched

__all__ = [
    "SUFFIXES",
    "Files",
    "Labelled",
    "allocate",
    "labelled_files",
    "read_mask",
    "save_images",
    "square",
    "version",
]

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".webp", ".tif", ".tiff"}

CHUNK = 1024  # images at a time

Labelled = list[tuple[Path, int]]  # image files and their class


@dataclass(frozen=True)
class Files:
    """Where images came from: a folder, and the place of each below it."""

    root: Path
    names: tuple[str, ...]

    def at(self, places: Sequence[int]) -> Files:
        """Return some of them."""
        return Files(self.root, tuple(self.names[place] for place in places))


def labelled_files(tree: Path, names: Sequence[str], pattern: str = "*") -> Labelled:
    """Return the image files in tree/<name>, each with the position of that name as its class.

    pattern: which files of a class's folder count, "**/*" for those at any depth
    """
    files = [(file, label) for label, name in enumerate(names) for file in sorted((tree / name).glob(pattern))]
    return [(file, label) for file, label in files if file.suffix.lower() in SUFFIXES]


def version(path: Path, size: int, names: Sequence[str] = ()) -> str:
    """Return a hash of the size and of all files' names, sizes and times, which changes whenever one of them does.

    names: of the classes, where their order counts
    """
    content = [f"{file}{file.lstat().st_size}{file.lstat().st_mtime_ns}" for file in sorted(path.glob("**/*"))]
    text = "\n".join([str(size), *names, *content])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]


def save_images(target: Path, files: Sequence[Path], crop: int, short: int | None = None) -> None:
    """Write the files' images, crop x crop, to the array file `target`, one after the other and never all in memory.

    short: to how many pixels the shorter side is scaled before the centre is cut out, by default `crop`
    """
    array = allocate(target, (len(files), 3, crop, crop))

    def convert(i: int) -> None:
        array[i] = square(files[i], crop, short or crop)

    with ThreadPoolExecutor() as threads:
        for first in watched(range(0, len(files), CHUNK), f"{target.stem}, in {CHUNK:,}", -(-len(files) // CHUNK)):
            list(threads.map(convert, range(len(files))[first : first + CHUNK]))
    array.flush()


def allocate(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """Return a new array file of bytes, mapped for writing, with its place on the disk claimed."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    # A sparse file on a full disk kills the process at some later write; claimed at once it is an OSError.
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def square(file: Path | BinaryIO, crop: int, short: int, name: str = "") -> NDArray[np.uint8]:
    """Return the centre (3, crop, crop) of the RGB image after its short side is scaled to `short`.

    A file that can't be decoded is refused by its name, since one among a million is hard to find.
    """
    from PIL import Image

    try:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"cannot read the image {name or file} ({error}): replace or delete it") from error
    width, height = (side * short // min(image.size) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - crop) // 2, (height - crop) // 2
    return np.asarray(image.crop((left, top, left + crop, top + crop))).transpose(2, 0, 1)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Return the (H, W) numbers of a PNG, gray or with a palette; any other kind of image is refused."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            mask = np.array(file)
    except (OSError, SyntaxError) as error:
        raise UserError(f"cannot read the mask {path} ({error}): replace it") from error
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise UserError(f"{path} is no mask: save it gray or with a palette, 8 bits a pixel, a number for each class")
    return mask
