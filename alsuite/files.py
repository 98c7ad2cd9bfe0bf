"""Files and folders that are either there as a whole or not at all, whenever the process dies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from alsuite.errors import UserError
from alsuite.training.progress import say

__all__ = [
    "SUFFIXES",
    "at_home",
    "below",
    "check_folder",
    "data_root",
    "hidden",
    "lies_among",
    "lock_of",
    "locked",
    "place_of",
    "remove_empty",
    "unlock",
    "write_text",
    "written_whole",
]

SUFFIXES = {
    ".jpg",
    ".jpeg",
    ".jfif",
    ".png",
    ".bmp",
    ".gif",
    ".ppm",
    ".pgm",
    ".webp",
    ".tif",
    ".tiff",
}  # of image files


def hidden(name: str) -> bool:
    """Tell whether a file or folder is hidden, or holds copies that a system has made beside the images."""
    return name.startswith(".") or name in ("__MACOSX", "@eaDir")


def below(folder: Path, opened: frozenset[str] = frozenset()) -> Iterator[os.DirEntry[str]]:
    """Yield what lies below a folder, through links as well, without hidden names and what is in hidden folders.

    opened: the true places of the folder and of those above, into which no link leads again
    """
    opened = opened or frozenset({os.path.realpath(folder)})
    with os.scandir(folder) as found:
        entries = [entry for entry in found if not hidden(entry.name)]
    for entry in entries:
        yield entry
        if entry.is_dir() and (true := os.path.realpath(entry.path)) not in opened:
            yield from below(Path(entry.path), opened | {true})


def check_folder(folder: Path) -> None:
    """Refuse a folder of configurations that isn't there."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} to take configurations from: name one that holds experiment/")


def remove_empty(*folders: Path) -> None:
    """Remove folders, the innermost first, as far as nothing is in them."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a path to write to, a file or a new folder, which takes the place of `path` when the block ends well.

    Two processes that write to one `path` at once must hold a lock.
    """
    part = path.with_name(f".part-{path.name}")
    remove(part)
    try:
        yield part
        for written in (*part.rglob("*"), part):
            sync(written)
        part.replace(path)
        sync(path.parent)
    finally:
        with suppress(OSError):  # Windows keeps a file that is open, and what went wrong is to be told
            remove(part)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def locked(path: Path, other: str = "") -> Iterator[None]:
    """Let no other process into a block that holds the same lock, whose file is gone afterwards.

    other: what a process that holds it does, told to whoever has to wait
    """
    lock = FileLock(path, mode=0o666)  # for whoever shares the folder
    try:
        lock.acquire(timeout=0 if other else -1)
    except Timeout:
        say(f"waiting for another process that {other}")
        lock.acquire()
    try:
        yield
    finally:
        unlock(lock)


def lock_of(folder: Path) -> FileLock:
    """Return the folder's lock, held; a folder in which another process runs is refused."""
    lock = FileLock(folder / "lock", mode=0o666)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"another process runs in {folder}: wait for it, or change an option") from None
    return lock


def data_root(given: str | Path | None = None) -> Path:
    """Return the folder of all data sets: the one that is given, or else the usual one."""
    return at_home(given or os.environ.get("ALSUITE_DATA") or "~/.cache/alsuite")


def place_of(path: object) -> Path:
    """Return the true place of a folder that the user names."""
    if not str(path):
        raise UserError("an empty path names no folder: give one, such as . for where the command is given")
    return at_home(str(path)).resolve()


def at_home(path: str | Path) -> Path:
    """Return a path with the folder that ~ stands for; who has none here is told."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(f"{path}: there is no such home folder here, name it in full, or set ALSUITE_DATA") from None


def lies_among(images: Path, folder: object) -> bool:
    """Tell whether a folder lies in one whose images are all read, and not in a hidden one of it."""
    place = place_of(folder)
    return place.is_relative_to(images) and not any(part.startswith(".") for part in place.relative_to(images).parts)


def unlock(lock: FileLock) -> None:
    """Remove a lock's file while it is held: whoever has just opened it finds it gone, and looks again."""
    with suppress(OSError):  # Windows keeps an open file, and removes this one when it is released
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def sync(path: Path) -> None:
    """Wait until the disk has it; a process that dies loses nothing then, nor does a machine."""
    if os.name == "nt":  # Windows opens no folder, and waits for no file that is opened to be read
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; neither need be there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
