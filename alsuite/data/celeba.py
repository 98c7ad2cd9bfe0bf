"""CelebA: aligned faces at 64 x 64 with 40 attributes, in the official partition."""

from pathlib import Path

import numpy as np

from alsuite.data.checks import check_there
from alsuite.data.images import save_images
from alsuite.data.raw import fetch, fetch_tree
from alsuite.data.store import save_lines

__all__ = ["celeba64"]

DRIVE = "https://drive.google.com/file/d"
IMAGES = ("img_align_celeba.zip", "00d2c5bc6d35e252742224ab0c1e8fcb", f"{DRIVE}/0B7EVK8r0v71pZjFTYXZWM3FlRnM/view")
ATTRIBUTES = ("list_attr_celeba.txt", "75e246fa4810816ffd6ee81facbd244c", f"{DRIVE}/0B7EVK8r0v71pblRyaVFSWGxPY0U/view")
PARTITION = (
    "list_eval_partition.txt",
    "d32c9cbf5e040fd4025c592c306e6668",
    f"{DRIVE}/0B7EVK8r0v71pY0NSMzRuSXJEVkk/view",
)


def celeba64(folder: Path, raw: Path) -> None:
    """Write CelebA's arrays: partition 0 is the train split, 2 the test split; partition 1 is left out.

    folder: where the arrays are written
    raw: where the three raw files lie, or are downloaded to

    Images are cut to their centre square, then scaled. The targets are all 40 attributes, (N, 40) of 0 and 1, one of
    which `dataset.attribute` makes the class; their names go to attributes.txt.
    """
    header, *rows = fetch(raw, *ATTRIBUTES).read_text().splitlines()[1:]
    attributes = {row.split()[0]: row.split()[1:] for row in rows}
    partition = [line.split() for line in fetch(raw, *PARTITION).read_text().splitlines()]
    tree = fetch_tree(raw, "img_align_celeba", *IMAGES)
    for split, part in (("train", "0"), ("test", "2")):
        files = [file for file, its in partition if its == part]
        check_there(images := [tree / file for file in files])
        save_images(folder / f"{split}_images.npy", images, crop=64)
        present = np.array([attributes[file] for file in files]).astype(np.int8) > 0
        np.save(folder / f"{split}_targets.npy", present.astype(np.int8))
    save_lines(folder / "attributes.txt", header.split())
