"""Readers of labels per pixel, on small files in each data set's own format."""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from alsuite.data import Dataset, load
from alsuite.data.checks import spaced
from alsuite.data.dataset import Split, no_larger
from alsuite.data.segmentation import bdd100k, camvid, cityscapes, folder_masks
from alsuite.errors import MissingDataError, UserError
from alsuite.mapped import Mapped
from alsuite.pool import VOID
from helpers.pools import laid_out

NAMES = [str(i) for i in range(19)]


def picture(path: Path, sides: tuple[int, int], brightness: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (sides[1], sides[0]), (brightness, 50, 200)).save(path)


def mask(path: Path, values: NDArray[np.uint8], palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if palette:
        image.putpalette([*range(256)] * 3)
    image.save(path)


def halves(left: int, right: int, sides: tuple[int, int]) -> NDArray[np.uint8]:
    values = np.full(sides, left, np.uint8)
    values[:, sides[1] // 2 :] = right
    return values


def street(raw: Path, split: str, city: str, frame: str, left: int, right: int) -> None:
    stem, sides = f"{split}/{city}/{city}_{frame}", (64, 128)
    picture(raw / "leftImg8bit" / f"{stem}_leftImg8bit.png", sides)
    mask(raw / "gtFine" / f"{stem}_gtFine_labelIds.png", halves(left, right, sides))
    mask(raw / "gtFine" / f"{stem}_gtFine_instanceIds.png", halves(0, 0, sides))


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    raw = tmp_path / "raw" / "cityscapes"
    street(raw, "train", "aachen", "000000_000019", 7, 33)
    street(raw, "train", "bochum", "000000_000313", 11, 0)
    street(raw, "val", "frankfurt", "000000_000294", 26, 31)
    street(raw, "test", "berlin", "000000_000019", 0, 0)
    return raw


def loaded(root: Path) -> Dataset:
    return load("cityscapes", cityscapes, names=NAMES, root=root)


def check_streets(data: Dataset) -> None:
    assert data.train.images.shape == (2, 3, 688, 688)
    assert data.train.targets.shape == (2, 688, 688)
    assert data.train.targets.dtype == torch.uint8
    found = [[int(target[0, 0]), int(target[0, -1])] for target in data.train.targets]
    assert found == [[0, 18], [2, VOID]]  # road, bicycle; building, unlabelled
    (test,) = data.tests.values()
    assert [int(test.targets[0, 0, 0]), int(test.targets[0, 0, -1])] == [13, 16]  # car, train
    assert set(data.train.images[0, :, 5, 5].tolist()) == {100, 50, 200}


def test_cityscapes_ids_become_its_19_classes(streets: Path, tmp_path: Path) -> None:
    check_streets(loaded(tmp_path))


def test_cityscapes_is_unpacked_from_its_archives(streets: Path, tmp_path: Path) -> None:
    for tree, archive in (("leftImg8bit", "leftImg8bit_trainvaltest.zip"), ("gtFine", "gtFine_trainvaltest.zip")):
        files = sorted((streets / tree).rglob("*.png"))
        with zipfile.ZipFile(streets / archive, "w") as target:
            for file in files:
                target.write(file, file.relative_to(streets))
        (streets / tree).rename(tmp_path / f"old_{tree}")
    check_streets(loaded(tmp_path))


def test_cityscapes_says_what_is_missing(streets: Path, tmp_path: Path) -> None:
    (streets / "gtFine/train/bochum/bochum_000000_000313_gtFine_labelIds.png").unlink()
    with pytest.raises(UserError, match=r"bochum_000000_000313_gtFine_labelIds\.png is missing \(1 of 2 masks\)"):
        loaded(tmp_path)
    with pytest.raises(MissingDataError, match="cityscapes cannot be downloaded: put its files into"):
        loaded(tmp_path / "elsewhere")


def berkeley(raw: Path, split: str, name: str, label: int) -> None:
    picture(raw / "images/10k" / split / f"{name}.jpg", (72, 128))
    if split != "test":
        mask(raw / "labels/sem_seg/masks" / split / f"{name}.png", halves(label, 255, (72, 128)))


def test_bdd100k_is_tested_on_its_validation_images(tmp_path: Path) -> None:
    raw = tmp_path / "raw" / "bdd100k"
    for split, name, label in (("train", "a", 3), ("train", "b", 18), ("val", "c", 0), ("test", "d", 0)):
        berkeley(raw, split, name, label)
    data = load("bdd100k", bdd100k, names=NAMES, root=tmp_path)
    assert [int(target[0, 0]) for target in data.train.targets] == [3, 18]
    assert [int(target[0, 0]) for target in data.tests["bdd100k"].targets] == [0]
    assert int(data.train.targets[0, 0, -1]) == VOID


def test_bdd100k_is_tested_on_its_test_images_where_their_labels_are_there(tmp_path: Path) -> None:
    raw = tmp_path / "raw" / "bdd100k"
    for split, name, label in (("train", "a", 3), ("val", "c", 4), ("test", "d", 0)):
        berkeley(raw, split, name, label)
    mask(raw / "labels/sem_seg/masks/test/d.png", halves(5, 6, (72, 128)))
    data = load("bdd100k", bdd100k, names=NAMES, root=tmp_path)
    assert [int(target[0, 0]) for target in data.train.targets] == [3, 4]
    assert [int(target[0, 0]) for target in data.tests["bdd100k"].targets] == [5]


@pytest.mark.data
def test_real_images_of_bdd100k_are_read(tmp_path: Path) -> None:
    tree = laid_out("bdd100k_samples") / "bdd100k_samples" / "bdd100k"
    raw = tmp_path / "raw" / "bdd100k"
    for split in ("train", "val"):
        files = sorted((tree / "images/10k/train").glob("*.jpg"))[:4]
        for kind, suffix in (("images/10k", "jpg"), ("labels/sem_seg/masks", "png")):
            (raw / kind / split).mkdir(parents=True)
            for file in files:
                source = tree / kind / "train" / f"{file.stem}.{suffix}"
                (raw / kind / split / source.name).write_bytes(source.read_bytes())
    data = load("bdd100k", bdd100k, names=NAMES, root=tmp_path)
    assert {0, 10, VOID} < set(data.train.targets.unique().tolist())  # road, sky


def test_camvids_twelfth_number_is_void(tmp_path: Path) -> None:
    raw = tmp_path / "raw" / "camvid"
    for split in ("train", "val", "test"):
        picture(raw / split / "0001TP_006690.png", (36, 48))
        mask(raw / f"{split}annot" / "0001TP_006690.png", halves(10, 11, (36, 48)))
    data = load("camvid", camvid, names=NAMES[:11], root=tmp_path)
    assert data.train.images.shape == (1, 3, 36, 48)
    assert data.train.targets.unique().tolist() == [10, VOID]


@pytest.mark.data
def test_the_real_camvid_has_segnets_split() -> None:
    laid_out("camvid")
    data = load("camvid", camvid, names=NAMES[:11])
    assert data.train.targets.shape == (367, 360, 480)
    assert data.tests["camvid"].targets.shape == (233, 360, 480)
    small = no_larger(Split(data.train.images[:3], data.train.targets[:3]), 160)
    assert small.images.shape == (3, 3, 120, 160)
    assert set(small.targets.unique().tolist()) <= {*range(11), VOID}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine"
    for i in range(10):
        picture(path / "images" / f"{i:02d}.jpg", (20, 30), 20 * i)
        mask(path / "masks" / f"{i:02d}.png", halves(i % 2, 255, (20, 30)), palette=i == 3)
    (path / "classes.txt").write_text("cell\ntissue\n")
    return path


def test_masks_of_ones_own(own: Path, tmp_path: Path) -> None:
    data = folder_masks(own, root=tmp_path / "data")
    assert data.classes == ("cell", "tissue")
    assert data.train.images.shape == (8, 3, 20, 30)
    assert [int(target[0, 0]) for target in data.train.targets] == [0, 1, 0, 1, 1, 0, 1, 0]
    (test,) = data.tests.values()
    assert [int(target[0, 0]) for target in test.targets] == [0, 1]
    assert (test.targets[:, :, 15:] == VOID).all()


def test_masks_of_ones_own_are_shuffled_as_they_were_told(own: Path, tmp_path: Path) -> None:
    for shuffle, kind in (("blocks", Mapped), ("full", torch.Tensor)):
        assert isinstance(folder_masks(own, shuffle=shuffle, root=tmp_path / "data").train.images, kind)


def test_masks_get_other_names_of_their_classes(own: Path, tmp_path: Path) -> None:
    folder_masks(own, root=tmp_path / "data")
    (own / "classes.txt").write_text("cell\nskin\n")
    assert folder_masks(own, root=tmp_path / "data").classes == ("cell", "skin")


def test_hidden_images_need_no_masks(own: Path, tmp_path: Path) -> None:
    picture(own / "images" / "._00.jpg", (20, 30))
    picture(own / "images" / ".ipynb_checkpoints" / "00-checkpoint.jpg", (20, 30))
    assert len(folder_masks(own, root=tmp_path / "data").train.targets) == 8


def test_masks_of_ones_own_in_two_splits(own: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        (own / split).mkdir()
    (own / "images").rename(own / "train" / "images")
    (own / "masks").rename(own / "train" / "masks")
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        (own / "test" / kind).mkdir()
        (own / "train" / kind / f"00.{suffix}").rename(own / "test" / kind / f"00.{suffix}")
    data = folder_masks(own, size=16, root=tmp_path / "data")
    assert data.train.images.shape == (9, 3, 16, 16)
    assert data.train.targets.shape == (9, 16, 16)


def test_masks_that_tell_one_class_alone_are_refused(own: Path, tmp_path: Path) -> None:
    for path in (own / "masks").iterdir():
        mask(path, halves(0, 255, (20, 30)))
    with pytest.raises(
        UserError, match=r"the masks tell no two classes: number them from 0 as in classes\.txt, 255 is"
    ):
        folder_masks(own, root=tmp_path / "data")


@pytest.mark.parametrize(("orientation", "upright"), [(6, True), (6, False), (3, True)])
def test_a_photo_is_turned_as_its_mask_is(own: Path, tmp_path: Path, orientation: int, upright: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.new("RGB", (30, 20), "red")
    stored.paste("blue", (0, 0, 15, 20))  # on the left, which is above once it is turned
    stored.save(own / "images" / "00.jpg", exif=exif, quality=100, subsampling=0)
    seen = halves(0, 1, (20, 30)) if not upright or orientation == 3 else halves(0, 1, (30, 20))
    mask(own / "masks" / "00.png", seen)
    if orientation == 3:
        with pytest.raises(UserError, match=r"00\.jpg is turned by its EXIF, but its mask may not be: save both"):
            folder_masks(own, size=30, root=tmp_path / "data")
        return
    pixels = folder_masks(own, size=30, root=tmp_path / "data").train.images[0]
    blue = pixels[2] > 128
    assert blue[3, 3]
    assert blue[3, 26] == upright
    assert blue[26, 3] != upright


def test_the_first_release_of_bdd100k_is_laid_out_otherwise(tmp_path: Path) -> None:
    raw = tmp_path / "raw" / "bdd100k" / "seg"
    for split, label in (("train", 3), ("val", 4)):
        picture(raw / "images" / split / "a.jpg", (72, 128))
        mask(raw / "labels" / split / "a_train_id.png", halves(label, 255, (72, 128)))
    data = load("bdd100k", bdd100k, names=NAMES, root=tmp_path)
    assert int(data.train.targets[0, 0, 0]) == 3
    assert int(data.tests["bdd100k"].targets[0, 0, 0]) == 4


def test_masks_that_a_link_puts_into_both_splits_are_refused(own: Path, tmp_path: Path) -> None:
    (own / "train").mkdir()
    for kind in ("images", "masks"):
        (own / kind).rename(own / "train" / kind)
    (own / "test").symlink_to(own / "train")
    with pytest.raises(UserError, match=r"test/images/00\.jpg is learned from and measured on, by a link"):
        folder_masks(own, root=tmp_path / "data")


def spoiled(own: Path, fault: str) -> None:
    path = own / "masks" / "05.png"
    if fault == "missing":
        path.unlink()
    elif fault == "size":
        mask(path, halves(0, 1, (10, 30)))
    elif fault == "number":
        mask(path, halves(0, 7, (20, 30)))
    elif fault == "colour":
        picture(path, (20, 30))
    elif fault == "broken":
        path.write_bytes(b"no picture")
    elif fault == "classes":
        (own / "classes.txt").unlink()
    elif fault == "many":
        (own / "classes.txt").write_text("".join(f"{i}\n" for i in range(256)))
    else:
        picture(own / "images" / "05.jpg", (40, 60))
        mask(path, halves(0, 1, (40, 60)))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("missing", r"05\.png is missing \(1 of 8 masks\): each image needs one"),
        ("size", r"05\.png is \(10, 30\) pixels large, its image \(20, 30\): make them the same"),
        ("number", r"05\.png holds the number 7, which is no class"),
        ("colour", r"05\.png is no mask: save it as a PNG, gray with 8 bits"),
        ("broken", r"cannot read the image .*05\.png"),
        ("classes", r"classes\.txt is missing: write the names of the classes into it"),
        ("many", r"classes\.txt names 256 classes: a mask tells 255, leave some out$"),
        ("sides", r"05\.jpg is \(40, 60\) pixels large, the first image \(20, 30\): set dataset\.size=256"),
    ],
)
def test_a_wrong_file_is_named(own: Path, tmp_path: Path, fault: str, message: str) -> None:
    spoiled(own, fault)
    with pytest.raises(UserError, match=message):
        folder_masks(own, root=tmp_path / "data")


def test_classes_cannot_be_chosen_among_pixels(streets: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has a label per pixel: leave it out"):
        load("cityscapes", partial(cityscapes), names=NAMES, classes=[0, 1], root=tmp_path)


def test_of_many_masks_evenly_spaced_ones_are_looked_at() -> None:
    masks = np.arange(19, dtype=np.uint8).repeat(10).reshape(19, 2, 5)
    assert spaced(masks, most=100).tolist() == np.arange(0, 19, 2).repeat(10).tolist()
    assert spaced(masks, most=190).size == 190
