"""ASAL on real digits, with a generator that is trained for a short while."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

import pytest
import torch
from hydra.utils import instantiate
from torch import Generator

from alsuite import scores
from alsuite.budget import stratified
from alsuite.loop import seed_all
from alsuite.matching.index import FeatureIndex
from alsuite.pool import Pool
from alsuite.strategies.asal import ASAL
from helpers.configs import composed
from helpers.pools import laid_out

SEEDS = 3
TOGETHER = pytest.mark.xdist_group("asal on digits")  # in one process, which trains the generator once
Notes = list[dict[str, float]]
Told = Callable[..., Notes]


class RandomRows(FeatureIndex):
    def search(self, queries: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        free = torch.nonzero(~known).squeeze(1)
        return free[torch.randperm(len(free))[: len(queries)]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What a query tells of itself, and the entropy of the pool, at each of some seeds, a few cycles after the start,
    where the task is unsure of everything."""
    laid_out("mnist")
    options = ["dataset=mnist57", "task_model=linear", "generator=dcgan", "strategy=asal", "scale=laptop"]
    config = composed(*options, "scale.gan_steps=600", f"root={tmp_path_factory.mktemp('asal')}")
    dataset = instantiate(config.dataset).subset(10_000, 100)

    def at_each_seed(changes: Callable[[ASAL], object] = lambda strategy: None) -> Notes:
        strategy, found = instantiate(config.strategy), []
        changes(strategy)
        for seed in range(SEEDS):
            pool = Pool(dataset.train.images, len(dataset.classes), dataset.mean, dataset.std)
            first = stratified(dataset.train.targets, 60, Generator().manual_seed(seed))
            pool.label(first, dataset.train.targets[first])
            seed_all(seed, 0)
            task = instantiate(config.task_model)().learn(pool)
            of_pool = float(scores.entropy(task.log_probs(pool.rows(pool.unlabelled))).mean())
            found.append({**strategy.query(pool, task, 30).notes, "entropy_pool": of_pool})
        return found

    return at_each_seed


def advantage(notes: Notes) -> float:
    """Return the entropy of the matches over that of the pool."""
    return mean(note["entropy_matched"] / note["entropy_pool"] for note in notes)


def gains(notes: Notes) -> list[float]:
    """Return what the ascent added to the entropy of what was generated first."""
    return [note["entropy_generated"] - note["entropy_started"] for note in notes]


def descend(strategy: ASAL) -> None:
    object.__setattr__(strategy.ascent, "score", lambda log_probs: -scores.entropy(log_probs))


@TOGETHER
@pytest.mark.slow
@pytest.mark.data
def test_matches_have_a_clearly_higher_entropy_than_the_pool_and_the_ascent_gains_it(told: Told) -> None:
    notes = told()
    assert advantage(notes) > 1.3
    assert min(gains(notes)) > 0.1


@TOGETHER
@pytest.mark.slow
@pytest.mark.data
def test_random_matches_or_a_descent_lose_it(told: Told) -> None:
    assert advantage(told(lambda strategy: setattr(strategy, "make_index", RandomRows))) < 1.15
    down = told(descend)
    assert advantage(down) < 1
    assert max(gains(down)) < 0
