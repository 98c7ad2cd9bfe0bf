"""The command line: what it refuses in one line, what it lists, and whole experiments and sweeps."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alsuite import CONF, __main__
from alsuite.journal import Journal
from helpers import REPOSITORY
from helpers.configs import GROUPS

SMALL = ["scale=smoke", "device=cpu", "wandb=disabled"]
PACKAGES = ("torch", "pytorch_lightning", "wandb", "pandas", "matplotlib", "sklearn", "faiss")


@dataclass(frozen=True)
class Ended:
    status: object
    out: str
    err: str

    @property
    def line(self) -> str:
        """What it complains of, in the one line that it may take."""
        (line,) = self.err.splitlines()
        assert line.startswith("alsuite: ")
        assert self.status not in (0, None)
        return line


Command = Callable[..., Ended]


@pytest.fixture
def alsuite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process: a process of its own takes seconds to import torch."""
    for name in ("HYDRA_FULL_ERROR", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")

    def started(*arguments: str) -> Ended:
        flags = [argument for argument in arguments if argument.startswith("-")]
        others = [argument for argument in arguments if argument not in flags]
        monkeypatch.setattr(sys, "argv", ["alsuite", *flags, *SMALL, f"root={tmp_path}", *others])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            __main__.main()
        written = capsys.readouterr()
        return Ended(ended.value.code, written.out, written.err)

    return started


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "cycles.jsonl").read_text().splitlines()]


MISTAKES = {
    "strategy=entropie": ["strategy=entropie", "entropy"],
    "experiment=demmo": ["experiment=demmo", "demo"],
    "-m strategy=random,entropie": ["strategy=entropie", "entropy"],
    "strategy.lrr=1": ["strategy.lrr"],
    "task_model.epoch=3": ["task_model.epoch"],
    "+strategy.lrr=1": ["alsuite.strategies.random.Random"],
    "seed=0,1": ["seed=0,1", "--multirun"],
    "strategy": ["'strategy'", "EQUAL"],
    "scale.pool=null budget.end=1438": ["end 1,438", "pool of 1,437 images", "lower budget.end"],
    "budget.query=0": ["budget.query=0", "above 0"],
    "wandb=sometimes": ["wandb=sometimes", "choose offline, online or disabled"],
    "task_model.loss=hinge": ["hinge needs two classes", "cross_entropy"],
    "strategy=mc_dropout": ["dropout", "task_model=vgg16"],
    "dataset=folder dataset.path=/nonexistent": ["dataset.path=/nonexistent", "folder of images per class"],
    "task_model.lr=1e38 task_model.limit=9": ["cycle 0", "the loss of the task model is not a number", "lower its"],
    "+task_model.lrr=1": ["lrr"],
    "seed=abc": ["abc"],
    "task_model.lr=abc": ["lr"],
    "task_model.batch=0": ["batch"],
    "task_model=allcnn": ["allcnn"],
    "strategy=ta_vaal task_model=svm_vgg": ["Ranked missing", "'net'"],
    "protocol=fair task_model=svm_vgg": ["no recipe for this task model", "protocol=paper"],
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_one_clear_line(alsuite: Command, mistake: str) -> None:
    line = alsuite(*mistake.split()).line
    assert len(line) < 450
    for told in MISTAKES[mistake]:
        assert told in line


def test_a_root_that_is_no_folder_ends_in_one_line(alsuite: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in alsuite(f"root={tmp_path / 'file'}").line


def test_a_gpu_that_is_not_there_is_refused(alsuite: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "device=cuda, but torch sees no GPU here: take device=cpu" in alsuite("device=cuda").line


def test_a_dataset_that_cannot_be_fetched_says_where_to_put_it(
    alsuite: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path / "data"))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setattr("urllib.request._opener", None)  # it remembers the proxies of an earlier request
    line = alsuite("dataset=usps").line
    assert "cannot download usps.bz2" in line
    assert f"put it at {tmp_path / 'data' / 'raw' / 'usps' / 'usps.bz2'}" in line


def test_a_truncated_array_is_named(alsuite: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data" / "usps"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        np.save(folder / f"{split}_images.npy", np.zeros((50, 1, 16, 16), np.uint8))
        np.save(folder / f"{split}_targets.npy", np.arange(50) % 10)
    os.truncate(folder / "train_images.npy", 5000)
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path / "data"))
    line = alsuite("dataset=usps").line
    assert str(folder / "train_images.npy") in line
    assert f"delete the folder {folder}" in line


def test_a_run_that_another_process_holds_is_refused(alsuite: Command, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "adhoc" / "smoke" / "strategy=margin")
    assert "another process runs in" in alsuite("strategy=margin").line
    journal.close()


def test_a_run_folder_with_another_configuration_is_refused(alsuite: Command, tmp_path: Path) -> None:
    assert alsuite("seed=1").status == 0
    (tmp_path / "adhoc" / "smoke" / "seed=1").rename(tmp_path / "adhoc" / "smoke" / "seed=2")
    assert "holds another run (made with another seed): again=true" in alsuite("seed=2").line


def test_a_finished_run_says_so_and_does_nothing(alsuite: Command, tmp_path: Path) -> None:
    folder = tmp_path / "adhoc" / "smoke" / "strategy=margin"
    first = alsuite("strategy=margin")
    assert (first.status, first.err) == (0, "")
    assert re.search(
        r"^cycle +1/2 +10 labelled +accuracy 0\.\d{3} +fit .* s +query .* s +\d:\d\d left$", first.out, re.M
    )
    before = (folder / "cycles.jsonl").read_bytes(), (folder / "cycles.jsonl").stat().st_mtime_ns
    second = alsuite("strategy=margin", "parallel=1", "figure=null")
    assert (second.status, second.err) == (0, "")
    assert second.out.startswith("1 of 1 runs are finished already")
    assert "cycle " not in second.out
    assert ((folder / "cycles.jsonl").read_bytes(), (folder / "cycles.jsonl").stat().st_mtime_ns) == before
    assert Path(second.out.splitlines()[-1]) == folder / "curve.png"


def test_help_lists_every_choice_and_imports_nothing_slow() -> None:
    script = "import sys; sys.argv = ['alsuite', '--help']\nfrom alsuite.__main__ import main\ntry: main()\n"
    script += "except SystemExit as ended: assert not ended.code\nprint('imported', *sys.modules, sep=' ')"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    *text, imported = done.stdout.splitlines()
    assert not {*PACKAGES} & {*imported.split()}
    listed = dict(line.split(": ", 1) for line in text if re.match(r"[\w/]+: ", line))
    for group in (*GROUPS, "experiment"):
        assert listed[group].split(", ") == sorted(path.stem for path in (CONF / group).glob("*.yaml")), group


@pytest.mark.slow
def test_the_demo_ends_with_a_picture_and_starting_it_again_does_nothing(alsuite: Command, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "alsuite", "experiment=demo", *SMALL, f"root={tmp_path}"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    picture = Path(done.stdout.splitlines()[-1])
    assert picture == tmp_path / "figures" / "smoke" / "demo.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    journals = sorted(tmp_path.glob("demo/smoke/*/cycles.jsonl"))
    assert [path.parent.name for path in journals] == ["seed=0,strategy=margin", "seed=0,strategy=random"]
    assert all(f" {path.parent.name} " in done.stdout for path in journals)
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in journals]
    again = alsuite("experiment=demo")
    assert (again.status, again.err) == (0, "")
    assert again.out.startswith("2 of 2 runs are finished already")
    assert again.out.splitlines()[-1] == str(picture)
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in journals] == before


@pytest.mark.slow
def test_a_sweep_runs_side_by_side_and_a_failing_run_fails_alone(alsuite: Command, tmp_path: Path) -> None:
    sweep = ["-m", "strategy=random,margin,mc_dropout", "seed=0,1"]
    done = alsuite(*sweep)
    assert (done.status, done.err) == (1, "")
    folders = {
        (strategy, seed): tmp_path / "adhoc" / "smoke" / f"seed={seed},strategy={strategy}"
        for strategy in ("random", "margin")
        for seed in (0, 1)
    }
    failed = [line for line in done.out.splitlines() if "FAILED" in line]
    assert len(failed) == 2
    assert all("mc_dropout" in line for line in failed)
    assert "cycle 0: this strategy needs dropout" in failed[0]
    assert "for the reason above" in failed[1]
    assert {path.parent for path in tmp_path.rglob("cycles.jsonl")} == {*folders.values()}
    assert Path(done.out.splitlines()[-1]).exists()
    first = {run: records(folder)[0] for run, folder in folders.items()}
    for seed in (0, 1):
        for key in ("initial", "metrics", "label_counts"):
            assert first["random", seed][key] == first["margin", seed][key], key
        assert first["random", seed]["queried"] != first["margin", seed]["queried"]
    assert first["random", 0]["initial"] != first["random", 1]["initial"]
    assert [len(records(folder)) for folder in folders.values()] == [2] * 4

    before = [(folder / "cycles.jsonl").read_bytes() for folder in folders.values()]
    again = alsuite(*sweep)
    assert again.status == 1
    assert again.out.startswith("4 of 6 runs are finished already")
    assert [(folder / "cycles.jsonl").read_bytes() for folder in folders.values()] == before


def test_a_sweep_of_which_nothing_is_left_blames_its_runs(alsuite: Command) -> None:
    done = alsuite("-m", "strategy=mc_dropout", "seed=0,1")
    assert done.status == 1
    assert done.out.count("FAILED: cycle 0: this strategy needs dropout") == 1
    assert done.out.count("FAILED, for the reason above") == 1
    assert "no runs in" not in done.err


@pytest.mark.slow
def test_the_same_run_alone_and_in_a_sweep_is_the_same(alsuite: Command, tmp_path: Path) -> None:
    def measured() -> list[Any]:
        lines = records(tmp_path / "adhoc" / "smoke" / "seed=4,strategy=coreset")
        return [(line["metrics"], line["queried"]) for line in lines]

    assert alsuite("-m", "strategy=coreset,random", "seed=4").status == 0
    swept = measured()
    (tmp_path / "adhoc").rename(tmp_path / "before")
    assert alsuite("strategy=coreset", "seed=4").status == 0
    assert measured() == swept


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["-c", "job"], ["--cfg=job"]])
def test_the_configuration_is_shown_wherever_it_is_asked_for(flags: list[str]) -> None:
    assert __main__.flags_first(["strategy=vaal", *flags, "seed=1"]) == [*flags, "strategy=vaal", "seed=1"]


def test_what_an_experiment_shrinks_reaches_all_that_is_made_of_the_scale(
    alsuite: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []
    monkeypatch.setattr(__main__, "run_all", lambda jobs, stem: found.extend(jobs))
    alsuite("experiment=adversarial_fashion_mnist", "scale=laptop", "strategy=vaal", "protocol=paper", "seed=0")
    config = found[0][0]["config"]
    assert config["scale"]["steps"] == config["at_scale"]["laptop"]["steps"] == config["strategy"]["limit"]
