"""Runs that are stopped and go on: killed at random moments, with synthetic images in the pool."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from alsuite import journal, scores
from alsuite.budget import Budget, uniform
from alsuite.data import Dataset
from alsuite.data.dataset import Split
from alsuite.data.digits import digits
from alsuite.errors import UserError
from alsuite.nets.classifiers import linear
from alsuite.oracle import Ideal, Oracle, ideal
from alsuite.pool import Pool
from alsuite.strategies import Query, Strategy
from alsuite.strategies.badge import Badge
from alsuite.strategies.committee import Committee
from alsuite.strategies.coreset import CoreSet
from alsuite.strategies.dropout import Dropout
from alsuite.strategies.random import Random
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.tasks import Task
from alsuite.tasks.classification import Classification
from helpers import importing
from helpers.commands import lasting
from helpers.masks import fast_segmentation, masks_of
from helpers.runs import perform

CYCLES = 5
ABOUT = {"config": {"experiment": "test", "seed": 3}}


@cache
def data(pixels: bool = False) -> Dataset:
    """Digits, or images whose pixels have a class."""
    if not pixels:
        return digits()
    train, test = (Split(*masks_of(n, seed=seed)) for n, seed in ((400, 0), (20, 1)))
    return Dataset("drawn", train, {"drawn": test}, ("a", "b", "c"), None, (0.4,) * 3, (0.25,) * 3)


def hidden(shape: tuple[int, int, int], outputs: int) -> nn.Sequential:
    layers = [nn.Linear(shape[1] * shape[2], 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, outputs)]
    return nn.Sequential(nn.Flatten(), *layers)


def task_model(net: Callable[..., nn.Sequential] = linear) -> Callable[[], Classification]:
    return partial(Classification, net, epochs=3, batch=10)


@dataclass(frozen=True)
class Slow:
    """A strategy that takes its time, so that a signal may hit it."""

    strategy: Strategy
    seconds: float

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        time.sleep(self.seconds)
        return self.strategy.query(pool, task, n)


@dataclass(frozen=True)
class Dreaming:
    """Queries negatives of unlabelled images that it adds to the pool, with labels or without."""

    labelled: bool

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = pool.unlabelled
        models = among[torch.randperm(len(among))[:n]]
        labels = torch.randint(0, pool.classes, (n,)) if self.labelled else None
        return Query(pool.extend(255 - pool.images[models], labels), images={})


class Dreamt(Ideal):
    """Knows the real images; a synthetic one is of class 4."""

    def __call__(self, pool: Pool, indices: Tensor) -> Tensor:
        real = indices < len(self.targets)
        return torch.where(real, self.targets[indices.clamp(max=len(self.targets) - 1)], 4)


def dreamt(dataset: Dataset, folder: Path) -> Oracle:
    return Dreamt(dataset.train.targets)


STRATEGIES: dict[str, tuple[Callable[[], Task], Strategy]] = {
    "random": (task_model(), Random()),
    "entropy": (task_model(), Uncertainty(scores.entropy)),
    "coreset": (task_model(hidden), CoreSet(candidates=16)),
    "badge": (task_model(), Badge()),
    "dbal": (task_model(hidden), Dropout(scores.mean_entropy, masks=4)),
    "ensemble": (task_model(hidden), Committee(task_model(hidden), scores.variation_ratio, members=3)),
    "dreaming": (task_model(), Dreaming(labelled=False)),
    "dreaming_labels": (task_model(), Dreaming(labelled=True)),
    "pixels": (partial(fast_segmentation, epochs=1), Uncertainty(scores.entropy)),
}


def work(
    name: str, folder: Path, slow: float = 0.0, show: Callable[..., None] = lambda *_: None, threads: int = 1
) -> None:
    torch.set_num_threads(threads)
    task, strategy = STRATEGIES[name]
    perform(
        ABOUT,
        folder,
        dataset=data(pixels=name == "pixels"),
        task_model=task,
        initial=uniform,
        budget=Budget(0.05, 0.025, 0.05 + 0.025 * (CYCLES - 1)),
        oracle=dreamt if name.startswith("dreaming") else ideal,
        strategy=Slow(strategy, slow),
        seed=3,
        scale={"pool": 400, "test": 100, "side": None, "cycles": None},
        show=show,
    )


def lines_of(folder: Path) -> int:
    path = folder / "cycles.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def forked(name: str, folder: Path, slow: float = 0.0) -> int:
    """A process of its own, that has the imports behind it."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work(name, folder, slow)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def ended(pid: int, seconds: float, reached: Callable[[], bool] = lambda: False) -> int | None:
    """The exit status, or None once the seconds are over or something is reached."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not reached():
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    return None


def killed_until_finished(name: str, folder: Path) -> None:
    """Kills at least twice: now and then before it gets anywhere, otherwise some time after one more cycle."""
    moments, kills, status = random.Random(name), 0, None
    while status is None:
        lines, pid = lines_of(folder), forked(name, folder, slow=0.02)
        if moments.random() < 0.8:
            status = ended(pid, 60, lambda at=lines: lines_of(folder) > at)
        if status is None:
            status = ended(pid, moments.uniform(0, 0.08))
        if status is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            kills += 1
        elif status == 0 and kills < 2:  # a busy machine let it end before a signal could hit it: once more
            shutil.rmtree(folder)
            kills, status = 0, None
    if status:
        raise SystemExit(f"{name} ended with {status}")


def kill_all(folder: Path) -> None:
    torch.set_num_threads(1)
    data()
    data(pixels=True)
    for name in STRATEGIES:
        assert ended(forked(name, folder / name / "whole"), 600) == 0
        killed_until_finished(name, folder / name / "killed")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of every strategy, whole and killed; forks, since the process forked from has computed nothing yet."""
    folder, environment = tmp_path_factory.mktemp("killed"), importing(Path(__file__).parent)
    command = "import sys, pathlib, test_resume; test_resume.kill_all(pathlib.Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", command, str(folder)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes can't be forked here")
@pytest.mark.xdist_group("killed")  # what is killed once serves all
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_run_killed_at_random_moments_ends_in_the_same_record(name: str, killed: Path) -> None:
    assert len(lasting(killed / name / "whole")) == CYCLES
    assert lasting(killed / name / "killed") == lasting(killed / name / "whole")


@pytest.fixture(scope="module", params=["random", "dreaming", "dreaming_labels"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The name and the folder of a run that nothing stopped."""
    name, folder = request.param, tmp_path_factory.mktemp("whole")
    work(name, folder)
    return name, folder


@pytest.mark.parametrize("cycle", [0, 3, CYCLES - 1])
def test_a_run_stopped_between_images_and_record_goes_on(
    whole: tuple[str, Path], cycle: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name, expected), synced = whole, journal._synced

    def stopped(path: Path, content: bytes, mode: str) -> None:
        before = path.read_bytes() if mode == "ab" and path.exists() else b""
        if mode == "ab" and before.count(b"\n") == cycle:
            path.write_bytes(before + content[: len(content) // 2])
            raise KeyboardInterrupt
        synced(path, content, mode)

    monkeypatch.setattr(journal, "_synced", stopped)
    with pytest.raises(KeyboardInterrupt):
        work(name, tmp_path)
    monkeypatch.undo()
    work(name, tmp_path)
    assert lasting(tmp_path) == lasting(expected)


def test_a_run_goes_on_with_as_many_threads_as_it_began_with(tmp_path: Path) -> None:
    def stop(record: object, cycles: int, old: bool) -> None:
        if not old:
            raise KeyboardInterrupt

    for threads, used in ((1, 1), (2, 1)):
        with pytest.raises(KeyboardInterrupt):
            work("random", tmp_path, show=stop, threads=threads)
        assert torch.get_num_threads() == used
    assert json.loads((tmp_path / "run.json").read_text())["threads"] == 1


def test_a_run_that_left_nothing_to_go_on_with_begins_with_all_threads(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"threads": 1}')
    work("random", tmp_path, threads=2)
    assert torch.get_num_threads() == 2
    assert json.loads((tmp_path / "run.json").read_text())["threads"] == 2


def test_a_strategy_that_labels_more_than_it_returns_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The labels of synthetic images that it keeps to itself would be in no record."""

    class Greedy:
        def query(self, pool: Pool, task: Task, n: int) -> Query:
            images = 255 - pool.images[pool.unlabelled[: n + 5]]
            return Query(pool.extend(images, torch.zeros(n + 5, dtype=torch.int64))[:n])

    monkeypatch.setitem(STRATEGIES, "greedy", (task_model(), Greedy()))
    with pytest.raises(UserError, match=r"^cycle 1: \w+ labelled images that it did not return"):
        work("greedy", tmp_path)
