"""wandb: what it's told, and that nothing that goes wrong in it ends a run."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import sleep
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from alsuite.budget import Budget, uniform
from alsuite.command.around import set_aside
from alsuite.command.tracking import STAGING, STEPS, Tracker, scalars
from alsuite.data.digits import digits
from alsuite.errors import AwaitingLabels, UserError
from alsuite.nets.classifiers import linear
from alsuite.oracle import ideal
from alsuite.scores import margin
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.tasks.classification import Classification
from alsuite.training import curves, once
from helpers.configs import composer
from helpers.runs import perform
from helpers.wandb_files import Written, written

ABOUT: dict[str, Any] = {
    "config": {"experiment": "test", "seed": 0},
    "choices": {"strategy": "margin", "dataset": "digits", "budget": "digits"},
}
RECORD: dict[str, Any] = {
    "cycle": 1,
    "labelled": 30,
    "metrics": {"mnist": {"accuracy": 0.9, "macro_f1": 0.8}, "usps": {"accuracy": 0.7, "macro_f1": 0.6}},
    "fit_seconds": 1.5,
    "query_seconds": 0.25,
    "label_counts": [20, 10],
    "queried": {"entropy": 0.125, "notes": {"agreement": 0.5, "steps": 3, "kind": "text", "curve": [1, 2]}},
}


def run(folder: Path, mode: str, stop: int = 9) -> list[int]:
    """The cycles of a short run, which something stops after one of them."""
    shown: list[int] = []

    def show(record: Any, cycles: int, old: bool) -> None:
        shown.append(record["cycle"])
        if record["cycle"] == stop and not old:
            raise KeyboardInterrupt

    perform(
        ABOUT,
        folder,
        dataset=digits(),
        task_model=partial(Classification, linear, epochs=1),
        initial=uniform,
        budget=Budget(20, 20, 60),
        oracle=ideal,
        strategy=Uncertainty(margin),
        seed=0,
        scale={"pool": None, "test": 100, "side": None, "cycles": None},
        wandb=mode,
        show=show,
    )
    return shown


class Recorder:
    """A run of wandb that remembers what it was told, or fails at one of its verbs."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.logged: list[dict[str, Any]] = []
        self.against: dict[str, str] = {}
        self.steps: list[int] = []
        self.ended: list[int] = []

    @property
    def cycles(self) -> list[dict[str, Any]]:
        return [values for values in self.logged if "cycle" in values]

    def log(self, values: dict[str, Any], step: int) -> None:
        self.fail("log")
        self.logged.append(values)
        self.steps.append(step)

    def define_metric(self, name: str, step_metric: str) -> None:
        self.against[name] = step_metric

    def finish(self, exit_code: int) -> None:
        self.fail("finish")
        self.ended.append(exit_code)

    def fail(self, verb: str) -> None:
        if verb == self.failing:
            raise ConnectionError(f"{verb} failed")


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Callable[[Recorder], dict[str, Any]]:
    """Puts a recorder in the place of wandb; gives what it's started with."""

    def put(recorder: Recorder) -> dict[str, Any]:
        options: dict[str, Any] = {}

        def init(**given: Any) -> Recorder:
            recorder.fail("init")
            options.update(given)
            return recorder

        def image(array: Any, caption: str = "") -> tuple[Any, str]:
            recorder.fail("Image")
            return getattr(array, "shape", array), caption

        def bar(table: dict[str, Any], *columns: str) -> list[list[Any]]:
            return table["dataframe"].to_numpy().tolist()

        module = ModuleType("wandb")
        module.__dict__.update(
            init=init, Image=image, Settings=SimpleNamespace, Table=dict, plot=SimpleNamespace(bar=bar)
        )
        monkeypatch.setitem(sys.modules, "wandb", module)
        monkeypatch.setenv("WANDB_SILENT", "true")
        return options

    return put


def test_scalars_are_what_a_dashboard_plots() -> None:
    assert scalars(RECORD, ["cat", "dog"]) == {
        "cycle": 1,
        "labelled": 30,
        "seconds/fit": 1.5,
        "seconds/query": 0.25,
        "mnist/accuracy": 0.9,
        "mnist/macro_f1": 0.8,
        "usps/accuracy": 0.7,
        "usps/macro_f1": 0.6,
        "labels/cat": 20,
        "labels/dog": 10,
        "queried/entropy": 0.125,
        "queried/agreement": 0.5,
        "queried/steps": 3,
    }


@pytest.mark.parametrize("own", [None, "/elsewhere"])
def test_pictures_wait_in_the_folder_of_each_run_or_where_a_person_says(
    tmp_path: Path,
    pretended: Callable[[Recorder], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    own: str | None,
) -> None:
    monkeypatch.delenv(STAGING, raising=False)
    if own:
        monkeypatch.setenv(STAGING, own)
    pretended(Recorder())
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        (folder / "run.json").write_text("{}")
        with Tracker("offline", folder, ABOUT, []):
            assert os.environ[STAGING] == (own or str(folder / "wandb"))
        assert os.environ.get(STAGING) == own


def test_names_are_no_longer_than_wandb_takes(tmp_path: Path, pretended: Callable[[Recorder], dict[str, Any]]) -> None:
    options = pretended(Recorder())
    (folder := tmp_path / ("a" * 200)).mkdir()
    (folder / "run.json").write_text("{}")
    choices = {"strategy": "margin", "task_model": "b" * 65}
    with Tracker("offline", folder, {**ABOUT, "choices": choices}, []):
        pass
    assert len(options["name"]) == 128
    assert [len(tag) for tag in sorted(options["tags"])] == [64, 6]


@pytest.mark.parametrize("failing", ["", "log", "Image"])
def test_a_training_within_a_run_shows_its_losses_and_samples(
    tmp_path: Path,
    pretended: Callable[[Recorder], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
) -> None:
    """And whoever follows it beside wandb still does so afterwards."""
    monkeypatch.setattr(once, "followers", [print])
    recorder = Recorder(failing)
    pretended(recorder)
    (tmp_path / "run.json").write_text("{}")
    with Tracker("offline", tmp_path, ABOUT, [], begun=2):
        told = once.followers[-1]
        told("dcgan", {"iteration": 1000, "generator": 0.5}, tmp_path / "samples.png")
    assert once.followers == [print]
    assert recorder.steps == ([] if failing else [2 * STEPS + 2])
    image = (str(tmp_path / "samples.png"), "")
    expected = {"dcgan/iteration": 1000, "dcgan/generator": 0.5, "dcgan/samples": image}
    assert recorder.logged == ([] if failing else [expected])
    assert recorder.against["dcgan/*"] == "dcgan/iteration"


def test_the_last_cycle_has_no_scalars_of_a_query() -> None:
    assert not [name for name in scalars({**RECORD, "queried": None}, ["cat", "dog"]) if name.startswith("queried")]


def test_wandb_is_told_every_cycle(
    tmp_path: Path, pretended: Callable[[Recorder], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    options = pretended(recorder)
    monkeypatch.setattr(once, "followers", [])
    assert run(tmp_path, "offline") == [0, 1, 2]
    assert [values["cycle"] for values in recorder.cycles] == [0, 1, 2]
    by_labels = dict.fromkeys(["digits/*", "labels/*", "queried/*", "seconds/*"], "labelled")
    assert recorder.against == {**by_labels, "training/*": "training/cycle"}
    assert recorder.ended == [0]
    assert (options["mode"], options["dir"], options["resume"]) == ("offline", tmp_path, "allow")
    assert options["config"] == {**ABOUT["config"], "choices": ABOUT["choices"]}
    assert options["tags"] == ["digits", "margin"]
    pictures = recorder.cycles[0]["queried"]
    assert [shape for shape, _ in pictures] == [(8, 8)] * 16
    assert {caption for _, caption in pictures} <= {str(label) for label in range(10)}
    assert sum(count for _, count in recorder.cycles[0]["label distribution"]) == 20
    assert "queried" not in recorder.cycles[2]
    assert {"digits/accuracy", "labels/9", "seconds/fit", "queried/entropy"} <= recorder.cycles[0].keys()


def test_the_losses_of_a_training_are_drawn_along_the_cycles(
    tmp_path: Path, pretended: Callable[[Recorder], dict[str, Any]]
) -> None:
    recorder = Recorder()
    pretended(recorder)
    run(tmp_path, "offline")
    losses = [values for values in recorder.logged if "training/task/loss" in values]
    assert {int(values["training/cycle"] - 1e-9) for values in losses} == {0, 1, 2}
    assert losses[-1]["training/cycle"] == 3
    assert recorder.steps == sorted({*recorder.steps})
    assert not curves.followers


@pytest.mark.parametrize(("error", "code"), [(AwaitingLabels("label them"), 0), (UserError("mend it"), 1)])
def test_a_run_that_awaits_labels_has_not_failed(
    tmp_path: Path, pretended: Callable[[Recorder], dict[str, Any]], error: UserError, code: int
) -> None:
    recorder = Recorder()
    pretended(recorder)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError), Tracker("offline", tmp_path, ABOUT, []):
        raise error
    assert recorder.ended == [code]


def test_a_run_keeps_its_id_until_it_is_run_anew(
    tmp_path: Path, pretended: Callable[[Recorder], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though another commit, or another machine, goes on with it."""
    options, ids = pretended(Recorder()), []
    folder = tmp_path / "run"
    for commit, again in (("a", False), ("b", False), ("b", True)):
        monkeypatch.setattr("alsuite.command.run.provenance", lambda *_, commit=commit: {"commit": commit})
        if again:
            set_aside([folder])
        run(folder, "offline")
        (folder / "cycles.jsonl").write_bytes(b"".join((folder / "cycles.jsonl").read_bytes().splitlines(True)[:2]))
        ids.append(options["id"])
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("environment", "given", "expected"),
    [("", [], "offline"), ("online", [], "online"), ("online", ["wandb=disabled"], "disabled")],
)
def test_the_command_line_wins_over_the_environment_and_that_over_the_default(
    monkeypatch: pytest.MonkeyPatch, environment: str, given: list[str], expected: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", environment)
    assert composer()(given).wandb == expected


@pytest.mark.parametrize("failing", ["init", "log", "Image", "finish"])
def test_what_goes_wrong_in_wandb_is_told_once_and_ends_no_run(
    failing: str,
    tmp_path: Path,
    pretended: Callable[[Recorder], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    pretended(Recorder(failing))
    assert run(tmp_path, "offline") == [0, 1, 2]
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"wandb is off for this run (ConnectionError: {failing} failed); the journal has everything"
    assert len((tmp_path / "cycles.jsonl").read_text().splitlines()) == 3


def test_a_wandb_that_is_not_installed_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setenv("WANDB_SILENT", "true")
    assert run(tmp_path, "offline") == [0, 1, 2]
    assert "wandb is off for this run" in capsys.readouterr().err


def test_disabled_means_that_wandb_is_not_even_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert Tracker("disabled", tmp_path, ABOUT, []).run is None


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^wandb=dryrun is unknown: choose one of offline, online, disabled$"):
        Tracker("dryrun", tmp_path, ABOUT, [])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_run_that_was_stopped_is_one_run_of_wandbs_without_account_or_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wandb")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(folder, "offline", stop=1)
    assert run(folder, "offline") == [0, 1, 2]
    assert "wandb is off" not in capsys.readouterr().err
    first, second = (_of(path) for path in sorted((folder / "wandb").glob("offline-run-*/run-*.wandb")))
    assert (first.id, first.tags, first.failed) == (second.id, ["digits", "margin"], True)
    assert not second.failed
    assert [[row["cycle"] for row in each.rows if "cycle" in row] for each in (first, second)] == [[0, 1], [2]]
    assert [row["labelled"] for row in (*first.rows, *second.rows) if "cycle" in row] == [20, 40, 60]
    steps = [row["_step"] for row in (*first.rows, *second.rows)]
    assert steps == sorted({*steps})
    assert first.axis["digits/accuracy"] == "labelled"
    assert first.axis["training/task/loss"] == "training/cycle"
    losses = [row["training/cycle"] for row in first.rows if "training/task/loss" in row]
    assert losses == sorted(losses)
    assert 0 < losses[0] < losses[-1] == 2
    assert {"labels/9", "queried/entropy", "seconds/fit"} <= first.rows[-1].keys()


def _of(path: Path) -> Written:
    """Read what wandb has written; its own process may end a file a moment after the run has finished."""
    for _ in range(300):
        if (read := written(path)).ended:
            return read
        sleep(0.2)
    pytest.fail(f"{path} isn't whole")
