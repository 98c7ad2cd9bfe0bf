"""A file or folder is replaced as a whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from alsuite import files
from alsuite.files import locked, written_whole


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "values.npy"
    path.write_text("old")
    with written_whole(path) as part:
        np.save(part, np.arange(3))
        assert path.read_text() == "old"
    assert np.load(path).tolist() == [0, 1, 2]
    assert [*tmp_path.iterdir()] == [path]


def test_what_was_there_stays_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "values.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written_whole(path) as part:
        part.write_text(str(part.write_text("new") // 0))
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_folder_comes_into_being_whole_whatever_a_killed_process_left(tmp_path: Path) -> None:
    left = tmp_path / ".part-data"
    left.mkdir()
    (left / "torn").touch()
    with written_whole(tmp_path / "data") as part:
        part.mkdir()
        (part / "images").write_text("whole")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["images"]


def test_it_reaches_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    monkeypatch.setattr("os.fsync", lambda _: synced.append((tmp_path / "a").exists()))
    with written_whole(tmp_path / "a") as part:
        part.write_text("whole")
    assert synced == [False, True]


def test_a_lock_of_one_user_can_be_taken_by_another(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with locked(tmp_path / ".data.lock"):
            assert (tmp_path / ".data.lock").stat().st_mode & 0o666 == 0o666
    finally:
        os.umask(before)


def test_whoever_waits_for_a_lock_is_told_what_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entered: list[int] = []

    def second() -> None:
        with locked(tmp_path / "lock", "builds mnist"):
            entered.append(2)

    waits = Thread(target=second)
    with locked(tmp_path / "lock", "builds mnist"):
        assert capsys.readouterr().out == ""
        waits.start()
        while not (said := capsys.readouterr().out):
            waits.join(0.01)
        assert (said, entered) == ("waiting for another process that builds mnist\n", [])
    waits.join()
    assert entered == [2]


def test_what_went_wrong_is_told_where_its_file_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(path: Path) -> None:
        if (tmp_path / "entered").exists():
            raise PermissionError
        (tmp_path / "entered").touch()

    monkeypatch.setattr(files, "remove", kept)
    with pytest.raises(ZeroDivisionError), written_whole(tmp_path / "a") as part:
        part.write_bytes(b"a" * (1 // 0))
