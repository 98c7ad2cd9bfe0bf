"""Class-conditional pairs of a generator and a discriminator, for images of any size.

- AC-GAN's for CIFAR-10: "Conditional Image Synthesis with Auxiliary Classifier GANs", Augustus Odena, Christopher Olah
  and Jonathon Shlens, 2017, https://arxiv.org/abs/1610.09585
- InfoGAN's for MNIST, without its codes, for gray images: "InfoGAN: Interpretable Representation Learning by
  Information Maximizing Generative Adversarial Nets", Xi Chen, Yan Duan, Rein Houthooft, John Schulman, Ilya Sutskever
  and Pieter Abbeel, 2016, https://arxiv.org/abs/1606.03657

The generator sees noise and the one-hot label. Gray images lie in [0, 1] (sigmoid), coloured ones in [-1, 1] (tanh).
InfoGAN's discriminator gets dropout, as AC-GAN's has: without it it knows 500 images by heart after 1,000 steps, and
what is made turns into noise. `width` scales the channels, and with them AC-GAN's dropout of a half: of a quarter of
its channels that leaves the discriminator blind, and what is made of a class is nearly one image of checks. Weights for
coloured images start at N(0, 0.02), as AC-GAN's, the others as torch draws them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from alsuite.nets.layers import Crop, Layers, Shape, Sides, at_width, ladder_of
from alsuite.nets.ranges import from_range, to_range

__all__ = ["Conditional", "Gaussian", "Judge", "acgan"]


class Judge(nn.Module):
    """A discriminator that also tells classes apart.

    body: (B, C, H, W) -> (B, D)
    source: (B, D) -> (B, 1), the logit that an image is real
    label: (B, D) -> (B, K), the logits of its class
    """

    def __init__(self, body: nn.Module, source: nn.Module, label: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.source = source
        self.label = label

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B,) logits of the source and (B, K) of the class."""
        features = self.body(images)
        return self.source(features).squeeze(1), self.label(features)


class Conditional(nn.Module):
    """Both players; they exchange images in [low, 1], the world outside has them in 0..1.

    generator: (B, latent + K) noise and one-hot label -> (B, C, H, W)
    """

    def __init__(self, generator: nn.Module, discriminator: Judge, latent: int, classes: int, low: float) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.latent = latent
        self.classes = classes
        self.low = low

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Make (B, C, H, W) images in 0..1 of (B, latent) noise and (B,) labels."""
        condition = nn.functional.one_hot(labels, self.classes).to(z.dtype)
        return from_range(self.generator(torch.cat([z, condition], 1)), self.low)

    def judged(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the discriminator says of images in 0..1, or uint8."""
        return self.discriminator(to_range(images, self.low))


class Gaussian(nn.Module):
    """A Gaussian policy, at first N(0, I) whatever the state.

    "Benchmarking Deep Reinforcement Learning for Continuous Control", Yan Duan, Xi Chen, Rein Houthooft, John Schulman
    and Pieter Abbeel, 2016, https://arxiv.org/abs/1604.06778. The mean action is an MLP's of the state; the log of the
    spread is learned and independent of it.
    """

    def __init__(self, inputs: int, actions: int, hidden: Sequence[int] = (100, 50, 25)) -> None:
        super().__init__()
        layers = [layer for pair in pairwise((inputs, *hidden)) for layer in (nn.Linear(*pair), nn.Tanh())]
        last = nn.Linear([inputs, *hidden][-1], actions)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.mean = nn.Sequential(nn.Flatten(), *layers, last)
        self.log_spread = nn.Parameter(torch.zeros(actions))

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, actions) means and (actions,) log spreads for (B, ...) states."""
        return self.mean(states), self.log_spread


def acgan(shape: Shape, classes: int, latent: int | None = None, width: float = 1.0) -> Conditional:
    """Build InfoGAN's networks for gray images (62 of noise by default), AC-GAN's for coloured ones (100)."""
    if shape[0] == 1:
        latent = latent or 62
        generator = nn.Sequential(*_infogan_generator(shape, latent + classes, width), nn.Sigmoid())
        return Conditional(generator, _infogan_judge(shape, classes, width), latent, classes, low=0.0)
    latent = latent or 100
    generator = nn.Sequential(*_acgan_generator(shape, latent + classes, width), nn.Tanh())
    pair = Conditional(generator, _acgan_judge(shape, classes, width), latent, classes, low=-1.0)
    for layer in pair.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
    return pair


def _infogan_generator(shape: Shape, inputs: int, width: float) -> Layers:
    """Build two linear layers and two doublings."""
    hidden, a, b = at_width(1024, width), at_width(128, width), at_width(64, width)
    whole, half, base = ladder_of((shape[1], shape[2]), 2)
    flat = a * math.prod(base)
    return [
        *(nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU()),
        *(nn.Linear(hidden, flat), nn.BatchNorm1d(flat), nn.ReLU(), nn.Unflatten(1, (a, *base))),
        *(*_doubled(a, b, 4, half), nn.BatchNorm2d(b), nn.ReLU(), *_doubled(b, shape[0], 4, whole)),
    ]


def _infogan_judge(shape: Shape, classes: int, width: float) -> Judge:
    """Build two halvings and a linear layer; the class takes another one."""
    a, b, hidden, q = (at_width(size, width) for size in (64, 128, 1024, 128))
    flat = b * (shape[1] // 4) * (shape[2] // 4)
    body = nn.Sequential(
        *(nn.Conv2d(shape[0], a, 4, 2, 1), nn.LeakyReLU(0.1), nn.Dropout(0.2)),
        *(nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.1), nn.Dropout(0.2), nn.Flatten()),
        *(nn.Linear(flat, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.1), nn.Dropout(0.2)),
    )
    label = nn.Sequential(nn.Linear(hidden, q), nn.BatchNorm1d(q), nn.LeakyReLU(0.1), nn.Linear(q, classes))
    return Judge(body, nn.Linear(hidden, 1), label)


def _acgan_generator(shape: Shape, inputs: int, width: float) -> Layers:
    """Build a linear layer and three doublings."""
    a, b, c = (at_width(size, width) for size in (384, 192, 96))
    whole, half, quarter, base = ladder_of((shape[1], shape[2]), 3)
    return [
        *(nn.Linear(inputs, a * math.prod(base)), nn.ReLU(), nn.Unflatten(1, (a, *base))),
        *(*_doubled(a, b, 5, quarter), nn.BatchNorm2d(b), nn.ReLU()),
        *(*_doubled(b, c, 5, half), nn.BatchNorm2d(c), nn.ReLU(), *_doubled(c, shape[0], 5, whole)),
    ]


def _acgan_judge(shape: Shape, classes: int, width: float) -> Judge:
    """Build six convolutions, of which each other one halves the maps."""
    body: Layers = []
    dropout = 0.5 * min(width, 1)
    sizes = [shape[0], *(at_width(size, width) for size in (16, 32, 64, 128, 256, 512))]
    for i, (before, after) in enumerate(pairwise(sizes)):
        body.append(nn.Conv2d(before, after, 3, 1 + (i + 1) % 2, 1, bias=False))
        body += [*([nn.BatchNorm2d(after)] if i else []), nn.LeakyReLU(0.2), nn.Dropout(dropout)]
    flat = sizes[-1] * math.prod(ladder_of((shape[1], shape[2]), 3)[-1])
    return Judge(nn.Sequential(*body, nn.Flatten()), nn.Linear(flat, 1), nn.Linear(flat, classes))


def _doubled(inputs: int, outputs: int, kernel: int, sides: Sides) -> Layers:
    """Build a transposed convolution of stride 2, cut to these sides."""
    return [nn.ConvTranspose2d(inputs, outputs, kernel, 2, (kernel - 1) // 2, kernel % 2), Crop(sides)]
