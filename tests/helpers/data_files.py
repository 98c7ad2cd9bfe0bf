"""Small raw files in the formats their authors publish, three images of a class for training and one for testing."""

import bz2
import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from alsuite.data import Dataset, load
from alsuite.data.celeba import celeba64
from alsuite.data.cifar import cifar10, cifar100
from alsuite.data.digits import fashion_mnist, mnist, svhn, usps
from alsuite.data.folders import caltech256, imagenet, tiny_imagenet

__all__ = ["BUILDS", "GREY", "WRITERS", "built", "write_class_folders", "write_image", "write_npy"]

GREY = 20  # the pixels of class c have the value GREY * c, so that a wrong label shows


def labels(classes: int, repeats: int) -> NDArray[np.int64]:
    return np.tile(np.arange(classes), repeats)


def pixels(targets: NDArray[np.int64], *shape: int) -> NDArray[np.uint8]:
    values = (GREY * targets % 256).astype(np.uint8).reshape(-1, *[1] * len(shape))
    return np.broadcast_to(values, (len(targets), *shape)).copy()


def write_npy(folder: Path, classes: int = 3, shape: tuple[int, ...] = (1, 4, 4)) -> None:
    folder.mkdir(parents=True)
    for split, repeats in (("train", 3), ("test", 1)):
        targets = labels(classes, repeats)
        np.save(folder / f"{split}_images.npy", pixels(targets, *shape))
        np.save(folder / f"{split}_targets.npy", targets)


def write_mnist(raw: Path) -> None:
    for prefix, repeats in (("train", 3), ("t10k", 1)):
        targets = labels(10, repeats)
        contents = {"images-idx3": pixels(targets, 28, 28), "labels-idx1": targets.astype(np.uint8)}
        for kind, array in contents.items():
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            (raw / f"{prefix}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))


def write_usps(raw: Path) -> None:
    for file, repeats in (("usps.bz2", 3), ("usps.t.bz2", 1)):
        rows = []
        for target in labels(10, repeats):
            value = f"{GREY * target / 127.5 - 1:.6f}"
            rows.append(f"{target + 1} " + " ".join(f"{i}:{value}" for i in range(1, 257)) + " ")
        (raw / file).write_bytes(bz2.compress("\n".join(rows).encode()))


def write_svhn(raw: Path) -> None:
    for split, repeats in (("train", 3), ("test", 1)):
        targets = labels(10, repeats)
        published = np.where(targets == 0, 10, targets).astype(np.uint8)[:, None]
        images = pixels(targets, 32, 32, 3).transpose(1, 2, 3, 0)
        savemat(raw / f"{split}_32x32.mat", {"X": images, "y": published})


def write_cifar10(raw: Path) -> None:
    files = {f"data_batch_{i}.bin": records(labels(10, 1)) for i in range(1, 6)}
    files["test_batch.bin"] = records(labels(10, 1))
    write_tar(raw / "cifar-10-binary.tar.gz", {f"cifar-10-batches-bin/{name}": data for name, data in files.items()})


def write_cifar100(raw: Path) -> None:
    files = {"fine_label_names.txt": "".join(f"fine{i}\n" for i in range(100)).encode()}
    for split, repeats in (("train", 3), ("test", 1)):
        files[f"{split}.bin"] = records(labels(100, repeats), superclasses=20)
    write_tar(raw / "cifar-100-binary.tar.gz", {f"cifar-100-binary/{name}": data for name, data in files.items()})


def records(targets: NDArray[np.int64], superclasses: int | None = None) -> bytes:
    heads = [targets] if superclasses is None else [targets % superclasses, targets]
    return np.concatenate([np.stack(heads, 1).astype(np.uint8), pixels(targets, 3072)], axis=1).tobytes()


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def image(value: int, width: int = 12, height: int = 8, mode: str = "RGB", kind: str = "jpeg") -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), value % 256).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def write_image(path: Path, value: int, **options: int | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image(value, **options))  # pyright: ignore[reportArgumentType]


def write_celeba(raw: Path) -> None:
    """Bangs in odd files, hats in the first of each partition; partition 1 is used by neither split."""
    files = [f"{i:06d}.jpg" for i in range(1, 13)]
    rows = [f"{file} {1 if i % 2 else -1:2d} {1 if i % 4 == 0 else -1:2d}" for i, file in enumerate(files, 1)]
    (raw / "list_attr_celeba.txt").write_text("\n".join(["12", "Bangs Wearing_Hat ", *rows]) + "\n")
    parts = [f"{file} {i // 4}" for i, file in enumerate(files)]
    (raw / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    photos = {f"img_align_celeba/{file}": image(GREY * i, 178, 218) for i, file in enumerate(files, 1)}
    write_zip(raw / "img_align_celeba.zip", photos)


def write_caltech256(raw: Path) -> None:
    names = ["001.ak47", "002.american-flag", "257.clutter"]
    counts = dict(zip(names, (13, 12, 11), strict=True))
    files = {
        f"256_ObjectCategories/{name}/{name[:3]}_{i:04d}.jpg": image(GREY * c + i, 30, 40, "L" if i % 2 else "RGB")
        for c, name in enumerate(names)
        for i in range(counts[name])
    }
    write_tar(raw / "256_ObjectCategories.tar", files | {"256_ObjectCategories/001.ak47/RENAME2": b"#!/bin/sh"})


def write_tiny_imagenet(raw: Path) -> None:
    wnids = ["n02", "n01"]
    tree = "tiny-imagenet-200"
    files = {
        f"{tree}/wnids.txt": "\n".join(wnids).encode(),
        f"{tree}/words.txt": b"n00\tentity\nn01\tcat\nn02\treel, rod\n",
    }
    for c, wnid in enumerate(wnids):
        for i in range(3):
            files[f"{tree}/train/{wnid}/images/{wnid}_{i}.JPEG"] = image(GREY * c, 64, 64)
        files[f"{tree}/train/{wnid}/{wnid}_boxes.txt"] = b"0\t0\t62\t57\n"
        files[f"{tree}/val/images/val_{1 - c}.JPEG"] = image(GREY * c, 64, 64)
    files[f"{tree}/val/val_annotations.txt"] = b"val_0.JPEG\tn01\t0\t32\t44\t62\nval_1.JPEG\tn02\t0\t32\t44\t62\n"
    write_zip(raw / f"{tree}.zip", files)


def write_imagenet(raw: Path) -> None:
    write_class_folders(raw / "train", ["n01", "n02"], range(3))
    write_class_folders(raw / "val", ["n01", "n02"], range(1))


def write_class_folders(tree: Path, names: Iterable[str], indices: Iterable[int]) -> None:
    for c, name in enumerate(names):
        for i in indices:
            write_image(tree / name / f"{name}_{i}.JPEG", GREY * c, width=300, height=260)


WRITERS = {
    "mnist": write_mnist,
    "fashion_mnist": write_mnist,
    "usps": write_usps,
    "svhn": write_svhn,
    "cifar10": write_cifar10,
    "cifar100": write_cifar100,
    "celeba64": write_celeba,
    "caltech256": write_caltech256,
    "tiny_imagenet": write_tiny_imagenet,
    "imagenet": write_imagenet,
}
BUILDS = {build.__name__: build for build in (mnist, fashion_mnist, usps, svhn, cifar10, cifar100)}
BUILDS |= {build.__name__: build for build in (celeba64, caltech256, tiny_imagenet, imagenet)}


def built(name: str, root: Path, **options: object) -> Dataset:
    source = root / "raw" / name
    if not source.exists():
        source.mkdir(parents=True)
        WRITERS[name](source)
    return load(name, BUILDS[name], root=root, **options)  # pyright: ignore[reportArgumentType]
