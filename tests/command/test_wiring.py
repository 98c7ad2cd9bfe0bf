"""What a command line gives reaches the run that it starts, and nothing else does."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from alsuite.command import first_words, processes, run, slurm
from alsuite.command.job import Job
from alsuite.command.setting import Parts, Setting
from alsuite.data.digits import digits
from alsuite.journal import INCIDENTAL
from helpers.commands import Command, started
from helpers.configs import composer, jobs_with
from helpers.runs import UNCUT


@pytest.fixture
def alsuite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return started(tmp_path, monkeypatch, capsys)


@pytest.mark.slow
def test_the_seed_the_device_and_the_class_reach_the_run(alsuite: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Any, ...]] = []
    chosen: list[tuple[object, ...]] = []
    monkeypatch.setattr(run, "perform", lambda *arguments: given.append(arguments))
    monkeypatch.setattr(run, "choose_device", lambda *arguments: chosen.append(arguments) or torch.device("cpu"))
    done = alsuite("seed=3", "deterministic=true", "strategy._target_=alsuite.strategies.badge.Badge")
    assert done.status == 0
    ((about, _, _, _, seed, device, wandb, _),) = given
    assert (seed, device, wandb) == (3, torch.device("cpu"), "disabled")
    assert about["choices"]["strategy"] == "Badge"
    assert chosen == [("cpu", True)]
    assert "Badge on 8 x 8 digits" in done.out


@pytest.mark.slow
def test_what_changes_no_result_makes_no_other_run() -> None:
    made = partial(jobs_with, composer())
    (plain,) = made("experiment=demo", "seed=0", "strategy=random")
    for option in ("seeds=7", "deterministic=true", "description=x", "scale.seeds=2", "parallel=1", "root=/b"):
        (other,) = made("experiment=demo", "seed=0", "strategy=random", option)
        assert other.about["config"] == plain.about["config"]
        assert other.folder.name == plain.folder.name
    assert {"sweeps", "nodes", "figure"} <= {*INCIDENTAL}
    one, other = (made("strategy=asal", f"root=/{root}")[0].about["config"] for root in "ab")
    assert one == other


@pytest.mark.slow
def test_a_smaller_scale_keeps_what_the_command_gives(monkeypatch: pytest.MonkeyPatch, alsuite: Command) -> None:
    """Else the time that it is told to take is that of another run."""
    asked: list[Any] = []

    def small(config: Any, choices: Any, parts: Parts) -> Setting:
        asked.append(config)
        return Setting.cut(digits(), None, UNCUT, parts, 0)

    monkeypatch.setattr(Setting, "of", small)
    monkeypatch.setattr(first_words, "estimate", lambda *given: 60.0)
    monkeypatch.setattr(run, "perform", lambda *given: None)
    done = alsuite("dataset=cifar10", "strategy=ta_vaal", "scale=paper", "scale.cycles=2")
    assert "scale=laptop: about 60 s" in done.out
    config = asked[-1]
    assert len(asked) == 2
    assert (config["scale"]["name"], config["scale"]["cycles"]) == ("laptop", 2)
    assert config["task_model"]["net"]["_target_"].endswith("fastnet")
    assert config["task_model"]["_target_"].endswith("Ranked")  # as the strategy wants it


def test_a_task_that_waited_looks_at_the_code_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(slurm, "_task", lambda job: nullcontext(False))
    monkeypatch.setattr(signal, "pthread_sigmask", lambda *given: None)
    job = Job({"scale": {}}, {}, tmp_path)
    job.__dict__["about"] = {"code": {"alsuite.loop": "old"}}
    slurm.Resuming(lambda job, shown: seen.append("about" in job.__dict__))(job)
    assert seen == [False]


def test_a_data_set_is_loaded_anew_for_another_oracle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A person's run has no limit of cycles, whatever the scale says."""
    options = {"dataset": {}, "scale": {}, "budget": {}, "initial": {}, "enlarge": None}
    cycles = {"ideal": 3, "human": 9}
    monkeypatch.setattr(Parts, "of", lambda config: None)
    monkeypatch.setattr(Setting, "of", lambda config, choices, parts: SimpleNamespace(cycles=cycles[choices["oracle"]]))
    jobs = [Job(options, {"dataset": "a", "oracle": oracle}, tmp_path) for oracle in ("ideal", "human", "ideal")]
    assert slurm.fetched(jobs) == [3, 9, 3]


@pytest.mark.parametrize(("parallel", "by_memory"), [(2, False), ("auto", True)])
def test_a_number_of_runs_that_is_given_minds_no_memory(
    monkeypatch: pytest.MonkeyPatch, parallel: object, by_memory: bool
) -> None:
    made: list[bool] = []

    class Runs:
        def __init__(self, *given: object, by_memory: bool, threads: int) -> None:
            made.append(by_memory)
            self.running: dict[object, object] = {}
            self.errors: dict[int, Exception] = {}

    monkeypatch.setattr(processes, "_Runs", Runs)
    monkeypatch.setattr(processes, "limit_threads", lambda threads: None)
    nothing: Any = None
    job = Job({}, {}, Path())
    monkeypatch.setattr(processes, "enumerate", lambda jobs: [], raising=False)
    assert processes.side_by_side(nothing, [job], parallel, nothing) == {}
    assert made == [by_memory]
