"""The network that a CPU trains in minutes: what its frozen first layer does, and how it starts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from alsuite.errors import UserError
from alsuite.nets.fastnet import Whitening, fastnet


@pytest.mark.parametrize("channels", [1, 3])
def test_the_whitened_patches_are_uncorrelated(channels: int) -> None:
    smooth = nn.functional.avg_pool2d(torch.randn(16, channels, 14, 14), 3, 1) + torch.randn(16, 1, 12, 12) / 2
    whitening = Whitening(channels)
    whitened = whitening(smooth)
    directions, opposite = whitened.transpose(0, 1).flatten(1).chunk(2)
    assert whitened.shape == (16, 8 * channels, 11, 11)
    torch.testing.assert_close(opposite, -directions)
    torch.testing.assert_close(
        directions @ directions.T / directions.shape[1], torch.eye(4 * channels), atol=0.1, rtol=0
    )


def test_the_first_batch_of_the_training_alone_decides_the_whitening() -> None:
    whitening = Whitening(3).eval()
    assert not whitening(torch.randn(8, 3, 8, 8)).any()
    whitening.train()(torch.randn(8, 3, 8, 8))
    decided = whitening.weight.clone()
    whitening(5 * torch.randn(8, 3, 8, 8))
    assert torch.equal(whitening.weight, decided)
    assert not [*whitening.parameters()]


def test_large_images_are_halved_first() -> None:
    sides = [fastnet((3, side, side), 10)[:1](torch.randn(2, 3, side, side)).shape[-1] for side in (28, 32, 64)]
    assert sides == [27, 31, 32]


def test_the_smallest_images_have_nine_pixels_a_side() -> None:
    assert fastnet((3, 9, 12), 10).eval()(torch.randn(2, 3, 9, 12)).shape == (2, 10)
    with pytest.raises(UserError, match="fastnet needs images of 9 x 9 at the least, not 8 x 12"):
        fastnet((3, 8, 12), 10)


def test_features_are_a_ninth_of_the_greatest_values_of_the_last_maps() -> None:
    net, x = fastnet((3, 16, 16), 10, channels=(8, 12)), torch.randn(4, 3, 16, 16)
    net(x)
    pooled = next(place for place, layer in enumerate(net) if isinstance(layer, nn.Flatten)) - 1
    maps = net.eval()[:pooled](x)
    assert maps.shape[2] > 1
    torch.testing.assert_close(net[:-1](x), maps.amax((2, 3)) / 9)


def test_a_convolution_begins_by_handing_on_its_first_channels() -> None:
    net = fastnet((3, 32, 32), 10, channels=(16, 32))
    convolutions = [layer for layer in net if isinstance(layer, nn.Conv2d)]
    x = torch.randn(2, 16, 9, 9)
    for layer, kept in zip(convolutions[1:], (16, 16, 32), strict=True):
        torch.testing.assert_close(layer(x[:, : layer.in_channels].repeat(1, layer.in_channels // 16, 1, 1))[:, :16], x)
        assert layer.in_channels == kept
