"""Hydra's own launchers and its search for options run the runs that alsuite's own launcher would."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.utils import JobReturn, JobStatus

from alsuite.command import around
from alsuite.errors import AwaitingLabels, UserError
from helpers.commands import SMALL, accuracies, started


class Stopped:
    """A launcher whose runs all ended early."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = errors

    def launch(self, jobs: object, initial_job_idx: int) -> list[JobReturn]:
        return [JobReturn(status=JobStatus.FAILED, _return_value=error) for error in self.errors]


@pytest.mark.parametrize(
    ("errors", "status", "told"),
    [
        ([UserError("mend it"), UserError("mend it")], 1, ["mend it (2 runs)"]),
        ([UserError("mend it"), AwaitingLabels("label them")], 1, ["mend it", "label them"]),
        ([AwaitingLabels("label them")], 3, ["label them"]),
    ],
)
def test_why_runs_ended_early_is_told_though_there_is_nothing_to_draw(
    errors: list[Exception],
    status: int,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refused(jobs: object) -> None:
        raise UserError("none finished")

    monkeypatch.setattr(around, "finish", refused)
    stopped: Any = Stopped(*errors)
    with pytest.raises(SystemExit) as ended:
        around.handed_over(stopped, [], silent=True)
    assert ended.value.code == status
    assert capsys.readouterr().err.splitlines() == [f"alsuite: {line}" for line in told]
    with pytest.raises(UserError, match="none finished"):
        around.handed_over(Stopped(), [], silent=True)  # type: ignore[arg-type]


SWEEP = ("-m", "dataset=digits", "strategy=random,margin", "parallel=1")


def run(root: Path, *options: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "alsuite", *options, *SMALL, f"root={root}"]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Any, Any]]]:
    root = tmp_path_factory.mktemp("own")
    run(root, *SWEEP)
    assert len(accuracies(root)) == 2
    return accuracies(root)


@pytest.mark.slow
@pytest.mark.xdist_group("launchers")  # in one process, which makes what is expected once
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_launcher_of_hydras_runs_the_same_runs(launcher: str, tmp_path: Path, expected: object) -> None:
    if find_spec("joblib" if launcher == "joblib" else "submitit") is None:
        pytest.skip("pip install -e '.[launchers]' brings it")
    run(tmp_path, *SWEEP, f"hydra/launcher={launcher}")
    assert accuracies(tmp_path) == expected
    assert [*tmp_path.rglob("curve*.png")]


@pytest.mark.slow
@pytest.mark.parametrize("options", [("-m", "seed=0,1", "hydra/launcher=slurm"), ("hydra/launcher=submitit_slurm",)])
def test_without_a_slurm_both_its_launchers_say_so(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = started(tmp_path, monkeypatch, capsys)("dataset=digits", *options)
    assert ended.line == "alsuite: there is no squeue here: give the command on a machine of the Slurm cluster"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("programs", "option", "line"),
    [
        (["squeue"], "name=any", 'Slurm takes no runs (Could not detect "srun"'),
        (["squeue", "srun"], "name=any", "Slurm takes no runs ([Errno 2] No such file or directory: 'sbatch')"),
        (["squeue", "srun", "sbatch"], "name=any", "Slurm takes no runs (Could not make sense of sbatch output"),
        ([], "nodes=2", "leave out hydra.launcher.nodes: nodes=2 devices=4 are a run's own options"),
    ],
)
def test_what_hinders_the_launcher_is_one_line(
    programs: list[str],
    option: str,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    for name in programs:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    start = started(tmp_path / "runs", monkeypatch, capsys)
    ended = start("-m", "seed=0,1", "hydra/launcher=slurm", f"hydra.launcher.{option}")
    assert ended.line.startswith(f"alsuite: {line}")


@pytest.mark.slow
def test_an_experiment_by_joblib_ends_with_its_picture(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    told = run(tmp_path, "experiment=demo", "seed=0", "hydra/launcher=joblib")
    picture = tmp_path / "figures" / "smoke" / "demo.png"
    assert picture.exists()
    assert told.splitlines()[-1] == str(picture)


@pytest.mark.slow
def test_optuna_finds_the_most_accurate_of_its_trials(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    search = ("hydra/sweeper=optuna", "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=4")
    run(tmp_path, "-m", *search, "hydra.sweeper.n_jobs=1", "dataset=digits", "task_model.lr=tag(log,interval(0.001,1))")
    found = yaml.safe_load((tmp_path / "adhoc" / "smoke" / "optimization_results.yaml").read_text())
    ends = [cycles[-1][1] for cycles in accuracies(tmp_path).values()]
    assert len(ends) == 4
    assert found["best_value"] == pytest.approx(max(ends))


@pytest.mark.slow
def test_a_trial_that_a_sweeper_asks_for_twice_is_run_once(tmp_path: Path) -> None:
    told = run(tmp_path, "-m", "hydra/sweeper=basic", "seed=0,0", "dataset=digits", "parallel=2")
    assert len(accuracies(tmp_path)) == 1
    assert "FAILED" not in told
