"""Several processes for one run, its ranks: all do the same, but for what is split between them.

Every rank goes through the whole run with the same seeds, so that all decide alike. A scan of images is split, and each
rank gets what the others have found, in order. In a training each has its part of every batch; see
`alsuite.training.together`. The first rank alone keeps the journal, asks the oracle and shows something; `told` hands
on what it learns. In a process by itself nothing of this does anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Generator, Tensor
from torch import distributed as dist

from alsuite.errors import UserError, first_line

__all__ = [
    "Lost",
    "alike",
    "alone",
    "apart",
    "average",
    "count",
    "first",
    "first_ahead",
    "gathered",
    "least",
    "mean",
    "meeting",
    "order",
    "place",
    "send",
    "told",
    "training",
]

PATIENCE = timedelta(days=30)  # a person may take as long to answer the first rank
Result = TypeVar("Result")


class Lost(UserError):
    """Another rank doesn't answer any more; why, that one tells."""


@dataclass
class Ranks:
    """The place of this process among those of its run.

    rank: its number, from 0 on
    count: how many there are
    apart: whether each does something of its own at the moment, so that nothing can be split
    order: in a training draws what all ranks draw alike, such as the order of an epoch
    """

    rank: int
    count: int
    apart: bool = False
    order: Generator | None = None


current: Ranks | None = None


@contextmanager
def meeting(address: str, rank: int, count: int) -> Iterator[None]:
    """Be one of the ranks within the block.

    Arguments:
        address: where they meet, as torch.distributed has it: file://... or tcp://host:port
    """
    global current
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    with _reaching():
        dist.init_process_group(backend, init_method=address, rank=rank, world_size=count, timeout=PATIENCE)
    current = Ranks(rank, count)
    try:
        yield
        least(0)  # so that none leaves while another still reads what it has sent
    finally:
        current = None
    dist.destroy_process_group()


def count() -> int:
    """Return how many ranks there are."""
    return current.count if current else 1


def place() -> int:
    """Return the number of this rank, from 0 on."""
    return current.rank if current else 0


def order() -> Generator | None:
    """Return in a training what draws the same on all ranks, else None."""
    return current.order if current else None


def first() -> bool:
    """Tell whether this is the first rank."""
    return place() == 0


def alike() -> bool:
    """Tell whether there are other ranks, and all do the same at the moment."""
    return current is not None and not current.apart


@contextmanager
def alone() -> Iterator[None]:
    """Let this rank work within the block as if there were no other."""
    global current
    before, current = current, None
    try:
        yield
    finally:
        current = before


def told(work: Callable[[], Result]) -> Result:
    """Return on every rank what the work gives on the first, which alone does it."""
    ranks = current
    if ranks is None or ranks.apart:
        return work()
    with alone():
        found = [work() if ranks.rank == 0 else None]
    with _reaching():
        dist.broadcast_object_list(found, 0)
    return found[0]  # type: ignore[return-value]


@contextmanager
def first_ahead() -> Iterator[None]:
    """Let the first rank do alone what is in the block, such as fetching files, before the others do it."""
    if not first():
        least(0)
    yield
    if first():
        least(0)


@contextmanager
def apart() -> Iterator[int]:
    """Let each rank work by itself within the block, with random numbers of its own; then all draw alike again.

    Where none has drawn any, the numbers after the block are those that a process by itself would draw. The block gets
    a seed that all ranks know.
    """
    ranks = current
    if ranks is None or ranks.apart:
        yield 0
        return
    before = _generators()
    seed = int.from_bytes(hashlib.sha256(before[0].numpy().tobytes()).digest()[:6], "big")
    torch.manual_seed(seed + 1 + ranks.rank)
    start, ranks.apart = _generators(), True
    try:
        yield seed
    finally:
        ranks.apart = False
    now = _generators()
    unchanged = len(now) == len(start) and all(map(torch.equal, start, now))
    torch.set_rng_state(before[0])
    if len(before) > 1:
        torch.cuda.set_rng_state(before[1])
    if not least(int(unchanged)):
        torch.manual_seed(seed + 1 + ranks.count)


@contextmanager
def training() -> Iterator[None]:
    """Let each rank train within the block, on its part of batches whose order is that of all."""
    ranks = current
    with apart() as seed:
        if ranks is None:
            yield
            return
        ranks.order = Generator().manual_seed(seed)
        try:
            yield
        finally:
            ranks.order = None


def least(n: int) -> int:
    """Return the least of the numbers that the ranks have."""
    if current is None or current.apart:
        return n
    found = torch.tensor(n)
    with _reaching():
        dist.all_reduce(found, dist.ReduceOp.MIN)
    return int(found)


def send(tensor: Tensor, rank: int = 0) -> None:
    """Give all ranks the values that a tensor has on one of them."""
    with _reaching():
        dist.broadcast(tensor, rank)


def mean(tensor: Tensor) -> Tensor:
    """Return in a training the mean of what the ranks have, else the tensor itself."""
    return tensor if order() is None else average(tensor.clone(memory_format=torch.contiguous_format))


def average(tensor: Tensor) -> Tensor:
    """Give all ranks the mean of what they have in a contiguous tensor, and return it."""
    with _reaching():
        dist.all_reduce(tensor)
    return tensor.div_(count())


def gathered(tensor: Tensor) -> Tensor:
    """Return (ranks, ...) in a training: what each rank has."""
    found = [torch.empty_like(tensor) for _ in range(count())]
    with _reaching():
        dist.all_gather(found, tensor)
    return torch.stack(found)


def _generators() -> list[Tensor]:
    """Return the state of all generators of random numbers that are in use."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else [])]


@contextmanager
def _reaching() -> Iterator[None]:
    """Say in one line that another rank isn't there any more."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise Lost(f"another process of this run has ended ({first_line(error)})") from error
