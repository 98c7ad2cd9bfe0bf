"""About how long a run takes, from a rehearsal of two of its cycles.

The rehearsal trains and queries for real, but with labels drawn at random and with its loops cut short, whose length is
then reckoned up. The first cycle and the last but one are rehearsed; those between lie on the line through them.
"""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import NamedTuple, TypeVar

import torch

from alsuite.budget import Budget
from alsuite.command.machine import generators_left
from alsuite.pool import Images, Pool
from alsuite.scores import least_confidence
from alsuite.strategies import Strategy
from alsuite.tasks import Task
from alsuite.training.rehearsal import Rehearsal, rehearsing

__all__ = ["estimate"]

LIMIT = 12.0  # seconds, after which a rehearsal hurries
PATIENCE = 60.0  # seconds, after which it is given up

Result = TypeVar("Result")


class Cycle(NamedTuple):
    """The seconds that a rehearsed cycle took.

    labelled: how many labels it trained on
    learn: for training and measuring
    query: for the strategy's choice
    lasting: for what is prepared once, and what later cycles need not do again
    """

    labelled: int
    learn: float
    query: float
    lasting: float


def estimate(
    pool: Pool,
    task_model: Callable[[], Task],
    strategy: Strategy,
    budget: Budget,
    tests: Iterable[Images] = (),
    done: int = 0,
) -> float | None:
    """Return about how many seconds a run takes, or what is left of it; None where that cannot be told.

    Nothing is left behind: neither a file nor a changed pool, strategy or state of a generator of random numbers.
    It never fails: whatever goes wrong, or lasts longer than a minute, ends the rehearsal, and what is known by then
        counts.

    Arguments:
        pool: the images; its labels are not looked at
        task_model: makes a task that has learned nothing
        strategy: it is copied, so that it learns nothing from the rehearsal
        budget: in counts
        tests: the images of each test set
        done: cycles that need not be done any more
    """
    counts = [*range(int(budget.initial), int(budget.end), int(budget.query)), int(budget.end)]
    cycles: list[Cycle] = []
    with unnoticed(), rehearsing(LIMIT) as rehearsal, suppress(Exception), ended_after(PATIENCE):
        stage = Stage(pool.emptied(), task_model, deepcopy(strategy), [*tests], rehearsal)
        for count in dict.fromkeys((counts[0], counts[max(0, len(counts) - 2)])):
            if not (cycles and rehearsal.late):
                cycles.append(stage.cycle(count, budget.next(count)))
    return _sum(cycles, counts, done) if cycles else None


class Stage(NamedTuple):
    """What a rehearsal plays with: a pool without labels, a copied strategy, and its clock."""

    pool: Pool
    task_model: Callable[[], Task]
    strategy: Strategy
    tests: Sequence[Images]
    rehearsal: Rehearsal

    def cycle(self, labelled: int, n: int) -> Cycle:
        """Rehearse a cycle with so many labels that queries n more, and return its seconds."""
        label_at_random(self.pool, labelled - len(self.pool.labelled))
        before = self.rehearsal.lasting
        task, learn = self._timed(self._learnt)
        _, query = self._timed(lambda: self.strategy.query(self.pool, task, n) if n else None)
        return Cycle(labelled, learn, query, self.rehearsal.lasting - before)

    def _learnt(self) -> Task:
        """Return a task that has learned, and has been measured on each test set."""
        task = self.task_model().learn(self.pool)
        for images in self.tests:
            task.scored(images, least_confidence)
        return task

    def _timed(self, work: Callable[[], Result]) -> tuple[Result, float]:
        """Return what the work gives, and its seconds without those for what lasts."""
        start, lasting = self.rehearsal.now(), self.rehearsal.lasting
        result = work()
        return result, self.rehearsal.now() - start - (self.rehearsal.lasting - lasting)


def label_at_random(pool: Pool, n: int) -> None:
    """Label n more images with classes in turn; a rehearsal asks no oracle, and times alone depend on it."""
    among = pool.unlabelled
    chosen = among[torch.randperm(len(among))[:n].to(among.device)]
    labels = (torch.arange(len(chosen)) % pool.classes).to(pool.labels.dtype)
    pool.label(chosen, labels.view(-1, *[1] * (pool.labels.ndim - 1)).expand(-1, *pool.labels.shape[1:]))


def _sum(cycles: Sequence[Cycle], counts: Sequence[int], done: int) -> float:
    """Return the seconds of all cycles from `done` on, on a line between two.

    Where only one cycle was rehearsed, training is taken to grow in proportion to the labels, and a query not at all.

    Arguments:
        cycles: those rehearsed, one or two
        counts: the labels of each cycle of the run
        done: how many cycles, from the first, are left out
    """
    first, last = cycles[0], cycles[-1]
    learn, query = first.learn / first.labelled, 0.0
    if last.labelled > first.labelled:
        learn, query = ((b - a) / (last.labelled - first.labelled) for a, b in zip(first[1:3], last[1:3], strict=True))
    learning = sum(max(0.0, first.learn + learn * (count - first.labelled)) for count in counts[done:])
    querying = sum(max(0.0, first.query + query * (count - first.labelled)) for count in counts[done:-1])
    return max(cycle.lasting for cycle in cycles) + learning + querying


@contextmanager
def unnoticed() -> Iterator[None]:
    """Leave all generators of random numbers as they are, and warn of nothing."""
    with generators_left(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block when the time is over.

    It takes an alarm signal, which only the main thread of a process can receive and Windows has not; elsewhere the
    block lasts as long as it does.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _late(*_: object) -> None:
    raise TimeoutError
