"""A run on a disk that is full ends in one line, and goes on once there is space."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.commands import Ended, lasting, started

RUN = "adhoc/paper/strategy=entropy,task_model.epochs=1"


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
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[[Path], Ended]:
    """One and the same command below another root."""
    alsuite = started(tmp_path, monkeypatch, capsys)
    return lambda root: alsuite("scale=paper", "strategy=entropy", "task_model.epochs=1", f"root={root}")


@pytest.mark.slow
def test_a_full_disk_ends_in_one_line_and_the_run_goes_on_when_there_is_space(
    disk: Path, tmp_path: Path, run: Callable[[Path], Ended]
) -> None:
    assert run(tmp_path).status == 0
    pages = [-(-(tmp_path / RUN / file).stat().st_size // 4096) for file in ("run.json", "cycles.jsonl")]
    ballast = fill(disk, left=4096 * (pages[0] + pages[1] // 2))
    full = run(disk)
    assert full.status == 2
    assert "No space left on device" in full.line
    assert 0 < (disk / RUN / "cycles.jsonl").read_bytes().count(b"\n") < len(lasting(tmp_path / RUN))
    ballast.unlink()
    assert run(disk).status == 0
    assert lasting(disk / RUN) == lasting(tmp_path / RUN)


@pytest.mark.slow
def test_a_disk_too_full_for_the_picture_ends_in_one_line(disk: Path, run: Callable[[Path], Ended]) -> None:
    assert run(disk).status == 0
    (disk / RUN / "curve.png").unlink()
    fill(disk, left=0)
    full = run(disk)
    assert full.status == 2
    assert "No space left on device" in full.line
