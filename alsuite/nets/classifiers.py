"""Classifiers as nn.Sequential: all modules but the last give the features, the last one the logits.

Each takes the image's shape (C, H, W) and the number of outputs; `width` scales the channels at reduced scales.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from alsuite.errors import UserError

__all__ = ["allcnn", "celeba_cnn", "convnet", "lenet", "linear", "resnet18", "scaled", "vgg16"]

Shape = tuple[int, int, int]


def linear(shape: Shape, outputs: int, dropout: float = 0.0) -> nn.Sequential:
    """ASAL's classifier for two classes."""
    return nn.Sequential(nn.Flatten(), *_dropout(dropout), nn.Linear(math.prod(shape), outputs))


def lenet(shape: Shape, outputs: int, dropout: float = 0.0) -> nn.Sequential:
    """LeNet-5 (LeCun et al. 1998) with ReLU and max pooling; `dropout` before each of the last two layers."""
    channels, height, width = shape
    if min(height, width) < 16:
        raise UserError(f"lenet needs images of 16 x 16 at the least, not {height} x {width}: take task_model=linear")
    flat = 16 * ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
    return nn.Sequential(
        *(nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), _MaxPool()),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), _MaxPool(), nn.Flatten()),
        *(nn.Linear(flat, 120), nn.ReLU(), *_dropout(dropout)),
        *(nn.Linear(120, 84), nn.ReLU(), *_dropout(dropout)),
        nn.Linear(84, outputs),
    )


def allcnn(shape: Shape, outputs: int, width: float = 1.0, dropout: float = 0.5) -> nn.Sequential:
    """All-CNN-C (Springenberg et al. 2014); its last 1 x 1 convolution stands after the average: the same map."""
    if min(shape[1:]) < 9:
        raise UserError(
            f"allcnn needs images of 9 x 9 at the least, not {shape[1]} x {shape[2]}: take task_model=linear"
        )
    a, b = scaled(96, width), scaled(192, width)

    def conv(inputs: int, channels: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(inputs, channels, kernel, stride, padding), nn.ReLU()]

    net = nn.Sequential(
        *(nn.Dropout(0.2), *conv(shape[0], a), *conv(a, a), *conv(a, a, stride=2), nn.Dropout(dropout)),
        *(*conv(a, b), *conv(b, b), *conv(b, b, stride=2), nn.Dropout(dropout)),
        *(*conv(b, b, padding=0), *conv(b, b, kernel=1, padding=0), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(b, outputs),
    )
    return _initialise(net, nn.init.kaiming_normal_)


def vgg16(shape: Shape, outputs: int, width: float = 1.0, head: str = "cifar", dropout: float = 0.5) -> nn.Sequential:
    """VGG16 with batch norm, Xavier initialisation (VAAL, section 4.1); `head`: cifar (512) or vaal (4096, 7 x 7)."""
    if head not in ("cifar", "vaal"):
        raise UserError(f"task_model.net.head={head} is unknown: choose cifar or vaal")
    layers: list[nn.Module] = []
    channels, side = shape[0], min(shape[1:])
    for size, depth in zip((64, 128, 256, 512, 512), (2, 2, 3, 3, 3), strict=True):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, scaled(size, width), 3, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(scaled(size, width)), nn.ReLU()]
            channels = scaled(size, width)
        if side > 1:
            layers, side = [*layers, _MaxPool()], side // 2
    pool, hidden = (1, scaled(512, width)) if head == "cifar" else (7, scaled(4096, width))
    net = nn.Sequential(
        *(*layers, nn.AdaptiveAvgPool2d(pool), nn.Flatten()),
        *(nn.Linear(channels * pool**2, hidden), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(hidden, outputs),
    )
    return _initialise(net, nn.init.xavier_uniform_)


def resnet18(shape: Shape, outputs: int, width: float = 1.0, dropout: float = 0.0) -> nn.Sequential:
    """ResNet-18 (He et al. 2015); a 3 x 3 stem without pooling up to 64 pixels, the ImageNet stem above."""
    sizes = [scaled(size, width) for size in (64, 128, 256, 512)]
    stem = (3, 1, 1) if max(shape[1:]) <= 64 else (7, 2, 3)
    layers: list[nn.Module] = [nn.Conv2d(shape[0], sizes[0], *stem, bias=False), nn.BatchNorm2d(sizes[0]), nn.ReLU()]
    if stem[1] == 2:
        layers.append(nn.MaxPool2d(3, 2, 1))
    for stage, size in enumerate(sizes):
        inputs = sizes[max(0, stage - 1)]
        layers += [_Block(inputs, size, stride=2 if stage else 1), _Block(size, size)]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *_dropout(dropout)]
    net = nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))
    return _initialise(net, nn.init.kaiming_normal_)


def celeba_cnn(shape: Shape, outputs: int, dropout: float = 0.5) -> nn.Sequential:
    """ASAL, table 1, left column."""
    channels, height, width = shape
    layers: list[nn.Module] = []
    for inputs, size in ((channels, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(inputs, size, 3, padding=1), nn.ReLU(), _MaxPool()]
    flat = 64 * (height // 8) * (width // 8)
    return nn.Sequential(
        *(*layers, nn.Flatten(), nn.Linear(flat, 1024), nn.ReLU(), nn.Dropout(dropout)), nn.Linear(1024, outputs)
    )


def convnet(shape: Shape, outputs: int, width: float = 1.0, dropout: float = 0.0) -> nn.Sequential:
    """M2-VAAL, section 4.1: like the encoder, two convolutions and two linear layers; `width` 2 has 3M parameters."""
    channels, *sides = shape
    if min(sides) < 4:
        raise UserError(
            f"convnet needs images of 4 x 4 at the least, not {sides[0]} x {sides[1]}: take task_model=linear"
        )
    a, b, hidden = scaled(32, width), scaled(64, width), scaled(256, width)
    return nn.Sequential(
        *(nn.Conv2d(channels, a, 4, 2, 1), nn.ReLU(), nn.Conv2d(a, b, 4, 2, 1), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(b * (sides[0] // 4) * (sides[1] // 4), hidden), nn.ReLU(), *_dropout(dropout)),
        nn.Linear(hidden, outputs),
    )


def _dropout(p: float) -> list[nn.Module]:
    """None at p = 0, where it would still cost its time in each step."""
    return [nn.Dropout(p)] if p else []


class _MaxPool(nn.MaxPool2d):
    """2 x 2; where no gradient is asked for, two elementwise maxima do the same on a CPU in a tenth of the time."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        if input.requires_grad or input.is_cuda:
            return nn.functional.max_pool2d(input, 2)
        height, width = (side // 2 * 2 for side in input.shape[-2:])
        rows = torch.maximum(input[..., :height:2, :width], input[..., 1:height:2, :width])
        return torch.maximum(rows[..., ::2], rows[..., 1::2])


class _Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    def __init__(self, inputs: int, size: int, stride: int = 1) -> None:
        super().__init__()
        self.path = nn.Sequential(
            *(nn.Conv2d(inputs, size, 3, stride, 1, bias=False), nn.BatchNorm2d(size), nn.ReLU()),
            *(nn.Conv2d(size, size, 3, 1, 1, bias=False), nn.BatchNorm2d(size)),
        )
        projects = stride > 1 or inputs != size
        project = nn.Sequential(nn.Conv2d(inputs, size, 1, stride, bias=False), nn.BatchNorm2d(size))
        self.shortcut = project if projects else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.path(x) + self.shortcut(x))


def scaled(channels: int, width: float) -> int:
    """In multiples of 16: torch's CPU convolutions crash on fewer channels-last channels at 224 x 224."""
    return 16 * max(1, round(channels * width / 16))


def _initialise(net: nn.Sequential, draw: object) -> nn.Sequential:
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            draw(module.weight)  # type: ignore[operator]
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net
