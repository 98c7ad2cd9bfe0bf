"""The command line: what it refuses in one line, what it lists, and whole experiments and sweeps."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from alsuite import CONF
from alsuite.command import machine
from alsuite.command.machine import choose_device, tried_device
from alsuite.errors import UserError
from helpers import REPOSITORY, importing
from helpers.commands import SMALL, Command, records
from helpers.configs import GROUPS

PACKAGES = ("torch", "pytorch_lightning", "wandb", "pandas", "matplotlib", "sklearn", "faiss")


def test_a_root_that_is_no_folder_ends_in_one_line(alsuite: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in alsuite(f"root={tmp_path / 'file'}").line


@pytest.mark.parametrize("root", [".", "outputs/mine"])
def test_a_run_that_fails_removes_no_folder_that_was_there_before(
    alsuite: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert "choose one of auto, cpu, cuda" in alsuite(f"root={root}", "device=gpu").line
    assert [*tmp_path.rglob("*")] == [tmp_path / "here"]


@pytest.mark.slow
def test_a_gpu_that_is_not_there_is_refused(alsuite: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "device=cuda, but torch sees no GPU here: take device=cpu" in alsuite("device=cuda").line


@pytest.mark.parametrize(("device", "line"), [("auto", ""), ("cuda", "device=cuda, but ")])
def test_a_gpu_that_this_torch_cannot_use_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], device: str, line: str
) -> None:
    def too_old(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA driver version is insufficient\nand more")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "zeros", too_old)
    monkeypatch.setattr(machine, "_broken", machine._broken.__wrapped__)
    why = "torch cannot use the GPU (CUDA driver version is insufficient)"
    if device == "auto":
        assert tried_device(device) == torch.device("cpu")
        assert choose_device(device) == torch.device("cuda")
        told = capsys.readouterr()
        assert f"{line}{why}\n" in told.out + told.err
    else:
        with pytest.raises(UserError) as refused:
            tried_device(device)
        assert str(refused.value).startswith(line + why)


def test_a_full_gpu_is_not_taken_for_a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "zeros", full)
    monkeypatch.setattr(machine, "_broken", machine._broken.__wrapped__)
    with pytest.raises(RuntimeError, match="out of memory"):
        tried_device("auto")


def test_a_cpu_has_no_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(machine, "cores", lambda: 1)
    try:
        choose_device("cpu")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


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


@pytest.mark.slow
def test_a_run_folder_with_another_configuration_is_refused(alsuite: Command, tmp_path: Path) -> None:
    assert alsuite("seed=1").status == 0
    (tmp_path / "adhoc" / "smoke" / "seed=1").rename(tmp_path / "adhoc" / "smoke" / "seed=2")
    assert "made with another seed; again=true" in alsuite("seed=2").line


@pytest.mark.slow
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
    assert "1 of 1 runs are finished already" in second.out
    assert "cycle " not in second.out
    assert ((folder / "cycles.jsonl").read_bytes(), (folder / "cycles.jsonl").stat().st_mtime_ns) == before
    assert Path(second.out.splitlines()[-1]) == folder / "curve.png"


def test_the_version_told_is_not_that_of_hydra(alsuite: Command) -> None:
    told = alsuite("--version")
    assert (told.status, told.out) == (0, f"alsuite {metadata.version('alsuite')}\n")


@pytest.mark.slow
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
    assert "2 of 2 runs are finished already" in again.out
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
    assert "cycle 1: this strategy needs dropout" in failed[0]
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
    assert again.out.count("4 of 6 runs are finished already") == 1
    assert [(folder / "cycles.jsonl").read_bytes() for folder in folders.values()] == before


@pytest.mark.slow
def test_a_sweep_of_which_nothing_is_left_blames_its_runs(alsuite: Command) -> None:
    done = alsuite("-m", "strategy=mc_dropout", "seed=0,1")
    assert done.status == 1
    assert done.out.count("FAILED: cycle 1: this strategy needs dropout") == 1
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
@pytest.mark.parametrize("first", [True, False])
def test_the_configuration_is_shown_wherever_it_is_asked_for(alsuite: Command, flags: list[str], first: bool) -> None:
    shown = alsuite(*flags, "strategy=margin", "seed=7") if first else alsuite("strategy=margin", *flags, "seed=7")
    assert (shown.status, shown.err) == (0, "")
    assert "\nseed: 7\n" in shown.out
    assert "path: alsuite.scores.margin" in shown.out


def test_of_a_sweep_the_configuration_of_the_first_run_is_shown(alsuite: Command) -> None:
    shown = alsuite("-m", "strategy=margin,random", "seed=3,4", "--cfg", "job")
    assert "\nseed: 3\n" in shown.out
    assert "path: alsuite.scores.margin" in shown.out


def test_info_and_shell_completion_are_hydras(alsuite: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "hydra_plugins.alsuite" in alsuite("--info", "plugins").out
    monkeypatch.setenv("COMP_LINE", "alsuite strategy=rand")
    assert "strategy=random" in alsuite("-sc", "query=bash").out


EARLY = """
import os, sys
from alsuite import __main__
from alsuite.command.progress import Progress

def reading(self, number, count):
    print(count, "torch" in sys.modules, flush=True)
    os._exit(0)

Progress.reading = reading
__main__.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("options", "count"), [(["seed=3"], 1), (["-m", "seed=0,1"], 2), (["experiment=demo"], 2)])
def test_something_is_shown_before_what_takes_seconds_is_imported(
    options: list[str], count: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", EARLY, *options, "scale=smoke", f"root={tmp_path}"]
    done = subprocess.run(command, env=importing(tmp_path), capture_output=True, text=True, check=False)
    assert done.stdout == f"{count} False\n", done.stderr
