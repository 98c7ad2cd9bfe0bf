"""VAAL and its ablations (section 5.1).

S. Sinha, S. Ebrahimi, T. Darrell: Variational Adversarial Active Learning, 2019. https://arxiv.org/abs/1904.00370

A VAE learns codes z of all images, labelled and unlabelled (eq. 1), and hides from a discriminator D which pool a code
comes from (eq. 2); D finds it out (eq. 3). Asked for are the images that D thinks least likely to be labelled: lowest
D(mu) (algorithm 2). Only the encoder and D score the pool. That D sees the mean mu, and not a draw, is how the release
reads it; an epoch is one of the unlabelled images, which algorithm 1 leaves open.

The paper leaves open how squared error and KL are summed, on which lambda_2 depends: `kl_reduction` names the readings
(alsuite.training.losses.bound). `elbo` sums both over an image, a true bound, beside which a lambda_2 of 1 pulls at the
encoder hardly at all where images are large. It is the default for what scripts/tune_game.py measured on held-out
training images of three data sets (outputs/published/game.md): where the adversary pulls harder, by a larger lambda_2
or by a mean over values, the VAE gives images back worse and D finds missing classes less often, and without it
(adversarial=0) D finds them as well. These images have up to 64 pixels a side; larger ones were not measured, nor was
the accuracy that the readings lead to. `sum` is the authors' release, where the code collapses. Their release also
takes `vae_steps=2` for each step of D, and `discriminator_layers=3` in its later commits.

How many steps the game needs is open, too. On CIFAR-10 at the laptop scale 1,000 to 32,000 of them do no better than
random labels in one query for 5,000, nor does a VAE four times as wide, nor one that sees images as they are
(scripts/tune_steps.py, outputs/published/steps.md), nor does D find missing classes more often after 8,000 of them than
after 1,000 (game.md); in two queries for 2,500 games of 8,000 steps get more right than those of 1,000
(outputs/published/game_cifar10).

Each query notes what tells whether the game is alive: how well D ranks (`d_ranking`), the adversary's share of the
gradient that moves the encoder (`adversary_share`), and how well the VAE reconstructs. No timing counts that, nor the
scan of the labelled images that it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from alsuite.errors import UserError, one_of, whole_number
from alsuite.nets.vae import VAE, discriminator, no_vae
from alsuite.notes import FIT_SECONDS
from alsuite.pool import Pool, Rows, evenly
from alsuite.strategies import Notes, Query
from alsuite.tasks import Task, chunked
from alsuite.training.augment import augmentations
from alsuite.training.clock import clock
from alsuite.training.fit import Stream, channels_last, infer
from alsuite.training.game import (
    AdversarialGame,
    AdversarialRules,
    Batch,
    Conditioning,
    adversary_share,
    diagnosed,
    play,
    reconstruction,
    required_vae,
    separation,
)

__all__ = ["VAAL", "NoDiscriminator", "Seen", "wasserstein"]

WATCHED, WATCHED_VALUES = 1000, 2**27  # images whose reconstruction is measured, and how much they may hold


class Seen(AdversarialGame):
    """The game with values of each sample beside its code, for the decoder and for D."""

    def conditioning(self, x: Tensor, *given: Tensor) -> Conditioning:
        return Conditioning(given[0], given[0])


class VAAL:
    """Asks for the images that D is surest are unlabelled.

    vae: `vae(shape, extra=...)` builds the VAE, for `extra` values beside the code
    discriminator_layers: of D (section 4.1), each with 512 units, as in the release
    augment: how images are changed at random while VAE and D train
    rules: of the game (alsuite.training.game.AdversarialRules): among them transductive, lambda_1, which weighs eq. 1
        in eq. 4; adversarial, lambda_2, which weighs eq. 2 there; beta, of the KL in eq. 1; kl_reduction; vae_steps
    """

    def __init__(
        self, vae: Callable[..., VAE], *, discriminator_layers: int = 5, augment: str = "none", **rules: Any
    ) -> None:
        one_of("strategy.augment", augment, augmentations)
        self.make_vae = required_vae(vae)
        whole_number("strategy.", discriminator_layers=discriminator_layers)
        self.layers = discriminator_layers
        self.augment = augmentations[augment]
        self.rules = AdversarialRules(**rules)
        if getattr(vae, "func", vae) is no_vae and (self.rules.transductive or self.rules.adversarial):
            raise UserError(
                "generator=no_vae has nothing to train: take strategy=vaal_no_vae, or leave the generator out"
            )

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        start = clock(pool.device)
        conditioning = self.conditioning(pool, task)
        game = self.trained(pool, conditioning)
        seconds = clock(pool.device) - start
        scores, notes = self.scored(game, pool, conditioning)
        return Query.best(pool.unlabelled, scores, n, {**notes, FIT_SECONDS: seconds})

    def conditioning(self, pool: Pool, task: Task) -> Tensor:
        """Return (N, E) what decoder and D see of each sample beside its code: nothing."""
        return torch.empty(len(pool), 0, device=pool.device)

    def trained(self, pool: Pool, conditioning: Tensor) -> AdversarialGame:
        def augmented(images: Tensor) -> Tensor:
            for change in self.augment:
                images = change(images)
            return channels_last(pool.normalise(images))

        extra = conditioning.shape[1]
        vae = self.make_vae(pool.images.shape[1:], extra=extra).to(pool.device)
        vae = vae.to(memory_format=torch.channels_last)
        game = Seen(vae, self.make_discriminator(vae.latent + extra, pool.device), self.rules)
        unlabelled, labelled = (
            Stream(pool.images, conditioning, batch=self.rules.batch, indices=indices, prepare=augmented)
            for indices in (pool.unlabelled, pool.labelled)
        )
        return play(game, unlabelled, labelled)

    def make_discriminator(self, inputs: int, device: torch.device) -> torch.nn.Module | None:
        return discriminator(inputs, self.layers).to(device)

    def scored(self, game: AdversarialGame, pool: Pool, conditioning: Tensor) -> tuple[Tensor, Notes]:
        """Return for each unlabelled image -log odds of "labelled", and what tells a live game from a dead one."""
        net = game.discriminator
        assert net is not None

        def logits(some: Rows) -> Tensor:
            codes = game.vae.encode(prepared(pool, some[:]))[0]
            return net(torch.cat([codes, conditioning[some.indices]], dim=1))

        unlabelled = chunked(pool.rows(pool.unlabelled), logits)
        start = clock(pool.device)
        notes = {
            **separation(chunked(pool.rows(pool.labelled), logits), unlabelled),
            **self.reconstruction_notes(game.vae, pool, conditioning),
            **adversary_share(game, *(self.batch(pool, conditioning, i) for i in (pool.labelled, pool.unlabelled))),
        }
        return -unlabelled, diagnosed(notes, start, pool.device)

    def batch(self, pool: Pool, conditioning: Tensor, indices: Tensor) -> Batch:
        """Return a batch of these images, evenly spread over them, and what stands beside their codes."""
        some = evenly(indices, self.rules.batch)
        return prepared(pool, pool.rows(some)[:]), conditioning[some]

    def reconstruction_notes(self, vae: VAE, pool: Pool, conditioning: Tensor) -> dict[str, float]:
        if not self.rules.transductive:
            return {}
        most = min(WATCHED, WATCHED_VALUES // pool.images[0].numel() + 1)
        some = evenly(pool.unlabelled, most)
        images = pool.normalise(pool.rows(some)[:].to(pool.device))
        return reconstruction(vae, images, encoded(vae, pool, some)[0], conditioning[some])


class NoDiscriminator(VAAL):
    """Asks without D (section 5.1) for the images that lie farthest, by eq. 5, from where the labelled ones do."""

    def make_discriminator(self, inputs: int, device: torch.device) -> None:
        return None

    def scored(self, game: AdversarialGame, pool: Pool, conditioning: Tensor) -> tuple[Tensor, Notes]:
        mu, logvar = encoded(game.vae, pool, pool.unlabelled)
        distances = wasserstein(mu, logvar, *encoded(game.vae, pool, pool.labelled))
        start = clock(pool.device)
        return distances, diagnosed(self.reconstruction_notes(game.vae, pool, conditioning), start, pool.device)


def wasserstein(mu: Tensor, logvar: Tensor, labelled_mu: Tensor, labelled_logvar: Tensor) -> Tensor:
    """Return (U,) 2-Wasserstein distances, eq. 5, to the Gaussian with mean and variance of all labelled codes z."""
    centre = labelled_mu.mean(0)
    spread = (labelled_logvar.exp().mean(0) + labelled_mu.var(0, correction=0)).sqrt()
    return ((mu - centre).square().sum(1) + ((0.5 * logvar).exp() - spread).square().sum(1)).sqrt()


def encoded(vae: VAE, pool: Pool, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Return (M, Z) means and log-variances."""
    return infer(vae.encode, pool.rows(indices), lambda images: prepared(pool, images))


def prepared(pool: Pool, images: Tensor) -> Tensor:
    return channels_last(pool.normalise(images.to(pool.device)))
