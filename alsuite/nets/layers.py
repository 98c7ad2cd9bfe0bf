"""What the networks are built of: widths, ladders of halved sides, dropout, and the first weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from alsuite.errors import UserError, positive

__all__ = [
    "Crop",
    "Layers",
    "MaxPool",
    "Shape",
    "Sides",
    "at_width",
    "check_sides",
    "dropout",
    "initialised",
    "ladder_of",
]

Shape = Sequence[int]  # (C, H, W) of images, (D,) of features
Sides = tuple[int, int]  # height and width
Layers = list[nn.Module]
Net = TypeVar("Net", bound=nn.Module)


class Crop(nn.Module):
    """Keeps the top left corner, since doubled sides may pass those of the image: (..., H, W) -> (..., *sides)."""

    def __init__(self, sides: Sides) -> None:
        super().__init__()
        self.sides = sides

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : self.sides[0], : self.sides[1]]


class MaxPool(nn.MaxPool2d):
    """Max pooling, 2 x 2: (B, C, H, W) -> (B, C, H // 2, W // 2).

    Where no gradient is asked for, two elementwise maxima do the same on a CPU in a tenth of the time.
    """

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        if input.requires_grad or input.is_cuda:
            return nn.functional.max_pool2d(input, 2)
        height, width = (side // 2 * 2 for side in input.shape[-2:])
        rows = torch.maximum(input[..., :height:2, :width], input[..., 1:height:2, :width])
        return torch.maximum(rows[..., ::2], rows[..., 1::2])


def at_width(channels: int, width: float) -> int:
    """Return how many channels there are at a width, always a multiple of 16.

    With fewer of them torch's CPU convolutions crash on channels-last images of 224 x 224.
    """
    positive("", width=width)
    return 16 * max(1, round(channels * width / 16))


def ladder_of(sides: Sides, halvings: int) -> list[Sides]:
    """Return the sides of the maps, from the image's on; odd ones are halved upwards."""
    return [(-(-sides[0] // 2**k), -(-sides[1] // 2**k)) for k in range(halvings + 1)]


def dropout(rate: float) -> Layers:
    """Return no layer at a rate of 0, where it would still cost its time in each step."""
    return [nn.Dropout(rate)] if rate else []


def check_sides(name: str, shape: Shape, least: int) -> None:
    """Refuse images with a side of fewer pixels than the network takes."""
    if min(shape[1:]) < least:
        given = f"{shape[1]} x {shape[2]}"
        raise UserError(f"{name} needs images of {least} x {least} at the least, not {given}: take task_model=linear")


def initialised(net: Net, draw: Callable[[Tensor], Tensor] = nn.init.kaiming_normal_) -> Net:
    """Draw the weights of all linear layers and convolutions anew, but for transposed ones; their biases start at 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            draw(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net
