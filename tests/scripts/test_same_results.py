"""Two folders of runs, compared, and the runs that are recorded to compare."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import same_results

from helpers.configs import composed
from helpers.journals import write_run


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders of the same two runs."""
    old, new = tmp_path / "old", tmp_path / "new"
    for root in (old, new):
        for seed in (0, 1):
            write_run(root, "margin", seed, [0.5, 0.6, 0.7], choices={"oracle": "ideal"}, notes={"picks": [1, 2]})
    return old, new


def edited(run: Path, cycle: int, change: Callable[[dict[str, Any]], object]) -> None:
    records = [json.loads(line) for line in (run / "cycles.jsonl").read_text().splitlines()]
    change(records[cycle])
    (run / "cycles.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def test_identical_runs_are_called_so(roots: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert same_results.compared(*roots) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["identical", "toy/smoke/seed=0,strategy=margin"],
        ["identical", "toy/smoke/seed=1,strategy=margin"],
    ]


def test_times_and_memory_may_differ(roots: tuple[Path, Path]) -> None:
    def elsewhere(record: dict[str, Any]) -> None:
        record["fit_seconds"] = 99.0
        record["queried"]["notes"] |= {"fit_seconds": 3.0, "memory": 7}

    edited(roots[1] / "toy" / "smoke" / "seed=1,strategy=margin", 1, elsewhere)
    assert same_results.compared(*roots) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: record["queried"]["indices"].__setitem__(3, 77), "queried.indices[3]: 23 became 77"),
        (lambda record: record["queried"]["indices"].pop(), "queried.indices: [20, 21, 22, "),
        (lambda record: record["queried"]["notes"].update(picks=[1, 5]), "queried.notes.picks[1]: 2 became 5"),
        (lambda record: record["queried"]["notes"].pop("picks"), 'queried.notes.picks: [1, 2] became "nothing"'),
        (lambda record: record.update(more=1), 'more: "nothing" became 1'),
        (lambda record: record.update(queried=None), "queried: {"),
        (lambda record: record.update(labelled=20.0), "labelled: 20 became 20.0"),
        (lambda record: record["metrics"]["mnist57"].update(accuracy=0.6 + 1e-16), "0.6 became 0.6000000000000001"),
    ],
)
def test_the_first_difference_is_shown(
    roots: tuple[Path, Path], change: Callable[[dict[str, Any]], object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edited(roots[1] / "toy" / "smoke" / "seed=1,strategy=margin", 1, change)
    assert same_results.compared(*roots) == 1
    first, line = capsys.readouterr().out.splitlines()
    assert first.startswith("identical")
    assert line.startswith("toy/smoke/seed=1,strategy=margin: record 1, ")
    assert said in line


def test_what_is_no_number_equals_itself() -> None:
    assert same_results.first_difference({"a": float("nan")}, {"a": float("nan")}) is None


def test_a_run_that_went_on_further_differs(roots: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    journal = roots[1] / "toy" / "smoke" / "seed=0,strategy=margin" / "cycles.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:2]))
    assert same_results.compared(*roots) == 1
    assert "3 records became 2" in capsys.readouterr().out


def test_renamed_runs_are_matched_by_what_they_are(
    roots: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    smoke = roots[1] / "toy" / "smoke"
    (smoke / "seed=1,strategy=margin").rename(smoke / "another name")
    assert same_results.compared(*roots) == 0
    edited(smoke / "another name", 0, lambda record: record.update(labelled=5))
    assert same_results.compared(*roots) == 1
    assert "seed=1,strategy=margin: record 0, labelled: 10 became 5" in capsys.readouterr().out


@pytest.mark.parametrize(("side", "said"), [(0, "missing in OLD"), (1, "missing in NEW")])
def test_a_missing_run_is_a_difference(
    roots: tuple[Path, Path], side: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (roots[side] / "toy" / "smoke" / "seed=1,strategy=margin" / "cycles.jsonl").unlink()
    assert same_results.compared(*roots) == 1
    assert f"seed=1,strategy=margin: {said}" in capsys.readouterr().out


def test_runs_that_cannot_be_told_apart_are_not_guessed(
    roots: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    smoke = roots[1] / "toy" / "smoke"
    (smoke / "seed=1,strategy=margin").rename(smoke / "a")
    write_run(roots[1], "margin", 1, [0.5], run="b", choices={"oracle": "ideal"})
    assert same_results.compared(*roots) == 1
    assert capsys.readouterr().out.count("missing in") == 3


def test_folders_without_runs_are_no_proof(tmp_path: Path) -> None:
    assert same_results.compared(tmp_path, tmp_path) == 1


@pytest.mark.parametrize("run", same_results.RUNS)
def test_the_recorded_runs_set_whatever_a_default_could_change(run: str) -> None:
    chosen = same_results.options(run.split())
    names = {option.split("=")[0] for option in chosen}
    groups = {"strategy", "dataset", "task_model", "initial", "budget", "oracle", "generator", "protocol", "scale"}
    assert groups | {"seed"} <= names
    assert len(chosen) == len(names)
    assert composed(*chosen).seed in (0, 1)


def test_21_different_runs_are_recorded_where_their_data_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len({tuple(same_results.options(run.split())) for run in same_results.RUNS}) == 21
    assert same_results.needed(["dataset=mnist", "task_model=svm_vgg"]) == ["mnist", "vgg16"]
    (tmp_path / "fashion_mnist").mkdir()
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path))
    begun: list[str] = []
    monkeypatch.setattr(same_results, "started", lambda run, out, code: begun.append(str(run)) or "")
    assert same_results.recorded(tmp_path, tmp_path) == 0
    assert len(begun) == 17
    left_out = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left out, no ")]
    assert sorted(re.findall("no (.*) in ", line)[0] for line in left_out) == ["mnist"] * 3 + ["mnist and vgg16"]


def test_the_code_of_another_checkout_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "alsuite.py").write_text("import sys\nopen('ran', 'w').write(' '.join(sys.argv[1:]))\nsys.exit(RC)\n")
    monkeypatch.setattr(same_results, "RUNS", (f"{same_results.DIGITS} strategy=margin seed=3",))
    for rc, status in (("0", 0), ("'why'", 1)):
        text = (tmp_path / "alsuite.py").read_text().replace("RC", rc).replace("exit(0)", f"exit({rc})")
        (tmp_path / "alsuite.py").write_text(text)
        monkeypatch.setattr(sys, "argv", ["x", "--record", str(tmp_path / "out"), "--code", str(tmp_path)])
        assert same_results.main() == status
        ran = (tmp_path / "ran").read_text().split()
        assert {f"root={tmp_path / 'out'}", "device=cpu", "strategy=margin", "seed=3", "scale=laptop"} <= {*ran}
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("recorded ")
    assert second.startswith("FAILED ")
    assert second.endswith(" why")
