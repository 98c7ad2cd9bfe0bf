"""Pairs of a generator and a discriminator, unconditional, for images of any size: the networks of WGAN-GP (Gulrajani
et al. 2017), DCGAN and CT-GAN (Wei et al. 2018) as their authors released them, and ASAL's for CelebA (table 1).

Gray images lie in [0, 1] (sigmoid), coloured ones in [-1, 1] (tanh); WGAN-GP's generator of gray images has no batch
norm. Sides are halved, or doubled and cut, down to four pixels; `width` scales the channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from torch import Tensor, nn

from alsuite.nets.classifiers import scaled
from alsuite.nets.vae import Crop, Sides, ladder_of

__all__ = ["Discriminator", "Pair", "dcgan", "doubled", "halved", "res_wgan_gp", "sides_of", "unit", "wgan_gp"]

Shape = Sequence[int]
Layers = list[nn.Module]
Layer = TypeVar("Layer", nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class Discriminator(nn.Module):
    """One logit, or critic's value, an image; its features are what the last layer sees."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def features(self, images: Tensor) -> Tensor:
        return self.body(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images)).squeeze(1)


class Pair(nn.Module):
    """Both players; the images that they exchange lie in [low, 1]."""

    def __init__(self, generator: nn.Module, discriminator: Discriminator, latent: int, low: float) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.latent = latent
        self.low = low

    def images(self, z: Tensor) -> Tensor:
        """(B, C, H, W) in 0..1 from (B, latent), differentiable."""
        return (self.generator(z) - self.low) / (1 - self.low)

    def ranged(self, images: Tensor) -> Tensor:
        """What the discriminator sees of images in 0..1, or uint8."""
        return unit(images) * (1 - self.low) + self.low

    def features(self, images: Tensor) -> Tensor:
        """(B, D) of images in 0..1, or uint8."""
        return self.discriminator.features(self.ranged(images))


def wgan_gp(shape: Shape, latent: int = 128, width: float = 1.0) -> Pair:
    return _convolutional(shape, latent, width, normed=(shape[0] > 1, False))


def dcgan(shape: Shape, latent: int = 128, width: float = 1.0) -> Pair:
    """WGAN-GP's networks with batch norm in both, as Radford et al. have it: the release leaves it out for gray images,
    and there its generator goes black within a hundred iterations."""
    return _convolutional(shape, latent, width, normed=(True, True))


def res_wgan_gp(shape: Shape, latent: int = 128, width: float = 1.0, dropout: bool = False) -> Pair:
    """The residual networks; `dropout` behind all blocks of the discriminator but the first is CT-GAN's."""
    sides, size = sides_of(shape), scaled(128, width)
    generator: Layers = [_linear(latent, size * math.prod(sides[-1])), nn.Unflatten(1, (size, *sides[-1]))]
    for after in sides[-2::-1]:
        generator += [_up(size), Crop(after)]
    generator += [nn.BatchNorm2d(size), nn.ReLU(), _conv(size, shape[0], gain=1)]
    blocks = [_first(shape[0], size), *(_down(size) for _ in sides[2:-1]), _plain(size), _plain(size)]
    rates = [0.0, 0.2, *[0.5] * len(blocks)] if dropout else [0.0] * len(blocks)
    body = [layer for block, rate in zip(blocks, rates, strict=False) for layer in (block, *_dropout(rate))]
    body += [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return _pair(generator, body, size, shape, latent)


def unit(images: Tensor) -> Tensor:
    """Floats in 0..1 of those, or of uint8."""
    return images if images.is_floating_point() else images.float() / 255


def sides_of(shape: Shape) -> list[Sides]:
    """The sides of the maps, from the image's on, halved upwards twice at least and until none passes four pixels."""
    halvings = max(2, math.ceil(math.log2(max(shape[1:]) / 4)))
    return ladder_of((shape[1], shape[2]), halvings)


def halved(inputs: int, outputs: int) -> nn.Conv2d:
    """A 5 x 5 convolution of stride 2."""
    layer = nn.Conv2d(inputs, outputs, 5, 2, 2)
    return _drawn(layer, 25 * inputs, 25 * outputs / 4, math.sqrt(2))


def doubled(inputs: int, outputs: int, sides: Sides) -> nn.Sequential:
    """A 5 x 5 transposed convolution of stride 2, cut to these sides."""
    layer = nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, output_padding=1)
    return nn.Sequential(_drawn(layer, 25 * inputs / 4, 25 * outputs, math.sqrt(2)), Crop(sides))


def _convolutional(shape: Shape, latent: int, width: float, normed: tuple[bool, bool]) -> Pair:
    """`normed` tells which of the generator and the discriminator has batch norm."""
    sides, (made, found) = sides_of(shape), normed
    halvings, size = len(sides) - 1, scaled(128 if shape[0] > 1 else 64, width)
    falling = [size * min(2**k, 4) for k in range(halvings)]
    rising = falling[::-1] if halvings < 4 else [*[2 * size] * (halvings - 2), size, max(16, size // 2)]
    flat = rising[0] * math.prod(sides[-1])
    generator: Layers = [_linear(latent, flat), *([nn.BatchNorm1d(flat)] if made else []), nn.ReLU()]
    generator += [nn.Unflatten(1, (rising[0], *sides[-1]))]
    for (before, after), its in zip(pairwise(rising), sides[-2:0:-1], strict=True):
        generator += [doubled(before, after, its), *([nn.BatchNorm2d(after)] if made else []), nn.ReLU()]
    generator.append(doubled(rising[-1], shape[0], sides[0]))
    body: Layers = []
    for before, after in pairwise((shape[0], *falling)):
        body += [halved(before, after), *([nn.BatchNorm2d(after)] if found and body else []), nn.LeakyReLU(0.2)]
    return _pair(generator, [*body, nn.Flatten()], falling[-1] * math.prod(sides[-1]), shape, latent)


def _pair(generator: Layers, body: Layers, features: int, shape: Shape, latent: int) -> Pair:
    last, low = (nn.Tanh(), -1.0) if shape[0] > 1 else (nn.Sigmoid(), 0.0)
    discriminator = Discriminator(nn.Sequential(*body), _linear(features, 1))
    return Pair(nn.Sequential(*generator, last), discriminator, latent, low)


class _Residual(nn.Module):
    def __init__(self, path: Layers, shortcut: Layers) -> None:
        super().__init__()
        self.path = nn.Sequential(*path)
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return self.path(x) + self.shortcut(x)


def _up(size: int) -> _Residual:
    """The image is doubled before the first convolution, and on the shortcut."""
    path = [nn.BatchNorm2d(size), nn.ReLU(), nn.Upsample(scale_factor=2), _conv(size, size)]
    path += [nn.BatchNorm2d(size), nn.ReLU(), _conv(size, size)]
    return _Residual(path, [nn.Upsample(scale_factor=2), _conv(size, size, 1, gain=1)])


def _first(inputs: int, size: int) -> _Residual:
    path = [_conv(inputs, size), nn.ReLU(), _conv(size, size), _mean()]
    return _Residual(path, [_mean(), _conv(inputs, size, 1, gain=1)])


def _down(size: int) -> _Residual:
    path = [nn.ReLU(), _conv(size, size), nn.ReLU(), _conv(size, size), _mean()]
    return _Residual(path, [_conv(size, size, 1, gain=1), _mean()])


def _plain(size: int) -> _Residual:
    return _Residual([nn.ReLU(), _conv(size, size), nn.ReLU(), _conv(size, size)], [])


def _mean() -> nn.AvgPool2d:
    return nn.AvgPool2d(2, ceil_mode=True)


def _dropout(rate: float) -> Layers:
    return [nn.Dropout(rate)] if rate else []


def _conv(inputs: int, outputs: int, kernel: int = 3, gain: float = math.sqrt(2)) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    return _drawn(layer, kernel**2 * inputs, kernel**2 * outputs, gain)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return _drawn(nn.Linear(inputs, outputs), inputs, outputs, 1.0)


def _drawn(layer: Layer, fan_in: float, fan_out: float, gain: float) -> Layer:
    """Uniform weights of the variance 2 gain^2 / (fan in + fan out), a stride counted, as in the release."""
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
