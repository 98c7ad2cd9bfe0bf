"""Features of random convolutions, and an SVM on them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from alsuite.tasks.svm import SVM


class Convolutions:
    """Random weights that stand in for VGG-16, count the images given, and pause once they have seen some."""

    def __init__(self, name: str = "random", pause: float = 0.0, after: int = 0) -> None:
        self.name = name
        self.size = 64
        self.seen = 0
        self.pause = pause
        self.after = after

    def on(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        net.to(device)

        def features(images: Tensor) -> Tensor:
            time.sleep(self.pause if self.seen >= self.after else 0)
            self.seen += len(images)
            values = images if images.is_floating_point() else images / 255
            return net(values.mean(1, keepdim=True)).detach()

        return features


def svm(folder: Path, **changes: object) -> SVM:
    return SVM(Convolutions(), str(folder), **{"C": [1.0, 10.0], "gamma": [0.5], **changes})  # type: ignore[arg-type]
