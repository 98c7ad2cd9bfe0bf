"""What a command shows of one run and of many, in a log and on a terminal."""

import sys
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from alsuite import progress as watching
from alsuite.command import pace
from alsuite.command import progress as shown_by
from alsuite.command.pace import Course, Pace, as_on_a_clock
from alsuite.command.progress import Progress
from alsuite.command.shown import Brief, brief
from alsuite.progress import Lines, displayed, say, watched

RECORD = {
    "cycle": 2,
    "labelled": 1_234,
    "metrics": {"mnist": {"accuracy": 0.98765, "macro_f1": 0.9}, "usps": {"accuracy": 0.5, "macro_f1": 0.4}},
    "fit_seconds": 61.04,
    "query_seconds": 2.96,
}


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time."""
    time = [0.0]
    for module in (pace, shown_by, watching):
        monkeypatch.setattr(module, "monotonic", lambda: time[0])
    return lambda seconds: time.__setitem__(0, seconds)


def pretend_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def cycle(number: int, seconds: float = 10.0, warning: str = "", accuracy: float = 0.5) -> Brief:
    return {
        "cycle": number,
        "labelled": 10 * number,
        "accuracy": accuracy,
        "warning": warning,
        "fit_seconds": 0.75 * seconds,
        "query_seconds": 0.25 * seconds,
    }


def bars(progress: Progress) -> list[str]:
    """The lines below the others on a terminal."""
    assert progress.bars is not None
    console = Console(file=StringIO(), width=150)
    console.print(progress.bars.get_renderable())
    assert isinstance(console.file, StringIO)
    return [
        " ".join(line.translate(dict.fromkeys(map(ord, "━╺╸"))).split())
        for line in console.file.getvalue().splitlines()
    ]


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
    assert as_on_a_clock(seconds) == shown


def test_a_cycle_is_told_in_brief_by_its_first_test_set() -> None:
    spent = {"fit_seconds": 61.04, "query_seconds": 2.96}
    assert brief(RECORD) == {"cycle": 2, "labelled": 1_234, "accuracy": 0.98765, "warning": "", **spent}
    assert brief({**RECORD, "queried": {"notes": {"warning": "it has collapsed"}}})["warning"] == "it has collapsed"


@pytest.mark.parametrize(
    ("seconds", "left"),
    [
        ([], 0),
        ([10], 90),
        ([10, 10], 80),
        ([10, 12], sum(range(14, 30, 2))),
        ([1, 10], 80 + 5 * 36),  # growth from nothing at the most
        ([100, 10, 10], 70),
        ([10] * 10, 0),
        ([10] * 12, 0),
    ],
)
def test_a_run_takes_as_long_as_its_cycles_and_their_growth_tell(seconds: list[float], left: float) -> None:
    assert Course(10, seconds).left == pytest.approx(left)
    assert Course(10, seconds, over=True).left == 0


def test_runs_of_different_lengths_side_by_side(now: Callable[[float], None]) -> None:
    """Two at once: 20 s of runs a second of the clock, and no run ends sooner than it can."""
    courses = [Course(4, [10.0] * 4, over=True), Course(10, [5.0] * 8), Course(), Course()]
    shown = Pace(courses)
    shown.judge()
    assert shown.left is None
    now(40)
    shown.fresh = 80
    shown.judge()
    assert shown.left == pytest.approx((10 + 2 * 45) / 2)
    now(50)
    assert shown.left == pytest.approx((10 + 2 * 45) / 2 - 10)
    courses[1:] = [Course(10, [5.0] * 8), Course(1, [1.0], over=True), Course(2, [100.0])]
    shown.judge()
    assert shown.left == pytest.approx(100)


def test_a_line_per_cycle_of_a_single_run(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(["run"])
    progress.cycle(0, brief(RECORD), 5, False)
    progress.cycle(0, {**brief(RECORD), "cycle": 3, "labelled": 12}, 5, True)
    progress.ended(0, None)
    fresh, old = capsys.readouterr().out.splitlines()
    numbers = ["accuracy 0.988", "fit 61.0 s", "query 3.0 s"]
    assert fresh.split("   ") == ["cycle", "3/5", "  1,234 labelled", *numbers, "4:16 left"]
    assert old.endswith("query 3.0 s   done before")


def test_a_warning_is_told_once_after_its_cycle(capsys: pytest.CaptureFixture[str]) -> None:
    single, sweep = Progress(["run"]), Progress(["a", "b"])
    for progress, number in ((single, 0), (single, 0), (sweep, 0), (sweep, 1), (sweep, 1)):
        progress.cycle(number, cycle(1, warning="it has collapsed"), 4, False)
    told = [line for line in capsys.readouterr().out.splitlines() if "labelled" not in line]
    assert told == ["warning: it has collapsed", "a, cycle 2: warning: it has collapsed"]


def test_a_line_per_finished_run_of_a_sweep_and_one_every_half_minute(
    now: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(["seed=0", "seed=1"])
    for number, at in enumerate((10, 20, 30, 40)):
        now(at)
        progress.cycle(0, cycle(number), 4, False)
    now(50)
    progress.ended(0, None)
    now(60)
    progress.cycle(1, cycle(0), 4, False)
    progress.ended(1, None)
    meanwhile, first, second = capsys.readouterr().out.splitlines()
    assert meanwhile.startswith("[0/2] seed=0 ")
    assert "cycle   4/4" in meanwhile
    assert first.startswith("[1/2] seed=0 ")
    assert first.endswith("     30 labelled   accuracy 0.500   0:50 spent, 0:50 left")
    assert second.startswith("[2/2] seed=1 ")
    assert second.endswith("1:00 spent, 0:00 left")
    assert progress.failed == 0


def test_cycles_of_an_earlier_start_tell_how_long_runs_are_but_not_how_fast_they_go(
    now: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(["seed=0", "seed=1"])
    for number in range(4):
        progress.cycle(0, cycle(number), 4, number < 3)
    now(10)
    progress.ended(0, None)
    assert capsys.readouterr().out.endswith("0:10 spent, 0:40 left\n")


def test_why_a_run_failed_is_told_in_a_line_and_the_same_reason_once(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(["a", "b", "c"])
    progress.cycle(2, cycle(0), 4, False)
    for number in range(3):
        progress.ended(number, "budget.query=0 buys nothing")
    lines = capsys.readouterr().out.splitlines()
    assert ["FAILED: budget.query=0 buys nothing " in line for line in lines] == [True, False, False]
    assert ["FAILED, for the reason above" in line for line in lines] == [False, True, True]
    assert progress.failed == 3


def test_a_run_that_ends_without_a_cycle_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Progress(["seed=0", "seed=1"]).ended(0, None)
    assert "[1/2] seed=0                           nothing" in capsys.readouterr().out


def test_a_run_that_awaits_labels_has_not_failed(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(["a", "b"])
    progress.waiting(0, "20 images await labels")
    progress.ended(0, "it exited")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("[1/2] a ")
    assert "waiting: 20 images await labels" in line
    assert progress.failed == 0


def test_a_log_tells_at_once_what_goes_on_and_shows_no_bars(
    now: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress() as progress:
        for number in range(110):
            progress.reading(number, 110)
        assert capsys.readouterr().out == "reading the configuration of 110 runs\n"
        progress.runs(["a"])
        for number in watched(range(9), "features"):
            now(60 * number)
        say("training dcgan")
    assert capsys.readouterr().out == "training dcgan\n"


def test_a_terminal_shows_the_running_runs_below_all_of_them(
    now: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_a_terminal(monkeypatch)
    with Progress() as progress:
        progress.reading(2, 4)
        assert bars(progress) == ["reading the configuration of 4 runs"]
        progress.runs(["a", "b[0]", "c", "d"])
        assert bars(progress) == ["all runs 0/4 0:00 spent"]
        progress.cycle(1, cycle(1, accuracy=0.25), 4, False)
        now(5)
        assert bars(progress)[1:] == ["b[0] cycle 2/4 10 labelled accuracy 0.250 0:25 left"]
        progress.ended(0, "it broke")
        progress.waiting(2, "labels")
        assert bars(progress)[0] == "all runs 2/4, 1 failed, 1 waiting 0:05 spent, 0:40 left"
        assert [line.split()[0] for line in bars(progress)] == ["all", "b[0]"]


def test_a_terminal_shows_the_work_within_a_single_run(
    now: Callable[[float], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_a_terminal(monkeypatch)
    with Progress(["run"]) as progress:
        progress.cycle(0, cycle(0), 2, False)
        for number in watched(range(10), "features", 10):
            now(2 * number)
            if number == 6:
                assert bars(progress)[1].startswith("features 60 %")
        assert bars(progress) == ["run cycle 1/2 0 labelled accuracy 0.500 0:00 left"]
        progress.say("a [red]line")
    out = capsys.readouterr().out
    assert "a [red]line" in out
    assert "fit 7.5 s" in out


def test_a_child_sends_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[str] = []
    with displayed(Lines(sent.append)):
        say("training dcgan")
        list(watched(range(3), "features"))
    assert sent == ["training dcgan"]
    assert capsys.readouterr().out == ""
