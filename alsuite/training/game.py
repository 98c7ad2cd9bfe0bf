"""The game that VAAL's family plays: a VAE hides which pool a sample is from, a discriminator finds it out.

"Variational Adversarial Active Learning", Samarth Sinha, Sayna Ebrahimi and Trevor Darrell, 2019,
https://arxiv.org/abs/1904.00370
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.optim import Optimizer

from alsuite import ranks
from alsuite.errors import UserError, not_negative, one_of, positive, whole_if_given, whole_number
from alsuite.nets.vae import VAE
from alsuite.notes import DIAGNOSIS_SECONDS, warned
from alsuite.training.clock import clock
from alsuite.training.curves import tell_losses
from alsuite.training.descent import descend, optimiser
from alsuite.training.fit import Batch, Stream, check_finite, fit, infer
from alsuite.training.losses import bound

__all__ = [
    "AdversarialGame",
    "AdversarialRules",
    "Batch",
    "Conditioning",
    "adversary_share",
    "diagnosed",
    "play",
    "reconstruction",
    "required_vae",
    "separation",
]

REDUCTIONS = ("elbo", "elbo_per_value", "sample", "mean", "sum")
ACTIVE = 0.01  # the variance of mu over samples from which a latent dimension counts (Burda et al. 2016)
Played = TypeVar("Played", bound="AdversarialGame")


@dataclass(frozen=True)
class AdversarialRules:
    """How a game is played, by default as in VAAL, table 3, for CIFAR; an epoch is one of the unlabelled pool.

    limit: the most steps, at reduced scales
    transductive, adversarial: lambda_1 and lambda_2
    kl_reduction: of `alsuite.training.losses.bound`
    vae_steps: how many steps of the VAE there are for each of D's
    of: what its options are told to belong to
    """

    epochs: float = 100
    limit: int | None = None
    batch: int = 64
    lr: float = 5e-4
    discriminator_lr: float = 5e-4
    transductive: float = 1.0
    adversarial: float = 1.0
    beta: float = 1.0
    kl_reduction: str = "elbo"
    vae_steps: int = 1
    precision: str = "32-true"
    of: str = "strategy."

    def __post_init__(self) -> None:
        one_of(f"{self.of}kl_reduction", self.kl_reduction, REDUCTIONS)
        positive(self.of, epochs=self.epochs, lr=self.lr, discriminator_lr=self.discriminator_lr)
        whole_number(self.of, batch=self.batch, vae_steps=self.vae_steps)
        whole_if_given(self.of, limit=self.limit)
        not_negative(self.of, transductive=self.transductive, adversarial=self.adversarial, beta=self.beta)


def required_vae(vae: Callable[..., VAE]) -> Callable[..., VAE]:
    """Refuse a strategy that was given no VAE."""
    if not callable(vae):
        raise UserError("this strategy needs a VAE: take generator=vae, or leave the generator out")
    return vae


class Conditioning(NamedTuple):
    """What each network sees beside the code, (B, any number)."""

    decoder: Tensor
    discriminator: Tensor


class AdversarialGame(LightningModule):
    """VAAL's algorithm 1 without the task: of each unlabelled and labelled batch a step of the VAE, and one of
    D after every `vae_steps` of these.

    The two batches pass the networks as one, so that batch norm can't take away what tells the pools apart. D's logit
    is that of "labelled", and of mu, not of a draw. A VAE without a weight in the game stays as it is.
    """

    total_steps: int = 1  # what `fit` sets

    def __init__(self, vae: VAE, discriminator: nn.Module | None, rules: AdversarialRules) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.vae = vae
        self.discriminator = discriminator
        self.rules = rules
        self.done = 0

    def configure_optimizers(self) -> list[Optimizer]:
        """Return what trains the players."""
        rules, net = self.rules, self.discriminator
        vae_plays = rules.transductive > 0 or rules.adversarial > 0
        self.vae_optimisers = [optimiser(self.vae.parameters(), "adam", rules.lr)] if vae_plays else []
        self.discriminator_optimisers = [optimiser(net.parameters(), "adam", rules.discriminator_lr)] if net else []
        return [*self.vae_optimisers, *self.discriminator_optimisers]

    def training_step(self, block: Iterable[tuple[Batch, Batch]], _: int) -> None:
        self.vae.train(bool(self.vae_optimisers))
        before, vae, discriminator = self.done, [], []
        for unlabelled, labelled in block:
            self.done += 1
            if self.vae_optimisers:
                vae.append(descend(self.vae_loss(labelled, unlabelled), *self.vae_optimisers))
            if self.discriminator_optimisers and self.done % self.rules.vae_steps == 0:
                loss = self.discriminator_loss(labelled, unlabelled)
                discriminator.append(descend(loss, *self.discriminator_optimisers))
        check_finite(sum([*vae, *discriminator], torch.zeros((), device=self.device)), "VAE or of the discriminator")
        tell_losses("game", (before, self.done), self.total_steps, {"vae": vae, "discriminator": discriminator})

    def conditioning(self, x: Tensor, *given: Tensor) -> Conditioning:
        """Return what stands beside the codes of x, `given` what else its stream holds: nothing in VAAL, (B, 0)."""
        return Conditioning(x.new_empty(len(x), 0), x.new_empty(len(x), 0))

    def vae_loss(self, labelled: Batch, unlabelled: Batch) -> Tensor:
        """Return the loss of VAAL eq. 4."""
        transductive, adversarial = self.vae_terms(labelled, unlabelled)
        return transductive + adversarial

    def vae_terms(self, labelled: Batch, unlabelled: Batch) -> tuple[Tensor, Tensor]:
        """Return the terms of VAAL eq. 4: lambda_1 times the negative of eq. 1, and lambda_2 times eq. 2."""
        (x, *given), weights = _joined(labelled, unlabelled)
        conditioning = self.conditioning(x, *given)
        mu, logvar = self.vae.encode(x)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        decoded = self.vae.decoder(torch.cat([z, conditioning.decoder], dim=1))
        rules = self.rules
        bounds = rules.transductive * bound(x, decoded, mu, logvar, self.beta(weights), rules.kl_reduction)
        if not rules.adversarial or self.discriminator is None:
            return (weights * bounds).sum(), weights.new_zeros(())
        logits = self.discriminator(torch.cat([mu, conditioning.discriminator], dim=1))
        return (weights * bounds).sum(), rules.adversarial * (weights * F.softplus(-logits)).sum()

    def beta(self, weights: Tensor) -> float | Tensor:
        """Return the weight of each sample's KL; `sum` adds it up over each pool, of which all else takes a mean."""
        parts = 1 if ranks.order() is None else ranks.count()  # of a training's batch
        return self.rules.beta * (parts / (len(weights) * weights) if self.rules.kl_reduction == "sum" else 1)

    def discriminator_loss(self, labelled: Batch, unlabelled: Batch) -> Tensor:
        """Return the loss of VAAL eq. 3."""
        (x, *given), weights = _joined(labelled, unlabelled)
        logits = self.logits(x, *given)
        logits = torch.cat([-logits[: len(labelled[0])], logits[len(labelled[0]) :]])
        return (weights * F.softplus(logits)).sum()

    def logits(self, x: Tensor, *given: Tensor) -> Tensor:
        """Return D's (B,) logits; no gradient reaches the VAE, or what stands beside its code."""
        assert self.discriminator is not None
        with torch.no_grad():
            seen = torch.cat([self.vae.encode(x)[0], self.conditioning(x, *given).discriminator], dim=1)
        return self.discriminator(seen)


def play(game: Played, unlabelled: Stream, labelled: Stream) -> Played:
    """Train the game by its rules."""
    rules = game.rules
    steps = max(1, round(rules.epochs * len(unlabelled)))
    steps = min(steps, rules.limit or steps)
    if game.discriminator is not None and rules.vae_steps > steps:
        raise UserError(f"{rules.of}vae_steps={rules.vae_steps} leaves D no turn in a game of {steps} steps: lower it")
    return fit(game, unlabelled, labelled, steps=steps, precision=rules.precision)


def separation(labelled: Tensor, unlabelled: Tensor) -> dict[str, float]:
    """Note from D's (L,) and (U,) logits how well it tells the pools apart.

    d_accuracy: how often it is right, the pools weighted equally
    d_ranking: the chance that it ranks a labelled sample above an unlabelled one, a half where they are alike to it
    """
    right = 0.5 * (labelled > 0).float().mean() + 0.5 * (unlabelled < 0).float().mean()
    ordered = unlabelled.sort().values
    places = [torch.searchsorted(ordered, labelled, side=side).float() for side in ("left", "right")]
    return {"d_accuracy": float(right), "d_ranking": float(torch.cat(places).mean() / len(unlabelled))}


def adversary_share(game: AdversarialGame, labelled: Batch, unlabelled: Batch) -> dict[str, float]:
    """Note how much of what pulls at the encoder is the adversary's, by the gradients of both terms of VAAL eq. 4.

    adversary_share: |g_adversarial| / (|g_transductive| + |g_adversarial|): near 0 the VAE plays no game
    """
    if not game.rules.adversarial or game.discriminator is None:
        return {}
    weights, terms = [*game.vae.encoder.parameters()], game.vae_terms(labelled, unlabelled)
    bound_pull, adversary_pull = (_length(term, weights) for term in terms)
    return {"adversary_share": adversary_pull / max(bound_pull + adversary_pull, 1e-12)}


def reconstruction(vae: VAE, x: Tensor, codes: Tensor, conditioning: Tensor) -> dict[str, float]:
    """Note whether the VAE has learned: x are (B, *shape) samples, `codes` their means (B, Z), `conditioning` (B, E).

    reconstruction_error, mean_sample_error: squared errors, per value, of the reconstructions and of the mean sample
    active_latents: how many dimensions of the code are in use
    """

    def error(places: Tensor) -> Tensor:
        decoded = vae.decoder(torch.cat([codes[places], conditioning[places]], dim=1))
        return (decoded - x[places]).square().flatten(1).mean(1)

    mean = x.mean(0)
    return {
        "reconstruction_error": float(infer(error, torch.arange(len(x), device=x.device)).mean()),
        "mean_sample_error": float(infer(lambda some: (some - mean).square().flatten(1).mean(1), x).mean()),
        "active_latents": int((codes.var(0, correction=0) > ACTIVE).sum()),
    }


def diagnosed(notes: Mapping[str, float], start: float, device: torch.device) -> dict[str, Any]:
    """Add to the notes a warning where there is one, and how long they took since the start."""
    return {**warned(notes), DIAGNOSIS_SECONDS: clock(device) - start}


def _length(loss: Tensor, weights: Sequence[Tensor]) -> float:
    """Return the length of a loss's gradient."""
    gradients = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    return float(torch.stack([g.square().sum() for g in gradients if g is not None]).sum().sqrt())


def _joined(labelled: Batch, unlabelled: Batch) -> tuple[list[Tensor], Tensor]:
    """Join what both batches hold, and weigh it so that a sum over all of it is the sum of the two means."""
    both = [torch.cat(pair) for pair in zip(labelled, unlabelled, strict=False)]
    weights = [torch.full((len(x),), 1 / len(x), device=x.device) for x, *_ in (labelled, unlabelled)]
    return both, torch.cat(weights)
