"""Data sets that come as a folder of image files per class.

Caltech-256, Tiny-ImageNet and ImageNet are builds for `alsuite.data.store`; `folder` makes a data set of the user's
own images, whose arrays are kept as the others' are, and made anew when a file has changed.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from alsuite.data.checks import check_pixels, check_splits, check_there, tell_unread
from alsuite.data.dataset import Dataset, with_borrowed
from alsuite.data.images import Labelled, labelled_files, save_images, version
from alsuite.data.raw import fetch_tree
from alsuite.data.store import load, save_lines
from alsuite.data.unlabelled import unlabelled
from alsuite.errors import MissingDataError, UserError
from alsuite.places import place_of
from alsuite.walk import hidden

__all__ = ["caltech256", "folder", "imagenet", "tiny_imagenet"]

CALTECH256_URL = "https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar"
CALTECH256_MD5 = "67b4f42ca05d46448c6bb8ecd2220f6d"
TINY_IMAGENET_URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
TINY_IMAGENET_MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def folder(
    path: str | Path,
    size: int = 64,
    *,
    labelled: str = "folders",
    classes: Sequence[int | str] | None = None,
    test: str | Path | None = None,
    extra_tests: Mapping[str, Dataset] | None = None,
    shuffle: str = "auto",
    root: str | Path | None = None,
) -> Dataset:
    """Return your own images: path/{train,test}/<class>/*, or path/<class>/* of which every fifth is a test image.

    size: pixels a side, to which the centre square of each image is scaled
    labelled: "none" takes all images in `path`, at any depth, which a person is asked about; a CSV with columns image
        and label, or a folder of such, does so, too, and tells what is labelled already
    classes: those to keep; without folders of classes the names of all
    test: without folders of classes, a folder of images to measure on, test/<class>/*, if there is one

    All else means what it does in `alsuite.data.load`.
    """
    known = None if labelled in ("folders", "none") else place_of(labelled)
    if known is not None and not known.exists():
        raise UserError(f"dataset.labelled={labelled} is no CSV that is there: name one, or folders, or none")
    check_pixels("size", size)
    path = place_of(path)
    if not path.is_dir():
        raise UserError(f"dataset.path={path} is no folder: name one that holds a folder of images per class")
    if labelled != "folders":
        pool = unlabelled(path, size, classes, test, root, shuffle, known)
        return replace(pool, tests=with_borrowed(pool.tests, pool.name, pool.classes, extra_tests))
    if test is not None:
        raise UserError(
            "dataset.test is for images without labels: add dataset.labelled=none, or lay out test/<class>/*"
        )
    build = partial(own_images, path=path, size=size)
    trees = [tree for tree in (path, path / "train", path / "test") if tree.is_dir()]
    source = f"folder/{path.name}-{version(path, size, [name for tree in trees for name in class_folders(tree)])}"
    return load(path.name, build, source=source, classes=classes, extra_tests=extra_tests, shuffle=shuffle, root=root)


def own_images(folder: Path, raw: Path, *, path: Path, size: int) -> None:
    """Write the arrays of the user's own images; `raw` is not used, as they lie at `path`.

    Refused are splits whose classes differ or that share an image, fewer than two classes with images, and too few
    images for a test split.
    """
    tell_unread(path)
    if (path / "train").is_dir() and (path / "test").is_dir():
        names = class_folders(path / "train")
        if class_folders(path / "test") != names:
            raise UserError(f"dataset.path={path}: train and test hold different classes, give both the same folders")
        train, test = (labelled_files(path / split, names, "**/*") for split in ("train", "test"))
    else:
        names = class_folders(path)
        splits = [name for name in names if _bare(name) in SPLITS]
        if len(splits) > 1 or (names and splits == names):
            raise UserError(f"dataset.path={path} holds {', '.join(splits)}: call them train and test, or name a class")
        train, test = divided(labelled_files(path, names, "**/*"), lambda n: range(4, n, 5))
    if len({label for _, label in train}) < 2:
        raise UserError(f"dataset.path={path} holds no images of two classes: give each class a folder with images")
    if not test:
        advice = "give a class five, or lay out train/<class>/* and test/<class>/*"
        raise UserError(f"dataset.path={path} holds no image for testing, which is every fifth of a class: {advice}")
    check_splits([file for file, _ in train], [file for file, _ in test])
    save_files(folder, train, test, names, size)


def caltech256(folder: Path, raw: Path) -> None:
    """Write Caltech-256's arrays: ten images of each of the 256 classes are the test split, clutter is left out.

    These are drawn once and for all from a seed of their own, since the authors publish no split.
    """
    file = "256_ObjectCategories.tar"
    tree = fetch_tree(raw, "256_ObjectCategories", file, CALTECH256_MD5, CALTECH256_URL)
    names = [name for name in class_folders(tree) if not name.startswith("257.")]
    rng = np.random.default_rng(256)
    train, test = divided(labelled_files(tree, names), lambda n: rng.permutation(n)[:10].tolist())
    save_files(folder, train, test, [name.partition(".")[2] for name in names], 224, short=256)


def tiny_imagenet(folder: Path, raw: Path) -> None:
    """Write Tiny-ImageNet's arrays; the validation images are the test split.

    The labels of its test images are not public.
    """
    file = "tiny-imagenet-200.zip"
    tree = fetch_tree(raw, "tiny-imagenet-200", file, TINY_IMAGENET_MD5, TINY_IMAGENET_URL)
    wnids = (tree / "wnids.txt").read_text().split()
    words = dict(line.split("\t", 1) for line in (tree / "words.txt").read_text().splitlines())
    annotations = [line.split("\t")[:2] for line in (tree / "val" / "val_annotations.txt").read_text().splitlines()]
    test = [(tree / "val" / "images" / file, wnids.index(wnid)) for file, wnid in annotations]
    check_there([file for file, _ in test])
    save_files(folder, labelled_files(tree / "train", wnids, "images/*"), test, [words[wnid] for wnid in wnids], 64)


def imagenet(folder: Path, raw: Path) -> None:
    """Write the arrays of ILSVRC 2012 at 224 x 224; the validation images are the test split.

    Its licence asks everyone to fetch it themselves, so that a missing folder is told and never downloaded. Validation
    images must be sorted into a folder per wnid, as the training images are.
    """
    if not all((raw / split).is_dir() for split in ("train", "val")):
        raise MissingDataError(
            f"imagenet cannot be downloaded: put ILSVRC 2012 at {raw}/train/<wnid>/*.JPEG and {raw}/val/<wnid>/*.JPEG"
        )
    wnids = class_folders(raw / "train")
    if class_folders(raw / "val") != wnids:
        raise UserError(f"imagenet: sort the images of {raw}/val into the same folders, a wnid each, as {raw}/train")
    train, test = (labelled_files(raw / split, wnids) for split in ("train", "val"))
    save_files(folder, train, test, wnids, 224, short=256)


def class_folders(tree: Path) -> list[str]:
    """Return the sorted names of the folders in a tree, hidden ones apart; their order numbers the classes."""
    return sorted(path.name for path in tree.iterdir() if path.is_dir() and not hidden(path.name))


def _bare(name: str) -> str:
    """Return a folder's name without what often stands beside that of a split: seg_train, test1, Train_images."""
    return re.sub(r"^seg_|[\W_]*(images|set)?[\W_\d]*$", "", name.lower())


def divided(items: Labelled, tests: Callable[[int], Iterable[int]]) -> tuple[Labelled, Labelled]:
    """Divide files into a train and a test split, class by class.

    items: files with the classes in order, all of one class after another
    tests: says which of the n images of a class are for testing
    """
    train: Labelled = []
    test: Labelled = []
    for _, group in groupby(items, key=itemgetter(1)):
        files = list(group)
        drawn = set(tests(len(files)))
        for i, item in enumerate(files):
            (test if i in drawn else train).append(item)
    return train, test


def save_files(
    folder: Path, train: Labelled, test: Labelled, names: Sequence[str], crop: int, short: int | None = None
) -> None:
    """Write the images, targets and class names of both splits; a split without images is refused.

    crop, short: as in `alsuite.data.images.save_images`
    """
    for split, items in (("train", train), ("test", test)):
        if not items:
            raise UserError(f"there are no image files for the {split} split: see that a folder per class holds them")
        save_images(folder / f"{split}_images.npy", [file for file, _ in items], crop, short)
        np.save(folder / f"{split}_targets.npy", np.array([label for _, label in items], dtype=np.int64))
    save_lines(folder / "classes.txt", names)
