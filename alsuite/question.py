"""A query between being asked and being answered, with all that the answers will be compared with.

Whoever answers may take days, and much may change meanwhile: code, versions, the machine. So nothing that was trained
is needed once the answers are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from alsuite import ranks
from alsuite.errors import AwaitingLabels, UserError
from alsuite.journal import Journal
from alsuite.oracle import Oracle
from alsuite.pool import VOID, Pool
from alsuite.recorded import PREDICTED, SHOWN, SYNTHETIC, Record
from alsuite.scores import entropy
from alsuite.strategies import Query
from alsuite.tasks import Task
from alsuite.tasks.segmentation import of_pixels

__all__ = ["Question", "ask", "doubted", "kept", "remember", "replay", "unsure"]


@dataclass(frozen=True)
class Question:
    """A cycle's record as far as it is known before the oracle answers.

    record: its `queried` has no labels yet; None in the last cycle
    query: what is asked; None in the last cycle
    predicted: (n,) classes, or (n, H, W) of pixels, that the task takes the samples for
    synthetic: images that joined the pool for the query
    """

    record: Record
    query: Query | None = None
    predicted: Tensor = field(default_factory=lambda: torch.empty(0))
    synthetic: Mapping[str, np.ndarray] = field(default_factory=dict)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what is kept of it beside its record."""
        assert self.query is not None
        shown = {} if self.query.shown is None else {SHOWN: self.query.shown.cpu().numpy()}
        return {**self.query.images, **self.synthetic, PREDICTED: self.predicted.cpu().numpy(), **shown}

    @classmethod
    def of(cls, record: Record, arrays: Mapping[str, np.ndarray]) -> Question:
        """Return the question of which a journal holds the record and the arrays."""
        queried = record["queried"]
        images = {name: array for name, array in arrays.items() if name not in (PREDICTED, SHOWN, SYNTHETIC)}
        scores = None if queried["scores"] is None else torch.tensor(queried["scores"], dtype=torch.float64)
        shown = torch.from_numpy(arrays[SHOWN]) if SHOWN in arrays else None
        query = Query(torch.tensor(queried["indices"]), scores, queried["notes"], images, shown=shown)
        synthetic = {SYNTHETIC: arrays[SYNTHETIC]} if SYNTHETIC in arrays else {}
        return cls(record, query, torch.from_numpy(arrays[PREDICTED]), synthetic)

    def wrong(self, labels: Tensor, sure: Tensor) -> float | None:
        """Return how often the task was wrong about the samples, or their pixels, whose (n, ...) labels are known."""
        if not len(labels):
            return None
        predicted = self.predicted.to(labels.device)[sure.to(labels.device)]
        if labels.ndim == 1:
            return float((predicted != labels).float().mean())
        counted = labels != VOID
        return float((predicted != labels)[counted].double().mean()) if counted.any() else None


def kept(labels: Tensor) -> Record:
    """Return what the journal keeps of an oracle's answers: masks are asked for again when a run goes on."""
    return {"labels": labels.tolist() if labels.ndim == 1 else None}


def unsure(indices: Tensor, before: Record | None = None) -> Record:
    """Return what the journal keeps of samples that nobody could label, where there are any.

    Arguments:
        indices: of these samples
        before: what is kept of an earlier query of the cycle, of which none could be labelled
    """
    told = [*(before or {}).get("unsure", []), *indices.tolist()]
    return {"unsure": told} if told else {}


def ask(pool: Pool, oracle: Oracle, indices: Tensor) -> Tensor:
    """Have the oracle label samples, and return (n,) which it could; the others are never asked for again.

    A strategy that synthesises labelled images never asks.
    """
    if pool.known[indices].all():
        return torch.ones_like(indices, dtype=torch.bool)
    labels = oracle(pool, indices)
    told = labels >= 0 if labels.ndim == 1 else torch.ones(len(labels), dtype=torch.bool)
    sure = told.to(indices.device)
    pool.label(indices[sure], labels[told])
    pool.leave_out(indices[~sure])
    return sure


def doubted(pool: Pool, task: Task, indices: Tensor) -> tuple[float, Tensor]:
    """Return how unsure a task is of samples, and what it takes them, or their pixels, for."""
    images = pool.rows(indices)
    if not pool.per_pixel:
        log_probs = task.log_probs(images)
        return float(entropy(log_probs).mean()), log_probs.argmax(1)
    return float(task.scored(images, entropy).mean()), of_pixels(task).predicted(images).cpu()


def replay(pool: Pool, journal: Journal, oracle: Oracle) -> None:
    """Give the pool back the labels and the synthetic images that the journal remembers."""
    for record in journal.records:
        try:
            _replay(pool, journal, record, oracle)
        except (AwaitingLabels, ranks.Lost):
            raise
        except (UserError, OSError, ValueError, LookupError, TypeError, BadZipFile) as error:
            advice = "undo what was changed in this folder, or delete it to start afresh"
            raise UserError(f"{journal.folder}: cycle {record['cycle'] + 1} is damaged ({error}): {advice}") from None


def _replay(pool: Pool, journal: Journal, record: Record, oracle: Oracle) -> None:
    """Give the pool back what one cycle brought."""
    if record.get(SYNTHETIC):
        pool.extend(torch.from_numpy(journal.images(record["cycle"])[SYNTHETIC]))
    for answers in (record.get("initial"), record["queried"]):
        if answers:
            remember(pool, answers, oracle)


def remember(pool: Pool, answers: Record, oracle: Oracle) -> None:
    """Give the pool back the labels of one query; masks are asked for again."""
    indices, labels = torch.tensor(answers["indices"], dtype=torch.int64), answers["labels"]
    pool.label(indices, oracle(pool, indices) if labels is None else torch.tensor(labels, dtype=torch.int64))
    pool.leave_out(torch.tensor(answers.get("unsure", []), dtype=torch.int64))
