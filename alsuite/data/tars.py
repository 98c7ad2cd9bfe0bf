"""WebDataset's tar shards: the samples in them, their labels and their images."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from tarfile import EOFHeaderError, HeaderError, ReadError  # pyright: ignore[reportAttributeAccessIssue]
from types import ModuleType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from alsuite.data.images import square
from alsuite.errors import UserError, reason
from alsuite.walk import SUFFIXES

__all__ = ["Sample", "fsspec", "label", "picture", "samples"]

LARGEST = 2**28  # bytes of a sample's file
CLASSES = ("cls", "class")  # suffixes of a file with a label
LABELS = ("label", *CLASSES)  # keys of a json file
KINDS = {suffix[1:] for suffix in SUFFIXES}
Sample = tuple[str, dict[str, bytes]]  # its name, and what its files hold, by their suffixes


class Header(tarfile.TarInfo):
    """A header that tells an archive which is torn or damaged from one that ends."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Header:
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:
            raise
        except HeaderError as error:
            raise ReadError(f"unexpected end of data, {error}") from error


def samples(shard: str) -> Iterator[Sample]:
    """Read a shard from its first file to its last, and yield its samples; a torn one is refused."""
    opened: Callable[[], IO[bytes]] = partial(open, shard, "rb")
    if "://" in shard:
        opened = fsspec(shard).open(shard, "rb").open
    try:
        with opened() as file, tarfile.open(fileobj=file, mode="r|*", tarinfo=Header) as tar:
            yield from grouped(tar)
    except UserError:
        raise
    except Exception as error:  # each kind of URL fails in its own way
        raise UserError(f"cannot read the shard {shard} ({reason(error)}): fetch it anew") from error


def grouped(tar: tarfile.TarFile) -> Iterator[Sample]:
    """Yield what follows one another in an archive with the same name up to the first dot."""
    key, files = "", {}
    for member in tar:
        content = tar.extractfile(member) if member.isfile() else None
        at, _, base = member.name.rpartition("/")
        stem, dot, suffix = base.partition(".")
        if content is None or not (stem and dot):
            continue
        if member.size > LARGEST:
            raise UserError(f"{member.name} has {member.size:,} bytes, which is no image: delete it from its shard")
        if f"{at}/{stem}" != key and files:
            yield key.lstrip("/"), files
            files = {}
        if (suffix := suffix.lower()) in files:
            raise UserError(f"{member.name} is there twice: give each sample of its shard a name of its own")
        key, files[suffix] = f"{at}/{stem}", content.read()
    if files:
        yield key.lstrip("/"), files


def label(shard: str, key: str, files: Mapping[str, bytes], names: Sequence[str]) -> int:
    """Return a sample's class by its number or its name."""
    number, told = next(_ending(files, CLASSES), None), None
    if number is not None:
        told = number.decode(errors="replace").strip()
    elif "json" in files:
        told = in_json(files["json"])
    if told is None:
        raise UserError(f'{shard}: {key} has no label: add {key}.cls, or {key}.json with "label"')
    if str(told) in names:
        return names.index(str(told))
    if not re.fullmatch(r"0*\d{1,9}", str(told)) or (names and int(told) >= len(names)):
        known = f"to {len(names) - 1}, or one of dataset.names" if names else "of at most 9 digits"
        raise UserError(f"{shard}: the label of {key} is {str(told)[:40]!r}: it must be a number from 0 {known}")
    return int(told)


def in_json(content: bytes) -> Any:
    """Return the label that a json file holds, alone or under its name; None where it is no such file."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return next((told[key] for key in LABELS if key in told), None) if isinstance(told, dict) else told


def picture(shard: str, key: str, files: Mapping[str, bytes], side: int) -> NDArray[np.uint8]:
    """Return a sample's image, (3, side, side)."""
    found = [*_ending(files, KINDS)]
    if len(found) != 1:
        raise UserError(f"{shard}: {key} has {len(found)} images: each sample has one, such as {key}.jpg")
    return square(BytesIO(found[0]), side, side, f"{key} in {shard}")


def _ending(files: Mapping[str, bytes], suffixes: Collection[str]) -> Iterator[bytes]:
    """Yield the files of these kinds, or else those that end so behind another dot, as in 1.input.jpg."""
    exact = [content for suffix, content in files.items() if suffix in suffixes]
    yield from exact or (content for suffix, content in files.items() if suffix.rpartition(".")[2] in suffixes)


def fsspec(url: str) -> ModuleType:
    """Return the package that opens URLs, if it is there."""
    try:
        import fsspec
    except ImportError as error:
        raise UserError(f"{url} is a URL: pip install fsspec, or name files of this machine") from error
    return fsspec
