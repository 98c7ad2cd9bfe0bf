"""The queue is read from what Slurm says, and the progress of its runs from their journals; no Slurm is needed here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alsuite.command.slurm_queue import Growing, in_queue


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
