"""The queue is read from what Slurm says, and the progress of its runs from their journals; no Slurm is needed here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alsuite.command import slurm_queue
from alsuite.command.progress import Progress
from alsuite.command.slurm import Array
from alsuite.command.slurm_queue import PATIENCE, Growing, Watch, in_queue


def says(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, status: int = 0) -> None:
    """Put a squeue of our own in the place of Slurm's."""
    program = folder / "squeue"
    program.write_text(f"#!/bin/sh\necho '{text}'\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_tasks_run_or_wait_or_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = {
        "7_0|RUNNING|None": "running",
        "7_1|PENDING|Resources": "waiting",
        "7_2|PENDING|JobHeldUser": "held (scontrol release lets it start)",
        "7_3|PENDING|job requeued in held state": "held (scontrol release lets it start)",
        "8|COMPLETING|None": "running",
        "9|PENDING|a|b": "waiting",
    }
    says(tmp_path, monkeypatch, "\n".join(reasons))
    assert in_queue() == {line.split("|")[0]: does for line, does in reasons.items()}


def test_a_queue_that_does_not_answer_is_not_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says(tmp_path, monkeypatch, "", 1)
    assert in_queue() is None


def test_a_journal_is_followed_by_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "cycles.jsonl"
    journal = Growing(path)
    assert journal.added() == []
    first, last = ({"cycle": cycle, "queried": queried} for cycle, queried in ((0, {}), (1, None)))
    path.write_text(f"{json.dumps(first)}\n{json.dumps(last)[:9]}")
    assert journal.added() == [first]
    assert journal.added() == []
    path.write_text(f"{json.dumps(first)}\n{json.dumps(last)}\n")
    assert not journal.finished
    assert journal.added() == [last]
    assert journal.finished
    assert journal.added() == []
    assert journal.finished


class Noted:
    """Notes what is shown of each run."""

    def __init__(self) -> None:
        self.cycles: list[int] = []
        self.ends: dict[int, str | None] = {}

    def cycle(self, place: int, *_: object) -> None:
        self.cycles.append(place)

    def ended(self, place: int, why: str | None) -> None:
        self.ends[place] = why

    def say(self, text: str) -> None: ...


@pytest.fixture
def watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Noted, dict[int, Exception], float]]:
    """Watch two runs, whose queue and journals are as a function makes them at each second, till both have ended."""

    def watch(at: Callable[[float, list[Path]], dict[str, str] | None]) -> tuple[Noted, dict[int, Exception], float]:
        clock, shown = [0.0], Noted()
        folders = [tmp_path / name for name in ("first", "second")]
        tasks: list[Any] = []
        for number, folder in enumerate(folders):
            folder.mkdir()
            names = ("stderr", "stdout", "folder", "result_pickle")
            paths = SimpleNamespace(**{name: folder / f"no {name}" for name in names})
            tasks.append(SimpleNamespace(job_id=f"7_{number}", paths=paths))
        monkeypatch.setattr(slurm_queue, "monotonic", lambda: clock[0])
        monkeypatch.setattr(slurm_queue, "sleep", lambda seconds: clock.append(clock.pop() + 1))
        monkeypatch.setattr(slurm_queue, "in_queue", lambda: at(clock[0], folders))
        errors = Watch(tasks, folders, [2, 2], shown).until_all_ended()  # type: ignore[arg-type]
        return shown, errors, clock[0]

    return watch


def written(folder: Path, cycle: int, last: bool = False) -> None:
    told = {"labelled": 10, "metrics": {}, "fit_seconds": 0.0, "query_seconds": 0.0}
    record = {"cycle": cycle, **told, "queried": None if last else {"indices": [], "labels": []}}
    with (folder / "cycles.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")


def test_a_run_that_has_left_the_queue_is_given_up_after_a_while(watched: Callable[..., Any]) -> None:
    """But not the one whose journal is at its end."""

    def at(now: float, folders: list[Path]) -> dict[str, str]:
        if now in (3, 4):
            written(folders[0], int(now) - 3, last=now == 4)
        return {"7_0": "running", "7_1": "running"} if now < 5 else {}

    shown, errors, ended = watched(at)
    assert shown.cycles == [0, 0]
    assert [*errors] == [1]
    assert "it has left Slurm's queue before its journal's end (log: " in str(errors[1])
    assert (shown.ends[0], shown.ends[1]) == (None, str(errors[1]))
    assert 4 + PATIENCE < ended < 8 + PATIENCE


def test_a_queue_that_says_nothing_gives_no_run_up(watched: Callable[..., Any]) -> None:
    def at(now: float, folders: list[Path]) -> None:
        if now == 3 * int(PATIENCE):
            for folder in folders:
                written(folder, 0, last=True)

    shown, errors, ended = watched(at)
    assert (errors, shown.ends) == ({}, {0: None, 1: None})
    assert ended == 3 * int(PATIENCE) + 1


def test_what_another_user_handed_in_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read a pickle is to run what it holds."""
    submitit = pytest.importorskip("submitit")
    read: list[Path] = []

    def submission(task: Any) -> Any:
        read.append(task.paths.submitted_pickle)
        return SimpleNamespace(args=[SimpleNamespace(folder=tmp_path)])

    monkeypatch.setattr(submitit.SlurmJob, "submission", submission)
    kept = tmp_path / "7_0" / "7_0_submitted.pkl"
    kept.parent.mkdir()
    kept.touch()
    array = Array(lambda job, shown: None, {"submitit_folder": tmp_path / "%j"})
    with Progress([]) as progress:
        for user, expected in ((kept.stat().st_uid + 1, []), (kept.stat().st_uid, [kept])):
            monkeypatch.setattr("os.getuid", lambda user=user: user)
            array.tell_of_earlier([], progress)
            assert read == expected
