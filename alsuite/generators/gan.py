"""GANs as ASAL trains them, all without labels.

- DCGAN's game, without saturation: "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
  Networks", Alec Radford, Luke Metz and Soumith Chintala, 2015, https://arxiv.org/abs/1511.06434
- WGAN-GP: "Improved Training of Wasserstein GANs", Ishaan Gulrajani, Faruk Ahmed, Martin Arjovsky, Vincent Dumoulin and
  Aaron Courville, 2017, https://arxiv.org/abs/1704.00028
- CT-GAN: "Improving the Improved Training of Wasserstein GANs: A Consistency Term and Its Dual Effect", Xiang Wei,
  Boqing Gong, Zixia Liu, Wei Lu and Liqiang Wang, 2018, https://arxiv.org/abs/1803.01541

The residual networks' release conditions on the class by default; a pool has no labels yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.optim import Adam

from alsuite.errors import UserError, not_negative, one_of, positive, whole_if_given, whole_number
from alsuite.generators.latest import Latest
from alsuite.mapped import pieces
from alsuite.nets.gans import Critic, Pair
from alsuite.pool import Pool
from alsuite.training.descent import descend
from alsuite.training.fit import channels_last
from alsuite.training.once import Kept, chosen, trained_once
from alsuite.training.together import part

__all__ = ["GAN", "GANGame", "GANRules", "consistency", "penalty"]

LOSSES = ("cross_entropy", "wasserstein")


@dataclass(frozen=True)
class GANRules:
    """How a GAN is trained, by default as in WGAN-GP for MNIST."""

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
        one_of("generator.loss", self.loss, LOSSES)
        positive("generator.", lr=self.lr)
        whole_number("generator.", batch=self.batch, critic_steps=self.critic_steps)
        whole_if_given("generator.", generator_batch=self.generator_batch)
        not_negative("generator.", penalty=self.penalty, consistency=self.consistency)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"generator.betas={[*self.betas]} must be two numbers from 0 and below 1")


class GAN:
    """What trains a GAN on a pool; `net(shape)` builds its pair of networks, `rules` are those of `GANRules`.

    `iterations`, their `limit` at a reduced scale and `batch` may differ between data sets, told by their names.
    """

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
        most = chosen("iterations", iterations, dataset)
        cap = chosen("limit", limit, dataset)
        its = most if cap is None else min(most, cap)
        whole_number("generator.", iterations=most, limit=its)
        self.net = net
        self.folder = folder
        self.rules = GANRules(batch=chosen("batch", batch, dataset), **rules)
        self.config = {"name": name, "seed": seed, "iterations": its}
        self.whole = most
        self.latest = Latest(self._trained)

    def trained(self, pool: Pool) -> Pair:
        """Return the networks that were trained on the pool's images."""
        return self.latest(pool)

    def kept(self, pool: Pool) -> Kept:
        """Train the networks, or read them from where they are kept, and say where that is."""

        def game() -> GANGame:
            return GANGame(self.net(pool.images.shape[1:]).to(pool.device), self.rules)

        return trained_once(game, pool, self.folder, self.net, self.whole, **self.config, **asdict(self.rules))

    def _trained(self, pool: Pool) -> Pair:
        return self.kept(pool).net


class GANGame:
    """The game of a pair; an iteration is `critic_steps` steps of the discriminator, then one of the generator.

    An epoch's last iteration has what is left, and so may have fewer: on CIFAR-10 one in 157 has two of five steps.
    """

    curves: tuple[str, ...] = ("discriminator", "generator")

    def __init__(self, net: Pair, rules: GANRules) -> None:
        self.net = net.to(memory_format=torch.channels_last)
        self.rules = rules
        self.batch, self.within = rules.batch * rules.critic_steps, rules.batch
        betas = (rules.betas[0], rules.betas[1])
        self.generator_optimiser = Adam(net.generator.parameters(), rules.lr, betas, fused=True)
        self.discriminator_optimiser = Adam(net.discriminator.parameters(), rules.lr, betas, fused=True)
        self.optimisers = self.generator_optimiser, self.discriminator_optimiser

    def prepare(self, images: Tensor) -> Tensor:
        if self.rules.dequantise:
            images = (images + torch.rand(images.shape, device=images.device)) / 256
        return channels_last(self.net.ranged(images))

    def step(self, images: Tensor, progress: float) -> Tensor:
        rules, batches = self.rules, pieces(images, part(self.rules.batch))
        self._set_rates(rules.lr * (1 - progress if rules.decay else 1))
        losses = [descend(self.discriminator_loss(real), self.discriminator_optimiser) for real in batches]
        made = part(rules.generator_batch) if rules.generator_batch else len(batches[0])
        generator_loss = self.generator_loss(made)
        return torch.stack([torch.stack(losses).mean(), descend(generator_loss, self.generator_optimiser)])

    def pictures(self, images: Tensor) -> Tensor:
        """Show twice as many samples as there are images."""
        return self.net.images(torch.randn(2 * len(images), self.net.latent, device=images.device))

    def discriminator_loss(self, real: Tensor) -> Tensor:
        """Cross entropy, or WGAN-GP's eq. 3 with CT-GAN's term, of (B, C, H, W) real images and as many samples."""
        discriminator = self.net.discriminator
        with torch.no_grad():
            made = channels_last(self.samples(len(real)))
        if self.rules.loss == "cross_entropy":
            return (F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(made)).mean()) / 2
        return self._critic_loss(discriminator, real, made)

    def generator_loss(self, n: int) -> Tensor:
        """Non-saturating generator loss of n samples, or the negative of what the critic says of them."""
        values = self.net.discriminator(self.samples(n))
        return F.softplus(-values).mean() if self.rules.loss == "cross_entropy" else -values.mean()

    def samples(self, n: int) -> Tensor:
        """Make (n, C, H, W) images in [low, 1] from codes z ~ N(0, I)."""
        device = next(self.net.parameters()).device
        return self.net.generator(torch.randn(n, self.net.latent, device=device))

    def _critic_loss(self, critic: Critic, real: Tensor, made: Tensor) -> Tensor:
        rules, n = self.rules, len(real)
        features = critic.features(torch.cat([real, made]))
        values = critic.head(features).squeeze(1)
        loss = values[n:].mean() - values[:n].mean() + rules.penalty * penalty(critic, real, made)
        if rules.consistency:
            loss = loss + rules.consistency * consistency(critic, real, values[:n], features[:n])
        return loss

    def _set_rates(self, lr: float) -> None:
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = lr


def penalty(critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor) -> Tensor:
    """WGAN-GP eq. 3: how far the critic's slope is from 1 between real and made images, (B, C, H, W) each."""
    between = torch.lerp(real, made, torch.rand(len(real), 1, 1, 1, device=real.device)).requires_grad_()
    (slopes,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slopes.flatten(1).norm(dim=1) - 1).square().mean()


def consistency(critic: Critic, real: Tensor, values: Tensor, features: Tensor) -> Tensor:
    """CT-GAN eq. 4 and 5 at M' = 0: how far a second pass with other dropout masks is from the first one.

    The first pass gave (B,) values and (B, D) features.
    """
    others = critic.features(real)
    apart = (values - critic.head(others).squeeze(1)).square()
    return (apart + 0.1 * (features - others).square().mean(dim=1)).mean()
