"""What the faults' counts mean, and that a few kills of a run that a person labels lose nothing."""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from helpers import REPOSITORY, importing
from helpers.journals import synthetic_curve, write_run

FAULTS = REPOSITORY / "scripts" / "faults"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FAULTS))


def test_records_that_differ_are_told_apart_by_what_counts(tmp_path: Path) -> None:
    records = import_module("records")
    root = write_run(tmp_path, "margin", 0, synthetic_curve(0.8, 0, 3)).parent
    whole, found = records.records(root), records.records(root)
    found[1]["fit_seconds"] = 9.0
    assert records.unlike(whole, found) == ""
    found[1]["queried"]["indices"][0] = 77
    assert records.unlike(whole, found) == "cycle 1, queried.indices[0]: 20 became 77"
    assert records.unlike(whole, found[:2]) == "3 records became 2"
    assert records.labels_of(whole[0]) == 20
    assert records.labels_of(whole[2]) == 0


def test_an_answer_that_stands_in_no_sheet_is_missed(tmp_path: Path) -> None:
    (tmp_path / "given.txt").write_text("labels_000000 7\nlabels_000000 9\n")
    (tmp_path / "labels_000000.csv").write_text("index,image,label\n7,images/7.png,3\n9,images/9.png,\n")
    assert import_module("person").forgotten(tmp_path) == ["labels_000000 9"]


@pytest.mark.parametrize(
    ("status", "said", "traced"),
    [
        (0, "", False),
        (None, "", False),
        (2, "alsuite: the disk is full\n", False),
        (3, "alsuite: 3 images await labels\n", False),
        (2, "alsuite: one\nalsuite: two\n", True),
        (2, "", True),
        (1, "alsuite: one\n", True),
        (0, "Traceback (most recent call last):\n", True),
        (-11, "", False),
    ],
)
def test_all_but_one_clear_line_is_counted(status: int | None, said: str, traced: bool) -> None:
    ended = import_module("processes").Ended(status, said, 1.0, 1.0, "fit", 0)
    assert ended.traced == traced
    assert ended.crashed == (status == -11)


class Losing:
    """A trial whose every start loses two labels, and is killed on the way three times."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fresh(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def run(self, root: Path, row: dict[str, Any], moment: object, around: object = int) -> int:
        row["labels lost"] += 2
        row["times"] += 3
        return 0


@pytest.mark.parametrize(("fault", "lost", "times"), [("torn", 2, 4), ("backwards", 4, 1)])
def test_a_fault_counts_what_is_lost(tmp_path: Path, fault: str, lost: int, times: int) -> None:
    write_run(tmp_path / "whole", "random", 0, synthetic_curve(0.8, 0, 3))
    row = import_module("trial").counted("", "")
    getattr(import_module("surroundings"), fault)(Losing(tmp_path), random.Random(0), row)
    assert (row["labels lost"], row["times"]) == (lost, times)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes can't be forked here")
def test_a_few_kills_lose_nothing(tmp_path: Path) -> None:
    command = [sys.executable, FAULTS, "--kills", "3", "--only", "a sheet", "--out", tmp_path / "f.csv"]
    done = subprocess.run(command, env=importing(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "f.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert int(next(row["times"] for row in rows if row["fault"] == "killed")) >= 3
    assert len({row["fault"] for row in rows}) >= 6
    assert {row[name] for row in rows for name in ("labels lost", "differing", "tracebacks", "crashed")} == {"0"}
