"""M2 as M2-VAAL trains it: a classifier that also learns from what a VAE makes of its predictions.

"Semi-Supervised Learning with Deep Generative Models", Diederik P. Kingma, Danilo J. Rezende, Shakir Mohamed and Max
Welling, 2014, https://arxiv.org/abs/1406.5298; "Active Learning using Deep Generative Models", Arpan Losalka, Dipika
Singhania and Sun Xiaofei.

Decoder and discriminator D see y' = r(x), the classifier's prediction, beside the code z. With the discriminator
`adversarial`, VAE and classifier play against it (eq. 8); `detached`, D learns on the side (eq. 9); with `none` there
is no D. That the classifier plays, too, is a reading: eq. 6 names the encoder alone, but the text has both of z and y'
made alike, to the classifier's harm. Two equations are read as VAAL's, which they build on: eq. 5, which has a D around
p(X | Z, Y'), and eq. 7, whose "1 - log D" stands for log (1 - D).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from alsuite.errors import UserError, one_of, positive, whole_if_given, whole_number
from alsuite.nets.vae import VAE, discriminator
from alsuite.pool import Images, Pool, pixels
from alsuite.tasks.classification import Classification, Classifier
from alsuite.training.fit import Stream, infer
from alsuite.training.game import AdversarialGame, AdversarialRules, Batch, Conditioning, play
from alsuite.training.losses import two_class

__all__ = ["M2", "Objective"]

DISCRIMINATORS = ("none", "detached", "adversarial")
EPOCHS = ("unlabelled", "labelled")


class Objective(AdversarialGame):
    """Eq. 8, its second term weighted by `transductive`; eq. 9 by rules without an adversary."""

    def __init__(
        self, classifier: Classifier, vae: VAE, discriminator: nn.Module | None, rules: AdversarialRules
    ) -> None:
        super().__init__(vae, discriminator, rules)
        self.classifier = classifier

    def configure_optimizers(self) -> list[Optimizer]:
        """Return what trains the players, the classifier among them."""
        players, learner = super().configure_optimizers(), self.classifier.configure_optimizers()
        self.vae_optimisers = [*self.vae_optimisers, learner]
        if self.classifier.schedule != "constant":
            self.classifier.total_steps = self.total_steps
            learner.register_step_pre_hook(lambda *_: self.classifier.set_rate(learner, self.done - 1))
        return [*players, learner]

    def conditioning(self, x: Tensor, *given: Tensor) -> Conditioning:
        """Return y', (B, K), for both, and remember the classifier's outputs."""
        self.outputs = self.classifier.net(x)
        predicted = two_class(self.outputs).softmax(1)
        return Conditioning(predicted, predicted)

    def vae_loss(self, labelled: Batch, unlabelled: Batch) -> Tensor:
        """Eq. 4 + 5 + 6."""
        played, labels = super().vae_loss(labelled, unlabelled), labelled[1]
        return self.classifier.loss(self.outputs[: len(labels)], labels) + played


class M2(Classification):
    """Classification with a VAE beside the classifier.

    `net` is the classifier's, `vae(shape, extra=...)` builds the VAE, and `classification` are options of its parent.
    `epoch_of` tells whether an epoch is one of the unlabelled or of the labelled images, which the paper leaves open.
    `transductive` weighs eq. 5, which has a weight of 1 in eq. 8 and 9.
    """

    def __init__(
        self,
        net: Callable[..., nn.Sequential],
        vae: Callable[..., VAE],
        *,
        discriminator: str = "none",
        discriminator_layers: int = 3,
        steps: int | None = None,
        transductive: float = 1.0,
        epoch_of: str = "unlabelled",
        beta: float = 1.0,
        kl_reduction: str = "elbo",
        vae_lr: float = 1e-3,
        discriminator_lr: float = 1e-3,
        **classification: Any,
    ) -> None:
        one_of("task_model.discriminator", discriminator, DISCRIMINATORS)
        one_of("task_model.epoch_of", epoch_of, EPOCHS)
        if classification.get("mirrored"):
            raise UserError("task_model.mirrored: M2's VAE sees images as they are: leave it out")
        super().__init__(net, **classification)
        self.make_vae = vae
        self.discriminator = discriminator
        whole_number("task_model.", discriminator_layers=discriminator_layers)
        whole_if_given("task_model.", steps=steps)
        positive("task_model.", vae_lr=vae_lr, discriminator_lr=discriminator_lr)
        self.layers = discriminator_layers
        self.epoch_of = epoch_of
        self.rules = AdversarialRules(
            limit=steps,
            lr=vae_lr,
            discriminator_lr=discriminator_lr,
            transductive=transductive,
            adversarial=float(discriminator == "adversarial"),
            beta=beta,
            kl_reduction=kl_reduction,
            precision=self.precision,
            of="task_model.",
        )

    def learn(self, pool: Pool) -> Self:
        """Train new networks on all images, and on the labels that are known."""
        labelled, vae = self._begin(pool), self.make_vae(tuple(pool.images.shape[1:]), extra=pool.classes)
        self.vae = vae.to(pool.device).to(memory_format=torch.channels_last)
        self.discriminator_net = None
        if self.discriminator != "none":
            self.discriminator_net = discriminator(vae.latent + pool.classes, self.layers).to(pool.device)
        rest = pool.unlabelled if len(pool.unlabelled) else pool.labelled
        unlabelled = Stream(pool.images, batch=self.batch, indices=rest, prepare=self._prepare_training)
        share = len(labelled) / len(unlabelled) if self.epoch_of == "labelled" else 1.0
        rules = replace(self.rules, epochs=share * self._epochs(len(pool.labelled)))
        objective = Objective(self._module(), self.vae, self.discriminator_net, rules)
        self.game = play(objective, unlabelled, labelled)
        return self

    def codes(self, images: Images) -> tuple[Tensor, Tensor]:
        """Return what tells the samples apart: (N, Z) means and (N, K) log-probabilities."""
        return infer(self._coded, images, self._prepare)

    def labelled_logits(self, images: Images) -> Tensor:
        """Return D's (N,) log odds that each is labelled."""
        net = self.discriminator_net
        if net is None:
            raise UserError(
                "this task model has no discriminator: set task_model.discriminator=adversarial or detached"
            )
        return infer(lambda x: net(self._seen(x)), images, self._prepare)

    def reconstructed(self, images: Images) -> Tensor:
        """Return what the decoder makes of mu and y', (N, C, H, W) uint8."""
        decoded = infer(lambda x: self.vae.decoder(self._seen(x)), images, self._prepare)
        mean, std = (
            torch.tensor(v, device=self.device).view(-1, 1, 1) for v in (self.normalise.mean, self.normalise.std)
        )
        return pixels(decoded * std + mean)

    def _coded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.vae.encode(x)[0], self._log_probs(self.net(x))

    def _seen(self, x: Tensor) -> Tensor:
        """Return [mu, y'], (B, Z + K)."""
        mu, log_probs = self._coded(x)
        return torch.cat([mu, log_probs.exp()], dim=1)
