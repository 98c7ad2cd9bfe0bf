"""Variational auto-encoders, and the discriminators of their codes.

Each VAE is built from the shape of what it encodes and `extra`, how many values its decoder sees beside the code z.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.nets.classifiers import scaled

__all__ = ["VAE", "Crop", "Sides", "discriminator", "feature_vae", "image_vae", "ladder_of", "no_vae", "small_vae"]

Shape = Sequence[int]
Sides = tuple[int, int]
FOUR = ((3, 3), (4, 4))  # halved, these sides leave 2 x 2 pixels
Net = TypeVar("Net", bound=nn.Module)


class VAE(nn.Module):
    """The encoder gives means and log-variances side by side; the decoder takes codes and what it sees beside them."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.latent = latent

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        return mu, logvar


def image_vae(shape: Shape, extra: int = 0, latent: int = 32, width: float = 1.0) -> VAE:
    """The convolutions of the Wasserstein auto-encoder (Tolstikhin et al. 2018) as in VAAL's release: four halvings to
    128, 256, 512 and 1024 channels, and a fifth above 128 pixels; the decoder starts one halving before the code."""
    channels, *sides = _of_images(shape)
    halvings = 4 + (max(sides) > 128)
    sizes = [scaled(size, width) for size in (128, 256, 512, 1024, 1024)[:halvings]]
    ladder = ladder_of((sides[0], sides[1]), halvings)
    encoder: list[nn.Module] = []
    for before, after, side in zip((channels, *sizes), sizes, ladder, strict=False):
        convolution = _ToFour if side in FOUR and before >= 256 else nn.Conv2d
        encoder += [convolution(before, after, _kernel(side), 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)]
    flat, base = sizes[-1] * math.prod(ladder[-1]), (sizes[-1], *ladder[-2])
    decoder: list[nn.Module] = [nn.Linear(latent + extra, math.prod(base)), nn.Unflatten(1, base)]
    for before, after in pairwise(sizes[::-1]):
        decoder += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)]
    decoder += [nn.Conv2d(sizes[0], channels, 1), Crop(ladder[0])]
    return _vae([*encoder, nn.Flatten(), nn.Linear(flat, 2 * latent)], decoder, latent)


def small_vae(shape: Shape, extra: int = 0, latent: int = 32, width: float = 1.0) -> VAE:
    """M2-VAAL, section 4.1: two convolutions and two linear layers, and the mirror image of them."""
    shape = _of_images(shape)
    channels, hidden = (scaled(32, width), scaled(64, width)), scaled(256, width)
    ladder = ladder_of((shape[1], shape[2]), len(channels))
    base = (channels[-1], *ladder[-1])
    encoder: list[nn.Module] = []
    for before, after, side in zip((shape[0], *channels), channels, ladder, strict=False):
        encoder += [nn.Conv2d(before, after, _kernel(side), 2, 1), nn.ReLU()]
    encoder += [nn.Flatten(), nn.Linear(math.prod(base), hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent)]
    decoder = [*_mlp([latent + extra, hidden, math.prod(base)]), nn.ReLU(), nn.Unflatten(1, base)]
    for before, after in pairwise((*channels[::-1], shape[0])):
        decoder += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.ReLU()]
    return _vae(encoder, [*decoder[:-1], Crop(ladder[0])], latent)


def feature_vae(shape: Shape, extra: int = 0, latent: int = 32, hidden: int = 512) -> VAE:
    """AALU, section 3: an MLP of three layers each way."""
    if len(shape) != 1:
        raise UserError("generator=feature_vae encodes features of the task model, not images: take generator=vae")
    encoder = _mlp([shape[0], hidden, hidden, 2 * latent])
    return _vae(encoder, _mlp([latent + extra, hidden, hidden, shape[0]]), latent)


def no_vae(shape: Shape, extra: int = 0) -> VAE:
    """The image is its own code (VAAL's ablation without a VAE): nothing to learn, nothing to decode."""
    encoder = [nn.Flatten(), _WithoutSpread()]
    return VAE(nn.Sequential(*encoder), nn.Identity(), math.prod(shape))


def discriminator(inputs: int, layers: int = 5, hidden: int = 512) -> nn.Sequential:
    """An MLP to one logit."""
    return _initialised(nn.Sequential(*_mlp([inputs, *[hidden] * (layers - 1), 1]), nn.Flatten(0)))


def _of_images(shape: Shape) -> Shape:
    if len(shape) != 3:
        raise UserError("this VAE encodes images, not features: take generator=feature_vae")
    return shape


class _WithoutSpread(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, torch.zeros_like(x)], dim=1)


class _ToFour(nn.Conv2d):
    """A convolution of stride 2 to 2 x 2 pixels; on a CPU one matrix product does it in half the time."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        if input.is_cuda:
            return super().forward(input)
        height, width = self.kernel_size
        tiles = nn.functional.pad(input, (1, 1, 1, 1)).permute(0, 2, 3, 1).unfold(1, height, 2).unfold(2, width, 2)
        rows = tiles.permute(0, 1, 2, 4, 5, 3).flatten(3)
        return nn.functional.linear(rows, self.weight.permute(0, 2, 3, 1).flatten(1)).permute(0, 3, 1, 2)


class Crop(nn.Module):
    """The top left corner: doubled sides may pass those of the image."""

    def __init__(self, sides: Sides) -> None:
        super().__init__()
        self.sides = sides

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : self.sides[0], : self.sides[1]]


def ladder_of(sides: Sides, halvings: int) -> list[Sides]:
    """The sides of the maps, from the image's on; odd ones are halved upwards."""
    return [(-(-sides[0] // 2**k), -(-sides[1] // 2**k)) for k in range(halvings + 1)]


def _kernel(sides: Sides) -> Sides:
    """At stride 2 and a padding of 1, an odd side needs 3 to be halved upwards, an even one takes 4."""
    return 4 - sides[0] % 2, 4 - sides[1] % 2


def _mlp(sizes: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
    return layers[:-1]


def _vae(encoder: Sequence[nn.Module], decoder: Sequence[nn.Module], latent: int) -> VAE:
    return _initialised(VAE(nn.Sequential(*encoder), nn.Sequential(*decoder), latent))


def _initialised(net: Net) -> Net:
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net
