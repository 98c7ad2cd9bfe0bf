"""The cycle: learn, measure, query, ask, write down. A run that was stopped goes on after its last finished cycle."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from alsuite.budget import Budget
from alsuite.contract import Promise
from alsuite.errors import UserError
from alsuite.journal import Journal, Record
from alsuite.metrics import counted, measured, metrics
from alsuite.notes import DIAGNOSIS_SECONDS
from alsuite.oracle import Oracle
from alsuite.pool import Images, Pool, gather
from alsuite.scores import entropy
from alsuite.strategies import Query, Strategy
from alsuite.tasks import Task
from alsuite.tasks.segmentation import masked, of_pixels
from alsuite.training.clock import clock

__all__ = ["Run", "seed_all"]

Result = TypeVar("Result")
Pictures = dict[str, np.ndarray]
SHOWN = 4  # of a query's images with a label per pixel


@dataclass(frozen=True)
class Run:
    """A strategy's run from its first labels to its last, or on from where its journal ends.

    pool: all images, none of them labelled yet
    tests: name -> images, targets; the first is the data set's own
    task_model: makes a task that has learned nothing, anew in each cycle
    strategy: chooses what is labelled next
    oracle: gives the labels
    budget: in counts
    initial: the indices of what every strategy starts from at this seed
    journal: gets each cycle, and says where to go on
    seed: with the number of the cycle, it decides all random draws
    report: is told of each cycle once it is written down

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from alsuite.data.digits import digits
    >>> from alsuite.nets.classifiers import linear
    >>> from alsuite.oracle import Ideal
    >>> from alsuite.strategies.random import Random
    >>> from alsuite.tasks.classification import Classification
    >>> data, journal = digits(), Journal(Path(mkdtemp()))
    >>> train, tests = data.train, {name: (split.images, split.targets) for name, split in data.tests.items()}
    >>> pool = Pool(train.images, len(data.classes), data.mean, data.std)
    >>> def task_model():
    ...     return Classification(linear, epochs=3)
    >>> budget, first, oracle = Budget(initial=20, query=10, end=40), torch.arange(20), Ideal(train.targets)
    >>> Run(pool, tests, task_model, Random(), oracle, budget, first, journal, seed=0).go()
    >>> [record["labelled"] for record in journal.records]
    [20, 30, 40]
    """

    pool: Pool
    tests: Mapping[str, tuple[Tensor, Tensor]]
    task_model: Callable[[], Task]
    strategy: Strategy
    oracle: Oracle
    budget: Budget
    initial: Tensor
    journal: Journal
    seed: int
    report: Callable[[Record, Query | None], None] = lambda record, query: None

    def go(self) -> None:
        """Run to the end of the budget: each cycle learns, measures, queries and asks, then is written down as a whole.

        What the journal holds already is not done again, so a run that was stopped goes on as if it never had been.
        """
        replay(self.pool, self.journal, self.oracle)
        if not self.journal.records:
            self.pool.label(self.initial, self.oracle(self.pool, self.initial))
        while not self.journal.finished:
            cycle = len(self.journal.records)
            with _named(cycle):
                record, query = self._cycle(cycle)
            self.journal.append(record, self._images(query, record))
            self.report(record, query)

    def _cycle(self, cycle: int) -> tuple[Record, Query | None]:
        """Return a cycle's record, and its query unless it is the last.

        The query's labels join the pool only after all has been measured.
        """
        pool, labelled = self.pool, self.pool.labelled
        seed_all(self.seed, cycle)
        task, fit_seconds = _timed(lambda: self.task_model().learn(pool), pool.device)
        record: Record = {
            "cycle": cycle,
            "labelled": len(labelled),
            "metrics": {name: self._measure(task, *test) for name, test in self.tests.items()},
            "fit_seconds": fit_seconds,
            "query_seconds": 0.0,
            "label_counts": counted(gather(pool.labels, labelled.to(pool.labels.device)), pool.classes).tolist(),
            "queried": None,
        }
        if cycle == 0:
            record["initial"] = {"indices": labelled.tolist(), **kept(gather(pool.labels, labelled))}
        n = self.budget.next(len(labelled))
        return (record, self._query(task, n, record)) if n else (record, None)

    def _query(self, task: Task, n: int, record: Record) -> Query:
        """Ask the strategy for n samples, hold it to what it promises, and have the oracle label them.

        Arguments:
            task: what has been trained in this cycle
            n: how many samples are wanted
            record: the cycle's, which gets what is to be kept of the query
        """
        pool, size = self.pool, len(self.pool)
        seed_all(self.seed, record["cycle"], part=1)
        promise = Promise(self.strategy, pool)
        reply, record["query_seconds"] = _timed(lambda: self.strategy.query(pool, task, n), pool.device)
        query = promise.kept(reply, n)
        record["query_seconds"] = round(record["query_seconds"] - query.notes.get(DIAGNOSIS_SECONDS, 0.0), 4)
        if not pool.known[query.indices].all():  # a strategy that synthesises labelled images never asks
            pool.label(query.indices, self.oracle(pool, query.indices))
        record["synthetic"] = len(pool) - size
        record["queried"] = {**self._told(query, task), **self._judged(query)}
        return self._with_masks(query, task)

    def _told(self, query: Query, task: Task) -> Record:
        """Return what the journal holds of a query."""
        labels = gather(self.pool.labels, query.indices)
        return {
            "indices": query.indices.tolist(),
            **kept(labels),
            "scores": None if query.scores is None else query.scores.tolist(),
            **self._doubted(task, query.indices, labels),
            "notes": query.notes,
        }

    def _doubted(self, task: Task, indices: Tensor, labels: Tensor) -> Record:
        """Return how unsure the task was of the samples, and how often it was wrong."""
        images = self.pool.rows(indices)
        if labels.ndim == 1:
            log_probs = task.log_probs(images)
            wrong = float((log_probs.argmax(1) != labels).float().mean())
            return {"entropy": float(entropy(log_probs).mean()), "wrong": wrong}
        doubt, right = task.scored(images, entropy).mean(), self._measure(task, images, labels)["accuracy"]
        return {"entropy": float(doubt), "wrong": 1 - right}

    def _with_masks(self, query: Query, task: Task) -> Query:
        """Add to what a query shows the labels per pixel of its first images, what the task made of them, and where it
        was unsure."""
        if self.pool.labels.ndim == 1:
            return query
        return replace(query, images={**query.images, **masked(self.pool, of_pixels(task), query.indices[:SHOWN])})

    def _judged(self, query: Query) -> Record:
        """Return the labels that an oracle sees in the images that the samples stand for, if it can."""
        if query.generated is None:
            return {}
        labels = self.oracle.judge(self.pool, query.generated)
        return {} if labels is None else {"generated_labels": labels.tolist()}

    def _measure(self, task: Task, images: Images, targets: Tensor) -> Record:
        """Return what the task is worth on a test set: by images, or by pixels where these have labels."""
        if targets.ndim > 1:
            return measured(of_pixels(task).confusion(images, targets).cpu(), pixels=True)
        return metrics(task.log_probs(images).argmax(1).cpu(), targets, self.pool.classes)

    def _images(self, query: Query | None, record: Record) -> Pictures:
        """Return what is kept in pictures of a cycle: what the query shows, and the synthetic images that it added."""
        grown = record.get("synthetic", 0)
        synthetic = {"synthetic": self.pool.images[-grown:].cpu().numpy()} if grown else {}
        return {**query.images, **self._answered(query), **synthetic} if query else {}

    def _answered(self, query: Query) -> Pictures:
        """Return the oracle's answers as captions of the originals, where these are not the first asked for."""
        if query.shown is None:
            return {}
        return {"original_captions": np.array([str(label) for label in self.pool.labels[query.shown].tolist()])}


def kept(labels: Tensor) -> Record:
    """Return what the journal keeps of an oracle's answers: masks are asked for again when a run goes on."""
    return {"labels": labels.tolist() if labels.ndim == 1 else None}


def replay(pool: Pool, journal: Journal, oracle: Oracle) -> None:
    """Give the pool back the labels and the synthetic images that the journal remembers."""
    for record in journal.records:
        if record.get("synthetic"):
            pool.extend(torch.from_numpy(journal.images(record["cycle"])["synthetic"]))
        for answers in (record.get("initial"), record["queried"]):
            if answers:
                indices, labels = torch.tensor(answers["indices"]), answers["labels"]
                pool.label(indices, oracle(pool, indices) if labels is None else torch.tensor(labels))


def seed_all(seed: int, cycle: int, part: int = 0) -> None:
    """Put all generators in one state for each part of each cycle, so that no state needs to be saved.

    So a seed determines a run on a CPU, with as many threads, to the bit. On a GPU it determines the draws, but sums
    whose order isn't fixed there may differ in their last digits, and with them some picks.
    """
    random.seed(f"{seed} {cycle} {part}")
    state = random.getrandbits(32)
    np.random.seed(state)
    torch.manual_seed(state)


def _timed(work: Callable[[], Result], device: torch.device) -> tuple[Result, float]:
    """Return what the work gives, and its seconds, those of a GPU that still computes among them."""
    start = clock(device)
    done = work()
    return done, round(clock(device) - start, 4)


@contextmanager
def _named(cycle: int) -> Iterator[None]:
    """Say in which cycle something went wrong."""
    try:
        yield
    except UserError as error:
        error.args = (f"cycle {cycle}: {error}",)
        raise
