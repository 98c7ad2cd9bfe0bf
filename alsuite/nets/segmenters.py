"""Networks that tell the class of each pixel, as nn.Sequential of three: a trunk, a dropout and a head.

Each maps (B, C, H, W) to (B, outputs, H, W) and is built from the image's shape (C, H, W). The trunk gives a map, or a
list of maps from the shallowest to the deepest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from alsuite.errors import UserError
from alsuite.nets.layers import Layers, Shape, Sides, at_width, initialised

__all__ = ["Decoder", "DeepestDropout", "Enlarge", "drn", "segnet_small"]

BLOCKS = {22: (2, 2, 2, 2), 38: (3, 4, 6, 3), 54: (3, 4, 6, 3)}  # residual blocks of levels 3 to 6
EXPANSION = 4  # of a bottleneck


def drn(shape: Shape, outputs: int, depth: int = 22, width: float = 1.0, dropout: float = 0.0) -> nn.Sequential:
    """Build a dilated residual network of kind D with 22, 38 or 54 layers, and bilinear upsampling by eight.

    "Dilated Residual Networks", Fisher Yu, Vladlen Koltun and Thomas Funkhouser, 2017,
    https://arxiv.org/abs/1705.09914. The last two stages are dilated in place of halved, and two plain levels without
    residuals behind them take away the grids that dilation leaves. From scratch, as the weights of ImageNet, with which
    its authors start, are not here.
    """
    if depth not in BLOCKS:
        raise UserError(f"task_model.net.depth={depth} is unknown: choose {', '.join(map(str, BLOCKS))}")
    sizes = [at_width(size, width) for size in (16, 32, 64, 128, 256, 512)]
    layers = [*_conv(shape[0], sizes[0], kernel=7), *_conv(sizes[0], sizes[0]), *_conv(sizes[0], sizes[1], stride=2)]
    channels, block = sizes[1], _bottleneck if depth == 54 else _basic
    for size, count, stride, dilation in zip(sizes[2:], BLOCKS[depth], (2, 2, 1, 1), (1, 1, 2, 4), strict=True):
        for i in range(count):
            made = block(channels, size, stride if i == 0 else 1, dilation)
            layers, channels = [*layers, made], made.channels
    last = sizes[-1]
    layers += [*_conv(channels, last, dilation=2), *_conv(last, last)]
    head = nn.Sequential(nn.Conv2d(last, outputs, 1), Enlarge((shape[1], shape[2])))
    return initialised(nn.Sequential(nn.Sequential(*layers), nn.Dropout(dropout), head))


def segnet_small(
    shape: Shape, outputs: int, channels: Sequence[int] = (16, 32, 64, 128), dropout: float = 0.0
) -> nn.Sequential:
    """Build a small U-Net, for images of some hundred pixels a side on a few cores; the deepest map is dropped out.

    "U-Net: Convolutional Networks for Biomedical Image Segmentation", Olaf Ronneberger, Philipp Fischer and Thomas
    Brox, 2015, https://arxiv.org/abs/1505.04597
    """
    head = nn.Sequential(Decoder(channels), nn.Conv2d(channels[0], outputs, 1))
    return initialised(nn.Sequential(_Encoder((shape[0], *channels)), DeepestDropout(dropout), head))


class _Encoder(nn.Module):
    """Gives a map of each size: (B, C, H, W) -> [(B, channels[i + 1], H / 2^i, W / 2^i)]."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Sequential(*_twice(*pair)) for pair in pairwise(channels))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps: list[Tensor] = []
        for level in self.levels:
            x = level(F.max_pool2d(x, 2, ceil_mode=True) if maps else x)
            maps.append(x)
        return maps


class DeepestDropout(nn.Dropout):
    """Drops values of the last of several maps."""

    def forward(self, input: list[Tensor]) -> list[Tensor]:  # type: ignore[override]  # noqa: A002
        return [*input[:-1], super().forward(input[-1])]


class Decoder(nn.Module):
    """Joins maps from the deepest on: [(B, channels[i], H / 2^i, W / 2^i)] -> (B, channels[0], H, W)."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(*_twice(deep + shallow, shallow)) for shallow, deep in pairwise(channels)
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        *shallower, x = maps
        for level, skipped in zip(reversed(self.levels), reversed(shallower), strict=True):
            x = level(torch.cat([skipped, _resized(x, (skipped.shape[2], skipped.shape[3]))], dim=1))
        return x


class Enlarge(nn.Module):
    """Interpolates to the image's sides."""

    def __init__(self, sides: Sides) -> None:
        super().__init__()
        self.sides = sides

    def forward(self, x: Tensor) -> Tensor:
        return _resized(x, self.sides)


class _Block(nn.Module):
    """Adds what convolutions make of the input to it."""

    def __init__(self, residual: Layers, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self.residual = nn.Sequential(*residual)
        self.shortcut = _shortcut(inputs, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.residual(x) + self.shortcut(x))


def _basic(inputs: int, size: int, stride: int, dilation: int) -> _Block:
    """Return a block of two dilated convolutions."""
    layers = [*_conv(inputs, size, stride=stride, dilation=dilation), *_conv(size, size, dilation=dilation)]
    return _Block(layers[:-1], inputs, size, stride)


def _bottleneck(inputs: int, size: int, stride: int, dilation: int) -> _Block:
    """Return a block of a dilated convolution between two of one pixel."""
    layers = [*_conv(inputs, size, kernel=1), *_conv(size, size, stride=stride, dilation=dilation)]
    layers += _conv(size, EXPANSION * size, kernel=1)
    return _Block(layers[:-1], inputs, EXPANSION * size, stride)


def _shortcut(inputs: int, size: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == size:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, size, 1, stride, bias=False), nn.BatchNorm2d(size))


def _conv(inputs: int, size: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> Layers:
    pad = dilation * (kernel // 2)
    return [nn.Conv2d(inputs, size, kernel, stride, pad, dilation, bias=False), nn.BatchNorm2d(size), nn.ReLU(True)]


def _twice(inputs: int, size: int) -> Layers:
    return [*_conv(inputs, size), *_conv(size, size)]


def _resized(x: Tensor, sides: Sides) -> Tensor:
    return F.interpolate(x, sides, mode="bilinear", align_corners=False)
