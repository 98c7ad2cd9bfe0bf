"""Runs go to a real Slurm, and nothing that happens to their tasks there loses a cycle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from alsuite.command import slurm, slurm_queue
from alsuite.command.job import Job
from alsuite.command.progress import Progress
from alsuite.command.slurm_queue import in_queue
from alsuite.errors import AwaitingLabels, UserError
from helpers import importing
from helpers.commands import SMALL, accuracies, journals
from helpers.slurm import CYCLES, HERE, Slurm, one_node, said, stepping, steps, until

pytest.importorskip("submitit")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HERE, reason="apt-get install slurm-wlm munge brings a Slurm"),
    pytest.mark.xdist_group("slurm"),
]
Ended = Mapping[int, Exception]
MIDDLE = CYCLES // 2
SWEEP = ("experiment=demo", "seed=0,1,2,3,4,5", "scale.cycles=12", "parallel=2", *SMALL)
BY_SLURM = (
    "hydra/launcher=submitit_slurm",
    "hydra.launcher.partition=usual",
    'hydra.launcher.setup=["export SETUP=1"]',
)
QUICK = """
from alsuite import __main__
from alsuite.command import slurm_queue
slurm_queue.PERIOD, slurm_queue.PATIENCE = 0.5, 3.0
__main__.main()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    folder = tmp_path_factory.mktemp("slurm")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        patched.setenv("PYTHONPATH", importing(folder)["PYTHONPATH"])
        patched.setattr(slurm_queue, "PERIOD", 0.2)
        patched.setattr(slurm_queue, "PATIENCE", 3.0)
        with one_node(folder) as started:
            yield started


def jobs(folder: Path, count: int = 1, error: str = "") -> list[Job]:
    return [Job({"error": error}, {}, folder / f"run{number}") for number in range(count)]


def run(made: list[Job], folder: Path, **options: object) -> Ended:
    fixed = {"submitit_folder": f"{folder}/.slurm/%j", "max_num_timeout": 3, "cpus_per_task": 1, "timeout_min": 10}
    array = slurm.Array(stepping, {**fixed, "additional_parameters": {"requeue": True}, **options})
    with Progress([job.name for job in made]) as progress:
        return array.run(made, [CYCLES] * len(made), progress)


@pytest.fixture
def halfway(cluster: Slurm, tmp_path: Path) -> Iterator[tuple[Job, str, Future[Ended]]]:
    """A run that waits in the middle, the number of its task, and what its command will return."""
    until(lambda: not in_queue())
    (job,) = jobs(tmp_path)
    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(run, [job], tmp_path)
        until(lambda: len(steps(job)) == MIDDLE or ended.done())
        (number,) = in_queue() or {""}
        yield job, number, ended
        (tmp_path / "go").touch()


def goes_on(job: Job) -> None:
    (job.folder.parent / "go").touch()


def process_of(job: Job) -> int:
    return steps(job)[-1]


@pytest.mark.parametrize("how", ["time is up", "requeued", "preempted"])
def test_a_task_that_is_stopped_goes_on_in_another(how: str, halfway: tuple[Job, str, Future[Ended]]) -> None:
    job, number, ended = halfway
    first = process_of(job)
    if how == "time is up":
        subprocess.run(["scancel", "--signal=USR2", number], check=True)
    elif how == "requeued":
        subprocess.run(["scontrol", "requeue", number], check=True)
    else:
        urgent = ["sbatch", "--partition=urgent", "--cpus-per-task=2", "--output=/dev/null", "--wrap=sleep 1"]
        subprocess.run(urgent, check=True, capture_output=True)
    until(lambda: not exists(first))
    goes_on(job)
    assert ended.result(120) == {}
    assert_gone_on(job, first)


def test_a_task_that_cannot_be_read_is_named(halfway: tuple[Job, str, Future[Ended]], tmp_path: Path) -> None:
    job, number, ended = halfway
    (kept,) = (tmp_path / ".slurm").rglob(f"{number}_submitted.pkl")
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=f"task {number} in Slurm's queue was handed in by another version"):
        run([job], tmp_path)
    goes_on(job)
    assert ended.result(120) == {}


def test_a_task_whose_time_is_up_goes_on_in_another(cluster: Slurm, tmp_path: Path) -> None:
    (job,) = jobs(tmp_path)
    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(run, [job], tmp_path, timeout_min=2, signal_delay_s=30)  # or a minute before that
        until(lambda: len(steps(job)) == MIDDLE or ended.done())
        first = process_of(job)
        until(lambda: not exists(first))
        goes_on(job)
        assert ended.result(120) == {}
    assert_gone_on(job, first)


def assert_gone_on(job: Job, first: int) -> None:
    assert len(steps(job)) == CYCLES
    assert steps(job)[:MIDDLE] == [first] * MIDDLE
    assert first not in steps(job)[MIDDLE:]


@pytest.mark.parametrize("how", ["killed", "cancelled"])
def test_a_task_that_ends_is_named_with_its_log_and_the_same_command_goes_on(
    how: str, halfway: tuple[Job, str, Future[Ended]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    job, number, ended = halfway
    first = process_of(job)
    if how == "killed":
        os.kill(first, signal.SIGKILL)
    else:
        subprocess.run(["scancel", number], check=True)
    (error,) = ended.result(120).values()
    log = tmp_path / ".slurm" / number / f"{number}_0_log.err"
    assert str(error).endswith(f"(log: {log})")
    assert how.removesuffix("ed").upper() in log.read_text().upper()
    goes_on(job)
    capfd.readouterr()
    assert run([job], tmp_path) == {}
    assert f"1 of 1 runs are handed in again; {job.name}: {error}\n" in capfd.readouterr().out
    assert steps(job)[:MIDDLE] == [first] * MIDDLE
    assert len(steps(job)) == CYCLES


def test_a_node_that_starts_anew_loses_nothing(cluster: Slurm, halfway: tuple[Job, str, Future[Ended]]) -> None:
    job, _, ended = halfway
    cluster.restart_node()
    goes_on(job)
    assert ended.result(120) == {}
    assert steps(job) == [process_of(job)] * CYCLES


def test_what_is_queued_is_waited_for_and_not_handed_in_again(
    cluster: Slurm, halfway: tuple[Job, str, Future[Ended]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As by the same command after it was killed; of two runs here one is in the queue."""
    job, _, first = halfway
    with ThreadPoolExecutor(1) as thread:
        second = thread.submit(run, jobs(tmp_path, 2), tmp_path)
        until(lambda: len(in_queue() or ()) == 2 or second.done())
        goes_on(job)
        assert second.result(120) == first.result(120) == {}
    assert "1 of 2 runs are in Slurm's queue already" in capsys.readouterr().out
    assert all(len({*steps(each)}) == 1 for each in jobs(tmp_path, 2))
    assert len([*tmp_path.glob(".slurm/*/*_submitted.pkl")]) == 2


def test_two_commands_at_once_hand_in_a_run_once(cluster: Slurm, tmp_path: Path) -> None:
    made = jobs(tmp_path, 2)
    with ThreadPoolExecutor(2) as threads:
        ended = [threads.submit(run, made, tmp_path) for _ in range(2)]
        until(lambda: len(in_queue() or ()) == 2)
        goes_on(made[0])
        assert [each.result(120) for each in ended] == [{}, {}]
    assert len([*tmp_path.glob(".slurm/*/*_submitted.pkl")]) == 2


@pytest.mark.parametrize(
    ("error", "told"),
    [("bug", "ZeroDivisionError: by zero"), ("option", "lower budget.end"), ("labels", "label these")],
)
def test_what_goes_wrong_in_a_task_is_told(error: str, told: str, cluster: Slurm, tmp_path: Path) -> None:
    errors = run(jobs(tmp_path, 2, error), tmp_path)
    assert sorted(errors) == [0, 1]
    assert all(str(each).startswith(f"{told} (log: {tmp_path / '.slurm'}") for each in errors.values())
    assert all(isinstance(each, AwaitingLabels) is (error == "labels") for each in errors.values())


def test_what_slurm_does_not_take_is_told(cluster: Slurm, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^Slurm takes no runs \(.*partition"):
        run(jobs(tmp_path), tmp_path, partition="nowhere")


def exists(process: int) -> bool:
    return bool(said("ps", "--no-headers", str(process)))


def test_a_run_of_several_tasks_ends_with_the_first_that_does_and_goes_on(cluster: Slurm, tmp_path: Path) -> None:
    options = ("-m", "strategy=margin", "dataset=digits", "seed=0", "scale.cycles=3", "devices=2", *SMALL)
    by_slurm = (*options, "hydra/launcher=slurm", "hydra.launcher.partition=usual")
    first = started(tmp_path, *by_slurm)
    until(lambda: len(processes_of(tmp_path)) == 2 or first.poll() is not None, seconds=600)
    assert first.poll() is None, first.communicate()[0]
    os.kill(processes_of(tmp_path)[1], signal.SIGKILL)
    told, _ = first.communicate(timeout=600)
    assert first.returncode == 1, told
    assert "_log." in told
    ended_well(started(tmp_path, *by_slurm))
    (run,) = accuracies(tmp_path).values()
    assert len(run) == 3
    assert len([*(tmp_path / ".slurm").rglob("*_1_log.out")]) == 2


def started(root: Path, *options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-c", QUICK, *options, f"root='{root}'"]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def ended_well(process: subprocess.Popen[str]) -> str:
    try:
        told, _ = process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"{process.communicate()[0]}\n{in_queue()}")
    assert process.returncode == 0, told
    return told


def processes_of(root: Path) -> list[int]:
    """Those in which tasks run, not what looks after them."""
    found = said("pgrep", "-f", f"^[^ ]*python[^ ]* -u -m submitit.core._submit {root}")
    return [int(number) for number in found.split()]


def task_in(process: int) -> str:
    """The number of the task that runs in a process."""
    lines = Path(f"/proc/{process}/environ").read_text().split("\0")
    told = {name: value for name, _, value in (line.partition("=") for line in lines)}
    return f"{told['SLURM_ARRAY_JOB_ID']}_{told['SLURM_ARRAY_TASK_ID']}"


def running() -> list[str]:
    return [number for number, does in (in_queue() or {}).items() if does == "running"]


def test_whatever_happens_to_a_sweep_its_runs_are_those_of_this_machine(cluster: Slurm, tmp_path: Path) -> None:
    """The command is killed and given again; of its tasks one is killed, one requeued, and their node starts anew.

    Only once the end of those two is known: a node drains that has lost sight of a task which it is to start again.
    """
    here, there = tmp_path / "here", tmp_path / "over there"
    ended_well(started(here, *SWEEP))
    first = started(there, *SWEEP, *BY_SLURM)
    until(lambda: [*there.rglob("cycles.jsonl")] or first.poll() is not None)
    first.kill()
    assert "12 runs are handed in" in first.communicate()[0]
    victim, *_ = processes_of(there)
    killed = task_in(victim)
    until(lambda: {*running()} - {killed})
    other = max({*running()} - {killed})
    os.kill(victim, signal.SIGKILL)
    subprocess.run(["scontrol", "requeuehold", other], check=True)
    until(lambda: killed not in (in_queue() or {killed}))
    until(lambda: "PENDING" in said("squeue", "--noheader", f"--jobs={other}", "--format=%T"))
    until(lambda: len(processes_of(there)) == 2)
    cluster.restart_node()
    second = started(there, *SWEEP, *BY_SLURM)
    assert second.stdout is not None
    assert any("in Slurm's queue already" in line for line in second.stdout)
    subprocess.run(["scontrol", "release", other], check=True)
    told = ended_well(second)
    assert len(journals(here)) == 12
    assert journals(there) == journals(here)
    assert Path(told.splitlines()[-1]) == there / "figures" / "smoke" / "demo.png"
