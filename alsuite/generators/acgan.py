"""AC-GAN, trained on a pool's labelled images alone, afresh for each query.

"Conditional Image Synthesis with Auxiliary Classifier GANs", Augustus Odena, Christopher Olah and Jonathon Shlens,
2017, https://arxiv.org/abs/1610.09585. The equations are those of "Active Generative Adversarial Network for Image
Classification", Quan Kong, Bin Tong, Martin Klinkigt, Yuki Watanabe, Naoto Akira and Tomokazu Murakami, 2019,
https://arxiv.org/abs/1906.07133, whose text says "fake" of eq. 5 where "real" is meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.optim import Adam, Optimizer

from alsuite.errors import positive, whole_if_given, whole_number
from alsuite.nets.acgan import Conditional
from alsuite.nets.ranges import unit
from alsuite.notes import WARNING
from alsuite.pool import Images, Pool, pixels
from alsuite.training.curves import tell_losses
from alsuite.training.descent import descend
from alsuite.training.fit import Batch, Stream, channels_last, check_finite, fit, infer
from alsuite.training.once import chosen

__all__ = ["ACGANGame", "ACGANRules", "health", "trained_on_labelled"]

CHUNK = 256  # images made at a time
COLLAPSED = 0.2  # of the spread of a class's labelled images, below which its made ones are too much alike


@dataclass(frozen=True)
class ACGANRules:
    """How AC-GAN is trained; `net(shape, classes)` builds the pair."""

    net: Callable[..., Conditional]
    iterations: int = 50000  # steps of the generator
    limit: int | None = None  # the most of them, at reduced scales
    batch: int = 100
    lr: float = 2e-4
    discriminator_lr: float = 2e-4
    betas: Sequence[float] = (0.5, 0.999)
    generator_steps: int = 2  # for each of the discriminator's

    def __post_init__(self) -> None:
        positive("generator.", lr=self.lr, discriminator_lr=self.discriminator_lr)
        whole_number("generator.", iterations=self.iterations, batch=self.batch, generator_steps=self.generator_steps)
        whole_if_given("generator.", limit=self.limit)

    @classmethod
    def of(cls, net: Callable[..., Conditional], dataset: str, **options: Any) -> Self:
        """Choose the data set's own numbers where options give several, told by the names of data sets."""
        return cls(net, **{name: chosen(name, value, dataset) for name, value in options.items()})

    @property
    def steps(self) -> int:
        return min(self.iterations, self.limit or self.iterations)


class ACGANGame(LightningModule):
    """AC-GAN's game: each batch a step of the generator, and now and then one of the discriminator."""

    draws = 1  # of noise for an image
    total_steps: int = 1  # what `fit` sets

    def __init__(self, net: Conditional, rules: ACGANRules) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = net
        self.rules = rules
        self.done = 0

    def configure_optimizers(self) -> list[Optimizer]:
        """Return what trains generator and discriminator."""
        rules, discriminator = self.rules, self.net.discriminator
        betas = (rules.betas[0], rules.betas[1])
        rest = [p for name, p in self.named_parameters() if not name.startswith("net.discriminator.")]
        self.generator_optimiser = Adam(rest, rules.lr, betas, fused=True)
        self.discriminator_optimiser = Adam(discriminator.parameters(), rules.discriminator_lr, betas, fused=True)
        return [self.generator_optimiser, self.discriminator_optimiser]

    def training_step(self, block: Iterable[tuple[Batch]], _: int) -> None:
        before, generator, discriminator = self.done, [], []
        for ((images, labels),) in block:
            generator.append(descend(self.generator_loss(labels), self.generator_optimiser))
            self.done += 1
            if self.done % self.rules.generator_steps == 0:
                loss = self.discriminator_loss(images, labels)
                discriminator.append(descend(loss, self.discriminator_optimiser))
        check_finite(torch.stack([*generator, *discriminator]).sum(), "AC-GAN")
        losses = {"generator": generator, "discriminator": discriminator}
        tell_losses("acgan", (before, self.done), self.total_steps, losses)

    def noise(self, n: int) -> Tensor:
        """Draw (n, draws, latent) noise."""
        return torch.randn(n, self.draws, self.net.latent, device=self.device)

    def codes(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Return the (B, latent) codes that images are made of."""
        return noise[:, 0]

    def generated(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Make (B, C, H, W) images in 0..1."""
        return self.net(self.codes(noise, labels), labels)

    def generator_loss(self, labels: Tensor) -> Tensor:
        return self.fooling_loss(self.generated(self.noise(len(labels)), labels), labels)

    def fooling_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """The negative of eq. 5."""
        source, logits = self.net.judged(images)
        return F.softplus(-source).mean() + F.cross_entropy(logits, labels)

    def discriminator_loss(self, real: Tensor, labels: Tensor) -> Tensor:
        """The negative of eq. 4, of real images (B, C, H, W) and as many generated ones."""
        with torch.no_grad():
            made = self.generated(self.noise(len(labels)), labels)
        of_real, (source, logits) = self.fooling_loss(real, labels), self.net.judged(made)
        return of_real + F.softplus(source).mean() + F.cross_entropy(logits, labels)

    @torch.no_grad()
    def images(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Make (N, C, H, W) uint8 images, some at a time."""
        parts = zip(noise.split(CHUNK), labels.split(CHUNK), strict=True)
        return torch.cat([pixels(self.generated(*part)) for part in parts])


Trainee = TypeVar("Trainee", bound=ACGANGame)


def trained_on_labelled(game: Trainee, pool: Pool) -> Trainee:
    """Train the game on the images that an oracle labelled; a few are repeated until they fill a batch."""
    game = game.to(pool.device)
    game.net = game.net.to(memory_format=torch.channels_last)
    real = pool.labelled_originals
    batch = game.rules.batch
    indices = real.repeat(batch) if len(real) < batch else real
    stream = Stream(pool.images, pool.labels, batch=batch, indices=indices, prepare=_prepared)
    return fit(game, stream, steps=game.rules.steps)


def health(game: ACGANGame, pool: Pool, images: Tensor, labels: Tensor) -> Mapping[str, float | str]:
    """Note how often D is right about the source, and warn where the images made of a class are nearly one.

    images: (N, C, H, W) uint8 that were made of the (N,) labels
    """
    real = pool.labelled_originals

    def believed(shown: Images) -> float:
        return float((infer(lambda x: game.net.judged(x)[0], shown) > 0).float().mean())

    notes = {"d_accuracy": 0.5 * (believed(pool.rows(real)) + 1 - believed(images))}
    spreads = _spreads(images, labels, pool.classes)
    alike = spreads < COLLAPSED * _spreads(pool.rows(real)[:], pool.labels[real], pool.classes)
    if not alike.any():
        return notes
    named = ", ".join(map(str, torch.nonzero(alike).flatten().tolist()[:5]))
    return {**notes, WARNING: f"images made of class {named} have collapsed to nearly one each"}


def _spreads(images: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return the (K,) standard deviations of each class's images, meaned over pixels; NaN where there are not two."""
    ours = (images[labels == k].float() for k in range(classes))
    return torch.stack([x.std(0).mean() if len(x) > 1 else x.new_tensor(math.nan) for x in ours])


def _prepared(images: Tensor) -> Tensor:
    return channels_last(unit(images))
