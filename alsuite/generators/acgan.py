"""AC-GAN (Odena, Olah & Shlens 2017), trained on a pool's labelled images alone, afresh for each query.

The equations are those of ActiveGAN (Kong et al. 2019), whose text says "fake" of eq. 5 where "real" is meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.optim import Adam, Optimizer

from alsuite.errors import UserError
from alsuite.generators.gan import descend
from alsuite.nets.acgan import Conditional
from alsuite.nets.ranges import unit
from alsuite.pool import Pool, pixels
from alsuite.training.fit import Stream, channels_last, check_finite, fit, infer
from alsuite.training.once import chosen

__all__ = ["Game", "Rules", "diagnosis", "play"]

CHUNK = 256  # images made at a time
COLLAPSED = 0.2  # of the spread of a class's labelled images, below which its made ones are too much alike


@dataclass(frozen=True)
class Rules:
    """`net(shape, classes)` builds the pair; numbers may differ between data sets, told by their names."""

    net: Callable[..., Conditional]
    dataset: str = ""
    iterations: Any = 50000  # steps of the generator
    limit: Any = None  # the most of them, at reduced scales
    batch: Any = 100
    lr: Any = 2e-4
    discriminator_lr: Any = 2e-4
    betas: Sequence[float] = (0.5, 0.999)
    generator_steps: int = 2  # for each of the discriminator's

    def __post_init__(self) -> None:
        for name in ("iterations", "limit", "batch", "lr", "discriminator_lr", "generator_steps"):
            value = chosen(name, getattr(self, name), self.dataset)
            if not (isinstance(value, int | float) and value > 0) and (name, value) != ("limit", None):
                raise UserError(f"generator.{name}={value} must be a number above 0")
            object.__setattr__(self, name, value)

    @property
    def steps(self) -> int:
        return min(self.iterations, self.limit or self.iterations)


class Game(LightningModule):
    """Each batch a step of the generator, and now and then one of the discriminator."""

    draws = 1  # of noise for an image
    total_steps: int

    def __init__(self, net: Conditional, rules: Rules) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = net
        self.rules = rules
        self.done = 0

    def configure_optimizers(self) -> list[Optimizer]:
        rules, judge = self.rules, "net.discriminator."
        betas = (rules.betas[0], rules.betas[1])
        making = [p for name, p in self.named_parameters() if not name.startswith(judge)]
        self.maker = Adam(making, rules.lr, betas, fused=True)
        self.finder = Adam(self.net.discriminator.parameters(), rules.discriminator_lr, betas, fused=True)
        return [self.maker, self.finder]

    def training_step(self, block: Any, _: int) -> None:
        total = torch.zeros((), device=self.device)
        for ((images, labels),) in block:
            total += descend(self.maker, self.making_loss(labels))
            self.done += 1
            if self.done % self.rules.generator_steps == 0:
                total += descend(self.finder, self.finding_loss(images, labels))
        check_finite(total, "AC-GAN")

    def noise(self, n: int) -> Tensor:
        return torch.randn(n, self.draws, self.net.latent, device=self.device)

    def made(self, noise: Tensor, labels: Tensor) -> Tensor:
        """(B, C, H, W) in 0..1"""
        return self.net(noise[:, 0], labels)

    def making_loss(self, labels: Tensor) -> Tensor:
        return self.fooling_loss(self.made(self.noise(len(labels)), labels), labels)

    def fooling_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """The negative of eq. 5."""
        source, logits = self.net.judged(images)
        return F.softplus(-source).mean() + F.cross_entropy(logits, labels)

    def finding_loss(self, real: Tensor, labels: Tensor) -> Tensor:
        """The negative of eq. 4."""
        with torch.no_grad():
            made = self.made(self.noise(len(labels)), labels)
        of_real, (source, logits) = self.fooling_loss(real, labels), self.net.judged(made)
        return of_real + F.softplus(source).mean() + F.cross_entropy(logits, labels)

    @torch.no_grad()
    def images(self, noise: Tensor, labels: Tensor) -> Tensor:
        """(N, C, H, W) uint8"""
        parts = zip(noise.split(CHUNK), labels.split(CHUNK), strict=True)
        return torch.cat([pixels(self.made(*part)) for part in parts])


Played = TypeVar("Played", bound=Game)


def play(game: Played, pool: Pool) -> Played:
    """The game trained on the images that an oracle labelled; a few are repeated until they fill a batch."""
    game = game.to(pool.device)
    game.net = game.net.to(memory_format=torch.channels_last)
    real = pool.labelled_originals
    batch = game.rules.batch
    indices = real.repeat(batch) if len(real) < batch else real
    stream = Stream(pool.images, pool.labels, batch=batch, indices=indices, prepare=_prepared)
    return fit(game, stream, steps=game.rules.steps)


def diagnosis(game: Game, pool: Pool, images: Tensor, labels: Tensor) -> dict[str, Any]:
    """How often D is right about the source, and a warning where the images of a class are nearly one."""
    real = pool.labelled_originals

    def believed(shown: Any) -> float:
        return float((infer(lambda x: game.net.judged(x)[0], shown) > 0).float().mean())

    notes: dict[str, Any] = {"d_accuracy": 0.5 * (believed(pool.rows(real)) + 1 - believed(images))}
    spreads = [_spreads(*of, pool.classes) for of in ((images, labels), (pool.rows(real)[:], pool.labels[real]))]
    alike = torch.nonzero(spreads[0] < COLLAPSED * spreads[1]).flatten().tolist()
    named = ", ".join(map(str, alike[:5]))
    return {**notes, "warning": f"images made of class {named} have collapsed to nearly one each"} if alike else notes


def _spreads(images: Tensor, labels: Tensor, classes: int) -> Tensor:
    """(K,) the standard deviation of a class's images, meaned over pixels; not a number where there are not two."""
    ours = (images[labels == k].float() for k in range(classes))
    return torch.stack([x.std(0).mean() if len(x) > 1 else x.new_tensor(math.nan) for x in ours])


def _prepared(images: Tensor) -> Tensor:
    return channels_last(unit(images))
