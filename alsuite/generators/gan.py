"""GANs as ASAL trains them: DCGAN's game (Radford et al. 2015) without saturation, WGAN-GP (Gulrajani et al. 2017) and
CT-GAN (Wei et al. 2018), all without labels. The residual networks' release conditions on the class by default; a pool
has no labels yet.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.optim import Adam, Optimizer

from alsuite.errors import UserError
from alsuite.nets.gans import Critic, Pair
from alsuite.pool import Pool
from alsuite.training.fit import channels_last
from alsuite.training.once import Kept, chosen, trained_once

__all__ = ["GAN", "Match", "Rules", "consistency", "descend", "penalty"]

LOSSES = ("cross_entropy", "wasserstein")


@dataclass(frozen=True)
class Rules:
    """By default those of WGAN-GP for MNIST."""

    loss: str = "wasserstein"
    batch: int = 50
    generator_batch: int | None = None  # by default the same
    critic_steps: int = 5  # for each of the generator's
    lr: float = 1e-4
    betas: Sequence[float] = (0.5, 0.9)
    decay: bool = False  # of the learning rate, linearly to 0
    penalty: float = 10.0
    consistency: float = 0.0
    dequantise: bool = False

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise UserError(f"generator.loss={self.loss} is unknown: choose {' or '.join(LOSSES)}")
        for name in ("batch", "critic_steps", "lr"):
            if not (isinstance(value := getattr(self, name), int | float) and value > 0):
                raise UserError(f"generator.{name}={value} must be a number above 0")
        for name in ("penalty", "consistency"):
            if not (isinstance(value := getattr(self, name), int | float) and value >= 0):
                raise UserError(f"generator.{name}={value} must be a number, 0 or more")


class GAN:
    """`net(shape)` builds the pair; `iterations`, their `limit` at a reduced scale and `batch` may differ between data
    sets, told by their names."""

    def __init__(
        self,
        net: Callable[..., Pair],
        *,
        name: str,
        folder: str,
        iterations: int | Mapping[str, int],
        limit: int | Mapping[str, int] | None = None,
        seed: int = 0,
        batch: int | Mapping[str, int] = 50,
        **rules: Any,
    ) -> None:
        dataset = Path(folder).name
        self.net = net
        self.folder = folder
        self.rules = Rules(batch=chosen("batch", batch, dataset), **rules)
        most = chosen("iterations", iterations, dataset)
        its = min(most, chosen("limit", limit, dataset) or most)
        self.config = {"name": name, "seed": seed, "iterations": its}
        self.latest: tuple[Any, Pair] | None = None

    def trained(self, pool: Pool) -> Pair:
        if self.latest is None or self.latest[0]() is not pool.images:
            self.latest = weakref.ref(pool.images), self.kept(pool).net
        return self.latest[1]

    def kept(self, pool: Pool) -> Kept:
        """Also where it is kept, and read from there each time."""

        def match() -> Match:
            return Match(self.net(pool.images.shape[1:]).to(pool.device), self.rules)

        return trained_once(match, pool, self.folder, self.net, **self.config, **asdict(self.rules))


class Match:
    """An iteration is `critic_steps` steps of the discriminator, then one of the generator."""

    curves: tuple[str, ...] = ("discriminator", "generator")

    def __init__(self, net: Pair, rules: Rules) -> None:
        self.net = net.to(memory_format=torch.channels_last)
        self.rules = rules
        self.batch = rules.batch * rules.critic_steps
        betas = (rules.betas[0], rules.betas[1])
        self.maker = Adam(net.generator.parameters(), rules.lr, betas, fused=True)
        self.finder = Adam(net.discriminator.parameters(), rules.lr, betas, fused=True)
        self.optimisers = self.maker, self.finder

    def prepare(self, images: Tensor) -> Tensor:
        if self.rules.dequantise:
            images = (images + torch.rand(images.shape, device=images.device)) / 256
        return channels_last(self.net.ranged(images))

    def step(self, images: Tensor, progress: float) -> Tensor:
        rules = self.rules
        for group in (*self.maker.param_groups, *self.finder.param_groups):
            group["lr"] = rules.lr * (1 - progress if rules.decay else 1)
        found = [descend(self.finder, self.finding_loss(real)) for real in images.split(rules.batch)]
        made = descend(self.maker, self.making_loss(rules.generator_batch or len(images[: rules.batch])))
        return torch.stack([torch.stack(found).mean(), made])

    def pictures(self, images: Tensor) -> Tensor:
        return self.net.images(torch.randn(2 * len(images), self.net.latent, device=images.device))

    def finding_loss(self, real: Tensor) -> Tensor:
        rules, find = self.rules, self.net.discriminator
        with torch.no_grad():
            made = channels_last(self.made(len(real)))
        if rules.loss == "cross_entropy":
            return (F.softplus(-find(real)).mean() + F.softplus(find(made)).mean()) / 2
        features = find.features(torch.cat([real, made]))
        values = find.head(features).squeeze(1)
        loss = values[len(real) :].mean() - values[: len(real)].mean() + rules.penalty * penalty(find, real, made)
        if rules.consistency:
            loss = loss + rules.consistency * consistency(find, real, values[: len(real)], features[: len(real)])
        return loss

    def making_loss(self, n: int) -> Tensor:
        """That of a generator whose images are taken for real: it doesn't saturate where they aren't."""
        values = self.net.discriminator(self.made(n))
        return F.softplus(-values).mean() if self.rules.loss == "cross_entropy" else -values.mean()

    def made(self, n: int) -> Tensor:
        device = next(self.net.parameters()).device
        return self.net.generator(torch.randn(n, self.net.latent, device=device))


def penalty(critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor) -> Tensor:
    """WGAN-GP eq. 3: how far the critic's slope is from 1 between real and made images."""
    between = torch.lerp(real, made, torch.rand(len(real), 1, 1, 1, device=real.device)).requires_grad_()
    (slopes,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slopes.flatten(1).norm(dim=1) - 1).square().mean()


def consistency(critic: Critic, real: Tensor, values: Tensor, features: Tensor) -> Tensor:
    """CT-GAN eq. 4 and 5 at M' = 0: how far a second pass with other dropout masks is from the first one."""
    others = critic.features(real)
    apart = (values - critic.head(others).squeeze(1)).square()
    return (apart + 0.1 * (features - others).square().mean(dim=1)).mean()


def descend(optimiser: Optimizer, loss: Tensor) -> Tensor:
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for parameter in parameters:
        parameter.grad = None
    loss.backward(inputs=parameters)  # the other player's gradients aren't computed
    optimiser.step()
    return loss.detach()
