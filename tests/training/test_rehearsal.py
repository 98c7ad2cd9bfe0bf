"""A rehearsal does a little, counts the rest, and leaves nothing behind."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from alsuite.budget import Budget
from alsuite.command import estimate as estimating
from alsuite.command.estimate import estimate
from alsuite.command.first_words import cost, headline, roughly
from alsuite.generators.gan import GAN
from alsuite.nets.gans import wgan_gp
from alsuite.pool import Pool
from alsuite.scores import entropy
from alsuite.strategies import Query
from alsuite.strategies.badge import Badge
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.tasks.classification import Classification
from alsuite.tasks.vgg import FeatureStore
from alsuite.training import rehearsal
from alsuite.training.fit import Stream, fit, infer
from alsuite.training.rehearsal import few, lasting, rehearsing
from alsuite.training.taught import learned_once
from helpers.pools import synthetic_pool
from helpers.tasks import dropout_net, fast_task


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time pass, which stands still otherwise."""
    now = [0.0]
    monkeypatch.setattr(rehearsal, "perf_counter", lambda: now[0])
    monkeypatch.setattr(estimating, "LIMIT", math.inf)
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


class Slow(LightningModule):
    """Each step takes as long as it is told, the first one ten times as long."""

    def __init__(self, passes: Callable[[float], None], seconds: float) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.passes = passes
        self.seconds = seconds
        self.steps = 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD([self.weight], 0.1)

    def training_step(self, block: Any, _: int) -> None:
        for _ in block:
            self.passes(self.seconds * (10 if self.steps == 0 else 1))
            self.steps += 1


@pytest.mark.parametrize(
    ("seconds", "total", "done", "left"),
    [
        (0.03, 1000, 4, 996 * 0.03),
        (0.0012, 1000, 158, 842 * 0.0012),
        (0.2, 1000, 1, 999 * 2.0),
        (1.0, 1000, 1, 999 * 10.0),
        (0.001, 50, 50, 0),
    ],
)
def test_a_fit_takes_a_few_steps_and_counts_the_others(
    passes: Callable[[float], None], seconds: float, total: int, done: int, left: float
) -> None:
    stream = Stream(torch.zeros(70, 1), batch=10)
    with rehearsing() as clock:
        module = fit(Slow(passes, seconds), stream, steps=total)
    assert module.steps == done
    assert clock.skipped == pytest.approx(left)
    assert fit(Slow(passes, seconds), stream, steps=300).steps == 300


def test_a_rehearsal_that_is_late_takes_one_step_of_each_work(passes: Callable[[float], None]) -> None:
    with rehearsing(limit=1.0) as clock:
        passes(1.5)
        assert len([passes(0.01) for _ in few(range(100), 100)]) == 1
    assert clock.skipped == pytest.approx(99 * 0.01)


def test_inference_fills_the_rest_with_copies_and_counts_it(passes: Callable[[float], None]) -> None:
    images = torch.arange(1000.0).view(-1, 1)

    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        passes(0.1)
        return x.expand(-1, 2), x.flatten()

    with rehearsing() as clock:
        table, column = infer(both, images, size=10)
    expected = torch.arange(1000.0) % 40
    assert torch.equal(column, expected)
    assert torch.equal(table, expected.view(-1, 1).expand(-1, 2))
    assert clock.skipped == pytest.approx(96 * 0.1)
    assert torch.equal(infer(both, images, size=10)[1], images.flatten())


def test_what_lasts_is_counted_apart_and_once(passes: Callable[[float], None]) -> None:
    def slow() -> Iterator[int]:
        for number in range(100):
            passes(0.1)
            yield number

    with lasting():
        assert len(list(few(slow(), 100))) == 100
    with rehearsing() as clock:
        with lasting(), lasting():
            assert len(list(few(slow(), 100))) < 10
        list(few(slow(), 100))
    assert clock.lasting == pytest.approx(10)
    assert clock.now() == pytest.approx(10 + 20)


def gan(root: Path) -> GAN:
    net = partial(wgan_gp, latent=4, width=1 / 16)
    return GAN(net, name="wgan_gp", folder=f"{root}/pretrained/x", iterations=4_000, batch=5, critic_steps=2)


def test_a_generator_is_tried_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rehearsal, "LEAST", 0.0)
    pool = synthetic_pool(60, (1, 8, 8))[0]
    with rehearsing() as clock:
        net = gan(tmp_path).trained(pool)
    assert net.images(torch.randn(2, 4)).shape == (2, 1, 8, 8)
    assert clock.lasting > clock.skipped > 0
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().out == ""


def test_a_generator_that_is_kept_is_taken(tmp_path: Path) -> None:
    pool = synthetic_pool(60, (1, 8, 8))[0]
    made = gan(tmp_path)
    made.config["iterations"] = 3
    first = made.kept(pool).net
    with rehearsing() as clock:
        again = made.kept(pool).net
    assert clock.skipped == 0
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_a_task_that_is_taught_once_is_not_kept(tmp_path: Path) -> None:
    pool = synthetic_pool()[0]
    with rehearsing():
        learned_once(fast_task(), pool, "annotator", tmp_path / "kept", 0)
    assert not list(tmp_path.iterdir())


class Brightness:
    size, name = 1, "brightness"

    def on(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        return lambda images: images.float().flatten(1).mean(1, keepdim=True)


def test_features_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alsuite.tasks.vgg.CHUNK", 2)
    monkeypatch.setattr(rehearsal, "LEAST", 0.0)
    pool = synthetic_pool(40)[0]
    with rehearsing():
        found = FeatureStore(Brightness(), tmp_path / "features", pool.device)(pool.images)
    assert found.shape == (40, 1)
    assert len(found.unique()) < 10
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and file.stat().st_size]
    assert len(FeatureStore(Brightness(), tmp_path / "features", pool.device)(pool.images).unique()) > 30


class Timed:
    """A task and a strategy that let time pass, with labels and without."""

    def __init__(self, passes: Callable[[float], None], fails: bool = False) -> None:
        self.passes = passes
        self.fails = fails
        self.prepared = False

    def __deepcopy__(self, memo: Any) -> Timed:
        return Timed(self.passes, self.fails)

    def learn(self, pool: Pool) -> Timed:
        self.passes(1 + len(pool.labelled))
        return self

    def log_probs(self, images: Any) -> Tensor:
        self.passes(0.5)
        return torch.zeros(len(images), 2)

    def scored(self, images: Any, score: Any, masks: int = 0, whole: bool = False) -> Tensor:
        self.passes(0.5)
        return torch.zeros(len(images))

    outputs: Any = None

    def query(self, pool: Pool, task: Any, n: int) -> Query:
        if self.fails and len(pool.labelled) > 20:
            raise ValueError("n")
        with lasting():
            self.passes(0 if self.prepared else 1000)
        self.prepared = True
        self.passes(200 - len(pool.labelled))
        return Query(pool.unlabelled[:n])


BUDGET = Budget(20, 20, 90)
COUNTS = [20, 40, 60, 80, 90]


@pytest.mark.parametrize("done", [0, 3, 5])
def test_a_run_takes_what_its_cycles_take_and_what_lasts(passes: Callable[[float], None], done: int) -> None:
    pool, strategy = synthetic_pool(120, labelled=30)[0], Timed(passes)
    known = pool.known.clone()
    seconds = estimate(pool, lambda: Timed(passes), strategy, BUDGET, [torch.zeros(3)], done)
    learning = sum(1.5 + count for count in COUNTS[done:])
    assert seconds == pytest.approx(1000 + learning + sum(200 - count for count in COUNTS[done:-1]))
    assert not strategy.prepared
    assert torch.equal(pool.known, known)


def test_from_one_cycle_that_is_known_training_grows_with_the_labels(passes: Callable[[float], None]) -> None:
    seconds = estimate(synthetic_pool(120)[0], lambda: Timed(passes), Timed(passes, True), BUDGET)
    assert seconds == pytest.approx(1000 + 21 / 20 * sum(COUNTS) + 4 * 180)


def test_a_run_without_a_query_only_learns(passes: Callable[[float], None]) -> None:
    full = Budget(120, 20, 120)
    assert estimate(synthetic_pool(120)[0], lambda: Timed(passes), Timed(passes), full) == pytest.approx(121)


def test_a_run_that_would_fail_takes_nobody_knows_how_long() -> None:
    class Broken:
        def query(self, pool: Pool, task: Any, n: int) -> Query:
            raise ZeroDivisionError

    assert estimate(synthetic_pool(120)[0], fast_task, Broken(), BUDGET) is None
    assert not rehearsal.under_way()


def test_a_rehearsal_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        def query(self, pool: Pool, task: Any, n: int) -> Query:
            Event().wait(20)
            return Query(pool.unlabelled[:n])

    monkeypatch.setattr(estimating, "PATIENCE", 0.5)
    start = monotonic()
    assert estimate(synthetic_pool(120)[0], fast_task, Endless(), BUDGET) is None
    assert monotonic() - start < 10


@pytest.mark.parametrize("strategy", [Uncertainty(entropy), Badge()])
def test_an_estimate_disturbs_no_random_number(strategy: Any) -> None:
    pool, drawn = synthetic_pool(400)[0], []
    for rehearsed in (False, True):
        torch.manual_seed(1)
        np.random.seed(1)
        random.seed(1)
        if rehearsed:
            task = partial(Classification, dropout_net, epochs=400, batch=5)
            assert (estimate(pool, task, strategy, BUDGET, [pool.images]) or 0) > 0
        drawn.append((float(torch.rand(())), float(np.random.rand()), random.random()))
    assert drawn[0] == drawn[1]


def test_the_first_line_says_what_a_run_is() -> None:
    def told(choices: tuple[str, str, str], pool: int, budget: Budget, device: str, devices: int, by: str = "") -> str:
        config = {"seed": 0, "scale": {"name": "paper"}, "devices": devices, "nodes": 1}
        job: Any = SimpleNamespace(
            config=config, choices=dict(zip(("strategy", "dataset", "task_model"), choices, strict=True))
        )
        dataset = SimpleNamespace(train=SimpleNamespace(targets=range(pool)))
        setting: Any = SimpleNamespace(budget=budget, dataset=dataset)
        return headline(job, setting, torch.device(device), by)

    threads = torch.get_num_threads()
    large = told(("vaal", "cifar10", "vgg16"), 50000, Budget(5000, 2500, 20000), "cpu", 1, " (Sinha et al. 2019)")
    assert large == (
        "VAAL (Sinha et al. 2019) on CIFAR-10: VGG16, 5,000 to 20,000 of 50,000 labels by 2,500, seed 0, scale=paper, "
        f"cpu ({threads} thread{'s' * (threads > 1)})"
    )
    small = told(("random", "digits", "linear"), 1437, Budget(100, 20, 100), "cuda", 2)
    assert small == "random on 8 x 8 digits: linear, 100 of 1,437 labels, seed 0, scale=paper, 2 processes on cuda"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.01, "about 1 s"),
        (20, "about 20 s"),
        (89, "about 89 s"),
        (100, "about 1.7 min"),
        (1200, "about 20 min"),
        (10800, "about 3 h"),
        (9 * 86400, "about 9 days"),
    ],
)
def test_a_time_is_told_roughly(seconds: float, told: str) -> None:
    assert roughly(seconds) == told


def test_what_a_run_costs_is_told_with_what_may_be_done() -> None:
    assert cost(10800, True, 1200) == "about 3 h on this CPU; scale=laptop: about 20 min"
    assert cost(10800, True) == "about 3 h on this CPU"
    assert cost(9 * 86400, False) == "about 9 days on this GPU"
    advice = "about 9 days on this CPU: a GPU or scale=laptop is advisable"
    assert cost(9 * 86400, True) == f"{advice}; going on"
    assert cost(9 * 86400, True, 1200) == f"{advice}; scale=laptop: about 20 min; going on"
