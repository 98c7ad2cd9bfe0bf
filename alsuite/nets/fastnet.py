"""A classifier of small images that one core of a CPU trains in minutes.

Its parts are those of the published speed records on CIFAR-10, as "94% on CIFAR-10 in 3.29 Seconds on a Single GPU",
Keller Jordan, 2024, https://arxiv.org/abs/2404.00498, has them, but for fewer channels, ReLU and a global maximum.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from alsuite import ranks
from alsuite.nets.layers import Layers, MaxPool, Shape, check_sides
from alsuite.nets.layers import dropout as dropped

__all__ = ["Whitening", "fastnet"]

LARGE = 48  # pixels a side, above which the first layer halves the image
SHRUNK = 1 / 9  # what the logits are scaled by


def fastnet(shape: Shape, outputs: int, channels: Sequence[int] = (16, 64, 64), dropout: float = 0.0) -> nn.Sequential:
    """Build a whitening convolution and a block for each of `channels`; `dropout` stands before the last layer."""
    stride = 2 if max(shape[1:]) > LARGE else 1
    check_sides("fastnet", shape, stride * 2 ** len(channels) + 2 - stride)
    layers: Layers = [Whitening(shape[0], stride), nn.ReLU()]
    for before, after in zip((8 * shape[0], *channels), channels, strict=False):
        layers += [*_convolution(before, after, MaxPool()), *_convolution(after, after)]
    layers += [nn.AdaptiveMaxPool2d(1), nn.Flatten(), _Scaled(SHRUNK), *dropped(dropout)]
    return nn.Sequential(*layers, nn.Linear(channels[-1], outputs, bias=False))


def _convolution(before: int, after: int, *pooling: nn.Module) -> Layers:
    """Build a 3 x 3 convolution that hands on its first channels as they are, to begin with."""
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    nn.init.dirac_(convolution.weight.data[:before])
    return [convolution, *pooling, nn.BatchNorm2d(after), nn.ReLU()]


class Whitening(nn.Module):
    """Uncorrelated directions of 2 x 2 pixels, at unit variance and with both signs: (B, C, H, W) -> (B, 8 C, ., .).

    The first batch that is trained on decides them, and they stay as they are.
    """

    weight: Tensor

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.fitted = False
        self.register_buffer("weight", torch.zeros(8 * channels, channels, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not self.fitted:
            self.fit(x)
        return nn.functional.conv2d(x, self.weight, stride=self.stride)

    @torch.no_grad()
    def fit(self, x: Tensor, floor: float = 5e-4) -> None:
        """Take the directions from (B, C, H, W) images; `floor` keeps those of nearly no variance small."""
        patches = x.float().unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
        flat = patches.flatten(1)
        kind = "cpu" if x.is_meta else x.device.type
        with torch.autocast(kind, enabled=False):  # there are no eigenvalues in half precision
            variances, directions = torch.linalg.eigh(ranks.mean(flat.T @ flat / len(flat)))
        weight = (directions / (variances + floor).sqrt()).T.reshape(-1, *self.weight.shape[1:])
        self.weight.copy_(torch.cat([weight, -weight]))
        self.fitted = True


class _Scaled(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x
