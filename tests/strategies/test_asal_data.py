"""ASAL on real digits, with a generator that is trained for a short while."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
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

SEEDS = 5
Advantage = Callable[..., list[float]]


class RandomRows(FeatureIndex):
    def search(self, queries: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        free = torch.nonzero(~known).squeeze(1)
        return free[torch.randperm(len(free))[: len(queries)]]


@pytest.fixture(scope="module", params=["mnist57", "mnist"])
def advantage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Advantage:
    """The entropy of the matches over that of the pool at each of some seeds, a few cycles after the start, where the
    task is unsure of everything."""
    laid_out("mnist")
    root: Path = tmp_path_factory.mktemp(request.param)
    task_model, labels = ("linear", 60) if request.param == "mnist57" else ("lenet", 400)
    options = [f"dataset={request.param}", f"task_model={task_model}", "generator=dcgan", "strategy=asal"]
    config = composed(*options, "scale=laptop", "scale.gan_steps=1200", f"root={root}")
    dataset = instantiate(config.dataset).subset(10_000, 100)

    def measured(changes: Callable[[ASAL], object] = lambda strategy: None) -> list[float]:
        strategy, found = instantiate(config.strategy), []
        changes(strategy)
        for seed in range(SEEDS):
            pool = Pool(dataset.train.images, len(dataset.classes), dataset.mean, dataset.std)
            first = stratified(dataset.train.targets, labels, Generator().manual_seed(seed))
            pool.label(first, dataset.train.targets[first])
            seed_all(seed, 0)
            task = instantiate(config.task_model)().learn(pool)
            matched = strategy.query(pool, task, 50).notes["entropy_matched"]
            found.append(matched / float(scores.entropy(task.log_probs(pool.rows(pool.unlabelled))).mean()))
        return found

    return measured


@pytest.mark.slow
@pytest.mark.data
def test_matches_have_a_clearly_higher_entropy_than_the_pool(advantage: Advantage) -> None:
    assert mean(advantage()) > 1.3


@pytest.mark.slow
@pytest.mark.data
def test_random_matches_or_a_descent_lose_it(advantage: Advantage) -> None:
    assert mean(advantage(lambda strategy: setattr(strategy, "make_index", RandomRows))) < 1.15

    def descend(strategy: ASAL) -> None:
        object.__setattr__(strategy.ascent, "score", lambda log_probs: -scores.entropy(log_probs))

    assert mean(advantage(descend)) < 1
