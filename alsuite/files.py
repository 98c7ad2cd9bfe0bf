"""Files and folders that are either there as a whole or not at all, whenever the process dies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from alsuite.errors import UserError
from alsuite.progress import say

__all__ = ["lock_of", "locked", "remove_empty", "unlock", "write_text", "written_whole"]


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
