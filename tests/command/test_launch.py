"""What a sweep shows, and that its runs end each for themselves."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from alsuite.command.launch import _brief, _clock, _Sweep, show_cycle, side_by_side
from alsuite.errors import UserError
from helpers import importing

Job = tuple[dict[str, Any], Path]
RECORD = {
    "cycle": 2,
    "labelled": 1_234,
    "metrics": {"mnist": {"accuracy": 0.98765, "macro_f1": 0.9}, "usps": {"accuracy": 0.5, "macro_f1": 0.4}},
    "fit_seconds": 61.04,
    "query_seconds": 2.96,
}


def sweep(*names: str) -> _Sweep:
    return _Sweep([({}, Path("runs") / name) for name in names])


def cycle(number: int, cycles: int = 4, old: bool = False, held: float = 0.0, warning: str = "") -> tuple[str, Any]:
    record = {"cycle": number, "labelled": 10 * number, "accuracy": 0.5, "warning": warning}
    return "cycle", (record, cycles, old, held)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time."""
    now = [0.0]
    monkeypatch.setattr("alsuite.command.launch.monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, seconds)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0:00"),
        (0.4, "0:00"),
        (59.6, "1:00"),
        (65, "1:05"),
        (3_599.4, "59:59"),
        (3_600, "1:00:00"),
        (90_061, "25:01:01"),
    ],
)
def test_time_is_shown_as_on_a_clock(seconds: float, shown: str) -> None:
    assert _clock(seconds) == shown


def test_a_cycle_is_told_in_brief_by_its_first_test_set() -> None:
    assert _brief(RECORD) == {"cycle": 2, "labelled": 1_234, "accuracy": 0.98765, "warning": ""}


WARNED = {**RECORD, "queried": {"notes": {"warning": "it has collapsed"}}}


def test_what_a_strategy_warns_of_follows_the_line_of_its_cycle(capsys: pytest.CaptureFixture[str]) -> None:
    show_cycle(WARNED, 4, False)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("cycle   3/4")
    assert second == "warning: it has collapsed"


def test_a_sweep_tells_a_warning_once(capsys: pytest.CaptureFixture[str]) -> None:
    runs = sweep("a", "b")
    for number in (0, 1, 1):
        runs.heard(number, *cycle(number, warning="it has collapsed"))
    assert capsys.readouterr().out.count("warning: it has collapsed") == 1


def test_a_line_per_cycle_says_how_long_the_rest_takes(capsys: pytest.CaptureFixture[str]) -> None:
    show_cycle(RECORD, 5, False)
    show_cycle(RECORD, 5, True)
    fresh, old = capsys.readouterr().out.splitlines()
    assert fresh.split("   ") == [
        "cycle",
        "3/5",
        "  1,234 labelled",
        "accuracy 0.988",
        "fit 61.0 s",
        "query 3.0 s",
        "2:08 left",
    ]
    assert old.endswith("   done before")


def test_a_line_per_finished_run_says_how_long_the_rest_takes(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = sweep("seed=0", "seed=1")
    for number in range(4):
        shown.heard(0, *cycle(number))
    clock(60)
    shown.ended(0, 0)
    shown.heard(1, *cycle(0))
    clock(75)
    shown.heard(1, *cycle(1))
    clock(120)
    shown.ended(1, 0)
    first, meanwhile, second = capsys.readouterr().out.splitlines()
    assert first.startswith("[1/2] seed=0 ")
    assert "seed=1" in meanwhile
    assert "cycle   1/4" in meanwhile
    assert first.endswith("     30 labelled   accuracy 0.500   1:00 spent, 1:00 left")
    assert second.startswith("[2/2] seed=1 ")
    assert shown.failed == 0


def test_cycles_of_an_earlier_start_do_not_count_for_the_time_left(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = sweep("seed=0", "seed=1")
    for number in range(3):
        shown.heard(0, *cycle(number, old=True))
    shown.heard(0, *cycle(3))
    clock(10)
    shown.ended(0, 0)
    assert capsys.readouterr().out.endswith("0:10 spent, 0:40 left\n")


@pytest.mark.parametrize(
    ("status", "told", "shown"),
    [
        (2, "budget.query=0 buys nothing", "FAILED: budget.query=0 buys nothing   "),
        (-9, None, "FAILED: it was killed (status -9); start the same command again   "),
    ],
)
def test_a_failed_run_says_why(status: int, told: str | None, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    runs = sweep("seed=0", "seed=1")
    if told:
        runs.heard(0, "error", told)
    runs.ended(0, status)
    assert shown in capsys.readouterr().out
    assert (runs.done, runs.failed) == (1, 1)


def test_a_run_that_ends_without_a_cycle_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    sweep("seed=0").ended(0, 0)
    assert "seed=0: nothing" in capsys.readouterr().out


def test_a_terminal_shows_each_cycle_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    shown = sweep("seed=0")
    for number in range(4):
        shown.heard(0, *cycle(number))
    shown.ended(0, 0)
    lines = capsys.readouterr().out.split("\r\033[2K")
    assert [line.count("cycle") for line in lines] == [0, 1, 1, 1, 1, 1]
    assert "".join(lines).count("\n") == 1


@pytest.mark.parametrize(("held", "room"), [(0.0, sys.maxsize), (0.9, 1), (0.42, 2), (0.16, 5), (0.1, 8)])
def test_as_many_runs_share_a_gpu_as_its_memory_holds(held: float, room: int) -> None:
    shown = sweep("seed=0")
    shown.heard(0, *cycle(0, held=held))
    assert shown.room == room


def work(job: Job, show: Callable[[dict[str, Any], int, bool], None]) -> None:
    """One run of each fate."""
    about, folder = job
    (folder / "started").write_text(os.environ["OMP_NUM_THREADS"])
    (folder / "temporary").write_text(tempfile.mkdtemp())
    show({**RECORD, "cycle": 0}, 1, False)
    match about["fate"]:
        case "mistake":
            raise UserError("lower budget.end")
        case "bug":
            raise ZeroDivisionError("by zero")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            sys.exit(7)


def jobs(folder: Path, fates: Sequence[str]) -> list[Job]:
    made = [({"fate": fate}, folder / f"{number}-{fate}") for number, fate in enumerate(fates)]
    for _, path in made:
        path.mkdir()
    return made


@pytest.mark.slow
@pytest.mark.usefixtures("clock")  # a line in between comes with the time
def test_runs_side_by_side_end_each_for_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    made = jobs(tmp_path, ["fine", "mistake", "bug", "kill", "exit", "fine"])
    assert side_by_side(work, made, 3) == 1
    lines = capsys.readouterr().out.splitlines()
    shown = {path.name: next(line for line in lines if path.name in line) for _, path in made}
    assert len(lines) == 6
    assert all(f"[{number}/6]" in line for number, line in enumerate(lines, start=1))
    assert all((path / "started").read_text() == "1" for _, path in made)
    assert all(Path((path / "temporary").read_text()).exists() == ("kill" in path.name) for _, path in made)
    assert "1,234 labelled   accuracy 0.988" in shown["0-fine"]
    assert "FAILED: lower budget.end " in shown["1-mistake"]
    assert f"FAILED: ZeroDivisionError: by zero (see {tmp_path / '2-bug' / 'error.txt'})" in shown["2-bug"]
    assert "Traceback" in (tmp_path / "2-bug" / "error.txt").read_text()
    assert "FAILED: it was killed (status -9); start the same command again" in shown["3-kill"]
    assert "FAILED: " in shown["4-exit"]
    assert "FAILED" not in shown["5-fine"]
    assert side_by_side(work, made[:1], "auto") == 0


def test_a_bug_in_a_run_without_a_folder_is_told_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    assert side_by_side(work, [({"fate": "bug"}, tmp_path / "missing")], 1) == 1
    assert "FAILED: FileNotFoundError" in capsys.readouterr().out


def test_on_a_gpu_one_run_goes_ahead_to_tell_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alsuite.command.launch.GPU", tmp_path)
    shown = sweep("seed=0", "seed=1")
    assert shown.room == 1
    shown.heard(0, *cycle(0, held=0.16))
    assert shown.room == 5


def sleeping(job: Job, show: Callable[[dict[str, Any], int, bool], None]) -> None:
    (job[1] / "pid").write_text(str(os.getpid()))
    time.sleep(600)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")
def test_the_runs_of_a_killed_sweep_end_with_it(tmp_path: Path) -> None:
    """Otherwise they would hold their folders when the same command starts again."""
    script = f"from test_launch import *; side_by_side(sleeping, jobs(Path({str(tmp_path)!r}), ['long']), 1)"
    sweep = subprocess.Popen([sys.executable, "-c", script], env=importing(Path(__file__).parent))
    written = tmp_path / "0-long" / "pid"
    until(lambda: written.exists() and bool(written.read_text()))
    sweep.kill()
    sweep.wait()
    until(lambda: not alive(int(written.read_text())))


def until(true: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
