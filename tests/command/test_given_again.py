"""A command that is given again: what it says, and what it compares with the run of before."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from alsuite import CONF
from alsuite.command import first_words, identity, setting
from alsuite.data import Dataset
from alsuite.data.made_up import load_or_make_up
from alsuite.figures.layout import compose
from alsuite.figures.parts import parts_of
from alsuite.figures.spec import Panel
from alsuite.results import load_runs
from helpers.commands import Command
from helpers.data_files import write_mnist


@pytest.mark.slow
def test_a_run_that_goes_on_tells_how_long_the_rest_takes(
    alsuite: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []
    monkeypatch.setattr(first_words, "estimate", lambda *given: done.append(given[-1]))
    command = ("scale=laptop", "budget.initial=10", "budget.query=10", "budget.end=30", "task_model.epochs=1")
    assert alsuite(*command).status == 0
    (journal,) = tmp_path.rglob("cycles.jsonl")
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(True)[:2]))
    assert alsuite(*command).status == 0
    assert done == [0, 2]


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["laptop", "paper"])
def test_a_run_loads_its_data_once_and_again_only_for_a_smaller_scale(
    alsuite: Command, monkeypatch: pytest.MonkeyPatch, scale: str
) -> None:
    loaded: list[str] = []

    def counted(name: str, *others: Any) -> tuple[Dataset, int | None]:
        loaded.append(name)
        return load_or_make_up(name, *others)

    monkeypatch.setattr(setting, "load_or_make_up", counted)
    monkeypatch.setattr(first_words, "estimate", lambda *given: 60.0)
    sizes = ("budget.initial=10", "budget.query=10", "budget.end=20", "task_model.epochs=1")
    assert alsuite(f"scale={scale}", *sizes).status == 0
    assert len(loaded) == (2 if scale == "paper" else 1)


@pytest.mark.slow
def test_runs_anew_say_how_they_go_on_once_stopped(alsuite: Command, tmp_path: Path) -> None:
    told = "1 of 1 runs start anew; to resume after a stop, drop again=true"
    assert told not in alsuite("again=true").out
    assert told in alsuite("again=true").out
    assert sorted(path.name for path in tmp_path.glob("adhoc/smoke/*")) == ["default", "default~1"]


@pytest.mark.slow
def test_a_run_keeps_the_hash_of_the_data_that_it_was_begun_from(
    alsuite: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it was built by the run itself, has gone since, is made up, or has come since."""
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(identity, "_checksum", identity._checksum.__wrapped__)
    data, finished, changed = tmp_path / "data" / "mnist", "1 of 1 runs are finished already", "the data changed since"
    command = ("dataset=mnist", "task_model=linear", "budget.initial=4", "budget.query=4", "budget.end=8")
    (data.parent / "raw" / "mnist").mkdir(parents=True)
    write_mnist(data.parent / "raw" / "mnist")
    assert "cycle 1/2" in re.sub(" +", " ", alsuite(*command).out)
    assert finished in alsuite(*command).out
    data.rename(tmp_path / "elsewhere")
    assert finished in alsuite(*command).out
    shutil.rmtree(data.parent / "raw")
    (journal,) = tmp_path.rglob("cycles.jsonl")
    whole = journal.read_bytes()
    journal.write_bytes(whole.splitlines(True)[0])
    assert changed in alsuite(*command).line  # pictures would be made up
    journal.unlink()
    assert "MADE-UP" in alsuite(*command).out
    made_up = parts_of(Panel("accuracy"), load_runs("adhoc", "smoke", tmp_path), CONF / "published.csv")
    footer = " ".join(compose(made_up).texts[0].get_text().split())
    assert "MADE-UP PICTURES stand in for MNIST" in footer
    assert finished in alsuite(*command).out
    (tmp_path / "elsewhere").rename(data)
    assert changed in alsuite(*command).line
