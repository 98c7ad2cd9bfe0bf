"""Images whose pixels have a class: rectangles of one brightness a class, under a little noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Generator, Tensor

from alsuite.nets.segmenters import segnet_small
from alsuite.pool import VOID, Pool
from alsuite.tasks.segmentation import Segmentation

__all__ = ["drawn", "fast_segmentation", "mask_pool", "masks_of"]

CLASSES = 3


def masks_of(n: int, height: int = 16, width: int = 24, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return (n, 3, H, W) images and their (n, H, W) masks, whose first row is void."""
    generator = Generator().manual_seed(seed)
    coarse = torch.randint(0, CLASSES, (n, 2, 3), generator=generator, dtype=torch.uint8)
    targets = coarse.repeat_interleave(height // 2, 1).repeat_interleave(width // 3, 2)
    noise = torch.randint(0, 40, (n, 3, height, width), generator=generator)
    images = (noise + 80 * targets[:, None].long()).to(torch.uint8)
    targets[:, 0] = VOID
    return images, targets


def mask_pool(n: int = 40, labelled: int = 12) -> tuple[Pool, Tensor]:
    images, targets = masks_of(n)
    pool = Pool(images, CLASSES, [0.4] * 3, [0.25] * 3, label_shape=targets.shape[1:])
    pool.label(torch.arange(labelled), targets[:labelled])
    return pool, targets


def fast_segmentation(**changes: Any) -> Segmentation:
    net = changes.pop("net", lambda shape, outputs: segnet_small(shape, outputs, (8, 16), dropout=0.3))
    return Segmentation(net, **{"epochs": 12, "batch": 4, "lr": 1e-2, **changes})


def drawn(folder: Path, index: int, mask: Tensor, palette: bool = False) -> Path:
    """Save a mask where a person would."""
    path = folder / "masks" / f"{index}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask.numpy())
    if palette:
        image.putpalette([*range(256)] * 3)
    image.save(path)
    return path
