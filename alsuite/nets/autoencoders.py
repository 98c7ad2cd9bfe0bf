"""ASAL's auto-encoders, whose codes are features to match images by.

"Adversarial Sampling for Active Learning", Christoph Mayer and Radu Timofte, 2018, https://arxiv.org/abs/1808.06671,
appendix B and table 2. The paper leaves open the kernels, taken from its table 2, and the channels before the code. Its
text has 128 features for CelebA while table 2 draws 4 x 4 x 16 = 256, which conf/ takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.nets.gans import doubled, halved, sides_of
from alsuite.nets.layers import Layers, Shape, Sides, at_width
from alsuite.nets.ranges import to_range

__all__ = ["AutoEncoderNet", "autoencoder"]


class AutoEncoderNet(nn.Module):
    """An encoder and a decoder of images in [low, 1].

    encoder: (B, C, H, W) -> (B, F)
    decoder: (B, F) -> (B, C, H, W)
    """

    def __init__(self, encoder: Layers, decoder: Layers, low: float) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*encoder, nn.Flatten())
        self.decoder = nn.Sequential(*decoder)
        self.low = low

    def ranged(self, images: Tensor) -> Tensor:
        """Turn images in 0..1, or uint8, into what the encoder sees."""
        return to_range(images, self.low)

    def encode(self, images: Tensor) -> Tensor:
        """Return the (B, F) codes of images in [low, 1]."""
        return self.encoder(images)

    def decode(self, codes: Tensor) -> Tensor:
        """Return (B, C, H, W) images, in [low, 1] if they are coloured; gray ones may leave it."""
        return self.decoder(codes)

    def features(self, images: Tensor) -> Tensor:
        """Return the (B, F) codes of images in 0..1, or uint8."""
        return self.encode(self.ranged(images))


def autoencoder(shape: Shape, features: int | None = None, width: float = 1.0) -> AutoEncoderNet:
    """Build the paper's network for images of that shape.

    By default it has 12 features for each pixel of the smallest map of gray images, and 16 of coloured ones, whose
    networks alone have a width.
    """
    sides, colour = sides_of(shape), shape[0] > 1
    code = _code(shape, features, math.prod(sides[-1]))
    if not colour:
        return _strided(shape[0], [4 * code, 2 * code, *[code] * max(1, len(sides) - 3)][-len(sides) + 1 :], sides)
    if len(sides) > 4:
        hidden = [at_width(max(32, 128 >> k), width) for k in range(len(sides) - 2)]
        return _normed(shape[0], [*hidden, code], sides)
    return _pooled(shape[0], [*[at_width(64 >> k, width) for k in range(len(sides) - 2)], code], sides)


def _code(shape: Shape, features: int | None, pixels: int) -> int:
    """Return how many channels the smallest map has, so that there are as many features as asked for."""
    if features is None:
        return 16 if shape[0] > 1 else 12
    if features < pixels or features % pixels:
        many = f"one of images of {shape[1]} x {shape[2]} has {pixels}, 2 x {pixels}, 3 x {pixels}, ... features"
        raise UserError(f"an auto-encoder can't have {features}: {many}")
    return features // pixels


def _strided(channels: int, sizes: Sequence[int], sides: Sequence[Sides]) -> AutoEncoderNet:
    """Build MNIST's: convolutions of stride 2, each with an activation, and their mirror image.

    The last activation is that of the others. With a sigmoid in its place the network of ten digits turns black within
    50 steps and stays so: 0.112 of squared error after 2,000, where this one comes to 0.009 after 250.
    """
    encoder: Layers = [layer for pair in pairwise((channels, *sizes)) for layer in (halved(*pair), nn.LeakyReLU(0.2))]
    return AutoEncoderNet(encoder, _decoder(channels, sizes, sides, lambda _: [nn.LeakyReLU(0.2)]), low=0.0)


def _pooled(channels: int, sizes: Sequence[int], sides: Sequence[Sides]) -> AutoEncoderNet:
    """Build CIFAR-10's: convolution, batch norm, activation and max pooling; the decoder has a convolution more."""
    encoder: Layers = []
    for before, after in pairwise((channels, *sizes)):
        encoder += [nn.Conv2d(before, after, 3, padding=1), *_norm(after), nn.MaxPool2d(2, ceil_mode=True)]
    code = sizes[-1]
    more = [nn.Conv2d(code, code, 3, padding=1), *_norm(code)]
    unflatten, *decoder = _decoder(channels, sizes, sides, _norm)
    return AutoEncoderNet(encoder, [unflatten, *more, *decoder[:-1], nn.Sigmoid()], low=0.0)


def _normed(channels: int, sizes: Sequence[int], sides: Sequence[Sides]) -> AutoEncoderNet:
    """Build CelebA's, of table 2; the code has no activation."""
    encoder: Layers = [layer for pair in pairwise((channels, *sizes)) for layer in (halved(*pair), *_norm(pair[1]))]
    decoder = _decoder(channels, sizes, sides, _norm)
    return AutoEncoderNet(encoder[:-2], [*decoder[:-2], nn.Tanh()], low=-1.0)


def _decoder(channels: int, sizes: Sequence[int], sides: Sequence[Sides], behind: Callable[[int], Layers]) -> Layers:
    """Build the mirror image of an encoder; `behind` gives what follows each doubling to that many channels."""
    layers: Layers = [nn.Unflatten(1, (sizes[-1], *sides[-1]))]
    for (before, after), its in zip(pairwise((*sizes[::-1], channels)), sides[-2::-1], strict=True):
        layers += [doubled(before, after, its), *behind(after)]
    return layers


def _norm(channels: int) -> Layers:
    return [nn.BatchNorm2d(channels), nn.ReLU()]
