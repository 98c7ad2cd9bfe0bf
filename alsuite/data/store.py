"""Arrays on disk: <root>/<name>/{train,test}_{images,targets}.npy, built once and opened as memory maps.

The root is $ALSUITE_DATA or ~/.cache/alsuite; what the arrays are built from lies under <root>/raw/<name>. Beside them
may lie classes.txt, superclasses.txt and attributes.txt, a line each. Who lays out these files by hand needs no build.
"""

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alsuite.data.dataset import Arrays, Dataset, assemble
from alsuite.errors import UserError
from alsuite.files import locked, written_whole
from alsuite.places import data_root

__all__ = ["Build", "load", "save", "save_lines"]

Build = Callable[[Path, Path], None]  # (folder to write the arrays to, folder of raw files)
FILES = tuple(f"{split}_{kind}.npy" for split in ("train", "test") for kind in ("images", "targets"))


def load(
    name: str,
    build: Build,
    *,
    source: str | None = None,
    names: Sequence[str] | None = None,
    classes: Sequence[int | str] | None = None,
    attribute: str | None = None,
    pad: int = 0,
    size: int | None = None,
    extra_tests: Mapping[str, Dataset] | None = None,
    validation: int = 0,
    shuffle: str = "auto",
    root: str | Path | None = None,
) -> Dataset:
    """Return the data set `name` from the arrays of `source`, which `build` makes where they lack.

    source: the folder of the arrays, by default called as the data set
    names: the class names, else those in classes.txt, else numbers
    classes: keeps only these, by name, or by number where no name is one, relabelled 0, 1, ...
    attribute: makes presence of that attribute the class
    pad, size: images are padded by so many pixels a side, then scaled to size x size
    extra_tests: data sets whose test set is evaluated, too
    validation: how many training images are left out
    shuffle: "full" or in "blocks" of the file, by default in blocks where the images would fill half of the memory
    root: the folder of all data sets, by default as above
    """
    home = data_root(root)
    folder = home / (source or name)
    if not all((folder / file).is_file() for file in FILES):
        build_once(folder, home / "raw" / (source or name), build)
    images = [opened(folder / f"{split}_images.npy") for split in ("train", "test")]
    targets = [opened(folder / f"{split}_targets.npy") for split in ("train", "test")]
    attributes = lines(folder / "attributes.txt")
    if attribute or attributes:
        targets = [presence(name, array, attribute, attributes or []) for array in targets]
        names = [f"no {attribute}", str(attribute)]
    train, test = zip(images, targets, strict=True)
    superclasses = lines(folder / "superclasses.txt")
    if superclasses and not all(line.isdecimal() for line in superclasses):
        raise UserError(f"{folder / 'superclasses.txt'} must hold a whole number a line: mend or delete it")
    return assemble(
        name,
        train,
        test,
        names=names or lines(folder / "classes.txt"),
        superclasses=[int(line) for line in superclasses] if superclasses else None,
        classes=classes,
        pad=pad,
        size=size,
        extra_tests=extra_tests,
        validation=validation,
        shuffle=shuffle,
    )


def presence(name: str, targets: NDArray, attribute: str | None, attributes: Sequence[str]) -> NDArray[np.int64]:
    """Return the (N,) labels 0 and 1 that one of the attributes makes, of (N, attributes) targets.

    An attribute that there isn't is refused with those there are; so are targets that are no table of attributes.
    """
    if attribute not in attributes:
        known = f"choose one of {', '.join(attributes)}" if attributes else "its images have none"
        raise UserError(f"{name}: dataset.attribute={attribute} is no attribute, {known}")
    if targets.dtype.kind not in "iu" or targets.shape[1:] != (len(attributes),):
        expected = f"integers of {len(attributes)} attributes per image"
        raise UserError(f"{name}: targets are {targets.dtype} {targets.shape}, they must be {expected}")
    return targets[:, attributes.index(attribute)].astype(np.int64)


def opened(path: Path) -> NDArray:
    """Map an array file for reading; one that can't be read is refused with how to rebuild it."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        advice = f"delete the folder {path.parent} and start again to rebuild it"
        raise UserError(f"{path} cannot be read ({error}): {advice}") from error
    return array


def lines(path: Path) -> list[str] | None:
    """Return the lines of a text file, and none where there is no file."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8: save it as such") from None


def save(folder: Path, *, train: Arrays, test: Arrays) -> None:
    """Write the four files of a data set in the folder; images and targets are pairs of arrays."""
    for split, (images, targets) in (("train", train), ("test", test)):
        np.save(folder / f"{split}_images.npy", np.ascontiguousarray(images))
        np.save(folder / f"{split}_targets.npy", np.ascontiguousarray(targets))


def save_lines(path: Path, content: Sequence[object]) -> None:
    """Write a text file, a line for each thing."""
    path.write_text("".join(f"{line}\n" for line in content), encoding="utf-8")


def build_once(folder: Path, raw: Path, build: Build, files: Sequence[str] = FILES) -> None:
    """Build the arrays in a folder of this name, or check that those there are whole.

    Only a finished folder gets its name; a second process waits for the first, then finds the arrays there.
    """
    with explained(folder, raw):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f".{folder.name}.lock"), f"builds {folder}"):
            if folder.exists():
                check_complete(folder, files)
            else:
                built(folder, raw, build, files)


def built(folder: Path, raw: Path, build: Build, files: Sequence[str] = FILES) -> None:
    """Build the arrays beside the folder, and let them take its name when none lacks."""
    with written_whole(folder) as part:
        part.mkdir()
        raw.mkdir(parents=True, exist_ok=True)
        build(part, raw)
        check_complete(part, files)


def check_complete(folder: Path, files: Sequence[str] = FILES) -> None:
    """Refuse a folder that lacks one of its files, which no build of this version leaves behind."""
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise UserError(f"{folder} lacks {', '.join(missing)}: delete the folder and start again to rebuild it")


@contextmanager
def explained(folder: Path, raw: Path) -> Iterator[None]:
    """Turn what can go wrong while building into one line: a full disk, other failures of files, damaged raw files."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "free some, or set ALSUITE_DATA to a folder on a larger disk"
            raise UserError(f"no space left on the disk to build {folder}: {advice}") from error
        raise UserError(f"cannot build {folder} from {raw}: {error}") from error
    except (LookupError, ValueError) as error:
        raise UserError(f"cannot build {folder}, a file under {raw} is damaged ({error}): replace it") from error
