"""A run on a disk that is full ends in one line, and goes on once there is space."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alsuite import __main__

RUN = "adhoc/paper/strategy=entropy,task_model.epochs=1"


def records(root: Path) -> list[dict[str, Any]]:
    """What the journal holds, without the times."""
    lines = map(json.loads, (root / RUN / "cycles.jsonl").read_text().splitlines())
    return [{key: value for key, value in line.items() if not key.endswith("_seconds")} for line in lines]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can't be mounted here: it takes root and the right to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, left: int) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        file.write(bytes(shutil.disk_usage(disk).free - left))
    return ballast


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], object]:
    """The exit status of one and the same command below another root."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def started(root: Path) -> object:
        options = ["wandb=disabled", "device=cpu", "strategy=entropy", "task_model.epochs=1", f"root={root}"]
        monkeypatch.setattr(sys, "argv", ["alsuite", *options])
        try:
            __main__.main()
        except SystemExit as ended:
            return ended.code
        return 0

    return started


def the_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("alsuite: ")
    return line


@pytest.mark.slow
def test_a_full_disk_ends_in_one_line_and_the_run_goes_on_when_there_is_space(
    disk: Path, tmp_path: Path, status: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(tmp_path) == 0
    pages = [-(-(tmp_path / RUN / file).stat().st_size // 4096) for file in ("run.json", "cycles.jsonl")]
    ballast = fill(disk, left=4096 * (pages[0] + pages[1] // 2))
    assert status(disk) == 2
    assert "No space left on device" in the_line(capsys)
    assert 0 < (disk / RUN / "cycles.jsonl").read_bytes().count(b"\n") < len(records(tmp_path))
    ballast.unlink()
    assert status(disk) == 0
    assert records(disk) == records(tmp_path)


@pytest.mark.slow
def test_a_disk_too_full_for_the_picture_ends_in_one_line(
    disk: Path, status: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(disk) == 0
    (disk / RUN / "curve.png").unlink()
    fill(disk, left=0)
    capsys.readouterr()
    assert status(disk) == 2
    assert "No space left on device" in the_line(capsys)
