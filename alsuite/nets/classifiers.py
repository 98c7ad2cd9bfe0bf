"""Classifiers as nn.Sequential: all modules but the last give the features, the last one the logits.

Each maps (B, C, H, W) to (B, outputs) and is built from the image's shape (C, H, W); `width` scales the channels at
reduced scales.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.nets.layers import Layers, MaxPool, Shape, at_width, check_sides, initialised
from alsuite.nets.layers import dropout as dropped

__all__ = ["allcnn", "celeba_cnn", "convnet", "lenet", "linear", "resnet18", "vgg16"]


def linear(shape: Shape, outputs: int, dropout: float = 0.0) -> nn.Sequential:
    """Build ASAL's classifier for two classes, a linear layer on the pixels."""
    return nn.Sequential(nn.Flatten(), *dropped(dropout), nn.Linear(math.prod(shape), outputs))


def lenet(shape: Shape, outputs: int, dropout: float = 0.0) -> nn.Sequential:
    """Build LeNet-5 with ReLU and max pooling; `dropout` stands before each of the last two layers.

    "Gradient-Based Learning Applied to Document Recognition", Yann LeCun, Leon Bottou, Yoshua Bengio and Patrick
    Haffner, 1998, https://doi.org/10.1109/5.726791
    """
    channels, height, width = shape
    check_sides("lenet", shape, 16)
    flat = 16 * ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
    return nn.Sequential(
        *(nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), MaxPool()),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), MaxPool(), nn.Flatten()),
        *(nn.Linear(flat, 120), nn.ReLU(), *dropped(dropout)),
        *(nn.Linear(120, 84), nn.ReLU(), *dropped(dropout)),
        nn.Linear(84, outputs),
    )


def allcnn(shape: Shape, outputs: int, width: float = 1.0, dropout: float = 0.5) -> nn.Sequential:
    """Build All-CNN-C, but for the ReLU of its last 1 x 1 convolution, whose outputs are logits here.

    It stands after the average, which is the same map, so that the average is an image's features.

    "Striving for Simplicity: The All Convolutional Net", Jost Tobias Springenberg, Alexey Dosovitskiy, Thomas Brox and
    Martin Riedmiller, 2014, https://arxiv.org/abs/1412.6806
    """
    check_sides("allcnn", shape, 9)
    a, b = at_width(96, width), at_width(192, width)

    def conv(inputs: int, channels: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> Layers:
        return [nn.Conv2d(inputs, channels, kernel, stride, padding), nn.ReLU()]

    net = nn.Sequential(
        *(nn.Dropout(0.2), *conv(shape[0], a), *conv(a, a), *conv(a, a, stride=2), nn.Dropout(dropout)),
        *(*conv(a, b), *conv(b, b), *conv(b, b, stride=2), nn.Dropout(dropout)),
        *(*conv(b, b, padding=0), *conv(b, b, kernel=1, padding=0), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(b, outputs),
    )
    return initialised(net)


def vgg16(shape: Shape, outputs: int, width: float = 1.0, head: str = "cifar", dropout: float = 0.5) -> nn.Sequential:
    """Build VGG16 with Xavier initialisation (VAAL, section 4.1), and batch norm as VAAL's release has it.

    "Very Deep Convolutional Networks for Large-Scale Image Recognition", Karen Simonyan and Andrew Zisserman, 2014,
    https://arxiv.org/abs/1409.1556. The hidden layers of the `head` have 512 units on the average of the maps (cifar),
    or 4096 on 7 x 7 of them (vaal).
    """
    if head not in ("cifar", "vaal"):
        raise UserError(f"task_model.net.head={head} is unknown: choose cifar or vaal")
    pool, hidden = (1, at_width(512, width)) if head == "cifar" else (7, at_width(4096, width))
    net = nn.Sequential(
        *(*_vgg16_convolutions(shape, width), nn.AdaptiveAvgPool2d(pool), nn.Flatten()),
        *(nn.Linear(at_width(512, width) * pool**2, hidden), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(hidden, outputs),
    )
    return initialised(net, nn.init.xavier_uniform_)


def _vgg16_convolutions(shape: Shape, width: float) -> Layers:
    """Build the five blocks, each with a pooling behind it as long as there is more than a pixel."""
    layers: Layers = []
    channels, side = shape[0], min(shape[1:])
    for size, depth in zip((64, 128, 256, 512, 512), (2, 2, 3, 3, 3), strict=True):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, at_width(size, width), 3, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(at_width(size, width)), nn.ReLU()]
            channels = at_width(size, width)
        if side > 1:
            layers, side = [*layers, MaxPool()], side // 2
    return layers


def resnet18(shape: Shape, outputs: int, width: float = 1.0, dropout: float = 0.0) -> nn.Sequential:
    """Build ResNet-18; a 3 x 3 stem without pooling up to 64 pixels, the ImageNet stem above.

    "Deep Residual Learning for Image Recognition", Kaiming He, Xiangyu Zhang, Shaoqing Ren and Jian Sun, 2015,
    https://arxiv.org/abs/1512.03385
    """
    sizes = [at_width(size, width) for size in (64, 128, 256, 512)]
    layers = _resnet_stem(shape, sizes[0])
    for stage, size in enumerate(sizes):
        inputs = sizes[max(0, stage - 1)]
        layers += [_Block(inputs, size, stride=2 if stage else 1), _Block(size, size)]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *dropped(dropout)]
    return initialised(nn.Sequential(*layers, nn.Linear(sizes[-1], outputs)))


def _resnet_stem(shape: Shape, size: int) -> Layers:
    """Build what stands before the first block."""
    small = max(shape[1:]) <= 64
    stem = (3, 1, 1) if small else (7, 2, 3)
    layers: Layers = [nn.Conv2d(shape[0], size, *stem, bias=False), nn.BatchNorm2d(size), nn.ReLU()]
    return layers if small else [*layers, nn.MaxPool2d(3, 2, 1)]


def celeba_cnn(shape: Shape, outputs: int, dropout: float = 0.5) -> nn.Sequential:
    """Build ASAL's classifier for CelebA (table 1, left column)."""
    check_sides("celeba_cnn", shape, 8)
    channels, height, width = shape
    layers: Layers = []
    for inputs, size in ((channels, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(inputs, size, 3, padding=1), nn.ReLU(), MaxPool()]
    flat = 64 * (height // 8) * (width // 8)
    return nn.Sequential(
        *(*layers, nn.Flatten(), nn.Linear(flat, 1024), nn.ReLU(), nn.Dropout(dropout)), nn.Linear(1024, outputs)
    )


def convnet(shape: Shape, outputs: int, width: float = 1.0, dropout: float = 0.0) -> nn.Sequential:
    """Build M2-VAAL's classifier (section 4.1): like the encoder, two convolutions and two linear layers.

    At a `width` of 2 it has 3M parameters.
    """
    channels, *sides = shape
    check_sides("convnet", shape, 4)
    a, b, hidden = at_width(32, width), at_width(64, width), at_width(256, width)
    return nn.Sequential(
        *(nn.Conv2d(channels, a, 4, 2, 1), nn.ReLU(), nn.Conv2d(a, b, 4, 2, 1), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(b * (sides[0] // 4) * (sides[1] // 4), hidden), nn.ReLU(), *dropped(dropout)),
        nn.Linear(hidden, outputs),
    )


class _Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut: (B, inputs, H, W) -> (B, size, H / stride, W / stride)."""

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
