"""Images to train on and to score: real ones where they are, and as PIL gives them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import Compose, Normalize, ToTensor

from alsuite.pool import Pool

__all__ = ["PilImages", "cifar10", "mnist"]

Pictures = tuple[str, Pool, Tensor]


def mnist(n: int) -> Pictures:
    return _pictures("mnist", n, (1, 28, 28))


def cifar10(n: int) -> Pictures:
    return _pictures("cifar10", n, (3, 32, 32))


def _pictures(name: str, n: int, shape: tuple[int, int, int]) -> Pictures:
    """The data set's first images where ALSUITE_DATA has them, else noise around one random image per class."""
    folder = Path(os.environ.get("ALSUITE_DATA", "nowhere")) / name
    if folder.is_dir():
        images, labels = (
            torch.from_numpy(np.load(folder / f"train_{kind}.npy", mmap_mode="r", allow_pickle=False)[:n].copy())
            for kind in ("images", "targets")
        )
    else:
        name, labels = f"random images of {name}'s size", torch.randint(10, (n,))
        images = torch.randint(56, (10, *shape), dtype=torch.uint8)[labels]
        images += torch.randint(200, (n, *shape), dtype=torch.uint8)
    return name, Pool(images, 10, [0.3] * shape[0], [0.3] * shape[0]), labels


class PilImages(Dataset):
    """What torchvision's data sets do: a PIL image per item, then the transforms."""

    def __init__(self, pool: Pool, labels: Tensor) -> None:
        self.images = pool.images.permute(0, 2, 3, 1).squeeze(-1).contiguous().numpy()
        self.labels = labels.tolist()
        self.transform = Compose([ToTensor(), Normalize(pool.normalise.mean, pool.normalise.std)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.images[i])), self.labels[i]
