"""What lies below a folder, and what of it is an image."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["SUFFIXES", "below", "hidden"]

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
