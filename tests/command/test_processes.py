"""Runs side by side end each for themselves."""

import multiprocessing as mp
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate

from alsuite.command import processes
from alsuite.command.job import Job
from alsuite.command.processes import side_by_side
from alsuite.command.progress import Progress
from alsuite.command.shown import Brief
from alsuite.errors import UserError
from helpers import importing
from helpers.slurm import until

RECORD: Brief = {
    "cycle": 0,
    "labelled": 1_234,
    "accuracy": 0.98765,
    "warning": "",
    "fit_seconds": 61.04,
    "query_seconds": 2.96,
}


class Silent:
    def cycle(self, number: int, record: dict[str, Any], cycles: int, old: bool) -> None: ...


@pytest.mark.parametrize(("held", "room"), [(0.0, sys.maxsize), (0.9, 1), (0.42, 2), (0.16, 5), (0.1, 8)])
def test_as_many_runs_share_a_gpu_as_its_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: float, room: int
) -> None:
    monkeypatch.setattr(processes, "GPUS", [tmp_path])
    runs: Any = processes._Runs(work, None, Silent())  # type: ignore[arg-type]
    assert runs.room == 1
    runs._cycle(0, RECORD, 4, True, 0.01)
    assert runs.room == 1, "an old cycle is told before its run has a pool"
    runs._cycle(0, RECORD, 4, False, held)
    assert runs.room == room


def test_a_number_that_was_asked_for_is_kept_whatever_a_gpu_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GPUS", [tmp_path])
    runs: Any = processes._Runs(work, None, Silent(), by_memory=False)  # type: ignore[arg-type]
    assert runs.room == sys.maxsize
    runs._cycle(0, RECORD, 4, False, 0.9)
    assert runs.room == sys.maxsize


@pytest.mark.parametrize("parallel", [0, -1, 1.5, True, "many", None])
def test_a_number_of_runs_that_is_none_is_refused(parallel: object) -> None:
    with pytest.raises(UserError, match="give one from 1, or auto"):
        processes.slots(parallel)


def work(job: Job, shown: Any) -> None:
    """One run of each fate."""
    folder = job.folder
    (folder / "started").write_text(f"{os.environ['OMP_NUM_THREADS']} {torch.get_num_threads()}")
    (folder / "temporary").write_text(tempfile.mkdtemp())
    shown(RECORD, 1, False)
    match job.config["fate"]:
        case "mistake":
            raise UserError("lower budget.end")
        case "name":
            instantiate({"net": {"_target_": "nomodule.Net"}})
        case "bug":
            raise ZeroDivisionError("by zero")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            sys.exit(7)
        case "Ctrl-C":  # the terminal sends it to each process
            os.kill(os.getpid(), signal.SIGINT)


def jobs(folder: Path, fates: Sequence[str]) -> list[Job]:
    made = [Job({"fate": fate}, {}, folder / f"{number}-{fate}") for number, fate in enumerate(fates)]
    for job in made:
        job.folder.mkdir()
    return made


def run(made: Sequence[Job], parallel: object) -> dict[int, Exception]:
    with Progress([job.name for job in made]) as progress:
        return side_by_side(work, made, parallel, progress)


@pytest.mark.slow
def test_runs_side_by_side_end_each_for_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(processes, "slots", {3: 3, 2: 2, "auto": 6}.__getitem__)
    made = jobs(tmp_path, ["fine", "mistake", "bug", "kill", "exit", "Ctrl-C", "name"])
    errors = run(made, 3)
    assert {*errors} == {1, 2, 3, 4, 6}
    lines = capsys.readouterr().out.splitlines()
    shown = {job.name: next(line for line in lines if job.name in line and line.startswith("[")) for job in made}
    assert all((job.folder / "started").read_text() == "2 2" for job in made)
    assert all(Path((job.folder / "temporary").read_text()).exists() == ("kill" in job.name) for job in made)
    assert "1,234 labelled   accuracy 0.988" in shown["0-fine"]
    assert "FAILED: lower budget.end " in shown["1-mistake"]
    assert f"FAILED: ZeroDivisionError: by zero (see {tmp_path / '2-bug' / 'error.txt'})" in shown["2-bug"]
    assert "Traceback" in (tmp_path / "2-bug" / "error.txt").read_text()
    assert "FAILED: it was killed (status -9); start the same command again" in shown["3-kill"]
    assert "FAILED: " in shown["4-exit"]
    assert "FAILED" not in shown["5-Ctrl-C"]
    assert "FAILED: there is no nomodule.Net to import: check its name" in shown["6-name"]
    assert run(made[:1], 2) == {}
    assert (made[0].folder / "started").read_text() == "6 6"


def sleeping(job: Job, shown: Any) -> None:
    (job.folder / "pid").write_text(str(os.getpid()))
    time.sleep(60)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")
def test_the_runs_of_a_killed_sweep_end_with_it(tmp_path: Path) -> None:
    """Otherwise they would hold their folders when the same command starts again."""
    script = (
        "from test_processes import *\n"
        f"made = jobs(Path({str(tmp_path)!r}), ['long'])\n"
        "with Progress([made[0].name]) as progress: side_by_side(sleeping, made, 1, progress)"
    )
    sweep = subprocess.Popen([sys.executable, "-c", script], env=importing(Path(__file__).parent))
    written = tmp_path / "0-long" / "pid"
    until(lambda: written.exists() and bool(written.read_text()))
    sweep.kill()
    sweep.wait()
    until(lambda: not alive(int(written.read_text())))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


CTRL_C = """
import os, signal
from multiprocessing import forkserver
from alsuite.command.processes import server

if __name__ == "__main__":
    context = server()
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGINT)
    process = context.Process(target=print, args=("started",))
    process.start()
    process.join()
"""


@pytest.mark.slow
@pytest.mark.skipif("forkserver" not in mp.get_all_start_methods(), reason="no server starts processes here")
def test_ctrl_c_does_not_reach_the_server_while_it_imports(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(CTRL_C)
    ran = subprocess.run([sys.executable, script], env=importing(tmp_path), capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("started\n", "")
