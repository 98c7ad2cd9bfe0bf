"""CIFAR-10 and CIFAR-100, from the binary version of their archives: records of labels and 3,072 pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alsuite.data.raw import fetch_tree, parse
from alsuite.data.store import save, save_lines
from alsuite.errors import UserError

__all__ = ["cifar10", "cifar100"]

URL = "https://www.cs.toronto.edu/~kriz"
CIFAR10_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
CIFAR100_MD5 = "03b5dce01913d631647c71ecec9e9cb8"


def cifar10(folder: Path, raw: Path) -> None:
    """Write CIFAR-10's arrays from its archive: five batches for training, one for testing."""
    file = "cifar-10-binary.tar.gz"
    tree = fetch_tree(raw, "cifar-10-batches-bin", file, CIFAR10_MD5, f"{URL}/{file}")
    train, train_labels = read_records([tree / f"data_batch_{i}.bin" for i in range(1, 6)], labels=1)
    test, test_labels = read_records([tree / "test_batch.bin"], labels=1)
    save(folder, train=(train, train_labels[:, 0]), test=(test, test_labels[:, 0]))


def cifar100(folder: Path, raw: Path) -> None:
    """Write CIFAR-100's arrays with its 100 fine classes; the superclass of each is kept beside their names."""
    file = "cifar-100-binary.tar.gz"
    tree = fetch_tree(raw, "cifar-100-binary", file, CIFAR100_MD5, f"{URL}/{file}")
    train, train_labels = read_records([tree / "train.bin"], labels=2)
    test, test_labels = read_records([tree / "test.bin"], labels=2)
    save(folder, train=(train, train_labels[:, 1]), test=(test, test_labels[:, 1]))
    save_lines(folder / "classes.txt", (tree / "fine_label_names.txt").read_text().split())
    save_lines(folder / "superclasses.txt", superclasses(train_labels).tolist())


def read_records(files: Sequence[Path], labels: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the (N, 3, 32, 32) images and (N, labels) labels of some binary files, one after the other.

    Files that do not hold as many as one another are refused: one of them lacks some.

    labels: how many bytes of labels stand before the pixels: 1 in CIFAR-10, 2 in CIFAR-100, the coarse one first
    """

    def read(file: Path) -> NDArray[np.uint8]:
        return np.fromfile(file, np.uint8).reshape(-1, labels + 3072)

    parts = [parse(read, file) for file in files]
    for file, part in zip(files, parts, strict=True):
        if not len(part) or len(part) != len(parts[0]):
            raise UserError(f"{file} has {len(part):,} images: delete the folder {file.parent} and start again")
    records = np.concatenate(parts)
    return records[:, labels:].reshape(-1, 3, 32, 32), records[:, :labels].astype(np.int64)


def superclasses(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the superclass of each class, (100,), from the (N, 2) pairs of superclass and class that images have.

    Labels that don't make 20 superclasses of 5 classes each are refused, since then the files are not CIFAR-100's.
    """
    pairs = np.unique(labels[:, ::-1], axis=0)
    if pairs[:, 0].tolist() != list(range(100)) or np.bincount(pairs[:, 1]).tolist() != [5] * 20:
        raise UserError("cifar100: its labels do not fall into 20 superclasses of 5 classes: replace the raw files")
    return pairs[:, 1]
