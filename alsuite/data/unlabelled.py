"""Folders of images of which nobody has labelled all yet."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from alsuite.data.checks import in_both, tell_unread
from alsuite.data.dataset import Dataset, Split, as_split, statistics
from alsuite.data.images import Files, Labelled, image_files, labelled_files, save_images, version
from alsuite.data.store import build_once, lines, opened, save_lines
from alsuite.errors import UserError
from alsuite.labelling.known import by_position, classes_of, read_labels
from alsuite.labelling.sheet import UNSURE, Sheet
from alsuite.places import data_root, place_of

__all__ = ["named_classes", "unlabelled"]


def named_classes(classes: object) -> tuple[str, ...]:
    """Return the names of all classes, which the option tells where images have no folders of classes."""
    listed = classes if isinstance(classes, Sequence) and not isinstance(classes, str) else ()
    names = tuple(dict.fromkeys(str(name).strip() for name in listed))
    if len(names) < 2:
        raise UserError("images without folders of classes need the names of two at least: dataset.classes=[cat,dog]")
    if wrong := [name for name in names if name in ("", UNSURE)]:
        raise UserError(f"dataset.classes names a class '{wrong[0]}', which means another answer: rename it")
    return names


def unlabelled(
    path: Path,
    size: int,
    classes: object,
    test: str | Path | None,
    root: str | Path | None,
    shuffle: str = "auto",
    known: Path | None = None,
) -> Dataset:
    """Return all images of a folder as a pool, and those of a test folder, if there is one.

    classes: the names of all, which the test folder's folders are called after, too; None for those in `known`
    shuffle: as in `alsuite.data.load`
    known: a CSV of labels that are known, or a folder of such; what is unsure there is asked for again
    """
    labels = read_labels([known] if known else [])
    names = named_classes(classes_of(labels.values()) if known and classes is None else classes)
    home = data_root(root) / "folder"
    tests = {} if test is None else measured_on(place_of(test), path, size, names, home)
    folder = home / f"{path.name}-{version(path, size)}-unlabelled"
    files = Files(path, tuple(lines(folder / "files.txt") or ()))
    if not files.names:
        build_once(folder, path, partial(any_images, path=path, size=size), ("train_images.npy", "files.txt"))
        files = Files(path, tuple(lines(folder / "files.txt") or ()))
    images = opened(folder / "train_images.npy")
    targets = np.full(len(images), -1)
    sheet = Sheet(known or path, names)  # by which a label is told by its number, too
    for place, label in by_position(labels, len(images), files.names).items():
        targets[place] = sheet.label(label, f"{known}, {files.names[place]}")
    train = replace(as_split(images, targets, shuffle), files=files, told=known is not None)
    return Dataset(path.name, train, tests, names, None, *statistics(train.images))


def any_images(folder: Path, raw: Path, *, path: Path, size: int) -> None:
    """Write the arrays of all images below a folder, and the places of their files, in the order of their names."""
    tell_unread(path)
    names = any_files(path)
    save_images(folder / "train_images.npy", [path / name for name in names], size)
    save_lines(folder / "files.txt", names)


def any_files(path: Path) -> list[str]:
    """Return the places below a folder of all image files that aren't hidden, in the order of their names."""
    names = [file.relative_to(path).as_posix() for file in image_files(path)]
    if not names:
        raise UserError(f"{path} holds no image: name a folder of images, at any depth")
    if odd := [name for name in names if name.encode(errors="replace").decode().splitlines() != [name]]:
        raise UserError(f"the file name {odd[0]!a} in {path} is no text on one line: rename the file")
    return names


def measured_on(path: Path, pool: Path, size: int, names: tuple[str, ...], home: Path) -> dict[str, Split]:
    """Return the images of a folder per class as a test set by the folder's name.

    Images that are the pool's, if only by a link, are refused, since they would be asked about and learned from, too.
    """
    missing = [name for name in names if not (path / name).is_dir()]
    if missing:
        raise UserError(f"dataset.test={path} holds no folder {missing[0]}: give it one for each of dataset.classes")
    if path.is_relative_to(pool):
        raise UserError(f"dataset.test={path} lies in dataset.path, whose images are learned from: move it elsewhere")
    items = labelled_files(path, names, "**/*")
    if not items:
        raise UserError(f"dataset.test={path} holds no image: put some into the folders of the classes")
    if same := in_both(image_files(pool), [file for file, _ in items]):
        raise UserError(f"{same} of dataset.test lies in dataset.path, whose images are learned from: take it out")
    folder = home / f"{path.name}-{version(path, size, names)}-test"
    if not (folder / "images.npy").is_file():
        build_once(folder, path, partial(some_images, items=items, size=size), ("images.npy",))
    targets = np.array([label for _, label in items], dtype=np.int64)
    return {path.name: as_split(opened(folder / "images.npy"), targets)}


def some_images(folder: Path, raw: Path, *, items: Labelled, size: int) -> None:
    save_images(folder / "images.npy", [file for file, _ in items], size)
