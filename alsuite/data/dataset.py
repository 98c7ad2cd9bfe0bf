"""What a data set is, how arrays become one, and its reduction to fewer images or classes."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from alsuite.data.checks import check_arrays, check_labels, check_pixels, numbers
from alsuite.data.images import Files
from alsuite.errors import UserError, is_whole
from alsuite.mapped import Mapped, filled, large, parts
from alsuite.pool import VOID

__all__ = ["Arrays", "Dataset", "Split", "assemble"]

Arrays = tuple[NDArray, NDArray]  # images (N, C, H, W) uint8, targets (N,) int64 or (N, H, W) uint8


@dataclass(frozen=True)
class Split:
    """Images (N, C, H, W) uint8 and their targets (N,) int64, or (N, H, W) uint8 with 255 for void; the images, and
    targets of pixels, may be read-only memory maps, and images that are too large for memory stay in their file
    (`Mapped`). The targets are -1 where nobody knows them, and the files those that a person looks at to tell.

    told: whether a person has told the targets that aren't -1, and need not be asked for them
    """

    images: Tensor
    targets: Tensor
    files: Files | None = None
    told: bool = False

    @property
    def unlabelled(self) -> bool:
        """Whether there is a target that nobody knows."""
        return self.targets.ndim == 1 and bool((self.targets < 0).any())

    @property
    def known(self) -> Tensor:
        """The places of the targets that a person has told."""
        return torch.nonzero(self.targets >= 0).squeeze(1) if self.told else torch.arange(0)


@dataclass(frozen=True)
class Dataset:
    """What a run is given: images to choose from and to test on. The first of `tests` is its own, if it has one.

    mean, std: per channel, of images scaled to [0, 1]
    held: how many more training images, of these classes, are left out for validation
    """

    name: str
    train: Split
    tests: dict[str, Split]
    classes: tuple[str, ...]
    superclasses: tuple[int, ...] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    held: int = 0

    def subset(self, train: int | None, test: int | None, side: int | None = None) -> "Dataset":
        """The first images of one fixed permutation, none larger than `side` pixels square; None keeps all as it is."""
        tests = {name: no_larger(drawn(split, test), side) for name, split in self.tests.items()}
        return replace(self, train=no_larger(drawn(self.train, train), side), tests=tests)


def assemble(
    name: str,
    train: Arrays,
    test: Arrays,
    *,
    names: Sequence[str] | None = None,
    superclasses: Sequence[int] | None = None,
    classes: Sequence[int | str] | None = None,
    pad: int = 0,
    size: int | None = None,
    extra_tests: Mapping[str, Dataset] | None = None,
    validation: int = 0,
    shuffle: str = "auto",
) -> Dataset:
    """Check the arrays, keep the wanted classes, bring the images to their size and add others' test sets.

    So many training images as are for `validation` are left out, before any class is: no one looks at them, but the
    pool is as a paper's. Images that are too large for memory, or all with `shuffle` "blocks", stay in their files: see
    `alsuite.mapped`.
    """
    check_pixels("pad", pad, 0)
    if size is not None:
        check_pixels("size", size)
    check_arrays(f"{name}: train", *train)
    check_arrays(f"{name}: test", *test)
    names = numbers(name, train[1]) if names is None else tuple(names)
    check_labels(name, train[1], test[1], names)
    chosen = check_classes(name, classes, names)
    if superclasses is not None and len(superclasses) != len(names):
        raise UserError(f"{name}: {len(superclasses)} superclasses are given for {len(names)} classes")
    splits = [without(as_split(*train, shuffle), validation), as_split(*test, shuffle)]
    held = len(train[1]) - len(splits[0].targets)
    if classes is not None and train[1].ndim > 1:
        raise UserError(
            f"dataset.classes={[*classes]} chooses among images, and {name} has a label per pixel: leave it out"
        )
    if classes is not None:
        splits = [relabelled(split, chosen, len(names)) for split in splits]
        held = int(np.isin(train[1], chosen).sum()) - len(splits[0].targets)
    train_split, test_split = (resized(split, pad, size) for split in splits)
    kept = tuple(names[i] for i in chosen)
    tests = with_borrowed({name: test_split}, name, kept, extra_tests)
    check_shapes(name, train_split, tests)
    kept_superclasses = None if superclasses is None else tuple(int(superclasses[i]) for i in chosen)
    return Dataset(name, train_split, tests, kept, kept_superclasses, *statistics(train_split.images), held)


def check_classes(name: str, classes: Sequence[int | str] | None, names: Sequence[str]) -> list[int]:
    """Return the places of the classes to keep, which are given by name, or by place where no name is a number."""
    if classes is None:
        return list(range(len(names)))
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        raise UserError(f"dataset.classes={classes} is no list: write it as [{classes}]")
    counted = [] if any(label.isdecimal() for label in names) else [str(i) for i in range(len(names))]
    places = {told: i for i, told in (*enumerate(counted), *enumerate(names))}
    if unknown := [each for each in classes if str(each) not in places]:
        known = f"0..{len(names) - 1}, or by name: " if counted else ""
        known += f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
        raise UserError(f"dataset.classes: {name} has no class {unknown[0]}, choose from {known}")
    chosen = [places[str(each)] for each in classes]
    if len(chosen) < 2 or len(set(chosen)) < len(chosen):
        raise UserError(f"dataset.classes={[*classes]}: name each class of {name} once, and at least two")
    return chosen


def check_shapes(name: str, train: Split, tests: Mapping[str, Split]) -> None:
    expected = tuple(train.images.shape[1:])
    for key, test in tests.items():
        found = tuple(test.images.shape[1:])
        if found != expected:
            raise UserError(f"{name}: train images are {expected}, those of the test set {key} are {found}")


def with_borrowed(
    own: Mapping[str, Split], name: str, classes: tuple[str, ...], others: Mapping[str, Dataset] | None
) -> dict[str, Split]:
    """Return a data set's own test sets and those of others, whose classes must be the same."""
    for key, other in (others or {}).items():
        if key in own:
            raise UserError(f"{name}: the test set {key} exists already: rename that of dataset.extra_tests")
        if other.classes != classes:
            raise UserError(f"{name}: the test set {key} has other classes: {other.classes} instead of {classes}")
    return {**own, **{key: next(iter(other.tests.values())) for key, other in (others or {}).items()}}


def as_split(images: NDArray, targets: NDArray, shuffle: str = "auto") -> Split:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        held = cast(Tensor, large(images, shuffle) or torch.from_numpy(images))
        return Split(held, torch.from_numpy(targets if targets.ndim > 1 else np.array(targets)))


def without(split: Split, n: int) -> Split:
    """All but n images that are drawn once and for all, in their order."""
    if not is_whole(n, 0) or n >= len(split.targets):
        raise UserError(f"dataset.validation={n} is no part of {len(split.targets):,} images: give 0 to leave out none")
    if not n:
        return split
    kept = torch.from_numpy(np.sort(np.random.default_rng(5).permutation(len(split.targets))[n:]))
    return chosen_of(split, kept)


def chosen_of(split: Split, indices: Tensor) -> Split:
    """Some images and their targets; images in a file are read if they fit into memory."""
    images = split.images
    some = images.at(indices) if isinstance(images, Mapped) else images[indices]
    files = split.files and split.files.at(indices.tolist())
    return replace(split, images=cast(Tensor, some), targets=split.targets[indices], files=files)


def relabelled(split: Split, classes: list[int], n_classes: int) -> Split:
    """Only the images of these classes, which become 0, 1, ..."""
    new = torch.full((n_classes,), -1)
    new[classes] = torch.arange(len(classes))
    targets = new[split.targets]
    return chosen_of(replace(split, targets=targets), torch.nonzero(targets >= 0).squeeze(1))


def resized(split: Split, pad: int, size: int | None) -> Split:
    """Pad with zeros, then scale to size x size."""
    height, width = split.images.shape[2:]
    new = (height + 2 * pad, width + 2 * pad) if size is None else (size, size)
    if not pad and new == (height, width):
        return split
    padded = (functional.pad(images, [pad] * 4) for images in parts(split.images, 1000))
    targets = split.targets
    if targets.ndim > 1:
        targets = nearest(functional.pad(targets, [pad] * 4, value=VOID), new)
    return Split(all_scaled(padded, split, new), targets)


def no_larger(split: Split, side: int | None) -> Split:
    if side is None or (longest := max(split.images.shape[2:])) <= side:
        return split
    height, width = (max(1, round(pixels * side / longest)) for pixels in split.images.shape[2:])
    images = all_scaled(parts(split.images, 250), split, (height, width), antialias=True)
    return replace(split, images=images, targets=nearest(split.targets, (height, width)))


def all_scaled(some: Iterable[Tensor], split: Split, size: tuple[int, int], antialias: bool = False) -> Tensor:
    """Scale all images of a split, which come in parts."""
    smooth = (functional.interpolate(part.float(), size=size, mode="bilinear", antialias=antialias) for part in some)
    return filled(torch.empty((*split.images.shape[:2], *size), dtype=torch.uint8), (part.round() for part in smooth))


def nearest(targets: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale labels of pixels; those of images stay as they are."""
    if targets.ndim == 1:
        return targets
    chunks = [functional.interpolate(part[:, None], size=size, mode="nearest-exact") for part in targets.split(250)]
    return torch.cat(chunks)[:, 0]


def drawn(split: Split, n: int | None) -> Split:
    if n is not None and not is_whole(n):
        raise UserError(f"a subset of {n} images was asked for: give scale.pool and scale.test whole numbers from 1")
    if n is None or n >= len(split.targets):
        return split
    indices = torch.from_numpy(np.random.default_rng(0).permutation(len(split.targets)))
    order = torch.isin(indices, split.known).int().argsort(stable=True, descending=True)  # what is labelled stays
    return chosen_of(split, indices[order[:n]])


def statistics(images: Tensor, most: int = 10_000) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, in exact integer sums over evenly spaced images, 256 MB at the most.

    That of a channel in which nothing differs is 1, so that it can be divided by.
    """
    n = min(len(images), most, max(1, 2**28 // images[0].numel()))
    total = squares = torch.zeros(images.shape[1], dtype=torch.int64)
    for indices in (torch.arange(n) * len(images) // n).split(250):
        pixels = images[indices].int()
        total = total + pixels.sum((0, 2, 3))
        squares = squares + pixels.square().sum((0, 2, 3))
    count = n * images.shape[2] * images.shape[3]
    sums = list(zip(total.tolist(), squares.tolist(), strict=True))
    mean = tuple(s / count / 255 for s, _ in sums)
    return mean, tuple(((count * q - s * s) ** 0.5 / count / 255 or 1.0) for s, q in sums)
