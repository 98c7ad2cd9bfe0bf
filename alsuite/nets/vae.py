"""Variational auto-encoders, and the discriminators of their codes.

"Auto-Encoding Variational Bayes", Diederik P. Kingma and Max Welling, 2013, https://arxiv.org/abs/1312.6114.
Each VAE is built from the shape of what it encodes and `extra`, how many values its decoder sees beside the code z.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.nets.layers import Crop, Layers, Shape, Sides, at_width, initialised, ladder_of

__all__ = ["VAE", "discriminator", "feature_vae", "image_vae", "no_vae", "patch_vae", "small_vae"]

PATCH = 4  # pixels a side

SMALLEST = 8  # pixels a side of the last map of a large image


class VAE(nn.Module):
    """An encoder and a decoder of codes z.

    encoder: (B, *shape) -> (B, 2 * latent), means and log-variances side by side
    decoder: (B, latent + extra) -> (B, *shape), of codes and what stands beside them
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.latent = latent

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means and the log-variances of the codes, (B, latent) each."""
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        return mu, logvar


def image_vae(shape: Shape, extra: int = 0, latent: int = 32, width: float = 1.0) -> VAE:
    """Build VAAL's VAE of images, whose convolutions are the Wasserstein auto-encoder's as in VAAL's release.

    "Wasserstein Auto-Encoders", Ilya Tolstikhin, Olivier Bousquet, Sylvain Gelly and Bernhard Schoelkopf, 2018,
    https://arxiv.org/abs/1711.01558. Four halvings lead to 128, 256, 512 and 1024 channels, and there is a fifth above
    128 pixels; larger images are halved before these, by fewer channels, until at most 8 pixels a side are left, so
    that the layers without a map stay small. The decoder starts one halving before the code.
    """
    channels, *sides = _of_images(shape)
    halvings = max(4, math.ceil(math.log2(max(sides) / SMALLEST)))
    first, last = [64, 32, 16, 16][: max(0, halvings - 5)], (128, 256, 512, 1024, 1024)[:halvings]
    sizes = [at_width(size, width) for size in (*first[::-1], *last)]
    ladder = ladder_of((sides[0], sides[1]), halvings)
    flat, base = sizes[-1] * math.prod(ladder[-1]), (sizes[-1], *ladder[-2])
    encoder: Layers = []
    for before, after, side in zip((channels, *sizes), sizes, ladder, strict=False):
        convolution = _OneProduct if max(side) <= 8 and before >= 256 else nn.Conv2d
        encoder += [convolution(before, after, _kernel(side), 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)]
    decoder: Layers = [nn.Linear(latent + extra, math.prod(base)), nn.Unflatten(1, base)]
    for before, after in pairwise(sizes[::-1]):
        decoder += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)]
    decoder += [nn.Conv2d(sizes[0], channels, 1), Crop(ladder[0])]
    return _vae([*encoder, nn.Flatten(), nn.Linear(flat, 2 * latent)], decoder, latent)


def patch_vae(shape: Shape, extra: int = 0, latent: int = 32, width: float = 1.0) -> VAE:
    """Build VAAL's VAE for a CPU: patches of 4 x 4 pixels stand in the place of the largest maps, both ways.

    A step of the game with 64 + 64 images of CIFAR-10 at a width of 1/16 takes half as long.
    """
    channels, *sides = _of_images(shape)
    sizes = [at_width(size, width) for size in (256, 512, 1024)]
    lacking = [-side % PATCH for side in sides]
    ladder = ladder_of(((sides[0] + lacking[0]) // PATCH, (sides[1] + lacking[1]) // PATCH), 2)
    flat, base = sizes[2] * math.prod(ladder[2]), (sizes[2], *ladder[1])
    encoder: Layers = [nn.ZeroPad2d((0, lacking[1], 0, lacking[0])), nn.Conv2d(channels, sizes[0], PATCH, PATCH)]
    encoder += [nn.BatchNorm2d(sizes[0]), nn.ReLU(True)]
    for before, after, side in zip(sizes, sizes[1:], ladder, strict=False):
        encoder += [nn.Conv2d(before, after, _kernel(side), 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)]
    decoder: Layers = [nn.Linear(latent + extra, math.prod(base)), nn.Unflatten(1, base)]
    decoder += [nn.ConvTranspose2d(sizes[2], sizes[1], 4, 2, 1, bias=False), nn.BatchNorm2d(sizes[1]), nn.ReLU(True)]
    decoder += [nn.Conv2d(sizes[1], channels * PATCH**2, 1), nn.PixelShuffle(PATCH), Crop((sides[0], sides[1]))]
    return _vae([*encoder, nn.Flatten(), nn.Linear(flat, 2 * latent)], decoder, latent)


def small_vae(shape: Shape, extra: int = 0, latent: int = 32, width: float = 1.0) -> VAE:
    """Build M2-VAAL's VAE (section 4.1): two convolutions and two linear layers, and the mirror image of them."""
    shape = _of_images(shape)
    channels, hidden = (at_width(32, width), at_width(64, width)), at_width(256, width)
    ladder = ladder_of((shape[1], shape[2]), len(channels))
    base = (channels[-1], *ladder[-1])
    encoder: Layers = []
    for before, after, side in zip((shape[0], *channels), channels, ladder, strict=False):
        encoder += [nn.Conv2d(before, after, _kernel(side), 2, 1), nn.ReLU()]
    encoder += [nn.Flatten(), nn.Linear(math.prod(base), hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent)]
    decoder = [*_mlp([latent + extra, hidden, math.prod(base)]), nn.ReLU(), nn.Unflatten(1, base)]
    for before, after in pairwise((*channels[::-1], shape[0])):
        decoder += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.ReLU()]
    return _vae(encoder, [*decoder[:-1], Crop(ladder[0])], latent)


def feature_vae(shape: Shape, extra: int = 0, latent: int = 32, hidden: int = 512) -> VAE:
    """Build AALU's VAE of features (section 3): an MLP of three layers each way."""
    if len(shape) != 1:
        raise UserError("generator=feature_vae encodes features of the task model, not images: take generator=vae")
    encoder = _mlp([shape[0], hidden, hidden, 2 * latent])
    return _vae(encoder, _mlp([latent + extra, hidden, hidden, shape[0]]), latent)


def no_vae(shape: Shape, extra: int = 0) -> VAE:
    """Let the image be its own code, as in VAAL's ablation without a VAE: there is nothing to learn or to decode.

    Above 128 pixels a side it is halved by averages to at most 64, or the discriminator would have 720 million weights
    for 688 x 688.
    """
    channels, height, width = _of_images(shape)
    halvings = math.ceil(math.log2(max(height, width) / 64)) if max(height, width) > 128 else 0
    height, width = ladder_of((height, width), halvings)[-1]
    smaller = [nn.AdaptiveAvgPool2d((height, width))] if halvings else []
    encoder = nn.Sequential(*smaller, nn.Flatten(), _WithoutSpread())
    return VAE(encoder, nn.Identity(), channels * height * width)


def discriminator(inputs: int, layers: int = 5, hidden: int = 512) -> nn.Sequential:
    """Build an MLP from a code, and what stands beside it, to one logit: (B, inputs) -> (B,)."""
    return initialised(nn.Sequential(*_mlp([inputs, *[hidden] * (layers - 1), 1]), nn.Flatten(0)))


class _WithoutSpread(nn.Module):
    """Gives log-variances of 0 to means: (B, D) -> (B, 2 D)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, torch.zeros_like(x)], dim=1)


class _OneProduct(nn.Conv2d):
    """A convolution of stride 2 and padding 1; on a CPU one product of matrices does it.

    With and without, one core of AVX2 takes 0.4 and 1.8 s forwards and backwards for 128 maps of 512 x 4 x 4 to
    1024 x 2 x 2, and 0.5 and 0.7 s from 256 x 8 x 8 to 512 x 4 x 4.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        if input.is_cuda:
            return super().forward(input)
        height, width = self.kernel_size
        tiles = nn.functional.pad(input, (1, 1, 1, 1)).permute(0, 2, 3, 1).unfold(1, height, 2).unfold(2, width, 2)
        rows = tiles.permute(0, 1, 2, 4, 5, 3).flatten(3)
        return nn.functional.linear(rows, self.weight.permute(0, 2, 3, 1).flatten(1)).permute(0, 3, 1, 2)


def _of_images(shape: Shape) -> Shape:
    if len(shape) != 3:
        raise UserError("this VAE encodes images, not features: take generator=feature_vae")
    return shape


def _kernel(sides: Sides) -> Sides:
    """Return the kernel that halves upwards at stride 2 and a padding of 1: 3 for an odd side, 4 for an even one."""
    return 4 - sides[0] % 2, 4 - sides[1] % 2


def _mlp(sizes: Sequence[int]) -> Layers:
    """Build linear layers with activations between them."""
    layers: Layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
    return layers[:-1]


def _vae(encoder: Layers, decoder: Layers, latent: int) -> VAE:
    return initialised(VAE(nn.Sequential(*encoder), nn.Sequential(*decoder), latent))
