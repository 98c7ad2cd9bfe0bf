"""The game that VAAL's family plays: a VAE hides which pool a sample is from, a discriminator finds it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.optim import Optimizer

from alsuite.errors import UserError, positive
from alsuite.nets.vae import VAE
from alsuite.training.fit import Stream, check_finite, fit, infer, optimiser
from alsuite.training.losses import bound

__all__ = ["Batch", "Beside", "Game", "Rules", "diagnosis", "play", "required", "warned", "watched"]

REDUCTIONS = ("elbo", "mean", "sum")
ACTIVE = 0.01  # the variance of mu over samples from which a latent dimension counts (Burda et al. 2016)
Batch = tuple[Tensor, ...]
Played = TypeVar("Played", bound="Game")


@dataclass(frozen=True)
class Rules:
    """By default those of VAAL, table 3, for CIFAR; an epoch is one of the unlabelled pool."""

    epochs: float = 100
    limit: int | None = None  # the most steps, at reduced scales
    batch: int = 64
    lr: float = 5e-4
    discriminator_lr: float = 5e-4
    transductive: float = 1.0  # lambda_1
    adversarial: float = 1.0  # lambda_2
    beta: float = 1.0
    kl_reduction: str = "elbo"
    vae_steps: int = 1  # for each of D's

    def __post_init__(self) -> None:
        if self.kl_reduction not in REDUCTIONS:
            raise UserError(f"kl_reduction={self.kl_reduction} is unknown: choose {', '.join(REDUCTIONS)}")
        rates = {name: getattr(self, name) for name in ("epochs", "batch", "lr", "discriminator_lr", "vae_steps")}
        positive("", **rates, limit=1 if self.limit is None else self.limit)
        for name in ("transductive", "adversarial", "beta"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and value >= 0):
                raise UserError(f"{name}={value} must be a number from 0")


def required(vae: Callable[..., VAE]) -> Callable[..., VAE]:
    if not callable(vae):
        raise UserError("this strategy needs a VAE: take generator=vae, or leave the generator out")
    return vae


class Beside(NamedTuple):
    """What decoder and discriminator see beside the code, (B, any number) each."""

    decoder: Tensor
    discriminator: Tensor


class Game(LightningModule):
    """VAAL's algorithm 1 without the task: of each unlabelled and labelled batch a step of the VAE and one of D.

    The two batches pass the networks as one, so that batch norm can't take away what tells the pools apart. D's logit
    is that of "labelled", and of mu, not of a draw. A VAE without a weight in the game stays as it is.
    """

    total_steps: int

    def __init__(self, vae: VAE, discriminator: nn.Module | None, rules: Rules) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.vae = vae
        self.discriminator = discriminator
        self.rules = rules
        self.done = 0

    def configure_optimizers(self) -> list[Optimizer]:
        rules, finder = self.rules, self.discriminator
        hides = rules.transductive > 0 or rules.adversarial > 0
        self.hiders = [optimiser(self.vae.parameters(), "adam", rules.lr)] if hides else []
        self.finders = [optimiser(finder.parameters(), "adam", rules.discriminator_lr)] if finder else []
        return [*self.hiders, *self.finders]

    def training_step(self, block: Any, _: int) -> None:
        self.vae.train(bool(self.hiders))
        total = torch.zeros((), device=self.device)
        for unlabelled, labelled in block:
            self.done += 1
            if self.hiders:
                total += _descend(self.hiders, self.hiding_loss(labelled, unlabelled))
            if self.finders and self.done % self.rules.vae_steps == 0:
                total += _descend(self.finders, self.finding_loss(labelled, unlabelled))
        check_finite(total, "VAE or of the discriminator")

    def beside(self, x: Tensor, *given: Tensor) -> Beside:
        """Nothing in VAAL: (B, 0)."""
        return Beside(x.new_empty(len(x), 0), x.new_empty(len(x), 0))

    def hiding_loss(self, labelled: Batch, unlabelled: Batch) -> Tensor:
        """VAAL eq. 4: lambda_1 times the negative of eq. 1, plus lambda_2 times eq. 2."""
        (x, *given), weights = _joined(labelled, unlabelled)
        beside = self.beside(x, *given)
        mu, logvar = self.vae.encode(x)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        decoded = self.vae.decoder(torch.cat([z, beside.decoder], dim=1))
        rules = self.rules
        loss = rules.transductive * bound(x, decoded, mu, logvar, rules.beta, rules.kl_reduction)
        if rules.adversarial and self.discriminator is not None:
            logits = self.discriminator(torch.cat([mu, beside.discriminator], dim=1))
            loss = loss + rules.adversarial * F.softplus(-logits)
        return (weights * loss).sum()

    def finding_loss(self, labelled: Batch, unlabelled: Batch) -> Tensor:
        """VAAL eq. 3."""
        (x, *given), weights = _joined(labelled, unlabelled)
        logits = self.found(x, *given)
        logits = torch.cat([-logits[: len(labelled[0])], logits[len(labelled[0]) :]])
        return (weights * F.softplus(logits)).sum()

    def found(self, x: Tensor, *given: Tensor) -> Tensor:
        """D's logits; no gradient reaches the VAE, or what is beside its code."""
        assert self.discriminator is not None
        with torch.no_grad():
            seen = torch.cat([self.vae.encode(x)[0], self.beside(x, *given).discriminator], dim=1)
        return self.discriminator(seen)


def play(game: Played, unlabelled: Stream, labelled: Stream, precision: str = "32-true") -> Played:
    """The game trained by its rules."""
    steps = max(1, round(game.rules.epochs * len(unlabelled)))
    return fit(game, unlabelled, labelled, steps=min(steps, game.rules.limit or steps), precision=precision)


def diagnosis(labelled: Tensor, unlabelled: Tensor) -> dict[str, float]:
    """Of D's logits: how often it's right, the pools weighted equally, and the chance that it ranks a pair rightly."""
    right = 0.5 * (labelled > 0).float().mean() + 0.5 * (unlabelled < 0).float().mean()
    below = torch.searchsorted(unlabelled.sort().values, labelled).float().mean() / len(unlabelled)
    return {"d_accuracy": float(right), "d_ranking": float(below)}


def watched(vae: VAE, x: Tensor, codes: Tensor, beside: Tensor) -> dict[str, float]:
    """Squared error of the reconstructions and of the mean sample, both per value, and how many latents are in use."""
    decoded = infer(lambda code: vae.decoder(code).flatten(1), torch.cat([codes, beside], dim=1))
    return {
        "reconstruction_error": float((decoded - x.flatten(1)).square().mean()),
        "mean_sample_error": float((x - x.mean(0)).square().mean()),
        "active_latents": int((codes.var(0, correction=0) > ACTIVE).sum()),
    }


def warned(notes: dict[str, Any]) -> dict[str, Any]:
    """The notes, with a warning where the VAE or D has learned nothing."""
    if notes.get("reconstruction_error", 0) > 0.95 * notes.get("mean_sample_error", 1):
        return {**notes, "warning": "the VAE has collapsed to the mean: try kl_reduction=elbo, or more epochs"}
    if notes.get("d_ranking", 1) < 0.52:
        return {**notes, "warning": "the discriminator can't tell labelled from unlabelled: its picks are near chance"}
    return notes


def _joined(labelled: Batch, unlabelled: Batch) -> tuple[list[Tensor], Tensor]:
    """What both batches hold, as one, and weights that make a sum over it the sum of the two means."""
    both = [torch.cat(pair) for pair in zip(labelled, unlabelled, strict=False)]
    weights = [torch.full((len(x),), 1 / len(x), device=x.device) for x, *_ in (labelled, unlabelled)]
    return both, torch.cat(weights)


def _descend(optimisers: Sequence[Optimizer], loss: Tensor) -> Tensor:
    parameters = [p for each in optimisers for group in each.param_groups for p in group["params"]]
    for parameter in parameters:
        parameter.grad = None
    loss.backward(inputs=parameters)  # the other player's gradients aren't computed
    for each in optimisers:
        each.step()
    return loss.detach()
