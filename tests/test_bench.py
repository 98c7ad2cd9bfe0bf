"""The benchmark's gates hold on tiny sizes and can fail; never a timing."""

from __future__ import annotations

import csv
import runpy
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

BENCH = Path(__file__).parents[1] / "scripts" / "bench"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.delenv("ALSUITE_DATA", raising=False)
    torch.manual_seed(0)


def tiny() -> Any:
    return import_module("race").Sizes(600, 60, 40, 5, 200, 200, 20, 32, turns=1)


def bench() -> dict[str, Any]:
    return runpy.run_path(str(BENCH / "__main__.py"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["core_set", "scan", "dropout", "epoch", "step", "small_cycle"])
def test_both_sides_did_the_same_work(name: str) -> None:
    rows = [row for row in bench()["table"]([name], tiny()) if row.verdict]
    assert rows
    assert {row.verdict for row in rows} <= {"met", "missed", "not installed"}, rows


@pytest.mark.slow
def test_seeds_side_by_side_end_where_they_end_one_by_one() -> None:
    (row,) = import_module("training").seeds(tiny())
    assert row.verdict in ("met", "missed"), row


@pytest.mark.parametrize(
    ("unit", "goal", "value", "verdict"),
    [
        ("x faster", 2, 3, "met"),
        ("x faster", 4, 3, "missed"),
        ("x the time", 0.5, 1 / 3, "met"),
        ("ms more", -3000, -2000, "missed"),
    ],
)
def test_a_value_is_judged_by_its_goal(unit: str, goal: float, value: float, verdict: str) -> None:
    race, scaled = import_module("race").race, import_module("race").Scaled
    ours, theirs = scaled("same", 1.0), scaled("same", 3.0)
    row = race("", "", lambda: ours, lambda: theirs, lambda a, b: (a == b, ""), goal=goal, unit=unit, turns=2)
    assert (row.value, row.verdict) == (pytest.approx(value), verdict)


def test_a_value_without_its_gate_is_void() -> None:
    row = import_module("race").race("", "", lambda: 1, lambda: 2, lambda a, b: (a == b, ""), goal=0, turns=1)
    assert row.verdict == "void"


def test_the_gates_can_fail() -> None:
    scoring, training = import_module("scoring"), import_module("training")
    assert not scoring.same_picks((torch.tensor([3, 1]), torch.zeros(2)), [1, 3])[0]
    logits = torch.randn(50, 4, 10)
    logits[:, 0] += 9
    assert not scoring.same_means(torch.randn(10, 50, 4).log_softmax(-1), logits.numpy())[0]
    assert not training.same_weights((nn.Linear(2, 2), 5), (nn.Linear(2, 2), 5))[0]
    net = nn.Linear(2, 2)
    assert training.same_weights((net, 5), (net, 5))[0]
    assert not training.same_weights((net, 5), (net, 6))[0]


def test_a_peer_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name}", name=name)

    monkeypatch.setattr(import_module("scoring"), "import_module", missing)
    *_, row = bench()["table"](["dropout"], tiny())
    assert (row.verdict, row.against) == ("not installed", "baal.modelwrapper")


def test_the_table_is_written_as_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = bench()["main"]
    monkeypatch.setitem(main.__globals__, "SMALL", tiny())
    monkeypatch.setattr(
        sys,
        "argv",
        ["bench", "--small", "--only", "step", "--threads", "1", "--out", str(tmp_path / "a" / "bench.csv")],
    )
    main()
    with (tmp_path / "a" / "bench.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] for row in rows] == ["", "", "holds", "holds"]
    assert all(float(row["value"]) > 0 for row in rows)
