"""Every data set from its raw files, and what is said when these lack or are damaged."""

import os
import re
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import rmtree
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch

from alsuite.data import folders, load, raw
from alsuite.data.folders import folder, imagenet
from alsuite.data.images import square
from alsuite.errors import MissingDataError, UserError
from alsuite.mapped import Mapped
from helpers.data_files import BUILDS, GREY, WRITERS, built, write_class_folders, write_image


def no_network(url: str, path: Path, md5: str) -> None:
    raise OSError("network is unreachable")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "download", no_network)


@pytest.mark.parametrize(
    ("name", "shape", "n_classes", "n_train"),
    [
        ("mnist", (1, 28, 28), 10, 30),
        ("fashion_mnist", (1, 28, 28), 10, 30),
        ("usps", (1, 16, 16), 10, 30),
        ("svhn", (3, 32, 32), 10, 30),
        ("cifar10", (3, 32, 32), 10, 50),
        ("cifar100", (3, 32, 32), 100, 300),
        ("tiny_imagenet", (3, 64, 64), 2, 6),
        ("imagenet", (3, 224, 224), 2, 6),
    ],
)
def test_raw_formats(name: str, shape: tuple[int, ...], n_classes: int, n_train: int, tmp_path: Path) -> None:
    dataset = built(name, tmp_path)
    assert list(dataset.tests) == [dataset.name] == [name]
    for split, n in ((dataset.train, n_train), (dataset.tests[name], n_classes)):
        assert split.images.shape == (n, *shape)
        assert torch.bincount(split.targets).tolist() == [n // n_classes] * n_classes
        expected = (GREY * split.targets % 256).reshape(-1, 1, 1, 1)
        assert (split.images.int() - expected).abs().max() <= (name in ("tiny_imagenet", "imagenet"))
    assert built(name, tmp_path).classes == dataset.classes
    assert not list(tmp_path.glob(".part-*"))


def test_cifar100_has_its_superclasses(tmp_path: Path) -> None:
    dataset = built("cifar100", tmp_path)
    assert dataset.classes[:2] == ("fine0", "fine1")
    assert dataset.superclasses == tuple(i % 20 for i in range(100))
    assert built("cifar100", tmp_path, classes=[41, 7]).superclasses == (1, 7)


@pytest.mark.parametrize("left", [0, 2 * (1 + 3072)])
def test_a_batch_of_cifar10_that_lacks_images_is_told(tmp_path: Path, left: int) -> None:
    built("cifar10", tmp_path)
    rmtree(tmp_path / "cifar10")
    (batch,) = (tmp_path / "raw").rglob("data_batch_3.bin")
    os.truncate(batch, left)
    with pytest.raises(UserError, match=rf"{batch} has . images: delete the folder"):
        built("cifar10", tmp_path)


def test_celeba_attribute_is_the_class(tmp_path: Path) -> None:
    dataset = built("celeba64", tmp_path, attribute="Bangs")
    assert dataset.classes == ("no Bangs", "Bangs")
    assert dataset.train.targets.tolist() == [1, 0, 1, 0]
    assert dataset.train.images.shape == (4, 3, 64, 64)
    assert dataset.train.images[:, 0, 0, 0].tolist() == pytest.approx([20, 40, 60, 80], abs=1)
    assert dataset.tests["celeba64"].images[:, 0, 0, 0].tolist() == pytest.approx([180, 200, 220, 240], abs=1)
    assert built("celeba64", tmp_path, attribute="Wearing_Hat").train.targets.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("attribute", [None, "Hat"])
def test_celeba_needs_a_known_attribute(attribute: str | None, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"attribute={attribute} is no attribute, choose one of Bangs, Wearing_Hat"):
        built("celeba64", tmp_path, attribute=attribute)


def test_caltech256_draws_ten_test_images_per_class_without_clutter(tmp_path: Path) -> None:
    dataset = built("caltech256", tmp_path)
    assert dataset.classes == ("ak47", "american-flag")
    assert torch.bincount(dataset.train.targets).tolist() == [3, 2]
    assert torch.bincount(dataset.tests["caltech256"].targets).tolist() == [10, 10]
    values = [split.images[:, 0, 0, 0].tolist() for split in (dataset.train, dataset.tests["caltech256"])]
    assert sorted(values[0] + values[1]) == pytest.approx([*range(13), *range(GREY, GREY + 12)], abs=1)
    again = built("caltech256", tmp_path / "again")
    assert torch.equal(again.train.images, dataset.train.images)


def test_a_train_is_a_class_beside_a_car_and_no_system_s_copies_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_class_folders(tmp_path / "traffic", ["car", "train", "__MACOSX"], range(10))
    write_class_folders(tmp_path / "traffic" / "car", ["@eaDir"], range(3))
    (tmp_path / "traffic" / "car" / "phone.HEIC").write_bytes(b"")
    data = folder(tmp_path / "traffic", size=8, root=tmp_path)
    assert data.classes == ("car", "train")
    assert len(data.train.targets) == 16
    assert "1 images of" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["tiny_imagenet", "celeba64"])
def test_images_that_are_listed_and_lie_elsewhere_are_told_as_missing(name: str, tmp_path: Path) -> None:
    options = {"attribute": "Bangs"} if name == "celeba64" else {}
    built(name, tmp_path, **options)
    rmtree(tmp_path / name)
    trees = tmp_path / "raw" / name
    max(*trees.glob("**/val/images/*.JPEG"), *trees.glob("img_align_celeba/*.jpg")).unlink()
    with pytest.raises(UserError, match=r"is missing \(1 of \d+\): lay all out as they are published"):
        built(name, tmp_path, **options)


def test_a_failed_download_of_any_kind_says_where_to_put_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class QuotaError(Exception): ...

    def refused(url: str, path: Path, md5: str) -> None:
        raise QuotaError("too many have asked for it")

    monkeypatch.setattr(raw, "download", refused)
    with pytest.raises(MissingDataError, match=r"cannot download a \(too many .*\): put it at"):
        raw.fetch(tmp_path, "a", "", "http://drive")


def test_tiny_imagenet_names_follow_wnids(tmp_path: Path) -> None:
    assert built("tiny_imagenet", tmp_path).classes == ("reel, rod", "cat")
    assert built("tiny_imagenet", tmp_path, size=32).train.images.shape == (6, 3, 32, 32)


@pytest.mark.parametrize(
    ("name", "expected"), [("caltech256", (224, 256)), ("imagenet", (224, 256)), ("tiny_imagenet", (64, None))]
)
def test_photos_are_cut_from_images_that_are_larger(
    name: str, expected: tuple[int, int | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int | None]] = []
    save = folders.save_images
    monkeypatch.setattr(folders, "save_images", lambda *given: told.append(given[2:]) or save(*given))
    built(name, tmp_path)
    assert told == [expected] * 2


def test_an_interrupted_unpacking_does_not_count(tmp_path: Path) -> None:
    stale = tmp_path / "raw" / "tiny_imagenet" / ".tiny-imagenet-200.unfinished" / "tiny-imagenet-200"
    stale.parent.parent.mkdir(parents=True)
    WRITERS["tiny_imagenet"](tmp_path / "raw" / "tiny_imagenet")
    write_image(stale / "train" / "n01" / "images" / "stale.JPEG", 0)
    assert len(built("tiny_imagenet", tmp_path).train.targets) == 6


def test_own_folder(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "pets", ["cat", "dog"], range(9))
    dataset = folder(tmp_path / "pets", size=16, root=tmp_path)
    assert (dataset.name, dataset.classes, dataset.train.images.shape) == ("pets", ("cat", "dog"), (16, 3, 16, 16))
    assert dataset.tests["pets"].targets.tolist() == [0, 1]
    write_image(tmp_path / "pets" / "cow" / "deep" / "1.PNG", 3, mode="L", kind="png")
    assert folder(tmp_path / "pets", size=16, root=tmp_path).classes == ("cat", "cow", "dog")
    for split in ("train", "test"):
        write_class_folders(tmp_path / "split" / split, ["cat", "dog"], range(2))
    assert len(folder(tmp_path / "split", size=8, root=tmp_path).tests["split"].targets) == 4
    (tmp_path / "pets" / "dog" / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"cannot read the image .*broken\.png"):
        folder(tmp_path / "pets", root=tmp_path)
    with pytest.raises(UserError, match="is no folder"):
        folder(tmp_path / "birds", root=tmp_path)


@pytest.mark.parametrize("link", ["train/dog", "train/dog/more.png"])
def test_images_that_a_link_puts_into_both_splits_are_refused(link: str, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "train", ["cat"] if link == "train/dog" else ["cat", "dog"], range(2))
    write_class_folders(tmp_path / "test", ["cat", "dog"], range(2))
    (to,) = {image.suffix: image for image in (tmp_path / "test" / "dog").iterdir()}.values()
    (tmp_path / link).symlink_to(to.parent if link == "train/dog" else to)
    with pytest.raises(UserError, match=r"test/dog/\S+ is learned from and measured on, by a link: take it out of one"):
        folder(tmp_path, size=8, root=tmp_path / ".data")


def test_a_class_without_images_may_be_taken_away(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "pets", ["cat", "dog"], range(5))
    (tmp_path / "pets" / "cow").mkdir()
    with pytest.raises(UserError, match="no train image of the class cow"):
        folder(tmp_path / "pets", size=8, root=tmp_path / "data")
    (tmp_path / "pets" / "cow").rmdir()
    assert folder(tmp_path / "pets", size=8, root=tmp_path / "data").classes == ("cat", "dog")


def test_an_own_folder_is_shuffled_as_it_was_told(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "pets", ["cat", "dog"], range(5))
    for shuffle, kind in (("blocks", Mapped), ("full", torch.Tensor)):
        assert isinstance(folder(tmp_path / "pets", 8, shuffle=shuffle, root=tmp_path / "data").train.images, kind)


def test_all_images_that_cannot_be_read_are_told_at_once(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "pets", ["cat", "dog"], range(12))
    for number in range(7):
        (tmp_path / "pets" / "cat" / f"broken{number}.png").write_bytes(b"no image")
    with pytest.raises(UserError) as raised:
        folder(tmp_path / "pets", size=8, root=tmp_path)
    told = re.findall(r"read the image \S+(broken\d)", str(raised.value))
    assert told == sorted({*told})
    assert len(told) == 5
    assert re.search(r"; and \d more$", str(raised.value))


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({}, {}, r"dataset\.path=\S+ holds no images of two classes: give each class a folder"),
        ({"cat": 9}, {}, "holds no images of two classes"),
        ({"cat": 9, "dog": 0}, {}, "holds no images of two classes"),
        ({"cat": 4, "dog": 4}, {}, "holds no image for testing, which is every fifth of a class: give a class five"),
        ({"train": 9, "val": 9}, {}, "holds train, val: call them train and test, or name a class"),
        ({"Training": 9, "Testing": 9}, {}, "holds Testing, Training: call them train and test"),
        ({"seg_train": 9, "seg_test": 9, "seg_pred": 9}, {}, "holds seg_test, seg_train: call them train and test"),
        ({"train": 9, "test1": 9, "readme": 0}, {}, "holds test1, train: call them train and test"),
        ({"cat": 9, "dog": 9}, {"size": 0}, r"dataset\.size=0 is no number of pixels"),
        ({"cat": 9, "dog": 9}, {"size": "big"}, r"dataset\.size=big is no number of pixels"),
        ({"cat": 9, "dog": 9}, {"classes": ["cat", "car"]}, r"dataset\.classes: pets has no class car, .* cat, dog$"),
    ],
)
def test_an_own_folder_that_cannot_be_used_is_told_in_one_line(
    files: dict[str, int], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "pets").mkdir()
    for name, n in files.items():
        (tmp_path / "pets" / name).mkdir()
        write_class_folders(tmp_path / "pets", [name], range(n))
    with pytest.raises(UserError, match=message) as caught:
        folder(tmp_path / "pets", root=tmp_path, **options)
    assert "\n" not in str(caught.value)


def test_square_scales_the_short_side_and_keeps_the_centre(tmp_path: Path) -> None:
    from PIL import Image

    stripes = np.repeat(np.arange(0, 250, 10, dtype=np.uint8)[None], 10, 0)
    Image.fromarray(np.repeat(stripes, 2, 0).repeat(2, 1)).save(tmp_path / "stripes.png")
    found = square(tmp_path / "stripes.png", crop=6, short=20)
    assert found.shape == (3, 6, 6)
    assert found[0, 0].tolist() == [110, 110, 120, 120, 130, 130]


@pytest.mark.parametrize("name", [name for name in BUILDS if name != "imagenet"])
def test_without_network_one_line_says_what_to_put_where(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=rf"unreachable.*: put it at {tmp_path}/raw/{name}/\S+, it comes from http"
    ) as caught:
        load(name, BUILDS[name], root=tmp_path)
    assert "\n" not in str(caught.value)


def test_imagenet_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"put ILSVRC 2012 at {tmp_path}/raw/imagenet/train/<wnid>"):
        load("imagenet", imagenet, root=tmp_path)
    write_class_folders(tmp_path / "raw" / "imagenet" / "train", ["n01"], range(1))
    write_image(tmp_path / "raw" / "imagenet" / "val" / "1.JPEG", 0)
    with pytest.raises(UserError, match=r"sort the images of .*val into the same folders"):
        load("imagenet", imagenet, root=tmp_path)


@pytest.mark.parametrize("name", ["mnist", "usps", "svhn", "cifar10", "cifar100", "caltech256", "tiny_imagenet"])
def test_damaged_raw_files_are_named(name: str, tmp_path: Path) -> None:
    source = tmp_path / "raw" / name
    source.mkdir(parents=True)
    WRITERS[name](source)
    for file in source.iterdir():
        os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(UserError, match=rf"{source}/\S+ is damaged \(.*\): delete it and start again"):
        load(name, BUILDS[name], root=tmp_path)


def test_fetch_keeps_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "download", lambda url, path, md5: path.write_text(url))
    assert [raw.fetch(tmp_path, "a", "", url).read_text() for url in ("http://a", "http://b")] == ["http://a"] * 2


def test_download_is_checked_and_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (tmp_path / "served").write_text("content")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/served"
        raw.download(url, tmp_path / "file", "9a0364b9e99bb480dd25e1f0284c8555")
        with pytest.raises(RuntimeError, match="corrupted"):
            raw.download(url, tmp_path / "other", "0" * 32)
        server.shutdown()
    assert (tmp_path / "file").read_text() == "content"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "served"]
