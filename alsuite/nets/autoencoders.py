"""ASAL's auto-encoders (appendix B and table 2), whose codes are features to match images by.

The paper leaves open the kernels, taken from its table 2, and the channels before the code. Its text has 128 features
for CelebA while table 2 draws 4 x 4 x 16 = 256.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.nets.classifiers import scaled
from alsuite.nets.gans import doubled, halved, sides_of, unit

__all__ = ["AutoEncoder", "autoencoder"]

Shape = Sequence[int]
Sides = tuple[int, int]
Layers = list[nn.Module]


class AutoEncoder(nn.Module):
    """Its images lie in [low, 1]."""

    def __init__(self, encoder: Layers, decoder: Layers, low: float) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*encoder, nn.Flatten())
        self.decoder = nn.Sequential(*decoder)
        self.low = low

    def ranged(self, images: Tensor) -> Tensor:
        """What the encoder sees of images in 0..1, or uint8."""
        return unit(images) * (1 - self.low) + self.low

    def encode(self, images: Tensor) -> Tensor:
        """(B, F) codes of images in [low, 1]."""
        return self.encoder(images)

    def decode(self, codes: Tensor) -> Tensor:
        """(B, C, H, W) in [low, 1]."""
        return self.decoder(codes)

    def features(self, images: Tensor) -> Tensor:
        """(B, F) codes of images in 0..1, or uint8."""
        return self.encode(self.ranged(images))


def autoencoder(shape: Shape, features: int | None = None, width: float = 1.0) -> AutoEncoder:
    """By default 12 features for each pixel of the smallest map of gray images, 16 of coloured ones."""
    sides, colour = sides_of(shape), shape[0] > 1
    pixels = math.prod(sides[-1])
    code = (16 if colour else 12) if features is None else features // pixels
    if code < 1 or (features is not None and features % pixels):
        many = f"one of images of {shape[1]} x {shape[2]} has {pixels}, 2 x {pixels}, 3 x {pixels}, ... features"
        raise UserError(f"an auto-encoder can't have {features}: {many}")
    if not colour:
        return _strided(shape[0], [4 * code, 2 * code, *[code] * (len(sides) - 3)][-len(sides) + 1 :], sides)
    if len(sides) > 4:
        hidden = [scaled(max(32, 128 >> k), width) for k in range(len(sides) - 2)]
        return _normed(shape[0], [*hidden, code], sides)
    return _pooled(shape[0], [*[scaled(64 >> k, width) for k in range(len(sides) - 2)], code], sides)


def _strided(channels: int, sizes: Sequence[int], sides: Sequence[Sides]) -> AutoEncoder:
    """MNIST: convolutions of stride 2, each with an activation, and their mirror image."""
    encoder: Layers = [layer for pair in pairwise((channels, *sizes)) for layer in (halved(*pair), nn.LeakyReLU(0.2))]
    decoder: Layers = [nn.Unflatten(1, (sizes[-1], *sides[-1]))]
    for (before, after), its in zip(pairwise((*sizes[::-1], channels)), sides[-2::-1], strict=True):
        decoder += [doubled(before, after, its), nn.LeakyReLU(0.2)]
    return AutoEncoder(encoder, [*decoder[:-1], nn.Sigmoid()], low=0.0)


def _pooled(channels: int, sizes: Sequence[int], sides: Sequence[Sides]) -> AutoEncoder:
    """CIFAR-10: convolution, batch norm, activation and max pooling; the decoder has a convolution more."""
    encoder: Layers = []
    for before, after in pairwise((channels, *sizes)):
        encoder += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        encoder += [nn.MaxPool2d(2, ceil_mode=True)]
    code = sizes[-1]
    decoder: Layers = [nn.Unflatten(1, (code, *sides[-1])), nn.Conv2d(code, code, 3, padding=1)]
    decoder += [nn.BatchNorm2d(code), nn.ReLU()]
    for (before, after), its in zip(pairwise((*sizes[::-1], channels)), sides[-2::-1], strict=True):
        decoder += [doubled(before, after, its), nn.BatchNorm2d(after), nn.ReLU()]
    return AutoEncoder(encoder, [*decoder[:-1], nn.Sigmoid()], low=0.0)


def _normed(channels: int, sizes: Sequence[int], sides: Sequence[Sides]) -> AutoEncoder:
    """CelebA, table 2; the code has no activation."""
    encoder: Layers = []
    for before, after in pairwise((channels, *sizes)):
        encoder += [halved(before, after), nn.BatchNorm2d(after), nn.ReLU()]
    decoder: Layers = [nn.Unflatten(1, (sizes[-1], *sides[-1]))]
    for (before, after), its in zip(pairwise((*sizes[::-1], channels)), sides[-2::-1], strict=True):
        decoder += [doubled(before, after, its), nn.BatchNorm2d(after), nn.ReLU()]
    return AutoEncoder(encoder[:-2], [*decoder[:-2], nn.Tanh()], low=-1.0)
