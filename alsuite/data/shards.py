"""Data sets that come as WebDataset's tar shards, read once, a few at a time, into the arrays that all else is given.

A shard's files of one name are a sample: an image (jpg, png, webp, ...) and its label, as a cls file or in a json file.
Nothing is unpacked to the disk. Each shard that is read is written down, so that an import that was stopped goes on
after the last of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from glob import glob, has_magic
from itertools import islice
from pathlib import Path
from shutil import copyfile, copyfileobj, rmtree
from threading import Event
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from alsuite.data.checks import check_pixels
from alsuite.data.dataset import Dataset
from alsuite.data.store import lines, load, save_lines
from alsuite.data.tars import Sample, fsspec, label, picture, samples
from alsuite.errors import UserError
from alsuite.places import at_home, data_root
from alsuite.progress import watched
from alsuite.recorded import whole_lines

__all__ = ["expanded", "shards"]

CHUNK = 512  # images decoded at a time
AT_ONCE = 4  # shards
PART = 2**20  # bytes copied at a time
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")


def shards(
    train: str | Sequence[str],
    test: str | Sequence[str],
    side: int = 64,
    *,
    names: str | Path | None = None,
    classes: Sequence[int | str] | None = None,
    extra_tests: Mapping[str, Dataset] | None = None,
    shuffle: str = "auto",
    root: str | Path | None = None,
) -> Dataset:
    """Return the data set of tar shards.

    train, test: files, with ranges {000..146}, choices {a,b} or wildcards, or URLs that fsspec opens; one or a list
    side: pixels a side, to which the centre square of each image is scaled
    names: a file of the classes' names, a line each, in the order of their numbers; a label may then be a name, too

    All else means what it does in `alsuite.data.load`.
    """
    check_pixels("side", side)
    splits = {"train": expanded("train", train), "test": expanded("test", test)}
    if shared := sorted({*splits["train"]} & {*splits["test"]}):
        raise UserError(f"{shared[0]} is one of dataset.train and of dataset.test: name it in one of them")
    told = named(names)
    name = Path(splits["train"][0]).parent.name or "shards"
    source = f"shards/{name}-{version(splits, side, told)}"
    build = partial(imported, splits=splits, side=side, names=told)
    data = load(name, build, source=source, classes=classes, extra_tests=extra_tests, shuffle=shuffle, root=root)
    rmtree(data_root(root) / "raw" / source, ignore_errors=True)
    return data


def expanded(option: str, given: str | Sequence[str]) -> list[str]:
    """Return all shards that patterns name, in order; one that names none is refused."""
    found = [shard for pattern in ([given] if isinstance(given, str) else given) for shard in matching(pattern)]
    if lacking := [shard for shard in found if "://" not in shard and not Path(shard).is_file()]:
        raise UserError(f"dataset.{option}: {lacking[0]} is no file ({len(lacking)} of {len(found)} shards)")
    if not found:
        raise UserError(f'dataset.{option}={given} names no shard: give tar files, such as "train-{{000..146}}.tar"')
    return found


def matching(pattern: str) -> list[str]:
    """Return the files and URLs of a pattern: ranges and choices in their order, wildcards in that of the names."""
    if part := RANGE.search(pattern):
        first, last, choices = part.groups()
        if not choices and int(first) > int(last):
            raise UserError(f"{pattern} ends before it begins: write the lower number first")
        numbers = [] if choices else [f"{i:0{len(first)}}" for i in range(int(first), int(last) + 1)]
        ends = (pattern[: part.start()], pattern[part.end() :])
        return [shard for each in numbers or choices.split(",") for shard in matching(each.join(ends))]
    if not has_magic(pattern):
        return [pattern if "://" in pattern else str(at_home(pattern).absolute())]
    if "://" not in pattern:
        return sorted(glob(str(at_home(pattern).absolute())))
    files, path = fsspec(pattern).core.url_to_fs(pattern)
    return sorted(files.unstrip_protocol(each) for each in files.glob(path))


def named(names: str | Path | None) -> tuple[str, ...]:
    """Return the classes' names; none where no file tells them."""
    if names is None:
        return ()
    told = lines(at_home(str(names)))
    if told is None:
        raise UserError(f"dataset.names={names} is no file: write the names of the classes into one, a line each")
    return tuple(line.strip() for line in told if line.strip())


def version(splits: Mapping[str, Sequence[str]], side: int, names: Sequence[str]) -> str:
    """Return a hash of all that the arrays depend on: the shards, and of files their sizes and times."""
    stats = {shard: Path(shard).stat() for split in splits.values() for shard in split if "://" not in shard}
    files = {shard: (stat.st_size, stat.st_mtime_ns) for shard, stat in stats.items()}
    return hashlib.sha256(json.dumps([splits, side, names, files]).encode()).hexdigest()[:12]


def imported(folder: Path, raw: Path, *, splits: Mapping[str, Sequence[str]], side: int, names: Sequence[str]) -> None:
    """Write the arrays of all shards; they grow in `raw`, where an import that was stopped finds them."""
    labels = {split: grown(raw, split, some, side, names) for split, some in splits.items()}
    for split, found in labels.items():
        kept_in_both(raw / f"{split}_images.npy", folder / f"{split}_images.npy")
        np.save(folder / f"{split}_targets.npy", np.array(found, dtype=np.int64))
    if names:
        save_lines(folder / "classes.txt", names)


def kept_in_both(source: Path, target: Path) -> None:
    """Give a file a second name, so that it isn't lost if the folder is never whole; where there are none, copy it."""
    try:
        os.link(source, target)
    except OSError:
        copyfile(source, target)


def grown(raw: Path, split: str, some: Sequence[str], side: int, names: Sequence[str]) -> list[int]:
    """Let an array file grow by the images of the shards that it lacks, and return the labels of all."""
    path, record = raw / f"{split}_images.npy", raw / f"{split}.jsonl"
    lines = whole_lines(record) if record.is_file() else []
    done = [json.loads(line) for line in lines]
    labels = [label for each in done for label in each["labels"]]
    with path.open("r+b" if done else "w+b") as file, record.open("a") as journal:
        journal.truncate(sum(map(len, lines)))
        file.truncate(head(file, len(labels), side) + len(labels) * 3 * side * side)
        file.seek(0, os.SEEK_END)
        left = some[len(done) :]
        coming = each_read(left, partial(appended, side=side, names=names), raw)
        for shard, (part, found) in zip(watched(left, f"{split} shards", len(some), len(done)), coming, strict=True):
            with part.open("rb") as images:
                copyfileobj(images, file, PART)
            os.fsync(file.fileno())
            journal.write(json.dumps({"shard": shard, "labels": found}) + "\n")
            journal.flush()
            os.fsync(journal.fileno())
            part.unlink()
            labels += found
        head(file, len(labels), side)
    return labels


def each_read(
    some: Sequence[str], append: Callable[[BinaryIO, str, Event], list[int]], raw: Path
) -> Iterator[tuple[Path, list[int]]]:
    """Yield in order the file of each shard's images and their labels; those that come next are read meanwhile."""
    stop, reading = Event(), deque[Future[tuple[Path, list[int]]]]()

    def read(shard: str, part: Path) -> tuple[Path, list[int]]:
        with part.open("wb") as file:
            return part, append(file, shard, stop)

    with ThreadPoolExecutor(AT_ONCE) as readers:
        try:
            for place, shard in enumerate(some):
                reading.append(readers.submit(read, shard, raw / f"part_{place % (AT_ONCE + 1)}"))
                if len(reading) > AT_ONCE:
                    yield reading.popleft().result()
            while reading:
                yield reading.popleft().result()
        finally:
            stop.set()
            for future in reading:
                future.cancel()


def head(file: BinaryIO, n: int, side: int) -> int:
    """Write the head of an array file of n images, and return its bytes, which are the same for any n."""
    file.seek(0)
    shape = {"descr": "|u1", "fortran_order": False, "shape": (n, 3, side, side)}
    np.lib.format.write_array_header_1_0(file, shape)
    return file.tell()


def appended(file: BinaryIO, shard: str, stop: Event, side: int, names: Sequence[str]) -> list[int]:
    """Write the images of a shard to the end of a file, and return their labels; leave off once told to stop."""
    labels: list[int] = []
    waiting: list[Future[NDArray[np.uint8]]] = []
    with ThreadPoolExecutor() as threads:
        for some in chunks(samples(shard)):
            if stop.is_set():
                return []
            labels += [label(shard, *sample, names) for sample in some]
            coming = [threads.submit(picture, shard, *sample, side) for sample in some]
            write(file, waiting)
            waiting = coming  # decoded while the next ones are read
        write(file, waiting)
    if not labels:
        raise UserError(f"{shard} holds no image: leave it out, or replace it")
    return labels


def write(file: BinaryIO, images: Sequence[Future[NDArray[np.uint8]]]) -> None:
    for image in images:
        file.write(image.result().tobytes())


def chunks(found: Iterator[Sample]) -> Iterator[list[Sample]]:
    return iter(lambda: list(islice(found, CHUNK)), [])
