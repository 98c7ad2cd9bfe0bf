"""Images in a file that memory cannot hold: which rows are read together, in what order, and ahead of their use.

A scan reads rows in the order of the file. Training reads an epoch in blocks of rows that lie together, the blocks in
random order, and shuffles within a window of many blocks; what fits into one window is shuffled as a whole. In both a
thread reads what comes next while what came before is computed on; a GPU gets its copies from pinned memory.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import cycle, pairwise, starmap
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from alsuite import ranks
from alsuite.errors import UserError, one_of
from alsuite.limits import memory
from alsuite.pool import Images, Rows

__all__ = ["SHUFFLES", "Mapped", "filled", "in_windows", "large", "parts", "pieces", "places", "windows"]

SHUFFLES = ("auto", "full", "blocks")
SHARE = 0.5  # of the memory, from which on images are read from their file instead of being mapped
BLOCK = 2**19  # bytes that training reads together, and that a thread reads at a time
WINDOW = 2**28  # bytes that training shuffles together
AHEAD = 2**25  # bytes that a scan reads ahead
GAP = 2**17  # bytes between two rows up to which they are read along
THREADS = 4


class Mapped:
    """The (N, C, H, W) uint8 images of an array file, of which only those asked for are read into memory.

    It is as much of a tensor as it takes to gather rows, and never takes a page of the file into its own memory.

    file: the array, mapped; its pages are not touched
    most: bytes up to which a choice of rows is read into memory at once
    places: which rows of the file there are, in order; by default all
    """

    dtype, device = torch.uint8, torch.device("cpu")

    def __init__(self, file: np.memmap, most: float, places: Tensor | None = None) -> None:
        if not hasattr(os, "preadv"):
            raise UserError("Windows cannot read images a part at a time: take dataset.shuffle=full")
        self.file, self.most = file, most
        self.places = torch.arange(len(file)) if places is None else places
        self.shape = torch.Size((len(self.places), *file.shape[1:]))
        self.row = self.shape[1:].numel()
        self.descriptor = os.open(Path(str(file.filename)), os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def nbytes(self) -> int:
        """Return the bytes of all rows, by which it is told whether they fit into memory."""
        return self.shape.numel()

    def __getitem__(self, chosen: Tensor | slice | int) -> Any:
        """Read the rows of a slice, of a tensor of places or truth values, or one; [:] is this itself."""
        if isinstance(chosen, slice) and chosen == slice(None):
            return self
        rows = places(len(self), chosen.cpu() if isinstance(chosen, Tensor) else chosen)
        return self.index_select(0, rows.flatten()).reshape(*rows.shape, *self.shape[1:])

    def at(self, chosen: Tensor) -> Tensor | Mapped:
        """Return the rows of these places, read if they fit into memory."""
        some = Mapped(self.file, self.most, self.places[chosen])
        return some if some.nbytes > self.most else some.index_select(0, torch.arange(len(some)))

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Read the rows of these places, in their order; `dim` is 0, as in a tensor's method of this name."""
        return self.served(index.cpu())

    def to(self, device: torch.device) -> Tensor | Mapped:
        """Return all rows on a GPU; on a CPU they stay in their file."""
        if device.type == "cpu":
            return self
        return filled(torch.empty(self.shape, dtype=torch.uint8, device=device), parts(cast(Tensor, self), 1024))

    def room(self, chosen: Sequence[Tensor]) -> Tensor | None:
        """Return memory for the rows of any of these parts; none for a GPU, whose copies may still be on their way."""
        most = max(map(len, chosen))
        return None if chosen[0].is_cuda else torch.empty((most, *self.shape[1:]), dtype=torch.uint8)

    def served(self, index: Tensor, room: Tensor | None = None) -> Tensor:
        """Read the rows of these places, into a room or onto the device of the index, where they may arrive later."""
        rows, order = self.places[index.cpu()].sort()
        if room is None:
            room = torch.empty((len(rows), *self.shape[1:]), dtype=torch.uint8, pin_memory=index.is_cuda)
        found = self._read(rows, room[: len(rows)]).to(index.device, non_blocking=True)
        in_order = bool((order.diff() == 1).all())
        return found if in_order else torch.empty_like(found).index_copy_(0, order.to(index.device), found)

    def _read(self, rows: Tensor, found: Tensor) -> Tensor:
        """Read sorted rows of the file into as many of a tensor, in threads where they are many."""
        places, into = rows.numpy(), found.numpy()
        runs = [(places[first:last], into[first:last]) for first, last in pairwise(self._cuts(places))]
        if len(rows) * self.row <= BLOCK:
            list(starmap(self._read_run, runs))
            return found
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(self._read_run, *zip(*runs, strict=True)))
        return found

    def _cuts(self, rows: np.ndarray) -> list[int]:
        """Return where runs of rows begin that are read at once, and where the last one ends."""
        each = max(1, BLOCK // self.row)
        far = np.flatnonzero(np.diff(rows) > 1 + GAP // self.row) + 1
        return sorted({*range(0, len(rows), each), *far.tolist(), len(rows)})

    def _read_run(self, rows: np.ndarray, into: np.ndarray) -> None:
        """Read rows that lie near one another, with what lies between them."""
        first, last = int(rows[0]), int(rows[-1]) + 1
        whole = into if (np.diff(rows) == 1).all() else np.empty((last - first, *into.shape[1:]), np.uint8)
        done, start = 0, self.file.offset + first * self.row
        view = memoryview(whole.reshape(-1))  # pyright: ignore[reportArgumentType]
        while done < whole.nbytes:
            count = os.preadv(self.descriptor, [view[done:]], start + done)
            if not count:
                raise UserError(f"{self.file.filename} has become shorter: delete its folder and start again")
            done += count
        if whole is not into:
            np.take(whole, rows - first, axis=0, out=into)


def places(n: int, chosen: Tensor | slice | int) -> Tensor:
    """Return which of n places a slice chooses, a tensor of places or truth values, or a number."""
    if isinstance(chosen, slice):
        return torch.arange(*chosen.indices(n))  # all of them would be slow to make for each of many slices
    return torch.arange(n, device=chosen.device if isinstance(chosen, Tensor) else None)[chosen]


def large(images: np.ndarray, shuffle: str = "auto") -> Mapped | None:
    """Return the images of a file that are to stay there: those that would fill half of the memory, or with "blocks".

    What counts is the memory that the machine or its container has, not what is free at the moment: else the runs of
    one sweep would shuffle in different ways, and so would a run that goes on after it was stopped.
    """
    one_of("dataset.shuffle", shuffle, SHUFFLES)
    if not (isinstance(images, np.memmap) and images.flags.c_contiguous and images.dtype == np.uint8):
        return None
    most = 0.0 if shuffle == "blocks" else SHARE * memory()
    return Mapped(images, most) if shuffle != "full" and images.nbytes > most else None


def parts(images: Images, size: int, starts: range | None = None) -> Iterator[Tensor]:
    """Yield images in their order, `size` at a time; those in a file are read ahead.

    starts: where parts begin, which follow one another; by default those of all images
    """
    starts = range(0, len(images), size) if starts is None else starts
    held: Images | Mapped = images.images if isinstance(images, Rows) and images.read is None else images
    if not isinstance(held, Mapped):
        yield from (images[first : first + size] for first in starts)
        return
    indices = (images.indices if isinstance(images, Rows) else torch.arange(len(images)))[starts.start : starts.stop]
    with closing(ahead(held, indices.split(size * max(1, AHEAD // (size * held.row))))) as read:
        for part in read:
            yield from part.split(size)


def filled(whole: Tensor, some: Iterable[Tensor]) -> Tensor:
    """Write parts into a tensor, one after the other, and return it, so that memory never holds all of them twice."""
    first = 0
    for part in some:
        whole[first : first + len(part)] = part
        first += len(part)
    return whole


def in_windows(images: Tensor | Mapped, n: int) -> bool:
    """Tell whether n of the images are too many to be shuffled as a whole."""
    return isinstance(images, Mapped) and n * images.row > WINDOW


def windows(images: Mapped, indices: Tensor, multiple: int) -> Iterator[tuple[Tensor, Rows]]:
    """Yield an epoch in windows of shuffled indices and their images, each but the last a multiple of so many.

    The order follows from one number, drawn from torch's generator, whenever a window is read.
    """
    generator = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=ranks.order())))
    each, rows = max(1, BLOCK // images.row), indices.sort().values
    blocks = torch.randperm(-(-len(rows) // each), generator=generator)
    order = (blocks[:, None] * each + torch.arange(each)).flatten()
    order = rows[order[order < len(rows)].to(rows.device)]
    size = multiple * max(1, WINDOW // (multiple * images.row))
    chosen = [part.sort().values for part in pieces(order, size)]
    with closing(ahead(images, chosen)) as read:
        for part in chosen:
            mixed = torch.randperm(len(part), generator=generator).to(part.device)
            yield part[mixed], Rows(next(read), mixed)


def pieces(tensor: Tensor, size: int) -> list[Tensor]:
    """Split a tensor into pieces of `size` rows; a last single row joins the piece before."""
    split = list(tensor.split(size))
    if len(split) < 2 or len(split[-1]) > 1 or size == 1:
        return split
    return [*split[:-2], tensor[len(tensor) - size - 1 :]]


def ahead(images: Mapped, chosen: Sequence[Tensor]) -> Generator[Tensor]:
    """Yield the rows of one part after the other, while a thread reads the next; each holds until the next is taken."""
    threads, rooms = ThreadPoolExecutor(1), cycle([images.room(chosen) for _ in range(2)])
    try:
        coming = threads.submit(images.served, chosen[0], next(rooms))
        for part in chosen[1:]:
            read, coming = coming.result(), threads.submit(images.served, part, next(rooms))
            yield read
        yield coming.result()
    finally:
        threads.shutdown(cancel_futures=True)
