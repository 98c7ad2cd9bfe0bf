"""wandb: what it's told, and that nothing that goes wrong in it ends a run."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import sleep
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from alsuite.budget import Budget, uniform
from alsuite.command.tracking import Tracker, log_training, scalars
from alsuite.data.digits import digits
from alsuite.errors import UserError
from alsuite.nets.classifiers import linear
from alsuite.oracle import ideal
from alsuite.scores import margin
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.tasks.classification import Classification
from alsuite.training import once
from helpers.runs import perform

ABOUT = {"config": {"experiment": "test", "seed": 0}}
RECORD: dict[str, Any] = {
    "cycle": 1,
    "labelled": 30,
    "metrics": {"mnist": {"accuracy": 0.9, "macro_f1": 0.8}, "usps": {"accuracy": 0.7, "macro_f1": 0.6}},
    "fit_seconds": 1.5,
    "query_seconds": 0.25,
    "label_counts": [20, 10],
    "queried": {"entropy": 0.125, "notes": {"agreement": 0.5, "steps": 3, "kind": "text", "curve": [1, 2]}},
}


def run(folder: Path, mode: str) -> list[int]:
    """The cycles of a short run."""
    shown: list[int] = []
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
        device="cpu",
        wandb=mode,
        show=lambda record, cycles, old: shown.append(record["cycle"]),
    )
    return shown


class Recorder:
    """A run of wandb that remembers what it was told, or fails at one of its verbs."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.logged: list[dict[str, Any]] = []
        self.against: dict[str, str] = {}
        self.ended = 0

    def log(self, values: dict[str, Any]) -> None:
        self.fail("log")
        self.logged.append(values)

    def define_metric(self, name: str, step_metric: str) -> None:
        self.against[name] = step_metric

    def finish(self) -> None:
        self.fail("finish")
        self.ended += 1

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

        module = ModuleType("wandb")
        module.__dict__.update(init=init, Image=image, Settings=SimpleNamespace)
        monkeypatch.setitem(sys.modules, "wandb", module)
        monkeypatch.setenv("WANDB_SILENT", "true")
        return options

    return put


def test_scalars_are_what_a_dashboard_plots() -> None:
    assert scalars(RECORD) == {
        "cycle": 1,
        "labelled": 30,
        "seconds/fit": 1.5,
        "seconds/query": 0.25,
        "mnist/accuracy": 0.9,
        "mnist/macro_f1": 0.8,
        "usps/accuracy": 0.7,
        "usps/macro_f1": 0.6,
        "labels/0": 20,
        "labels/1": 10,
        "queried/entropy": 0.125,
        "queried/agreement": 0.5,
        "queried/steps": 3,
    }


@pytest.mark.parametrize("failing", ["", "log", "Image"])
def test_a_training_within_a_run_shows_its_losses_and_samples(
    tmp_path: Path, pretended: Callable[[Recorder], dict[str, Any]], failing: str
) -> None:
    recorder = Recorder(failing)
    pretended(recorder)
    for run in (None, recorder):
        sys.modules["wandb"].__dict__["run"] = run
        log_training("dcgan", {"iteration": 500, "generator": 0.5}, tmp_path / "samples.png")
    image = (str(tmp_path / "samples.png"), "")
    expected = {"dcgan/iteration": 500, "dcgan/generator": 0.5, "dcgan/samples": image}
    assert recorder.logged == ([] if failing else [expected])
    assert recorder.against == {"dcgan/*": "dcgan/iteration"} or failing == "Image"


def test_the_last_cycle_has_no_scalars_of_a_query() -> None:
    assert not [name for name in scalars({**RECORD, "queried": None}) if name.startswith("queried")]


def test_wandb_is_told_every_cycle(
    tmp_path: Path, pretended: Callable[[Recorder], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    options = pretended(recorder)
    monkeypatch.setattr(once, "followers", [])
    assert run(tmp_path, "offline") == [0, 1, 2]
    assert [values["cycle"] for values in recorder.logged] == [0, 1, 2]
    assert recorder.against == {"*": "cycle"}
    assert once.followers == [log_training]
    assert recorder.ended == 1
    assert (options["mode"], options["dir"], options["config"]) == ("offline", tmp_path, ABOUT["config"])
    pictures = recorder.logged[0]["queried"]
    assert [shape for shape, _ in pictures] == [(8, 8)] * 16
    assert {caption for _, caption in pictures} <= {str(label) for label in range(10)}
    assert "queried" not in recorder.logged[2]
    assert {"digits/accuracy", "labels/9", "seconds/fit", "queried/entropy"} <= recorder.logged[0].keys()


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
    assert Tracker("disabled", tmp_path, ABOUT).run is None


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^wandb=dryrun is unknown: choose offline, online or disabled$"):
        Tracker("dryrun", tmp_path, ABOUT)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_wandb_offline_needs_no_account_and_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wandb")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert run(tmp_path / "run", "offline") == [0, 1, 2]
    assert "wandb is off" not in capsys.readouterr().err
    (written,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")
    names = (b"digits/accuracy", b"labels/9", b"queried/entropy", b"seconds/fit")
    for _ in range(3000):  # its own process may write the file a moment after the run has finished
        if all(name in written.read_bytes() for name in names):
            return
        sleep(0.2)
    pytest.fail(f"not all of {names} are in {written}")
