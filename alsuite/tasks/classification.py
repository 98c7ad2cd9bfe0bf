"""Image classification by a network that is made and trained anew each cycle."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Self

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from alsuite.errors import UserError, one_of, positive
from alsuite.pool import Images, Pool
from alsuite.tasks.masked import first_dropout, mean, under_a_mask
from alsuite.training.augment import augmentations
from alsuite.training.curves import tell_losses
from alsuite.training.descent import optimiser, schedules
from alsuite.training.fit import Batch, Stream, channels_last, check_finite, chunk_size, fit, infer
from alsuite.training.losses import cross_entropy, hinge, two_class

__all__ = ["Classification", "Classifier"]

LOSSES: dict[str, Callable[..., Tensor]] = {"cross_entropy": cross_entropy, "hinge": hinge}
FASTEST = 100  # rate of learning


class Classifier(LightningModule):
    """A network, its loss and its optimiser; trains a block of batches a call.

    net: (B, C, H, W) -> (B, outputs)
    loss: (B, outputs), (B,) labels -> ()
    settings: those of `optimiser`
    milestones: shares of the training after which the rate is a tenth
    """

    total_steps: int = 1  # what `fit` sets

    def __init__(
        self,
        net: nn.Sequential,
        loss: Callable[..., Tensor],
        settings: dict[str, Any],
        schedule: str = "constant",
        milestones: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = net
        self.loss = loss
        self.settings = settings
        self.schedule = schedule
        self.milestones = tuple(milestones)
        self.step = 0

    def configure_optimizers(self) -> Optimizer:
        """Return what trains the network."""
        return optimiser(self.parameters(), **self.settings)

    def training_step(self, block: Iterable[tuple[Batch]], _: int) -> None:
        steps = self.optimizers(use_pl_optimizer=False)
        assert isinstance(steps, Optimizer)
        parameters, losses = list(self.parameters()), []
        for ((images, labels),) in block:
            if self.schedule != "constant":
                self.set_rate(steps, self.step)
            loss = self.objective(images, labels)
            for parameter in parameters:  # `descend` would take an eighth longer for a linear model
                parameter.grad = None
            loss.backward()
            steps.step()
            losses.append(loss.detach())
            self.step += 1
        check_finite(torch.stack(losses).sum(), "task model")
        tell_losses("task", (self.step - len(losses), self.step), self.total_steps, {"loss": losses})

    def objective(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of (B, C, H, W) images and (B,) labels."""
        return self.loss(self.net(images), labels)

    def set_rate(self, steps: Optimizer, step: int) -> None:
        """Set the learning rate that the schedule has for a step."""
        rate = self.settings["lr"] * schedules[self.schedule](step / self.total_steps, self.milestones)
        for group in steps.param_groups:
            group["lr"] = rate


class Classification:
    """The task of telling images' classes.

    `net(shape, outputs)` builds an nn.Sequential whose last module maps features to logits. Two classes take a single
    output f, read as the logits (0, f). `limit` caps the epochs at reduced scales. `epochs_at` is the number of labels
    for which `epochs` hold: with more they fall by the root, or stay alike where it is left out. `smoothing` is the
    share of a label that all classes get. With `mirrored`, features are means of an image's and its mirror image's.
    """

    def __init__(
        self,
        net: Callable[..., nn.Sequential],
        *,
        loss: str = "cross_entropy",
        smoothing: float = 0.0,
        epochs: int = 10,
        epochs_at: int | None = None,
        limit: int | None = None,
        batch: int = 50,
        optimiser: str | Callable[..., Optimizer] = "adam",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        nesterov: bool = False,
        schedule: str = "constant",
        milestones: Sequence[float] = (),
        augment: str = "none",
        mirrored: bool = False,
        precision: str = "32-true",
    ) -> None:
        one_of("task_model.loss", loss, LOSSES)
        one_of("task_model.schedule", schedule, schedules)
        one_of("task_model.augment", augment, augmentations)
        positive("task_model.", epochs=epochs, batch=batch, lr=lr)
        optional = {"epochs_at": epochs_at, "limit": limit}
        positive("task_model.", **{name: value for name, value in optional.items() if value is not None})
        if smoothing and loss == "hinge":
            raise UserError("task_model.smoothing is for task_model.loss=cross_entropy: leave it out, or take it")
        check_sense(batch, lr, getattr(net, "keywords", {}).get("dropout", 0.0))
        self.make_net = net
        self.loss = partial(LOSSES[loss], smoothing=smoothing) if smoothing else LOSSES[loss]
        self.epochs, self.epochs_at, self.limit = epochs, epochs_at, limit
        self.batch, self.mirrored, self.precision = batch, mirrored, precision
        rates = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov}
        self.settings = {"name": optimiser, **rates}
        self.schedule = (schedule, milestones)
        self.augment = augmentations[augment]

    def learn(self, pool: Pool) -> Self:
        """Train a new network on the pool's labelled images."""
        stream = self._begin(pool)
        fit(self._module(), stream, epochs=self._epochs(len(pool.labelled)), precision=self.precision)
        return self

    def recalled(self, pool: Pool, state: dict[str, Tensor]) -> Self:
        """Restore a task that had learned from this pool; `state` is its network's."""
        self._begin(pool)
        self.net.load_state_dict(state)
        self.net.eval()
        return self

    def log_probs(self, images: Images) -> Tensor:
        """Return (N, K) log-probabilities of uint8 images."""
        return infer(lambda x: self._log_probs(self._logits(x)), images, self._prepare, self._at_a_time(images))

    def outputs(self, images: Images) -> tuple[Tensor, Tensor]:
        """Return (N, D) features and (N, K) log-probabilities of uint8 images from one pass."""

        def both(x: Tensor) -> tuple[Tensor, Tensor]:
            features = self._features(x)
            return features, self._log_probs(self.net[-1](features))

        return infer(both, images, self._prepare, self._at_a_time(images))

    def differentiable_log_probs(self, images: Tensor) -> Tensor:
        """Return (N, K) log-probabilities of images in 0..1; gradients reach the images."""
        return self._log_probs(self.net[-1](self._features(self._prepare(images))))

    def scored(self, images: Images, score: Callable[[Tensor], Tensor], masks: int = 0, whole: bool = False) -> Tensor:
        """Return (N,) scores of uint8 images, under dropout masks if there are any.

        What comes before the first dropout, and is the same under each mask, runs once, unless each is a `whole` pass.
        """
        if masks:
            return self._masked(images, score, masks, whole)
        return infer(lambda x: score(self._log_probs(self._logits(x))), images, self._prepare, self._at_a_time(images))

    def _masked(self, images: Images, score: Callable[[Tensor], Tensor], masks: int, whole: bool) -> Tensor:
        first = first_dropout(self.net)
        trunk, rest = (self.net[:0], self.net[:-1]) if whole else (self.net[:first], self.net[first:-1])

        def sampled(x: Tensor) -> Tensor:
            hidden = [trunk(view) for view in self._views(x)]
            features = (under_a_mask(rest, hidden, self.device) for _ in range(masks))
            return score(torch.stack([self._log_probs(self.net[-1](each)) for each in features]))

        for layer in (layer for layer in rest if isinstance(layer, nn.Dropout)):
            layer.train()
        try:
            return infer(sampled, images, self._prepare, self._at_a_time(images, masks))
        finally:
            self.net.eval()

    def _begin(self, pool: Pool) -> Stream:
        """Build a new network, and serve the labelled images that it learns from."""
        if self.loss is hinge and pool.classes != 2:
            raise UserError("task_model.loss=hinge needs two classes: take cross_entropy, or dataset=mnist57")
        pool.check_one_label_each("this task model", "task_model=segnet_small")
        self.device, outputs = pool.device, 1 if pool.classes == 2 else pool.classes
        net = self.make_net(tuple(pool.images.shape[1:]), outputs).to(pool.device)
        self.normalise = getattr(net[0], "normalise", pool.normalise)
        self.net = net.to(memory_format=torch.channels_last)
        return Stream(pool.images, pool.labels, batch=self.batch, indices=pool.labelled, prepare=self._prepare_training)

    def _module(self) -> Classifier:
        return Classifier(self.net, self.loss, self.settings, *self.schedule)

    def _epochs(self, labelled: int) -> float:
        """Return how many epochs so many labels take."""
        epochs = self.epochs if self.epochs_at is None else self.epochs * math.sqrt(self.epochs_at / max(1, labelled))
        return min(epochs, self.limit or epochs)

    def _logits(self, x: Tensor) -> Tensor:
        return self.net[-1](self._features(x))

    def _features(self, x: Tensor) -> Tensor:
        return mean([self.net[:-1](view) for view in self._views(x)])

    def _views(self, x: Tensor) -> list[Tensor]:
        """Return what the features of an image are a mean of: itself and, where the task says so, its mirror image."""
        return [x, x.flip(-1)] if self.mirrored else [x]

    def _at_a_time(self, images: Images, masks: int = 0) -> int:
        """Return how many images are scanned at a time, under dropout masks if there are any."""
        return chunk_size(images, self.device, steady=masks > 0)

    @staticmethod
    def _log_probs(logits: Tensor) -> Tensor:
        return two_class(logits).float().log_softmax(-1)

    def _prepare_training(self, images: Tensor) -> Tensor:
        for change in self.augment:
            images = change(images)
        return self._prepare(images)

    def _prepare(self, images: Tensor) -> Tensor:
        return channels_last(self.normalise(images.to(self.device)))


def check_sense(batch: float, lr: float, dropout: float) -> None:
    """Refuse numbers with which nothing can be learned."""
    if batch != int(batch):
        raise UserError(f"task_model.batch={batch} is no whole number of images: give one, such as 64")
    if lr > FASTEST:
        raise UserError(f"task_model.lr={lr} lets every weight explode: give {FASTEST} at the most")
    if not 0 <= dropout < 1:
        raise UserError(f"task_model.net.dropout={dropout} is no share: give a number between 0 and 1")
