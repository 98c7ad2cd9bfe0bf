"""Long work is shown on the current display, a few times a second, and short work is not."""

from collections.abc import Callable

import pytest

from alsuite import progress
from alsuite.progress import Work, displayed, say, watched


class Recorder:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.shown: list[tuple[str, int | None, int]] = []
        self.over: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def show(self, work: Work) -> None:
        self.shown.append((work.description, work.total, work.done))

    def hide(self, work: Work) -> None:
        self.over.append(work.description)


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the time on."""
    now = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_long_work_is_shown_now_and_then(ticking: Callable[[float], None]) -> None:
    recorder = Recorder()
    with displayed(recorder):
        for _ in watched(range(80), "features", total=100, done=20):
            ticking(0.125)
    assert recorder.shown == [("features", 100, done) for done in range(60, 101, 2)]
    assert recorder.over == ["features"]


def test_short_work_is_not_shown(ticking: Callable[[float], None]) -> None:
    recorder = Recorder()
    with displayed(recorder):
        assert list(watched(iter("abc"), "letters")) == ["a", "b", "c"]
    assert (recorder.shown, recorder.over) == ([], ["letters"])


def test_work_that_is_left_early_is_over() -> None:
    recorder = Recorder()
    with displayed(recorder):
        work = watched(range(9), "steps")
        assert next(work) == 0
        work.close()
    assert recorder.over == ["steps"]


def test_lines_go_to_the_display_or_else_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder()
    with displayed(recorder):
        say("here")
    say("there")
    assert recorder.said == ["here"]
    assert capsys.readouterr().out == "there\n"


def test_an_error_leaves_the_display_as_it_was() -> None:
    before = progress.display
    with pytest.raises(ValueError, match="wrong"), displayed(Recorder()):
        raise ValueError("wrong")
    assert progress.display is before
