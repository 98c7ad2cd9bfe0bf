"""The cycle: learn, measure, query, ask, write down. A run that was stopped goes on after its last finished cycle."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from alsuite import ranks
from alsuite.budget import Budget
from alsuite.contract import Promise
from alsuite.errors import UserError, in_cycle
from alsuite.journal import Journal
from alsuite.metrics import counted, measured, metrics
from alsuite.notes import DIAGNOSIS_SECONDS
from alsuite.oracle import Oracle
from alsuite.pool import Images, Pool, gather
from alsuite.question import Question, ask, doubted, kept, remember, replay, unsure
from alsuite.recorded import SYNTHETIC, Record
from alsuite.strategies import Query, Strategy, makes_images
from alsuite.tasks import Task
from alsuite.tasks.segmentation import coloured, mask_pictures, of_pixels
from alsuite.training.clock import timed

__all__ = ["Run", "seed_all"]

Pictures = dict[str, np.ndarray]
ENDED = {"queried": None}  # of the last cycle's record
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

        What the journal holds is not done again, nor is a query that somebody was asked made again: a run that was
        stopped goes on as if it never had been.
        """
        replay(self.pool, self.journal, self.oracle)
        if not self.journal.records:
            self._begin()
        while not self.journal.finished:
            with in_cycle(len(self.journal.records)):
                question = self._open_question() or self._cycle()
                while (answered := self._answered(question)) is None:
                    question = self._anew(question)
                record, query, images = answered
            self.journal.append(record, images)
            self.report(record, query)

    def _begin(self) -> None:
        """Label what the run starts from, or what it was to start from when a person was asked."""
        record = self.journal.asked
        if record is None:
            record = {"cycle": 0, "initial": {"indices": self.initial.tolist()}, "queried": None}
            self._write_down(record)
        initial = record["initial"]
        if "labels" in initial:
            remember(self.pool, initial, self.oracle)
            return
        ask(self.pool, self.oracle, torch.tensor(initial["indices"], device=self.pool.device))

    def _open_question(self) -> Question | None:
        """Return what was asked at an earlier start and is not recorded yet, with its synthetic images in the pool."""
        record = self.journal.asked
        if record is None or not record["queried"]:
            return None
        question = Question.of(record, self.journal.asked_arrays())
        self.pool.leave_out(torch.tensor(record["queried"].get("unsure", []), dtype=torch.int64))
        for images in question.synthetic.values():
            self.pool.extend(torch.from_numpy(images))
        return question

    def _cycle(self) -> Question:
        """Learn, measure and query; the last cycle asks nothing."""
        pool, labelled, cycle = self.pool, self.pool.labelled, len(self.journal.records)
        seed_all(self.seed, cycle)
        task, fit_seconds = timed(lambda: self.task_model().learn(pool), pool.device)
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
            initial = {"indices": labelled.tolist(), **kept(gather(pool.labels, labelled))}
            record["initial"] = {**initial, **unsure(pool.left_out)}
        n = self._next()
        return self._query(task, n, record) if n else Question(record)

    def _anew(self, question: Question) -> Question:
        """Query again, by a task that learns anew, since nobody could label a single image of what was asked."""
        record, cycle = question.record, question.record["cycle"]
        if question.synthetic:
            raise UserError("nobody is sure of a single image that was made: label one at least, then start again")
        passed = [*record["queried"].get("unsure", []), *record["queried"]["indices"]]
        seed_all(self.seed, cycle)
        task, n = self.task_model().learn(self.pool), self._next()
        return self._query(task, n, {**record, "queried": {"unsure": passed}}) if n else Question({**record, **ENDED})

    def _next(self) -> int:
        """Return how many are to be asked for, of what is left where some could not be labelled and none are made."""
        n, endless = self.budget.next(len(self.pool.labelled)), makes_images(self.strategy)
        return min(n, len(self.pool.unlabelled)) if len(self.pool.left_out) and not endless else n

    def _query(self, task: Task, n: int, record: Record) -> Question:
        """Ask the strategy for n samples, hold it to what it promises, and put what is kept into the cycle's record."""
        pool, size = self.pool, len(self.pool)
        seed_all(self.seed, record["cycle"], part=1)
        promise = Promise(self.strategy, pool)
        reply, record["query_seconds"] = timed(lambda: self.strategy.query(pool, task, n), pool.device)
        query = ranks.told(lambda: promise.kept(reply, n))  # which a GPU may have rounded otherwise elsewhere
        record["query_seconds"] = round(record["query_seconds"] - query.notes.get(DIAGNOSIS_SECONDS, 0.0), 4)
        record[SYNTHETIC] = len(pool) - size
        doubt, predicted = doubted(pool, task, query.indices)
        record["queried"] = {
            **(record["queried"] or {}),
            "indices": query.indices.tolist(),
            "labels": None,
            "scores": None if query.scores is None else query.scores.tolist(),
            "entropy": doubt,
            "wrong": None,
            "notes": query.notes,
            **self._judged(query),
        }
        synthetic = {SYNTHETIC: pool.images[size:].cpu().numpy()} if len(pool) > size else {}
        question = Question(record, self._with_masks(query, task), predicted, synthetic)
        if not pool.known[query.indices].all():
            self._write_down(record, question.arrays)
        return question

    def _write_down(self, record: Record, arrays: Callable[[], Pictures] = dict) -> None:
        """Write down what is going to be asked, unless the oracle knows the answers and takes no time."""
        if not getattr(self.oracle, "knows", False):
            self.journal.ask(record, arrays())

    def _answered(self, question: Question) -> tuple[Record, Query | None, Pictures] | None:
        """Have a question answered, and return the record, the query, and what is kept of it in pictures.

        None means that nobody could label any of it.

        The labels join the pool only now that all has been measured.
        """
        record, query = question.record, question.query
        if query is None:
            return record, None, {}
        sure = ask(self.pool, self.oracle, query.indices)
        if not sure.any():
            return None
        indices, left = query.indices[sure], query.indices[~sure]
        labels, queried = gather(self.pool.labels, indices), record["queried"]
        if len(left):
            scores = None if query.scores is None else query.scores[sure.to(query.scores.device)]
            shown = query.indices[: len(query.images.get("original", ()))] if query.shown is None else query.shown
            query = replace(query, indices=indices, scores=scores, shown=shown)
            queried |= {"indices": indices.tolist(), "scores": None if scores is None else scores.tolist()}
        record["queried"] = {**queried, **kept(labels), "wrong": question.wrong(labels, sure), **unsure(left, queried)}
        return record, query, {**query.images, **self._shown(query), **question.synthetic}

    def _with_masks(self, query: Query, task: Task) -> Query:
        """Add to what a query shows what the task makes of the pixels of its first images, and where it is unsure."""
        if not self.pool.per_pixel:
            return query
        pictures = mask_pictures(self.pool, of_pixels(task), query.indices[:SHOWN])
        return replace(query, images={**query.images, **pictures})

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

    def _shown(self, query: Query) -> Pictures:
        """Return the oracle's answers as pictures, or as captions of originals that aren't the first asked for."""
        labels = self.pool.labels
        if self.pool.per_pixel:
            return {"label": coloured(gather(labels, query.indices[:SHOWN].cpu()), self.pool.classes)}
        if query.shown is None:
            return {}
        told = ["unsure" if label < 0 else str(label) for label in labels[query.shown].tolist()]
        return {"original_captions": np.array(told)}


def seed_all(seed: int, cycle: int, part: int = 0) -> None:
    """Put all generators in one state for each part of each cycle, so that no state needs to be saved.

    So a seed determines a run on a CPU, with as many threads, to the bit. On a GPU it determines the draws, but sums
    whose order isn't fixed there may differ in their last digits, and with them some picks.
    """
    random.seed(f"{seed} {cycle} {part}")
    state = random.getrandbits(32)
    np.random.seed(state)
    torch.manual_seed(state)
