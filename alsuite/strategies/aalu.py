"""AALU and the ablations of its table 1.

Z. Zhu, H. Wang: Deep Adversarial Active Learning with Model Uncertainty for Image Classification, 2020.
https://ieeexplore.ieee.org/document/9190726

A VAE encodes the task model's features f (eq. 1); an assistant A over m = [z, p], the code and the task's prediction,
tells unlabelled (1) from labelled (0) while the VAE hides it (eq. 5-7), and ranks labelled samples by the task's loss
(eq. 8). Asked for are the largest A(m). Features and predictions are computed once a cycle.

In terms of VAAL's game A = 1 - D: eq. 2-7 are VAAL's eq. 2-4. Unstated are the widths, p (probabilities here), and
whether lossLearn's A sees p (it does here, as in eq. 8). Algorithm 1 leaves open which pool an epoch of the second loop
goes through; here it is the unlabelled one. The paper encodes the features as the task model gives them; `standardise`
brings them to zero mean and unit spread first, without which the bound of features that are small, or of very different
size, says little about most of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from alsuite.errors import UserError, not_negative, whole_number
from alsuite.nets.vae import VAE, discriminator
from alsuite.notes import FIT_SECONDS
from alsuite.pool import Pool, evenly, gather
from alsuite.strategies import Notes, Query
from alsuite.tasks import Task, precision, scanned
from alsuite.tasks.segmentation import of_pixels
from alsuite.training.clock import clock
from alsuite.training.fit import Stream, infer
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
from alsuite.training.losses import ranking_hinge
from alsuite.training.together import enough

__all__ = ["AALU", "Assistance"]

WATCHED = 2**22  # values of features whose reconstruction is measured at the most


class Assistance(AdversarialGame):
    """VAAL's game over features, with eq. 9 for the assistant."""

    def __init__(
        self, vae: VAE, assistant: nn.Module, rules: AdversarialRules, prediction: bool, ranking: float, margin: float
    ) -> None:
        super().__init__(vae, assistant, rules)
        self.prediction = prediction
        self.ranking = ranking
        self.margin = margin

    def conditioning(self, x: Tensor, *given: Tensor) -> Conditioning:
        probs, *_ = given
        return Conditioning(x.new_empty(len(x), 0), probs.to(x.dtype) if self.prediction else x.new_empty(len(x), 0))

    def discriminator_loss(self, labelled: Batch, unlabelled: Batch) -> Tensor:
        loss = torch.zeros((), device=self.device)
        if self.rules.adversarial:
            loss = loss + super().discriminator_loss(labelled, unlabelled)
        if self.ranking:
            features, probs, losses = labelled
            informative = torch.sigmoid(-self.logits(features, probs))
            loss = loss + self.ranking * ranking_hinge(informative, losses, self.margin)
        return loss


class AALU:
    """Asks for the samples that the assistant A finds most informative.

    vae: `vae(shape)` builds the VAE of the features, eq. 1
    prediction: whether A sees the task's prediction p beside the code z, eq. 5-8 (the paper: yes)
    ranking: lambda of eq. 9, the weight of the ranked losses; 0 leaves them out
    margin: xi of eq. 8
    assistant_layers: of A
    standardise: whether the VAE sees features of zero mean and unit spread (the paper: as they are)
    rules: of the game (alsuite.training.game.AdversarialRules): among them adversarial, beta of eq. 6, without which A
        learns the ranked losses alone; kl_reduction, of eq. 1
    """

    def __init__(
        self,
        vae: Callable[..., VAE],
        *,
        prediction: bool = True,
        ranking: float = 10.0,
        margin: float = 0.1,
        assistant_layers: int = 3,
        standardise: bool | None = None,
        **rules: Any,
    ) -> None:
        if not ranking and not rules.get("adversarial", 1):
            raise UserError("with strategy.ranking=0 and strategy.adversarial=0 the assistant learns nothing: set one")
        not_negative("strategy.", ranking=ranking, margin=margin)
        self.make_vae = required_vae(vae)
        self.prediction = prediction
        self.ranking = ranking
        self.margin = margin
        whole_number("strategy.", assistant_layers=assistant_layers)
        self.layers = assistant_layers
        self.standardise = standardise
        self.rules = AdversarialRules(**rules)

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        start = clock(pool.device)
        features, probs, losses = outputs_and_losses(task, pool)
        features = standardised(features) if self.standardise else features
        game = self.trained(pool, features, probs, losses)
        seconds = clock(pool.device) - start
        scores, notes = self.scored(game, pool, features, probs, losses)
        return Query.best(pool.unlabelled, scores, n, {**notes, FIT_SECONDS: seconds})

    def trained(self, pool: Pool, features: Tensor, probs: Tensor, losses: Tensor) -> Assistance:
        if self.ranking:
            enough(self.rules.batch, 2)  # to be compared
        vae = self.make_vae(features.shape[1:])
        assistant = discriminator(vae.latent + probs.shape[1] * self.prediction, self.layers)
        game = Assistance(vae, assistant, self.rules, self.prediction, self.ranking, self.margin).to(pool.device)
        served: Any = {"batch": self.rules.batch, "prepare": Tensor.float}
        unlabelled = Stream(features, probs, indices=pool.unlabelled, **served)
        labelled = Stream(features, probs, losses, indices=pool.labelled, **served)
        return play(game, unlabelled, labelled)

    def scored(
        self, game: Assistance, pool: Pool, features: Tensor, probs: Tensor, losses: Tensor
    ) -> tuple[Tensor, Notes]:
        """Return for each unlabelled sample the log odds of A(m), which order as A(m) does, and the notes."""
        assistant = game.discriminator
        assert assistant is not None

        def seen(places: Tensor) -> Tensor:
            codes = game.vae.encode(features[places].float())[0]
            return torch.cat([codes, probs[places].to(codes.dtype)], dim=1) if self.prediction else codes

        logits = infer(assistant, torch.arange(len(features), device=features.device), seen)
        unlabelled, start = pool.unlabelled, clock(pool.device)
        watched = features[evenly(unlabelled, max(1, WATCHED // features.shape[1]))].float()
        codes = infer(lambda x: game.vae.encode(x)[0], watched)
        notes = reconstruction(game.vae, watched, codes, codes[:, :0])
        if self.rules.adversarial:
            notes |= separation(logits[pool.labelled], logits[unlabelled])
            some = [evenly(indices, self.rules.batch) for indices in (pool.labelled, unlabelled)]
            notes |= adversary_share(game, *((features[i].float(), probs[i]) for i in some))
        if self.ranking:
            notes |= loss_ranking(-logits[pool.labelled], losses[pool.labelled])
        return -logits[unlabelled], diagnosed(notes, start, pool.device)


def loss_ranking(informative: Tensor, losses: Tensor) -> dict[str, float]:
    """Note the chance that A finds that of two labelled samples more informative whose loss is larger.

    Pairs are each sample of the first half with its like in the second; of ties none is right.
    """
    half = len(losses) // 2
    more = [(values[:half] - values[half : 2 * half]).sign() for values in (losses, informative)]
    return {"loss_ranking": float((more[0] * more[1] > 0).float().mean())} if half else {}


def outputs_and_losses(task: Task, pool: Pool) -> tuple[Tensor, Tensor, Tensor]:
    """Return the task's (N, D) features, (N, K) probabilities and (N,) losses, which are read where there is a label.

    Features and probabilities that would fill gigabytes are kept in half precision.
    """
    kind = precision(len(pool) * pool.classes)
    each = not pool.per_pixel

    def kept(indices: Tensor, features: Tensor, log_probs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        labels = pool.labels[indices].clamp(min=0) if each else torch.zeros_like(indices)
        features = features.to(precision(len(pool) * features.shape[1]))
        return features, log_probs.exp().to(kind), -log_probs.gather(1, labels[:, None]).squeeze(1)

    features, probs, losses = scanned(task, pool.rows(torch.arange(len(pool), device=pool.device)), kept)
    if not each:
        labels = gather(pool.labels, pool.labelled.to(pool.labels.device))
        losses[pool.labelled] = of_pixels(task).losses(pool.rows(pool.labelled), labels)
    return features, probs, losses


def standardised(features: Tensor) -> Tensor:
    """Give each column, in place, zero mean and unit spread; less where a unit is nearly dead, which would tower."""
    spread = features.std(0)
    return features.sub_(features.mean(0)).div_(spread.clamp(min=max(0.1 * float(spread.mean()), 1e-6)))
