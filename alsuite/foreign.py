"""What somebody brings along: images, and a task model, for which its features and log-probabilities of each stand."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from alsuite.data.checks import check_pixels
from alsuite.data.unlabelled import unlabelled
from alsuite.errors import UserError
from alsuite.places import lies_among, place_of
from alsuite.pool import Images, Pool, Rows, pixels
from alsuite.strategies import Strategy
from alsuite.strategies.badge import Badge
from alsuite.strategies.coreset import CoreSet
from alsuite.strategies.dal import DAL
from alsuite.strategies.random import Random
from alsuite.strategies.typiclust import TypiClust
from alsuite.strategies.uncertainty import Uncertainty

__all__ = ["Foreign", "read"]

ROUNDED = 0.02  # what a sum of probabilities in half precision may be off by
LOOKS_AT = {Badge: ("features", "log_probs"), Uncertainty: ("log_probs",), Random: ()}
LOOKS_AT |= dict.fromkeys((CoreSet, DAL, TypiClust), ("features",))


@dataclass(frozen=True)
class Foreign:
    """A task that learns nothing, and predicts what it was given of the pool's images.

    features: (N, D)
    predicted: (N, K) log-probabilities
    """

    features: Tensor | None = None
    predicted: Tensor | None = None

    @classmethod
    def of(cls, features: ArrayLike | None, log_probs: ArrayLike | None) -> Self:
        """Return the task of arrays, of which one may be missing."""
        if features is None and log_probs is None:
            raise UserError("there is nothing to pick from: give images, features or log-probabilities")
        task = cls(_table(features, "features"), _table(log_probs, "log_probs"))
        sizes = {len(table) for table in (task.features, task.predicted) if table is not None}
        if len(sizes) > 1:
            raise UserError(f"features and log_probs are of {' and '.join(map(str, sizes))} images: give the same ones")
        if task.predicted is not None and task.predicted.shape[1] < 2:
            raise UserError("log_probs are of one class: give a column for each of at least two")
        if task.predicted is not None and bool(((task.predicted.exp().sum(1) - 1).abs() > ROUNDED).any()):
            raise UserError("log_probs are no logarithms of probabilities that sum to 1: give log_softmax's")
        return task

    def check(self, strategy: Strategy, name: str) -> None:
        """Refuse a strategy of alsuite's that looks at what wasn't given."""
        if not type(strategy).__module__.startswith("alsuite."):
            return
        wanted = LOOKS_AT.get(type(strategy))
        if wanted is None or getattr(strategy, "features", None) is not None:  # which are made of images
            raise UserError(f"{name} needs more than a model's features and log-probabilities: give images")
        has = {"features": self.features is not None, "log_probs": self.predicted is not None}
        if missing := [each for each in wanted if not has[each]]:
            raise UserError(f"{name} looks at {' and '.join(wanted)}: give {missing[0]}, too, or images")

    def stand_ins(self) -> Tensor:
        """Return (N, 1, 1, 1) black images, at which no strategy of alsuite's looks."""
        return torch.zeros(len(self), 1, 1, 1, dtype=torch.uint8)

    def count(self, classes: Sequence[str]) -> list[str]:
        """Return a class for each column of the log-probabilities, where a label that is a number is that of a column.

        classes: those of the labels, all numbers or all names
        """
        if self.predicted is None:
            return [*classes]
        columns = [str(i) for i in range(self.predicted.shape[1])]
        if (more := len(columns) - len(classes)) < 0:
            raise UserError(f"labels are of {len(classes)} classes, log_probs of {len(columns)}: give each a column")
        if not more or not classes or not classes[0].isdecimal():
            return [*classes, *(f"unlabelled {i}" for i in range(more))]
        if other := [label for label in classes if label not in columns]:
            raise UserError(f"the label {other[0]} is no column of log_probs: number them from 0 to {len(columns) - 1}")
        return columns

    def learn(self, pool: Pool) -> Self:
        return self

    def log_probs(self, images: Images) -> Tensor:
        return _rows(self.predicted, images)

    def scored(self, images: Images, score: Callable[[Tensor], Tensor], masks: int = 0, whole: bool = False) -> Tensor:
        if masks:
            raise UserError("the strategy looks at dropout masks, and log-probabilities have none: give images")
        return score(self.log_probs(images))

    def outputs(self, images: Images) -> tuple[Tensor, Tensor]:
        return self.features_alone(images), self.log_probs(images)

    def features_alone(self, images: Images) -> Tensor:
        """Return the features of images, of which there may be no log-probabilities."""
        return _rows(self.features, images)

    def __len__(self) -> int:
        table = self.features if self.features is not None else self.predicted
        return 0 if table is None else len(table)


def _rows(table: Tensor | None, images: Images) -> Tensor:
    """Return the rows of some images of the pool."""
    if table is None:
        raise UserError("the strategy looks at features and log-probabilities: give both, or images")
    if not isinstance(images, Rows):
        raise UserError("of a model of yours only rows of the pool have outputs: give pool.rows(indices), unsliced")
    return table[images.indices.to(table.device)]


def _table(values: ArrayLike | None, name: str) -> Tensor | None:
    """Return (N, D) floats, checked."""
    if values is None:
        return None
    array = _array(values, name)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not array.size:
        raise UserError(f"{name} are {array.dtype} of shape {array.shape}: give floats, a row for each image")
    with np.errstate(over="ignore"):
        table = torch.from_numpy(array.astype(np.float32))
    if bool(table.isnan().any()) or (name == "features" and bool(table.isinf().any())):
        raise UserError(f"{name} hold what is no number: look whether the model has diverged")
    return table


def _array(values: object, name: str) -> NDArray[Any]:
    """Return an array in this machine's order of bytes, of one piece."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    try:
        array = np.require(values, requirements="C")
    except (TypeError, ValueError):
        raise UserError(f"{name} are no array: give numbers, as many for each image") from None
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def read(images: object, config: Mapping[str, Any]) -> tuple[Tensor, Sequence[str] | None]:
    """Return (N, C, H, W) uint8 images, and the names of their files, if they lie in a folder.

    config: says how large a folder's images are made, and where the strategy keeps what it trains, with samples: not
        among them
    """
    if isinstance(images, str | Path):
        path = place_of(images)
        if not path.is_dir():
            raise UserError(f"{images} is no folder of images: name one, or give an array, such as numpy.load's")
        check_pixels("size", size := config["dataset"]["size"])
        root = config["root"]
        if lies_among(path, root) and _names(config["strategy"], f"{root}/"):
            raise UserError(f"root={root} lies in {images}, whose images are all read: add root=... outside of it")
        split = unlabelled(path, size, ("a", "b"), None, None).train
        return split.images, split.files.names if split.files else None
    given = _array(images, "images")
    if given.dtype.kind not in "fiub":
        raise UserError(f"images are {given.dtype}: give uint8, or floats in 0..1")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        array = torch.from_numpy(given.astype(np.float64) if given.dtype == np.longdouble else given)
    array = array[:, None] if array.ndim == 3 else array
    if array.ndim != 4 or array.shape[1] not in (1, 3) or not array.shape[2] * array.shape[3]:
        raise UserError(f"images are {tuple(array.shape)}: give them as (N, C, H, W), of 1 or 3 channels, or (N, H, W)")
    if array.is_floating_point():
        if not (len(array) and float(array.min()) >= 0 and float(array.max()) <= 1):
            raise UserError("images are floats outside 0..1: bring them there, or give uint8")
        return pixels(array), None
    if array.dtype != torch.uint8:
        raise UserError(f"images are {array.dtype}: give uint8, or floats in 0..1")
    return array, None


def _names(part: object, root: str) -> bool:
    """Tell whether a part of a configuration names a place below the root."""
    if isinstance(part, Mapping | list):
        return any(_names(each, root) for each in (part.values() if isinstance(part, Mapping) else part))
    return isinstance(part, str) and part.startswith(root)
