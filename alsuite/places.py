"""Where things lie: the data, the folders that a user names, and their homes."""

from __future__ import annotations

import os
from pathlib import Path

from alsuite.errors import UserError

__all__ = ["at_home", "check_folder", "data_root", "lies_among", "place_of"]


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


def check_folder(folder: Path) -> None:
    """Refuse a folder of configurations that isn't there."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} to take configurations from: name one that holds experiment/")
