"""Image files: found in folders, decoded in threads, written one by one into a memory map."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from alsuite.errors import UserError, reason
from alsuite.progress import watched
from alsuite.walk import SUFFIXES, below, hidden

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "Files",
    "Labelled",
    "allocate",
    "coloured",
    "convert_all",
    "decoded",
    "for_browsers",
    "image_files",
    "labelled_files",
    "read_mask",
    "save_images",
    "square",
    "version",
]

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # which PIL reads, of those in SUFFIXES
KNOWN = ("GIF", "JPEG", "PNG", "WEBP")  # to every browser

CHUNK = 1024  # images at a time
LONGEST = 100  # times as long as wide
TOLD = 5  # refused files that one error tells of

Labelled = list[tuple[Path, int]]  # image files and their class
Read = TypeVar("Read")


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
    return [(file, label) for label, name in enumerate(names) for file in image_files(tree / name, pattern)]


def image_files(folder: Path, pattern: str = "**/*") -> list[Path]:
    """Return the image files below a folder, in the order of their names, without hidden ones, as `seen` has it."""
    return [file for file in seen(folder, pattern) if file.suffix.lower() in SUFFIXES]


def seen(folder: Path, pattern: str = "**/*") -> list[Path]:
    """Return the files below a folder, in the order of their names, where neither it nor a folder between is hidden.

    Editors and systems leave copies of images under such names: `.ipynb_checkpoints/0-checkpoint.png`, `._0.png`.
    """
    if pattern == "**/*":
        return sorted(Path(entry.path) for entry in below(folder) if not entry.is_dir())
    found = sorted(folder.glob(pattern))
    return [path for path in found if not any(map(hidden, path.relative_to(folder).parts))]


def version(path: Path, size: int, names: Sequence[str] = ()) -> str:
    """Return a hash of the size and of all images' names, sizes and times, which changes whenever one of them does.

    Hidden files don't count, nor what is no image. Of a link, what it leads to does.

    names: of the classes, where they or their order count
    """
    told = ((file, _status(file)) for file in image_files(path))
    content = [f"{file}{status.st_size}{status.st_mtime_ns}" for file, status in told]
    text = "\n".join([str(size), *names, *content])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]


def for_browsers(path: Path) -> tuple[bytes, str]:
    """Return an image as any browser shows it, with its kind: its file, or else a PNG of what is learned from.

    Browsers show what is transparent on the page's own colour, and other kinds not at all, whatever the file's name is.
    """
    if kind := decoded(path, _known_kind):
        return path.read_bytes(), kind
    decoded(path, coloured).save(buffer := BytesIO(), "png")
    return buffer.getvalue(), "image/png"


def _known_kind(image: Any) -> str | None:
    """Return an image's kind, if every browser shows it as it is learned from."""
    return image.get_format_mimetype() if image.format in KNOWN and not image.has_transparency_data else None


def _status(path: Path) -> os.stat_result:
    """Return what is known of a file, or of a link that leads to none."""
    try:
        return path.stat()
    except OSError:
        return path.lstat()


def save_images(target: Path, files: Sequence[Path], crop: int, short: int | None = None) -> None:
    """Write the files' images, crop x crop, to the array file `target`, one after the other and never all in memory.

    short: to how many pixels the shorter side is scaled before the centre is cut out, by default `crop`
    """
    array = allocate(target, (len(files), 3, crop, crop))

    def convert(i: int) -> None:
        array[i] = square(files[i], crop, short or crop)

    convert_all(target.stem, len(files), CHUNK, convert)
    array.flush()


def convert_all(name: str, count: int, chunk: int, convert: Callable[[int], None]) -> None:
    """Call `convert` with each number below the count, in threads, and show how far it is.

    What it refuses is told in one go, once all have been tried: to find the next damaged file should take no new start.
    """
    refused: dict[int, str] = {}

    def tried(i: int) -> None:
        try:
            convert(i)
        except UserError as error:
            refused[i] = str(error)

    with ThreadPoolExecutor() as threads:
        for first in watched(range(0, count, chunk), f"{name}, in {chunk:,}", -(-count // chunk)):
            list(threads.map(tried, range(first, min(first + chunk, count))))
    if refused:
        told = [refused[i] for i in sorted(refused)]
        more = [f"and {len(told) - TOLD:,} more"] if len(told) > TOLD else []
        raise UserError("; ".join([*told[:TOLD], *more]))


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

    name: what an error calls a file that is read from another
    """
    from PIL import Image

    image = decoded(file, coloured, name)
    if max(image.size) > LONGEST * min(image.size):
        raise UserError(f"{name or file} is {image.width} x {image.height} pixels large: cut it, or delete it")
    width, height = (side * short // min(image.size) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - crop) // 2, (height - crop) // 2
    return np.asarray(image.crop((left, top, left + crop, top + crop))).transpose(2, 0, 1)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Return the (H, W) numbers of a PNG, gray or with a palette; any other kind of image is refused."""
    mask = decoded(path, _numbers)
    if mask is None or mask.ndim != 2 or mask.dtype != np.uint8:
        advice = "save it as a PNG, gray with 8 bits a pixel or with a palette, a number for each class"
        raise UserError(f"{path} is no mask: {advice}")
    return mask


def _numbers(image: Any) -> NDArray[Any] | None:
    """Return the numbers that a PNG holds; None where they would be others, as of one with 2 gray bits a pixel."""
    exact = image.format == "PNG" and not str(image.tile[0][3]).startswith("L;")
    return np.array(image) if exact else None


def decoded(file: Path | BinaryIO, read: Callable[[Image], Read], name: str = "") -> Read:
    """Return what is read from an image file, whose size is looked at before a pixel of it is unfolded.

    Whatever cannot be decoded is refused by name, since one among a million is hard to find. Few bytes may unfold into
    more than fits into memory: PIL warns of such an image from 89 million pixels on, and it is refused. So is what only
    bears an image's suffix, such as PostScript, which PIL would have another program run.
    """
    from PIL import Image

    try:
        with Image.open(file, formats=FORMATS) as opened:
            if opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise Image.DecompressionBombError
            return read(opened)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UserError(f"{name or file} has more than 89 million pixels: make it smaller, or delete it") from None
    except Exception as error:  # PIL's decoders raise whatever a damaged file leads them to
        raise UserError(f"cannot read the image {name or file} ({reason(error)}): replace or delete it") from error


def coloured(image: Image, upright: bool = True) -> Image:
    """Return an image as it is seen, in RGB: upright, on white where it is transparent, and of an animation the first.

    Of 16 bits a pixel the upper 8 are kept; of more nobody knows which values are black and white.

    upright: whether it is turned as a camera has noted, if that can be read
    """
    from PIL import Image, ImageOps

    if upright:
        with suppress(Exception):
            ImageOps.exif_transpose(image, in_place=True)
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        raise ValueError("it has 32 bits a pixel, save it with 8 or 16")
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) // 256).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image.convert("RGB")
