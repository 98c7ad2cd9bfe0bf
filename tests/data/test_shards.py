"""Tar shards become the arrays of a data set; an import that was stopped goes on; what is wrong takes one line."""

from __future__ import annotations

import gzip
import json
import os
import pickle
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from threading import Barrier
from time import sleep
from typing import Any

import numpy as np
import pytest
import torch

from alsuite.command import identity
from alsuite.command.identity import data_of
from alsuite.data import Dataset, tars
from alsuite.data import shards as module
from alsuite.data.shards import expanded, head, shards
from alsuite.errors import UserError
from alsuite.mapped import Mapped
from helpers.data_files import GREY, image, write_tar

NAMES = ("cat", "dog", "cow")


def sample(key: str, target: int, label: str = "cls", kind: str = "jpg") -> dict[str, bytes]:
    """An image as bright as its class, and its label."""
    told = {"cls": str(target), "name": NAMES[target], "json": json.dumps({"label": target, "width": 3})}[label]
    files = {f"{key}.{'json' if label == 'json' else 'cls'}": told.encode()}
    return {f"{key}.{kind}": image(GREY * (1 + 4 * target), kind={"jpg": "jpeg"}.get(kind, kind)), **files}


def shard(path: Path, targets: Sequence[int], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [sample(f"{path.stem}/{i:03}", target, **options) for i, target in enumerate(targets)]
    write_tar(path, {name: content for some in files for name, content in some.items()})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Three shards for training, whose labels and images come in different ways, and one for testing."""
    shard(tmp_path / "tars" / "train-00.tar", [0, 1, 2, 0])
    shard(tmp_path / "tars" / "train-01.tar", [2, 2], label="json", kind="png")
    shard(tmp_path / "tars" / "train-02.tar", [1, 0, 1], kind="webp")
    shard(tmp_path / "tars" / "val.tar", [1, 2])
    return tmp_path


def of(home: Path, **options: Any) -> Dataset:
    given = {"train": str(home / "tars" / "train-{00..02}.tar"), "test": str(home / "tars" / "val.tar"), "side": 8}
    return shards(**{**given, "root": home / "data", **options})


def test_the_samples_of_all_shards_in_their_order(home: Path) -> None:
    data = of(home)
    assert data.train.targets.tolist() == [0, 1, 2, 0, 2, 2, 1, 0, 1]
    assert data.tests["tars"].targets.tolist() == [1, 2]
    assert data.classes == ("0", "1", "2")
    for split in (data.train, data.tests["tars"]):
        assert split.images.shape[1:] == (3, 8, 8)
        bright = GREY * (1 + 4 * split.targets)
        assert (split.images.float().mean((1, 2, 3)) - bright).abs().max() < 2
    assert not (home / "data" / "raw" / "shards").is_dir() or not any((home / "data" / "raw" / "shards").iterdir())


def test_an_import_is_done_once_and_anew_for_other_shards(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of(home)
    monkeypatch.setattr(module, "appended", lambda *_, **__: pytest.fail("shards are read again"))
    assert len(of(home).train.targets) == 9
    monkeypatch.undo()
    assert of(home, side=4).train.images.shape == (9, 3, 4, 4)
    shard(home / "tars" / "train-01.tar", [2], label="json")
    assert len(of(home).train.targets) == 8


def test_labels_may_be_names(home: Path) -> None:
    (home / "names.txt").write_text("cat\ndog\ncow\n")
    shard(home / "tars" / "val.tar", [2, 1], label="name")
    data = of(home, names=home / "names.txt", classes=["cow", "dog"])
    assert data.classes == ("cow", "dog")
    assert data.tests["tars"].targets.tolist() == [0, 1]
    assert data.train.targets.tolist() == [1, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("torn", ["", '{"shard": "trai'])
def test_an_import_that_was_killed_goes_on_after_the_last_shard(
    home: Path, monkeypatch: pytest.MonkeyPatch, torn: str
) -> None:
    whole = of(home, root=home / "other")
    appended, read = module.appended, []

    def killed(file: Any, shard: str, *rest: Any, **options: Any) -> list[int]:
        if shard.endswith("-01.tar"):
            file.write(b"half of an image")
            raise KeyboardInterrupt
        return appended(file, shard, *rest, **options)

    def watched(file: Any, shard: str, *rest: Any, **options: Any) -> list[int]:
        read.append(Path(shard).name)
        return appended(file, shard, *rest, **options)

    monkeypatch.setattr(module, "appended", killed)
    with pytest.raises(KeyboardInterrupt):
        of(home)
    (journal,) = (home / "data" / "raw").rglob("train.jsonl")
    with journal.open("a") as file:
        file.write(torn)
    monkeypatch.setattr(module, "appended", watched)
    data = of(home)
    assert sorted(read) == ["train-01.tar", "train-02.tar", "val.tar"]
    assert torch.equal(data.train.images, whole.train.images)
    assert torch.equal(data.train.targets, whole.train.targets)


def test_images_stay_where_they_grew_if_the_disk_knows_no_second_names(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setattr(module.np, "save", fail)
    with pytest.raises(UserError):
        of(home)
    monkeypatch.undo()
    assert len(of(home).train.images) == len(of(home, root=home / "other").train.images)


def test_shards_are_read_side_by_side(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, appended, met = of(home, root=home / "other"), module.appended, Barrier(2, timeout=20)

    def waiting(file: Any, shard: str, *rest: Any, **options: Any) -> list[int]:
        """Reads the first two shards only once both are begun, and ends the first one last."""
        if shard.endswith(("-00.tar", "-01.tar")):
            met.wait()
        found = appended(file, shard, *rest, **options)
        if shard.endswith("-00.tar"):
            sleep(0.2)
        return found

    monkeypatch.setattr(module, "appended", waiting)
    data = of(home)
    assert torch.equal(data.train.images, whole.train.images)
    assert torch.equal(data.train.targets, whole.train.targets)
    assert not [*home.rglob("part_*")]


def test_one_torn_shard_ends_the_reading_of_the_others(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(3, 30):
        shard(home / "tars" / f"train-{place:02}.tar", [0, 1])
    (home / "tars" / "train-01.tar").write_bytes(b"torn")
    appended, begun = module.appended, []
    monkeypatch.setattr(
        module, "appended", lambda *rest, **options: begun.append(rest[1]) or appended(*rest, **options)
    )
    with pytest.raises(UserError, match=r"cannot read the shard \S+train-01\.tar"):
        of(home, train=str(home / "tars" / "train-*.tar"))
    assert len(begun) <= 2 + module.AT_ONCE
    (home / "tars" / "train-01.tar").unlink()
    assert len(of(home, train=str(home / "tars" / "train-*.tar")).train.targets) == 4 + 3 + 27 * 2


def test_images_may_be_decoded_in_several_parts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = of(home, root=home / "other")
    monkeypatch.setattr(module, "CHUNK", 2)
    assert torch.equal(of(home).train.images, whole.train.images)
    assert isinstance(of(home, shuffle="blocks").train.images, Mapped)


@pytest.mark.parametrize("kept", [700, 512 + 1024, 2 * 1024 + 100])
def test_a_torn_shard_is_told(home: Path, kept: int) -> None:
    path = home / "tars" / "train-01.tar"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"cannot read the shard \S+train-01\.tar \(ReadError: .+\): fetch it anew$"):
        of(home)


def test_a_shard_that_is_damaged_in_its_middle_is_told(home: Path) -> None:
    path = home / "tars" / "train-01.tar"
    content = bytearray(path.read_bytes())
    at = content.index(b"train-01/001.png")
    content[at + 148 : at + 156] = b"\0" * 8  # the checksum of its header
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read the shard \S+train-01\.tar \(ReadError"):
        of(home)


def test_a_file_too_large_for_an_image_is_not_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alsuite.data.tars.LARGEST", 20)
    with pytest.raises(UserError, match=r"\.\w+ has \d+ bytes, which is no image: delete it from its shard"):
        of(home)


def test_a_torn_compressed_shard_is_told(home: Path) -> None:
    packed = gzip.compress((home / "tars" / "train-00.tar").read_bytes())
    (home / "tars" / "train.tar.gz").write_bytes(packed)
    assert len(of(home, train=str(home / "tars" / "*.tar.gz")).train.targets) == 4
    (home / "tars" / "train.tar.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(UserError, match=r"cannot read the shard \S+train\.tar\.gz \("):
        of(home, train=str(home / "tars" / "*.tar.gz"))


WRONG = {
    "no label": ({"a/1.jpg": image(0)}, r'train-00\.tar: a/1 has no label: add a/1\.cls, or a/1\.json with "label"$'),
    "json without one": ({"1.jpg": image(0), "1.json": b'{"id": 3}'}, "1 has no label"),
    "json that is none": ({"1.jpg": image(0), "1.json": b"{"}, "1 has no label"),
    "json too deep": ({"1.jpg": image(0), "1.json": b"[" * 100_000}, "1 has no label"),
    "no number": (
        {"1.jpg": image(0), "1.cls": b"cat"},
        r"the label of 1 is 'cat': it must be a number from 0 of at most 9 digits$",
    ),
    "too large": ({"1.jpg": image(0), "1.cls": b"9" * 20}, r"the label of 1 is '9+': it must be a number from 0 of at"),
    "too many classes": (
        {"1.jpg": image(0), "1.cls": b"999999999"},
        r"train_targets hold the label 999999999, of \d+ images: number classes from 0 on$",
    ),
    "below 0": ({"1.jpg": image(0), "1.cls": b"-1"}, "the label of 1 is '-1'"),
    "no image": ({"1.cls": b"0"}, r"1 has 0 images: each sample has one, such as 1\.jpg"),
    "two images": ({"1.cls": b"0", "1.jpg": image(0), "1.png": image(0)}, "1 has 2 images"),
    "a damaged image": ({"1.cls": b"0", "1.jpg": image(0)[:90]}, r"cannot read the image 1 in \S+train-00\.tar \("),
    "text as image": ({"1.cls": b"0", "1.jpg": b"hello"}, r"cannot read the image 1 in \S+ \(.+\): replace or delete"),
    "a name twice": (
        {"1.jpg": image(0), "1.cls": b"0", "1.JPG": image(9)},
        r"1\.JPG is there twice: give each sample of its shard a name of its own",
    ),
    "nothing": ({}, r"train-00\.tar holds no image: leave it out, or replace it"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_in_a_shard_takes_one_line(home: Path, case: str) -> None:
    files, message = WRONG[case]
    write_tar(home / "tars" / "train-00.tar", files)
    with pytest.raises(UserError, match=message) as caught:
        of(home)
    assert "\n" not in str(caught.value)


def test_nothing_is_unpickled_or_written_elsewhere(home: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (home / "trapped").mkdir, ()

    trap = {"1.pyd": pickle.dumps(Trap()), "../../escaped.txt": b"", "/tmp/.hidden": b"", **sample("../1", 1)}
    write_tar(home / "tars" / "train-00.tar", {**trap, **sample("2", 0), **sample("3", 2)})
    with pytest.raises(UserError, match=r"1 has no label|escaped has no label"):
        of(home)
    write_tar(home / "tars" / "train-00.tar", {**sample("../1", 1), "../1.pyd": trap["1.pyd"], **sample("2", 0)})
    assert of(home).train.targets[:2].tolist() == [1, 0]
    assert not (home / "trapped").exists()
    assert not [*home.rglob("*escaped*"), *home.rglob("1.jpg")]


def test_files_are_known_by_how_they_end_and_others_passed_over(home: Path) -> None:
    files = {"LICENSE": b"", "a/1.input.jpg": image(0), "a/1.class": b"1", "a/2.seg.png": image(9), "a/2.jpg": image(0)}
    write_tar(home / "tars" / "train-00.tar", {**files, "a/2.cls": b"2"})
    assert of(home).train.targets.tolist() == [1, 2, 2, 2, 1, 0, 1]
    assert of(home).train.images[1].max() < 9


def test_a_shard_that_is_learned_from_is_none_to_measure_on(home: Path) -> None:
    with pytest.raises(UserError, match=r"train-01\.tar is one of dataset\.train and of dataset\.test"):
        of(home, test=str(home / "tars" / "*1.tar"))


def test_shards_are_named_by_ranges_choices_and_wildcards(home: Path) -> None:
    tree = home / "tars"
    every = [str(tree / f"train-0{i}.tar") for i in range(3)]
    assert expanded("train", str(tree / "train-{00..02}.tar")) == every
    assert expanded("train", str(tree / "train-{02,00}.tar")) == [every[2], every[0]]
    assert expanded("train", str(tree / "{train-*,val}.tar")) == [*every, str(tree / "val.tar")]
    assert expanded("train", [every[1], str(tree / "v?l.tar")]) == [every[1], str(tree / "val.tar")]
    with pytest.raises(UserError, match=r"dataset\.train: \S+train-03\.tar is no file \(2 of 5 shards\)"):
        expanded("train", str(tree / "train-{00..04}.tar"))
    with pytest.raises(UserError, match=r"\{02\.\.00\}\.tar ends before it begins"):
        expanded("train", str(tree / "train-{02..00}.tar"))
    with pytest.raises(UserError, match=r"dataset\.test=\S+none\*\.tar names no shard: give tar files"):
        expanded("test", str(tree / "none*.tar"))
    with pytest.raises(UserError, match=r"dataset\.names=\S+ is no file"):
        of(home, names=tree / "names.txt")
    with pytest.raises(UserError, match=r"dataset\.side=0 is no number of pixels"):
        of(home, side=0)


def test_shards_may_be_urls(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    for path in (home / "tars").glob("*.tar"):
        with fsspec.open(f"memory://bucket/{path.name}", "wb") as file:
            file.write(path.read_bytes())
    data = of(home, train="memory://bucket/train-*.tar", test="memory://bucket/val.tar")
    assert data.train.targets.tolist() == [0, 1, 2, 0, 2, 2, 1, 0, 1]
    with pytest.raises(UserError, match=r"cannot read the shard memory://bucket/not\.tar \(FileNotFoundError"):
        of(home, train="memory://bucket/not.tar")
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(UserError, match=r"memory://bucket/val\.tar is a URL: pip install fsspec"):
        list(tars.samples("memory://bucket/val.tar"))


def test_the_head_of_an_array_file_takes_as_many_bytes_for_any_number() -> None:
    lengths = {n: head(BytesIO(), n, 224) for n in (0, 9, 10**7, 10**10)}
    assert len({*lengths.values()}) == 1


def test_a_run_is_told_from_one_of_other_shards(home: Path) -> None:
    given = {"_target_": "alsuite.data.shards.shards", "train": str(home / "tars" / "train-{00..02}.tar")}
    options = {**given, "test": str(home / "tars" / "val.tar"), "names": None}
    before = data_of(options)
    assert before
    shard(home / "tars" / "train-01.tar", [1, 1])
    identity._checksum.cache_clear()
    assert data_of(options) != before
    assert data_of({**options, "train": str(home / "gone-{00..02}.tar"), "test": "memory://gone.tar"}) == ""
    assert np.array_equal(of(home).train.targets[4:6], [1, 1])
