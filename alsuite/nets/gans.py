"""Pairs of a generator and a discriminator, unconditional, for images of any size, as their authors released them.

- DCGAN: "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks", Alec Radford,
  Luke Metz and Soumith Chintala, 2015, https://arxiv.org/abs/1511.06434
- WGAN-GP: "Improved Training of Wasserstein GANs", Ishaan Gulrajani, Faruk Ahmed, Martin Arjovsky, Vincent Dumoulin and
  Aaron Courville, 2017, https://arxiv.org/abs/1704.00028
- CT-GAN: "Improving the Improved Training of Wasserstein GANs: A Consistency Term and Its Dual Effect", Xiang Wei,
  Boqing Gong, Zixia Liu, Wei Lu and Liqiang Wang, 2018, https://arxiv.org/abs/1803.01541
- ASAL's for CelebA: table 1 of "Adversarial Sampling for Active Learning", Christoph Mayer and Radu Timofte, 2018,
  https://arxiv.org/abs/1808.06671

Gray images lie in [0, 1] (sigmoid), coloured ones in [-1, 1] (tanh); WGAN-GP's generator of gray images has no batch
norm. Sides are halved, or doubled and cut, down to four pixels; `width` scales the channels. After the training batch
norm takes its running statistics, so that an image depends on its own code alone; the releases keep each batch's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from torch import Tensor, nn

from alsuite.nets.layers import Crop, Layers, Shape, Sides, at_width, dropout, ladder_of
from alsuite.nets.ranges import from_range, to_range

__all__ = ["Critic", "Pair", "dcgan", "doubled", "halved", "res_wgan_gp", "sides_of", "wgan_gp"]

Layer = TypeVar("Layer", nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class Critic(nn.Module):
    """A discriminator, or critic, of images; its features are what the last layer sees.

    body: (B, C, H, W) -> (B, D)
    head: (B, D) -> (B, 1), a logit or a critic's value
    """

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def features(self, images: Tensor) -> Tensor:
        return self.body(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images)).squeeze(1)


class Pair(nn.Module):
    """Both players; the images that they exchange lie in [low, 1].

    generator: (B, latent) -> (B, C, H, W)
    discriminator: (B, C, H, W) -> (B,)
    """

    def __init__(self, generator: nn.Module, discriminator: Critic, latent: int, low: float) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.latent = latent
        self.low = low

    def images(self, z: Tensor) -> Tensor:
        """Make (B, C, H, W) images in 0..1 from (B, latent) codes; gradients reach the codes."""
        return from_range(self.generator(z), self.low)

    def ranged(self, images: Tensor) -> Tensor:
        """Turn images in 0..1, or uint8, into what the discriminator sees."""
        return to_range(images, self.low)

    def features(self, images: Tensor) -> Tensor:
        """Return the discriminator's (B, D) features of images in 0..1, or uint8."""
        return self.discriminator.features(self.ranged(images))


def wgan_gp(shape: Shape, latent: int = 128, width: float = 1.0) -> Pair:
    """Build WGAN-GP's convolutional networks; those of coloured images have batch norm in the generator."""
    return _convolutional(shape, latent, width, normed=(shape[0] > 1, False))


def dcgan(shape: Shape, latent: int = 128, width: float = 1.0, normed: bool = True) -> Pair:
    """Build WGAN-GP's networks with batch norm in both, as Radford et al. have it, or without.

    WGAN-GP's release leaves it out for gray images. Its generator of MNIST then goes black within 100 iterations, and
    still is after 3,000 at a quarter of the width, and after 600 at the whole.
    """
    return _convolutional(shape, latent, width, normed=(normed, normed))


def res_wgan_gp(shape: Shape, latent: int = 128, width: float = 1.0, dropout: bool = False) -> Pair:
    """Build WGAN-GP's residual networks; `dropout` behind all of the critic's blocks but the first is CT-GAN's."""
    sides, size = sides_of(shape), at_width(128, width)
    generator: Layers = [_linear(latent, size * math.prod(sides[-1])), nn.Unflatten(1, (size, *sides[-1]))]
    for after in sides[-2::-1]:
        generator += [_up(size), Crop(after)]
    generator += [nn.BatchNorm2d(size), nn.ReLU(), _conv(size, shape[0], gain=1)]
    blocks = [_first(shape[0], size), *(_down(size) for _ in sides[2:-1]), _plain(size), _plain(size)]
    rates = [0.0, 0.2, *[0.5] * (len(blocks) - 2)] if dropout else [0.0] * len(blocks)
    body = [*_dropped(blocks, rates), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return _pair(generator, body, size, shape, latent)


def sides_of(shape: Shape) -> list[Sides]:
    """Return the sides of the maps, from the image's on, halved upwards twice at least and until none passes four."""
    halvings = max(2, math.ceil(math.log2(max(shape[1:]) / 4)))
    return ladder_of((shape[1], shape[2]), halvings)


def halved(inputs: int, outputs: int) -> nn.Conv2d:
    """Build a 5 x 5 convolution of stride 2."""
    layer = nn.Conv2d(inputs, outputs, 5, 2, 2)
    return _drawn(layer, 25 * inputs, 25 * outputs / 4, math.sqrt(2))


def doubled(inputs: int, outputs: int, sides: Sides) -> nn.Sequential:
    """Build a 5 x 5 transposed convolution of stride 2, cut to these sides."""
    layer = nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, output_padding=1)
    return nn.Sequential(_drawn(layer, 25 * inputs / 4, 25 * outputs, math.sqrt(2)), Crop(sides))


def _convolutional(shape: Shape, latent: int, width: float, normed: tuple[bool, bool]) -> Pair:
    """Build a pair; `normed` tells which of the generator and the discriminator has batch norm."""
    sides, size = sides_of(shape), at_width(128 if shape[0] > 1 else 64, width)
    falling = [size * min(2**k, 4) for k in range(len(sides) - 1)]
    rising = falling[::-1] if len(falling) < 4 else [*[2 * size] * (len(falling) - 2), size, max(16, size // 2)]
    generator = [*_rising(latent, rising, sides, normed[0]), doubled(rising[-1], shape[0], sides[0])]
    body = _falling(shape[0], falling, normed[1])
    return _pair(generator, body, falling[-1] * math.prod(sides[-1]), shape, latent)


def _rising(latent: int, sizes: Sequence[int], sides: Sequence[Sides], normed: bool) -> Layers:
    """Build a generator from the code up to maps half as large as the image."""
    flat = sizes[0] * math.prod(sides[-1])
    layers: Layers = [_linear(latent, flat), *_only_if(normed, nn.BatchNorm1d(flat)), nn.ReLU()]
    layers += [nn.Unflatten(1, (sizes[0], *sides[-1]))]
    for (before, after), its in zip(pairwise(sizes), sides[-2:0:-1], strict=True):
        layers += [doubled(before, after, its), *_only_if(normed, nn.BatchNorm2d(after)), nn.ReLU()]
    return layers


def _falling(channels: int, sizes: Sequence[int], normed: bool) -> Layers:
    """Build a discriminator from the image to flat features; its first layer is never normed."""
    layers: Layers = []
    for before, after in pairwise((channels, *sizes)):
        norm = _only_if(normed and bool(layers), nn.BatchNorm2d(after))
        layers += [halved(before, after), *norm, nn.LeakyReLU(0.2)]
    return [*layers, nn.Flatten()]


def _pair(generator: Layers, body: Layers, features: int, shape: Shape, latent: int) -> Pair:
    """Join both players; `features` is how many the discriminator's body gives."""
    last, low = (nn.Tanh(), -1.0) if shape[0] > 1 else (nn.Sigmoid(), 0.0)
    discriminator = Critic(nn.Sequential(*body), _linear(features, 1))
    return Pair(nn.Sequential(*generator, last), discriminator, latent, low)


class _Residual(nn.Module):
    """Adds a shortcut to a path."""

    def __init__(self, path: Layers, shortcut: Layers) -> None:
        super().__init__()
        self.path = nn.Sequential(*path)
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return self.path(x) + self.shortcut(x)


def _up(size: int) -> _Residual:
    """Build a block that doubles the image before the first convolution, and on the shortcut."""
    path = [nn.BatchNorm2d(size), nn.ReLU(), nn.Upsample(scale_factor=2), _conv(size, size)]
    path += [nn.BatchNorm2d(size), nn.ReLU(), _conv(size, size)]
    return _Residual(path, [nn.Upsample(scale_factor=2), _conv(size, size, 1, gain=1)])


def _first(inputs: int, size: int) -> _Residual:
    """Build the critic's first block, which sees the image and halves it."""
    path = [_conv(inputs, size), nn.ReLU(), _conv(size, size), _mean()]
    return _Residual(path, [_mean(), _conv(inputs, size, 1, gain=1)])


def _down(size: int) -> _Residual:
    """Build a block that halves the maps after its convolutions."""
    path = [nn.ReLU(), _conv(size, size), nn.ReLU(), _conv(size, size), _mean()]
    return _Residual(path, [_conv(size, size, 1, gain=1), _mean()])


def _plain(size: int) -> _Residual:
    """Build a block that keeps the maps as large as they are."""
    return _Residual([nn.ReLU(), _conv(size, size), nn.ReLU(), _conv(size, size)], [])


def _dropped(blocks: Sequence[nn.Module], rates: Sequence[float]) -> Layers:
    """Put dropout behind each block whose rate isn't 0."""
    return [layer for block, rate in zip(blocks, rates, strict=True) for layer in (block, *dropout(rate))]


def _only_if(wanted: bool, layer: nn.Module) -> Layers:
    return [layer] if wanted else []


def _mean() -> nn.AvgPool2d:
    return nn.AvgPool2d(2, ceil_mode=True)


def _conv(inputs: int, outputs: int, kernel: int = 3, gain: float = math.sqrt(2)) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    return _drawn(layer, kernel**2 * inputs, kernel**2 * outputs, gain)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return _drawn(nn.Linear(inputs, outputs), inputs, outputs, 1.0)


def _drawn(layer: Layer, fan_in: float, fan_out: float, gain: float) -> Layer:
    """Draw uniform weights of the variance 2 gain^2 / (fan in + fan out), a stride counted, as in the release."""
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
