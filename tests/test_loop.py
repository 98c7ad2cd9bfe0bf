"""What a cycle writes down, and the random numbers that it draws."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Self

import pytest
import torch
from torch import Tensor

from alsuite.budget import Budget
from alsuite.data.digits import digits
from alsuite.journal import Journal
from alsuite.loop import Run, seed_all
from alsuite.notes import DIAGNOSIS_SECONDS
from alsuite.oracle import Ideal, ideal
from alsuite.pool import Pool
from alsuite.scores import entropy, least_confidence
from alsuite.strategies import Query
from alsuite.strategies.random import Random
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.tasks import Task
from alsuite.training import clock as timing
from helpers.pools import digit_pool
from helpers.runs import perform
from helpers.tasks import FixedTask


def test_a_query_is_told_with_its_entropy_and_with_what_the_task_took_it_for(tmp_path: Path) -> None:
    pool, targets = digit_pool(0)
    right = 3.0 * torch.nn.functional.one_hot(targets, 10) * (torch.arange(len(pool)) % 2)[:, None]
    log_probs = (0.1 * torch.randn(len(pool), 10) + 0.1 * right).log_softmax(-1)
    journal = Journal(tmp_path)
    journal.start({"config": {}})
    tests = {"digits": (pool.rows(torch.arange(50)), targets[:50])}
    strategy, initial = Uncertainty(least_confidence), torch.arange(20)
    sizes = Budget(20, 15, 35)
    Run(pool, tests, lambda: FixedTask(log_probs), strategy, Ideal(targets), sizes, initial, journal, 0).go()  # type: ignore[arg-type]
    journal.close()
    first, last = journal.records
    indices = torch.tensor(first["queried"]["indices"])
    assert first["queried"]["labels"] == targets[indices].tolist()
    assert first["queried"]["entropy"] == float(entropy(log_probs[indices]).mean())
    wrong = [int(log_probs[i].argmax()) != int(targets[i]) for i in indices.tolist()]
    assert first["queried"]["wrong"] == torch.tensor(wrong).float().mean().item()
    assert 0 < sum(wrong) < 15
    assert last["queried"] is None


class Showing:
    """Asks for the last of the pool, of whose time two seconds were a diagnosis, and shows every other one of them."""

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        indices = pool.unlabelled[-n:]
        images = {"original": pool.rows(indices[::2])[:].numpy()}
        return Query(indices, notes={DIAGNOSIS_SECONDS: 2.0}, images=images, shown=indices[::2])


def test_diagnosis_is_not_timed_and_what_is_shown_has_the_oracles_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = count(0.0, 5.0)  # five of them between two looks at the clock
    monkeypatch.setattr(timing, "clock", lambda device: next(seconds))
    pool, targets = digit_pool(0)
    journal, task = Journal(tmp_path), FixedTask(torch.zeros(len(pool), 10))
    journal.start({"config": {}})
    sizes, initial = Budget(20, 6, 26), torch.arange(20)
    Run(pool, {}, lambda: task, Showing(), Ideal(targets), sizes, initial, journal, 0).go()
    assert (journal.records[0]["fit_seconds"], journal.records[0]["query_seconds"]) == (5, 3)
    captions = journal.images(0)["original_captions"].tolist()
    assert captions == [str(int(label)) for label in targets[-6::2]]
    journal.close()


def test_runs_draw_other_numbers_for_each_seed_and_in_each_cycle(tmp_path: Path) -> None:
    """Also where they begin with the same labels."""
    drawn: list[float] = []

    class Learner(FixedTask):
        def learn(self, pool: Pool) -> Self:
            drawn.append(float(torch.rand(())))
            return self

    class Asker(Random):
        def query(self, pool: Pool, task: Task, n: int) -> Query:
            drawn.append(float(torch.rand(())))
            return super().query(pool, task, n)

    for seed in (0, 1):
        perform(
            {"config": {}},
            tmp_path / str(seed),
            dataset=replace(digits(), tests={}),
            seed=seed,
            task_model=lambda: Learner(torch.zeros(1437, 10)),
            initial=lambda targets, n, generator: torch.arange(n),
            budget=Budget(20, 15, 50),
            oracle=ideal,
            strategy=Asker(),
        )
    assert len({*drawn}) == len(drawn) == 10


class Confusing(FixedTask):
    """Takes each 9 for a 4, and some of the others for the next class."""

    def __init__(self, targets: Tensor) -> None:
        taken = (targets + (torch.arange(len(targets)) % 3 == 0)) % 10
        taken[targets == 9] = 4
        super().__init__(3.0 * torch.nn.functional.one_hot(taken, 10).float())


def test_a_cycle_tells_how_right_its_task_is_about_each_class(tmp_path: Path) -> None:
    pool, targets = digit_pool(0)
    journal, tested = Journal(tmp_path), torch.arange(300)
    journal.start({"config": {}})
    task, tests = Confusing(targets), {"digits": (pool.rows(tested), targets[:300])}
    Run(pool, tests, lambda: task, Random(), Ideal(targets), Budget(20, 5, 25), tested[:20], journal, 0).go()  # type: ignore[arg-type]
    journal.close()
    told, true, predicted = journal.records[0]["metrics"]["digits"], targets[:300], task.predicted[:300].argmax(1)
    hits, actual, claimed = (each.bincount(minlength=10) for each in (true[true == predicted], true, predicted))
    assert told["accuracy"] == pytest.approx(int(hits.sum()) / 300)
    assert told["per_class"] == pytest.approx((hits / actual).tolist())
    assert told["macro_f1"] == pytest.approx(float((2 * hits / (actual + claimed)).mean()))
    assert claimed[9] < actual[9]


def test_each_seed_cycle_and_part_has_random_numbers_of_its_own() -> None:
    def drawn(*key: int) -> float:
        seed_all(*key)
        return float(torch.rand(()))

    keys = [(seed, cycle, part) for seed in range(3) for cycle in (-1, 0, 1) for part in (0, 1)]
    assert len({drawn(*key) for key in keys}) == len(keys)
    assert drawn(2, 1, 1) == drawn(2, 1, 1)
