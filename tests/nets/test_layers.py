"""What all networks are built of, and the ranges of their images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from alsuite.nets.layers import Crop, at_width, dropout, initialised, ladder_of
from alsuite.nets.ranges import from_range, to_range, unit


@pytest.mark.parametrize(
    ("channels", "width", "expected"), [(64, 1, 64), (64, 0.25, 16), (64, 0.01, 16), (96, 0.4, 32), (512, 0.0625, 32)]
)
def test_channels_come_in_multiples_of_16(channels: int, width: float, expected: int) -> None:
    assert at_width(channels, width) == expected


def test_odd_sides_are_halved_upwards_and_cut_when_doubled() -> None:
    assert ladder_of((7, 28), 3) == [(7, 28), (4, 14), (2, 7), (1, 4)]
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert Crop((3, 2))(x).tolist() == [[[[0, 1], [4, 5], [8, 9]]]]


def test_there_is_dropout_only_where_it_does_something() -> None:
    assert dropout(0) == []
    assert [layer.p for layer in dropout(0.3) if isinstance(layer, nn.Dropout)] == [0.3]


def test_weights_are_drawn_anew_and_biases_start_at_zero() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4))
    found = initialised(net, nn.init.ones_)
    assert found is net
    assert [bool((p == 1).all()) for name, p in net.named_parameters() if name.endswith("weight")] == [True] * 3
    assert not net.get_parameter("0.bias").any()


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_images_are_stretched_and_brought_back(low: float) -> None:
    images = torch.tensor([0, 51, 255], dtype=torch.uint8)
    assert torch.equal(unit(images), torch.tensor([0, 0.2, 1]))
    stretched = to_range(images, low)
    torch.testing.assert_close(stretched, torch.tensor([low, low + 0.2 * (1 - low), 1]))
    torch.testing.assert_close(from_range(stretched, low), unit(images))
    torch.testing.assert_close(to_range(unit(images), low), stretched)
