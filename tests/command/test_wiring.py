"""What a command line gives reaches the run that it starts, and nothing else does."""

from __future__ import annotations

import json
import signal
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from alsuite import claims, figures, ranks
from alsuite.budget import Budget, uniform
from alsuite.command import first_words, launching, processes, run, slurm
from alsuite.command import job as job_module
from alsuite.command.around import finish
from alsuite.command.job import Job
from alsuite.command.setting import Parts, Setting
from alsuite.command.several import met
from alsuite.data.digits import digits
from alsuite.errors import UserError
from alsuite.nets.classifiers import linear
from alsuite.oracle import ideal
from alsuite.recorded import INCIDENTAL
from alsuite.strategies.random import Random
from alsuite.tasks.classification import Classification
from helpers.commands import Command
from helpers.configs import composer, jobs_with
from helpers.journals import write_run
from helpers.ranks import on_ranks, own_picks
from helpers.runs import UNCUT, perform


@pytest.mark.slow
def test_the_seed_the_device_and_the_class_reach_the_run(alsuite: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Any, ...]] = []
    chosen: list[tuple[object, ...]] = []
    monkeypatch.setattr(run, "perform", lambda *arguments: given.append(arguments))
    monkeypatch.setattr(run, "tried_device", lambda *arguments: chosen.append(arguments) or torch.device("cpu"))
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


@pytest.mark.parametrize("what", ["code", "data"])
def test_a_run_of_a_sweep_refuses_what_changed_after_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    found: dict[str, Any] = {"code": {"mine": "old"}, "data": "old"}
    monkeypatch.setattr(job_module, "code_of", lambda config: found["code"])
    monkeypatch.setattr(job_module, "data_of", lambda dataset: found["data"])
    ran: list[Job] = []
    monkeypatch.setattr(launching, "executed", lambda job, shown: ran.append(job))
    nothing: Any = None
    job = Job({"scale": {}, "dataset": {}}, {}, tmp_path)
    assert job.about[what]
    launching.as_it_was_read(job, nothing)
    found[what] = {"mine": "new"} if what == "code" else "new"
    with pytest.raises(UserError, match=f"its {what} changed after the command was given"):
        launching.as_it_was_read(job, nothing)
    assert ran == [job]


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


def test_images_are_made_smaller_as_the_scale_says() -> None:
    nothing: Any = None
    parts = Parts(nothing, uniform, Budget(20, 10, 40), nothing, nothing)
    setting = Setting.cut(digits(), None, {**UNCUT, "side": 4}, parts, seed=0)
    assert setting.dataset.train.images.shape[1:] == (1, 4, 4)
    assert setting.facts()["side"] == 4


@pytest.mark.slow
def test_the_verdicts_stand_below_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path, "random", 0, [0.5, 0.6])
    drawn: list[Any] = []
    monkeypatch.setattr(claims, "verdicts_on", lambda stem, runs: [stem])
    monkeypatch.setattr(claims, "below_a_picture", lambda verdicts: f"It is so, says {verdicts[0]}.")
    monkeypatch.setattr(figures, "draw", lambda *given, **options: drawn.append(options["beneath"]) or [Path()])
    panels = [{"kind": "accuracy"}]
    config = {
        "description": "",
        "figure": panels,
        "experiment": "toy",
        "scale": {"name": "smoke"},
        "root": str(tmp_path),
    }
    finish([Job(config, {"experiment": "fig1"}, run)])
    assert drawn == ["It is so, says fig1."]


@pytest.mark.slow
def test_a_sweeps_picture_is_what_the_figures_command_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what its file sweeps and was not run, and the user's own published values; one at each scale."""
    own, shown = tmp_path / "mylab", []
    (own / "experiment").mkdir(parents=True)
    figure = [{"kind": "accuracy", "published": ["mine"]}]
    (own / "experiment" / "fig1.yaml").write_text(
        json.dumps({"experiment": "toy", "sweeps": [{"strategy": "random,vaal"}]})
    )
    (own / "published.csv").write_text(
        "figure,dataset,series,x_name,x,y_name,y,source\nmine,mnist57,random,labelled,20,accuracy_percent,60,x\n"
    )
    monkeypatch.setattr(figures, "save_figure", lambda parts, paths, beneath, _: shown.append(parts) or paths)
    monkeypatch.setattr(claims, "verdicts_on", lambda stem, runs: [])
    monkeypatch.setattr(claims, "below_a_picture", lambda verdicts: "")
    jobs = []
    for scale in ("smoke", "laptop"):
        run = write_run(tmp_path, "random", 0, [0.5, 0.6], scale=scale)
        config = {"description": "", "figure": figure, "experiment": "toy", "scale": {"name": scale}}
        jobs.append(Job({**config, "root": str(tmp_path)}, {"experiment": "fig1"}, run, own))
    finish(jobs)
    assert [part.lacking for (part,) in shown] == [["strategy=vaal"]] * 2
    assert [len(part.points) for (part,) in shown] == [1, 1]


def test_a_figure_without_an_experiment_is_called_as_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path, "random", 0, [0.5, 0.6])
    drawn: list[Any] = []
    monkeypatch.setattr(claims, "verdicts_on", lambda stem, runs: [])
    monkeypatch.setattr(claims, "below_a_picture", lambda verdicts: "")
    monkeypatch.setattr(figures, "draw", lambda *given, **options: drawn.append(given[0]) or [Path()])
    config = {"description": "", "figure": [{"kind": "accuracy"}], "experiment": "toy", "root": str(tmp_path)}
    finish([Job({**config, "scale": {"name": "smoke"}}, {}, run)])
    assert drawn == ["toy"]


def test_ranks_wait_as_long_as_a_person_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    class Met(BaseException):
        pass

    def meet(*given: object, timeout: timedelta, **options: object) -> None:
        assert timeout == ranks.PATIENCE
        raise Met

    monkeypatch.setattr(ranks.dist, "init_process_group", meet)
    with pytest.raises(Met), met("file:///nowhere", 0, 2, None, here=True):
        pass


def test_cycles_of_an_earlier_start_are_told_as_such(tmp_path: Path) -> None:
    told: list[bool] = []
    model = partial(Classification, linear, epochs=1, batch=10)
    parts: dict[str, Any] = {"task_model": model, "initial": uniform, "budget": Budget(20, 10, 30), "oracle": ideal}
    for _ in range(2):
        about = {"config": {"experiment": "test", "seed": 0}}
        shown: Any = lambda record, cycles, old: told.append(old)  # noqa: E731
        perform(about, tmp_path, dataset=digits(), seed=0, strategy=Random(), show=shown, **parts)
    assert told == [False, False, True, True]


@pytest.mark.slow
def test_all_ranks_label_what_the_first_has_picked(tmp_path: Path) -> None:
    (one, right), (other, also) = on_ranks(partial(own_picks, str(tmp_path)))
    assert one == other
    assert right
    assert also


def test_a_page_that_nobody_can_open_is_refused(tmp_path: Path) -> None:
    job = Job({"oracle": {"ui": "page"}}, {"oracle": "human"}, tmp_path)  # as ui=page and oracle.ui=page both have it
    nothing: Any = None
    with pytest.raises(UserError, match="ui=page shows a page where the run is, which Slurm decides"):
        slurm.Array(nothing, {"submitit_folder": str(tmp_path)})([job], nothing)


@pytest.mark.slow
def test_under_the_fair_protocol_a_papers_own_pool_is_another_run() -> None:
    made = partial(jobs_with, composer())
    command = ("strategy=vaal", "dataset=cifar10", "protocol=fair")
    plain, held = made(*command)[0].folder.name, made(*command, "dataset.validation=5000")[0].folder.name
    assert held == plain.replace("dataset=cifar10", "dataset=cifar10,dataset.validation=5000")
