"""A rehearsal does a little of all long work, and counts the seconds that the rest would take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

import torch
from torch import Tensor

from alsuite import progress

__all__ = ["Rehearsal", "few", "filled", "lasting", "rehearsing", "under_way"]

Item = TypeVar("Item")
LEAST, MOST = 0.2, 2.0  # seconds of one kind of work that tell how long it takes


class Rehearsal:
    """A clock on which the work that was left out has been done.

    limit: the true seconds after which a single step of each kind of work must tell enough
    skipped: the seconds of the work that was left out
    lasting: the seconds, of all, for what later cycles need not do again
    within: whether what happens now is such work
    """

    def __init__(self, limit: float = math.inf) -> None:
        self.deadline = perf_counter() + limit
        self.skipped = 0.0
        self.lasting = 0.0
        self.within = False

    def now(self) -> float:
        """Return the seconds on this clock, after all that was asked of a GPU is done."""
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        return perf_counter() + self.skipped

    @property
    def late(self) -> bool:
        """Tell whether the limit has passed."""
        return perf_counter() > self.deadline


current: Rehearsal | None = None


def under_way() -> bool:
    """Tell whether what is computed now is made up in part, and must not be kept."""
    return current is not None


@contextmanager
def rehearsing(limit: float = math.inf) -> Iterator[Rehearsal]:
    """Let long work within the block end early, and say nothing."""
    global current
    current = Rehearsal(limit)
    try:
        with progress.displayed(progress.SILENCE):
            yield current
    finally:
        current = None


@contextmanager
def lasting() -> Iterator[None]:
    """Count what happens within the block as done once in a run, not in every cycle; blocks inside it count with it."""
    rehearsal = current
    if rehearsal is None or rehearsal.within:
        yield
        return
    start, rehearsal.within = rehearsal.now(), True
    try:
        yield
    finally:
        rehearsal.lasting += rehearsal.now() - start
        rehearsal.within = False


def few(items: Iterable[Item], total: int) -> Iterable[Item]:
    """All items, or in a rehearsal the first ones, until they tell how long the total would take."""
    return items if current is None else _few(items, total, current)


def _few(items: Iterable[Item], total: int, rehearsal: Rehearsal) -> Iterator[Item]:
    """Pass items on until they tell the time of one, and count the seconds that the rest would take as skipped.

    The first item is left out of the mean where there are others, as it pays for what is set up.
    """
    start = warm = rehearsal.now()
    for done, item in enumerate(items, start=1):
        yield item
        now = rehearsal.now()
        if done == 1:
            warm = now
        if rehearsal.late or _enough(done, now - start):
            break
    else:
        return
    each = now - start if done == 1 else (now - warm) / (done - 1)
    rehearsal.skipped += max(0, total - done) * each


def _enough(done: int, seconds: float) -> bool:
    """Tell whether so many items in so many seconds tell how long one takes."""
    return seconds > (MOST / 2 if done == 1 else MOST) or (done > 3 and seconds > LEAST)


def filled(whole: Tensor, done: int) -> None:
    """Fill what a rehearsal has left out of a table with copies of the rows that it has done."""
    for first in range(done, len(whole), max(1, done)) if under_way() else ():
        whole[first : first + done] = whole[: min(done, len(whole) - first)]
