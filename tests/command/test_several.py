"""One run by several processes: it ends where that of one does, and a process that dies costs no cycle."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from alsuite.command import several, slurm
from alsuite.command.job import Job, processes_of
from alsuite.command.several import own_gpu
from alsuite.errors import UserError
from helpers.commands import Command, records

SHORT = ("dataset=digits", "scale.cycles=3", "scale.epochs=5")
LEARNING = (*SHORT, "task_model.lr=0.01")
WANTED = ("run.json", "cycles.jsonl", "curve.png")


def run_of(root: Path) -> Path:
    (cycles,) = root.rglob("cycles.jsonl")
    return cycles.parent


@pytest.mark.slow
def test_two_processes_end_where_one_does(alsuite: Command, tmp_path: Path) -> None:
    """They start from the same labels, and are as right as one is to within what its seeds differ by."""
    ends = {}
    for name, options in {"0": (), "1": ("seed=1",), "two": ("devices=2",)}.items():
        ended = alsuite("strategy=full", *LEARNING, *options, f"root={tmp_path / name}")
        assert ended.status == 0, ended.err
        ends[name] = records(run_of(tmp_path / name))[-1]["metrics"]["digits"]["accuracy"]
    assert min(ends.values()) > 0.7
    assert abs(ends["two"] - ends["0"]) <= max(0.02, 2 * abs(ends["1"] - ends["0"]))


@pytest.mark.slow
def test_a_run_is_written_and_shown_once(alsuite: Command, tmp_path: Path) -> None:
    ended = alsuite("strategy=random", *LEARNING, "devices=2")
    assert ended.status == 0, ended.err
    run = run_of(tmp_path)
    assert sorted(path.name for path in run.iterdir() if not path.name.startswith("images")) == sorted(WANTED)
    assert [record["cycle"] for record in records(run)] == [0, 1, 2]
    assert sum(line.startswith("cycle ") for line in ended.out.splitlines()) == 3
    assert '"processes": 2' in (run / "run.json").read_text()
    again = alsuite("strategy=random", *LEARNING)
    assert "1 of 1 runs are finished already" in again.out


@pytest.mark.slow
def test_a_person_is_asked_by_one_of_the_processes(alsuite: Command, tmp_path: Path) -> None:
    sizes = ("budget.initial=10", "budget.query=5", "budget.end=15")
    told = []
    for count in (10, 5):
        ended = alsuite("strategy=margin", *LEARNING, *sizes, "oracle=human", "devices=2")
        assert ended.status == 3, ended.err
        assert f"{count} images await labels" in ended.line
        sheet = max(tmp_path.rglob("labels_*.csv"))
        head, *rows = sheet.read_text().splitlines()
        told.append([int(row.split(",")[0]) % 10 for row in rows])
        filled = [row + str(label) for row, label in zip(rows, told[-1], strict=True)]
        sheet.write_text("\n".join([head, *filled, ""]))
    ended = alsuite("strategy=margin", *LEARNING, *sizes, "oracle=human", "devices=2")
    assert ended.status == 0, ended.err
    first, last = records(run_of(tmp_path))
    assert [first["initial"]["labels"], first["queried"]["labels"], last["queried"]] == [*told, None]


@pytest.mark.slow
def test_first_labels_that_a_scan_chooses_are_those_of_one_process(alsuite: Command, tmp_path: Path) -> None:
    firsts = []
    for count in ("1", "2"):
        chosen = ("initial._target_=helpers.ranks.brightest", f"devices={count}", f"root={tmp_path / count}")
        ended = alsuite("strategy=full", *SHORT, "budget.initial=10", "budget.end=10", *chosen)
        assert ended.status == 0, ended.err
        firsts.append(records(run_of(tmp_path / count))[0]["initial"])
    assert firsts[0] == firsts[1]


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_run_in_a_line_and_it_goes_on(alsuite: Command, tmp_path: Path) -> None:
    killing = ("+strategy.file=" + str(tmp_path / "killed"), "strategy._target_=helpers.ranks.KilledOnce")
    killed = alsuite("strategy=random", *killing, *LEARNING, "devices=2", f"root={tmp_path / 'root'}")
    assert killed.line == "alsuite: process 2 of the run was killed (status -9); start the same command again"
    run = run_of(tmp_path / "root")
    (first,) = records(run)
    gone_on = alsuite("strategy=random", *killing, *LEARNING, "devices=2", f"root={tmp_path / 'root'}")
    assert gone_on.status == 0, gone_on.err
    assert records(run)[0] == first
    whole = alsuite("strategy=random", *killing, *LEARNING, "devices=2", f"root={tmp_path / 'whole'}")
    assert whole.status == 0, whole.err
    pairs = zip(records(run), records(run_of(tmp_path / "whole")), strict=True)
    assert all((a["queried"], a["metrics"]) == (b["queried"], b["metrics"]) for a, b in pairs)


@pytest.mark.slow
def test_what_goes_wrong_in_all_processes_is_told_once(alsuite: Command) -> None:
    line = alsuite("strategy=bald", *SHORT, "devices=2").line
    assert line.startswith("alsuite: cycle 1: this strategy needs dropout")


@pytest.mark.slow
def test_a_batch_has_an_image_for_each_process(alsuite: Command) -> None:
    line = alsuite("strategy=random", *LEARNING, "devices=3", "task_model.batch=2").line
    assert line == "alsuite: cycle 1: 3 processes share batches of 2 images: take devices=2 at the most"


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [["learning_loss", "task_model.batch=3"], ["aalu", "strategy.batch=3"]])
def test_losses_that_are_ranked_have_two_for_each_process(strategy: list[str], alsuite: Command) -> None:
    line = alsuite(f"strategy={strategy[0]}", *LEARNING, strategy[1], "devices=2").line
    assert line == "alsuite: cycle 1: 2 processes share batches of 3 images: take devices=1 at the most"


@pytest.mark.slow
def test_runs_of_several_processes_take_turns(alsuite: Command, tmp_path: Path) -> None:
    ended = alsuite("-m", "strategy=random,margin", *LEARNING, "devices=2")
    assert ended.status == 0, ended.err
    assert len([*tmp_path.rglob("cycles.jsonl")]) == 2
    assert "[2/2]" in ended.out


@pytest.mark.parametrize("number", [0, -1, True, 1.5, "all"])
def test_a_wrong_number_is_refused(number: object) -> None:
    with pytest.raises(UserError, match=f"^devices={number} is no number of devices: give one from 1$"):
        processes_of({"devices": number})


def test_several_machines_are_a_clusters(alsuite: Command) -> None:
    line = alsuite("strategy=random", "dataset=digits", "nodes=2").line
    assert line == "alsuite: nodes=2 is for a cluster: add -m hydra/launcher=slurm, or leave it out"


def test_runs_side_by_side_have_a_process_each(alsuite: Command) -> None:
    ended = alsuite("-m", "strategy=random", "seed=0,1", "dataset=digits", "devices=2", "parallel=2")
    assert ended.line == "alsuite: parallel=2 runs of several processes would share the machine: leave parallel out"


@pytest.mark.slow
def test_runs_of_several_processes_are_not_joblibs(alsuite: Command) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    by_joblib = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=1")  # one job stays in this process
    line = alsuite("-m", "strategy=random", "seed=0,1", "dataset=digits", "devices=2", *by_joblib).line
    advice = "leave hydra/launcher=joblib out, or devices"
    assert line == f"alsuite: runs of several processes take turns: {advice} (2 runs)"


def test_more_gpus_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "choose_device", lambda device: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    job = Job({"devices": 4, "nodes": 1, "device": "auto"}, {}, Path())
    with pytest.raises(UserError, match=r"^devices=4, but torch sees 2 here: take devices=2"):
        several.several(print, job, print)


def test_each_process_has_a_gpu_of_its_own() -> None:
    assert [own_gpu(place, {}) for place in range(3)] == ["0", "1", "2"]
    assert [own_gpu(place, {"CUDA_VISIBLE_DEVICES": "5,7"}) for place in range(2)] == ["5", "7"]
    assert own_gpu(3, {"CUDA_VISIBLE_DEVICES": "6"}) == "6"
    with pytest.raises(UserError, match="2 GPUs are shown"):
        own_gpu(2, {"CUDA_VISIBLE_DEVICES": "5,7"})


def test_slurm_is_asked_for_a_task_for_each_process() -> None:
    def jobs(*sizes: tuple[int, int]) -> list[Job]:
        return [Job({"nodes": nodes, "devices": devices}, {}, Path()) for nodes, devices in sizes]

    assert slurm._tasks(jobs((1, 1), (1, 1))) == {}
    asked = slurm._named_for_submitit(slurm._tasks(jobs((2, 4), (2, 4))))
    assert asked == {"nodes": 2, "tasks_per_node": 4, "slurm_srun_args": ["--kill-on-bad-exit=1"]}
    with pytest.raises(UserError, match="give devices and nodes one value"):
        slurm._tasks(jobs((1, 2), (1, 4)))


def test_a_task_of_slurms_knows_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "0")  # as alsuite sets it where a array was started without one
    met = []
    task = SimpleNamespace(
        num_tasks=8, num_nodes=2, hostnames=["a", "b"], raw_job_id="10042", local_rank=1, global_rank=5
    )
    monkeypatch.setattr(several, "met", lambda *where: met.append(where) or pytest.MonkeyPatch.context())
    monkeypatch.setattr("submitit.JobEnvironment", lambda: task)
    with several.as_task({"nodes": 2, "devices": 4, "device": "cpu"}):
        assert met == [("tcp://a:20042", 5, 8, None, False)]
    checked: list[str | None] = []

    def looked_for(_: str) -> torch.device:
        checked.append(os.environ.get("PYTORCH_NVML_BASED_CUDA_CHECK"))
        return torch.device("cuda")

    monkeypatch.setattr(several, "choose_device", looked_for)
    with several.as_task({"nodes": 2, "devices": 4, "device": "auto"}):
        assert met[1:] == [("tcp://a:20042", 5, 8, 1, False)]
    assert checked == ["1"]
    with pytest.raises(UserError, match="8 tasks for 4 processes"), several.as_task({"devices": 4, "device": "cpu"}):
        pass


def test_a_number_of_processes_is_the_product() -> None:
    assert processes_of({"nodes": 2, "devices": 4}) == 8
    assert processes_of({}) == 1
