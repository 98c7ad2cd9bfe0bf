"""Class-conditional pairs of a generator and a discriminator, for images of any size: AC-GAN's for CIFAR-10 (Odena,
Olah & Shlens 2017), and for gray images InfoGAN's for MNIST (Chen et al. 2016) without its codes.

The generator sees noise and the one-hot label. Gray images lie in [0, 1] (sigmoid), coloured ones in [-1, 1] (tanh).
InfoGAN's discriminator gets dropout, as AC-GAN's has: without it it knows 500 images by heart after 1,000 steps, and
what is made turns into noise. `width` scales the channels. Weights start as torch draws them: at N(0, 0.02), AC-GAN's,
narrow generators stay gray.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from alsuite.nets.classifiers import scaled
from alsuite.nets.gans import unit
from alsuite.nets.vae import Crop, Sides, ladder_of

__all__ = ["Conditional", "Gaussian", "Judge", "acgan"]

Layers = list[nn.Module]


class Judge(nn.Module):
    """The logit that an image is real, (B,), and those of its class, (B, K)."""

    def __init__(self, body: nn.Module, source: nn.Module, label: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.source = source
        self.label = label

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(images)
        return self.source(features).squeeze(1), self.label(features)


class Conditional(nn.Module):
    """Both players; they exchange images in [low, 1], the world outside has them in 0..1."""

    def __init__(self, generator: nn.Module, discriminator: Judge, latent: int, classes: int, low: float) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.latent = latent
        self.classes = classes
        self.low = low

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """(B, C, H, W) in 0..1 of (B, latent) noise."""
        condition = nn.functional.one_hot(labels, self.classes).to(z.dtype)
        return (self.generator(torch.cat([z, condition], 1)) - self.low) / (1 - self.low)

    def judged(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What the discriminator says of images in 0..1, or uint8."""
        return self.discriminator(unit(images) * (1 - self.low) + self.low)


class Gaussian(nn.Module):
    """A policy (Duan et al. 2016): the mean action is an MLP's of the state, the log of the spread is learned and
    independent of it. At first it is N(0, I) whatever the state."""

    def __init__(self, inputs: int, actions: int, hidden: Sequence[int] = (100, 50, 25)) -> None:
        super().__init__()
        layers = [layer for pair in pairwise((inputs, *hidden)) for layer in (nn.Linear(*pair), nn.Tanh())]
        last = nn.Linear(hidden[-1], actions)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.mean = nn.Sequential(nn.Flatten(), *layers, last)
        self.log_spread = nn.Parameter(torch.zeros(actions))

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """(B, actions) means, (actions,) log spreads."""
        return self.mean(states), self.log_spread


def acgan(shape: Sequence[int], classes: int, latent: int | None = None, width: float = 1.0) -> Conditional:
    """InfoGAN's networks for gray images (62 of noise by default), AC-GAN's for coloured ones (100)."""
    gray = shape[0] == 1
    latent = latent or (62 if gray else 100)
    layers = _infogan_generator if gray else _acgan_generator
    generator = nn.Sequential(*layers(shape, latent + classes, width), nn.Sigmoid() if gray else nn.Tanh())
    judge = (_infogan_judge if gray else _acgan_judge)(shape, classes, width)
    return Conditional(generator, judge, latent, classes, 0.0 if gray else -1.0)


def _infogan_generator(shape: Sequence[int], inputs: int, width: float) -> Layers:
    hidden, a, b = scaled(1024, width), scaled(128, width), scaled(64, width)
    whole, half, base = ladder_of((shape[1], shape[2]), 2)
    flat = a * math.prod(base)
    return [
        *(nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU()),
        *(nn.Linear(hidden, flat), nn.BatchNorm1d(flat), nn.ReLU(), nn.Unflatten(1, (a, *base))),
        *(*_doubled(a, b, 4, half), nn.BatchNorm2d(b), nn.ReLU(), *_doubled(b, shape[0], 4, whole)),
    ]


def _infogan_judge(shape: Sequence[int], classes: int, width: float) -> Judge:
    a, b, hidden, q = (scaled(size, width) for size in (64, 128, 1024, 128))
    flat = b * (shape[1] // 4) * (shape[2] // 4)
    body = nn.Sequential(
        *(nn.Conv2d(shape[0], a, 4, 2, 1), nn.LeakyReLU(0.1), nn.Dropout(0.2)),
        *(nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.1), nn.Dropout(0.2), nn.Flatten()),
        *(nn.Linear(flat, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.1), nn.Dropout(0.2)),
    )
    label = nn.Sequential(nn.Linear(hidden, q), nn.BatchNorm1d(q), nn.LeakyReLU(0.1), nn.Linear(q, classes))
    return Judge(body, nn.Linear(hidden, 1), label)


def _acgan_generator(shape: Sequence[int], inputs: int, width: float) -> Layers:
    a, b, c = (scaled(size, width) for size in (384, 192, 96))
    whole, half, quarter, base = ladder_of((shape[1], shape[2]), 3)
    return [
        *(nn.Linear(inputs, a * math.prod(base)), nn.ReLU(), nn.Unflatten(1, (a, *base))),
        *(*_doubled(a, b, 5, quarter), nn.BatchNorm2d(b), nn.ReLU()),
        *(*_doubled(b, c, 5, half), nn.BatchNorm2d(c), nn.ReLU(), *_doubled(c, shape[0], 5, whole)),
    ]


def _acgan_judge(shape: Sequence[int], classes: int, width: float) -> Judge:
    body: Layers = []
    sizes = [shape[0], *(scaled(size, width) for size in (16, 32, 64, 128, 256, 512))]
    for i, (before, after) in enumerate(pairwise(sizes)):
        body.append(nn.Conv2d(before, after, 3, 1 + (i + 1) % 2, 1, bias=False))
        body += [*([nn.BatchNorm2d(after)] if i else []), nn.LeakyReLU(0.2), nn.Dropout(0.5)]
    flat = sizes[-1] * math.prod(ladder_of((shape[1], shape[2]), 3)[-1])
    return Judge(nn.Sequential(*body, nn.Flatten()), nn.Linear(flat, 1), nn.Linear(flat, classes))


def _doubled(inputs: int, outputs: int, kernel: int, sides: Sides) -> Layers:
    """Stride 2, cut to these sides."""
    return [nn.ConvTranspose2d(inputs, outputs, kernel, 2, (kernel - 1) // 2, kernel % 2), Crop(sides)]
