"""What makes arrays and options unfit for a data set, each told in one line."""

import functools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alsuite.errors import UserError, is_whole
from alsuite.pool import VOID
from alsuite.progress import say
from alsuite.walk import below

__all__ = [
    "check_arrays",
    "check_labels",
    "check_pixels",
    "check_splits",
    "check_there",
    "in_both",
    "numbers",
    "tell_unread",
]

UNREAD = {".avif", ".heic", ".heif", ".jp2", ".jxl"}  # suffixes of images that are not read


def check_pixels(option: str, value: object, least: int = 1) -> None:
    """Refuse an option that is no whole number of pixels, or less than the least."""
    if not is_whole(value, least):
        raise UserError(f"dataset.{option}={value} is no number of pixels: give a whole one from {least}, such as 32")


def check_arrays(where: str, images: NDArray, targets: NDArray) -> None:
    """Refuse arrays that aren't images, each with a target or a mask, in the form that all else takes them."""
    of_targets = ("uint8", 3) if targets.ndim == 3 else ("int64", 1)
    for kind, array, dtype, ndim in (("images", images, "uint8", 4), ("targets", targets, *of_targets)):
        if array.dtype != dtype:
            raise UserError(f"{where}_{kind} are {array.dtype}, they must be {dtype}: save them as such")
        if array.ndim != ndim:
            raise UserError(f"{where}_{kind} have {array.ndim} dimensions, they must have {ndim}")
    if images.shape[3] <= 4 < images.shape[1]:
        advice = "save them as (N, C, H, W), by images.transpose(0, 3, 1, 2)"
        raise UserError(f"{where}_images are {images.shape}, with their channels last: {advice}")
    if len(images) != len(targets):
        raise UserError(f"{where} holds {len(images)} images but {len(targets)} targets: give each image its own")
    if targets.ndim == 3 and targets.shape[1:] != images.shape[2:]:
        raise UserError(f"{where}_targets are {targets.shape[1:]} pixels large, their images {images.shape[2:]}")
    if images.size == 0:
        raise UserError(f"{where} is empty: it holds no image")


def check_labels(name: str, train: NDArray, test: NDArray, names: Sequence[str]) -> None:
    """Refuse labels without a name, of masks in evenly spaced ones alone, and names without a training image."""
    of_pixels, last = train.ndim > 1, len(names) - 1
    train, test = (spaced(targets) if of_pixels else targets for targets in (train, test))
    for split, targets in (("train", train), ("test", test)):
        outside = targets[(targets < 0) | (targets >= len(names))]
        outside = outside[outside != VOID] if of_pixels else outside
        if len(outside):
            raise UserError(f"{name}: {split}_targets hold the label {outside[0]}, outside 0..{last}: mend it")
    if of_pixels:
        return
    counts = np.bincount(train, minlength=len(names))
    absent = [label for label, count in zip(names, counts, strict=True) if count == 0]
    if absent:
        raise UserError(f"{name}: no train image of the class {', '.join(absent[:5])} ({len(absent)} of {len(names)})")


def numbers(name: str, train: NDArray) -> tuple[str, ...]:
    """Return the numbers of all classes, by which they are called; more than there are images are refused."""
    last = highest(train)
    if train.ndim == 1 and last >= len(train):
        raise UserError(
            f"{name}: train_targets hold the label {last}, of {len(train)} images: number classes from 0 on"
        )
    return tuple(map(str, range(last + 1)))


def highest(targets: NDArray) -> int:
    """Return the highest number of a class, which void is not where each pixel has a label."""
    if targets.ndim == 1:
        return int(targets.max())
    return max(int(mask[mask != VOID].max(initial=0)) for mask in targets)


def spaced(targets: NDArray, most: int = 2**26) -> NDArray:
    """Return the pixels of evenly spaced masks, at most 64 MB of them."""
    return targets[:: max(1, -(-targets.size // most))].ravel()


def check_there(files: Sequence[Path]) -> None:
    """Refuse listed files that lie elsewhere, or are lost."""
    if absent := [file for file in files if not file.exists()]:
        found = f"{absent[0]} is missing ({len(absent):,} of {len(files):,})"
        raise UserError(f"{found}: lay all out as they are published")


def tell_unread(folder: Path) -> None:
    """Say which images below a folder are left out for their kind."""
    kinds = [Path(entry.name).suffix.lower() for entry in below(folder)]
    if left := [kind for kind in kinds if kind in UNREAD]:
        say(f"{len(left):,} images of {folder} are left out ({', '.join(sorted({*left}))}): save them as JPEG or PNG")


def in_both(train: Iterable[Path], test: Iterable[Path]) -> Path | None:
    """Return a test image that is one to learn from as well, if only by a link; None where there is none."""
    true = functools.cache(os.path.realpath)  # of folders, which are few

    def place(file: Path) -> str:
        return os.path.realpath(file) if file.is_symlink() else os.path.join(true(file.parent), file.name)

    tests = {place(file): file for file in test}
    return next((tests[place] for place in map(place, train) if place in tests), None)


def check_splits(train: Iterable[Path], test: Iterable[Path]) -> None:
    """Refuse a test image that is one to learn from as well."""
    if same := in_both(train, test):
        raise UserError(f"{same} is learned from and measured on, by a link: take it out of one of both")
