"""Files that a person may hand in by mistake, or that something has damaged: each function writes good ones first."""

from __future__ import annotations

import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers.data_files import write_image, write_npy

__all__ = [
    "Touching",
    "arrays",
    "bomb",
    "cut",
    "edited",
    "lab",
    "masks",
    "photos",
    "saved",
    "table",
    "tar_with",
    "telling",
    "written",
    "zip_with",
]


class Touching:
    """A pickle that leaves a folder `run` when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.folder / "run"),)


def telling(path: Path) -> Path:
    """Write a pickle that leaves a folder `run` beside itself once it is read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(Touching(path.parent)))
    return path


def photos(here: Path, classes: tuple[str, ...] = ("cat", "dog"), each: int = 6) -> Path:
    """Return a folder of small images, a folder a class."""
    for number, name in enumerate(classes):
        for i in range(each):
            write_image(here / "photos" / name / f"{i}.png", 100 * number + i, kind="png")
    return here / "photos"


def arrays(here: Path) -> Path:
    """Return MNIST's folder below the folder of all data, with few images."""
    write_npy(here / "data" / "mnist", classes=10, shape=(1, 28, 28))
    return here / "data" / "mnist"


def masks(here: Path) -> Path:
    """Return a folder of ten images of 8 x 8 with masks of two classes."""
    for i in range(10):
        write_image(here / "mine" / "images" / f"{i}.png", 20 * i, width=8, height=8, kind="png")
        (here / "mine" / "masks").mkdir(exist_ok=True)
        Image.new("L", (8, 8), i % 2).save(here / "mine" / "masks" / f"{i}.png")
    return written(here / "mine" / "classes.txt", "cell\ntissue\n").parent


def lab(here: Path) -> Path:
    """Return the folder of one's own strategies that -cd takes."""
    (here / "mylab" / "strategy").mkdir(parents=True)
    return here / "mylab" / "strategy"


def table(here: Path) -> Path:
    """Return a file of nine images' features."""
    return saved(here / "table.npy", np.eye(9))


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def saved(path: Path, array: object) -> Path:
    """Save an array, objects as a pickle among them, though numpy would add a suffix to the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.save(file, np.asarray(array), allow_pickle=True)
    return path


def cut(path: Path, share: float = 0.5) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def edited(path: Path, old: str, new: str) -> None:
    """Replace a text that stands in a file."""
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))


def bomb(path: Path, side: int = 30_000) -> None:
    """Write a PNG of few bytes that unfolds into very many."""
    rows = zlib.compress(bytes(1000))
    parts = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def tar_with(path: Path, *members: tarfile.TarInfo) -> Path:
    """Write a tar file of some members, each with the content `x` where it is a file."""
    with tarfile.open(path, "w") as archive:
        for member in members:
            member.size = 1 if member.isfile() else 0
            archive.addfile(member, BytesIO(b"x"))
    return path


def zip_with(path: Path, *names: str) -> Path:
    """Write a zip file with members of these names."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return path
