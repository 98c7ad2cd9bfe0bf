"""Arrays on disk: opened as memory maps, refused when damaged, built once and atomically."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from alsuite.data import load
from alsuite.errors import UserError
from helpers import importing
from helpers.data_files import built, write_npy


def no_build(folder: Path, raw: Path) -> None:
    raise AssertionError(f"{folder} is there already")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        lambda path: os.truncate(path, 20),
        lambda path: path.write_bytes(b"x" * 400),
        lambda path: os.truncate(path, 0),
    ],
)
@pytest.mark.parametrize("file", ["train_images.npy", "test_targets.npy"])
def test_damaged_arrays_are_named(damage: Callable[[Path], object], file: str, tmp_path: Path) -> None:
    write_npy(tmp_path / "toy")
    damage(tmp_path / "toy" / file)
    with pytest.raises(
        UserError, match=rf"{file} cannot be read .*: delete the folder .*toy and start again"
    ) as caught:
        load("toy", no_build, root=tmp_path)
    assert "\n" not in str(caught.value)


def test_images_stay_memory_mapped(tmp_path: Path) -> None:
    write_npy(tmp_path / "toy")
    images = load("toy", no_build, root=tmp_path).train.images
    with (tmp_path / "toy" / "train_images.npy").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    assert images[-1, -1, -1, -1] == 255


def test_images_for_validation_are_left_out_of_arrays_laid_out_by_hand(tmp_path: Path) -> None:
    write_npy(tmp_path / "toy")
    data = load("toy", no_build, root=tmp_path, validation=2)
    assert (len(data.train.images), len(data.train.targets), data.held) == (7, 7, 2)


def test_root_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path))
    write_npy(tmp_path / "toy")
    assert load("toy", no_build).name == "toy"


def test_attribute_targets_are_checked(tmp_path: Path) -> None:
    built("celeba64", tmp_path, attribute="Bangs")
    np.save(tmp_path / "celeba64" / "test_targets.npy", np.zeros(4, np.int64))
    with pytest.raises(UserError, match=r"targets are int64 \(4,\), they must be integers of 2 attributes per image"):
        built("celeba64", tmp_path, attribute="Bangs")
    with pytest.raises(UserError, match="attribute=Bangs is no attribute, its images have none"):
        built("mnist", tmp_path, attribute="Bangs")


def failing(folder: Path, raw: Path, *, error: Exception) -> None:
    write_npy(folder / "part")
    np.save(folder / "train_images.npy", np.zeros(3))
    raise error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on the disk to build .*toy: free some"),
        (ValueError("odd size"), r"cannot build .*toy, a file under .*raw/toy is damaged \(odd size\)"),
        (PermissionError("denied"), "cannot build .*toy from .*: denied"),
    ],
)
def test_a_failed_build_does_not_count(error: Exception, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        load("toy", partial(failing, error=error), root=tmp_path)
    assert not (tmp_path / "toy").exists()
    calls = []

    def build(folder: Path, raw: Path) -> None:
        assert not list(folder.iterdir())
        calls.append(raw)
        folder.rmdir()
        write_npy(folder)

    assert len(load("toy", build, root=tmp_path).train.targets) == 9
    assert calls == [tmp_path / "raw" / "toy"]


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"no space left on the disk to build .*imagenet: free some"):
        built("imagenet", tmp_path)
    assert not (tmp_path / "imagenet").exists()


def test_a_folder_that_lacks_files_is_not_built_over(tmp_path: Path) -> None:
    write_npy(tmp_path / "toy")
    (tmp_path / "toy" / "test_images.npy").unlink()
    with pytest.raises(UserError, match=r"toy lacks test_images\.npy: delete the folder"):
        load("toy", no_build, root=tmp_path)


def test_a_build_must_write_every_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"lacks train_images\.npy, train_targets\.npy"):
        load("toy", lambda folder, raw: None, root=tmp_path)
    assert not (tmp_path / "toy").exists()


TWICE = """
import sys, time
from pathlib import Path
from alsuite.data import load
from helpers.data_files import write_npy

def build(folder, raw):
    with (raw / "calls").open("a") as calls:
        calls.write("x")
    time.sleep(0.5)
    folder.rmdir()
    write_npy(folder)

while not Path(sys.argv[2]).exists():
    time.sleep(0.01)
print(len(load("toy", build, root=sys.argv[1]).train.targets))
"""


@pytest.mark.slow
def test_two_processes_build_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TWICE, str(tmp_path), str(tmp_path / "go")]
    environment = importing(Path(__file__).parent)
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    (tmp_path / "go").touch()
    told = [process.communicate()[0].splitlines() for process in processes]
    assert [lines[-1] for lines in told] == ["9", "9"]
    waited = f"waiting for another process that builds {tmp_path / 'toy'}"
    assert {line for lines in told for line in lines[:-1]} <= {waited}
    assert (tmp_path / "raw" / "toy" / "calls").read_text() == "x"
