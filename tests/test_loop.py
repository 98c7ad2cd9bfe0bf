"""What a cycle writes down of its query."""

from __future__ import annotations

from pathlib import Path
from time import sleep

import torch

from alsuite.budget import Budget
from alsuite.journal import Journal
from alsuite.loop import Run, seed_all
from alsuite.notes import DIAGNOSIS_SECONDS
from alsuite.oracle import Ideal
from alsuite.pool import Pool
from alsuite.scores import entropy, least_confidence
from alsuite.strategies import Query
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.tasks import Task
from helpers.pools import digit_pool
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
    """Asks for the last of the pool after a long look, and shows every other one of them."""

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        indices = pool.unlabelled[-n:]
        sleep(0.2)
        images = {"original": pool.rows(indices[::2])[:].numpy()}
        return Query(indices, notes={DIAGNOSIS_SECONDS: 0.2}, images=images, shown=indices[::2])


def test_diagnosis_is_not_timed_and_what_is_shown_has_the_oracles_answers(tmp_path: Path) -> None:
    pool, targets = digit_pool(0)
    journal, task = Journal(tmp_path), FixedTask(torch.zeros(len(pool), 10))
    journal.start({"config": {}})
    sizes, initial = Budget(20, 6, 26), torch.arange(20)
    Run(pool, {}, lambda: task, Showing(), Ideal(targets), sizes, initial, journal, 0).go()
    assert 0 <= journal.records[0]["query_seconds"] < 0.2
    captions = journal.images(0)["original_captions"].tolist()
    assert captions == [str(int(label)) for label in targets[-6::2]]
    journal.close()


def test_each_seed_cycle_and_part_has_random_numbers_of_its_own() -> None:
    def drawn(*key: int) -> float:
        seed_all(*key)
        return float(torch.rand(()))

    keys = [(seed, cycle, part) for seed in range(3) for cycle in (-1, 0, 1) for part in (0, 1)]
    assert len({drawn(*key) for key in keys}) == len(keys)
    assert drawn(2, 1, 1) == drawn(2, 1, 1)
