"""Discriminative active learning: a classifier on the task's features tells labelled from unlabelled.

D. Gissin, S. Shalev-Shwartz: Discriminative Active Learning, 2019. https://arxiv.org/abs/1907.06347

A discriminator D learns to tell the labelled samples from the unlabelled ones by the features that the task has
learned, and those that D is surest are unlabelled are asked for: a share of them at a time, in mini-queries, after each
of which the chosen count as labelled, and a new D is trained. D is an MLP of three hidden layers with 256 units,
without any regularisation. Its training ends once D is right often enough, as one that knew each sample by heart would
choose at random. It has VAAL's question, and neither a VAE nor a game.

The authors' release has 10 mini-queries on MNIST and up to 25 on CIFAR-10; the rate and the epochs of D are those that
it has for MNIST. It weighs the few labelled samples more, where here a step has as many of both pools; an epoch is one
of the unlabelled. That D is right 98 % of the time counts both pools alike here, since one that calls all unlabelled is
mostly right. The release draws ten unlabelled samples for each labelled one, and sees no others; here all count.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.optim import Optimizer

from alsuite import ranks
from alsuite.errors import UserError, positive, whole_if_given, whole_number
from alsuite.nets.vae import discriminator
from alsuite.notes import FIT_SECONDS, warned
from alsuite.pool import Pool
from alsuite.strategies import Query
from alsuite.tasks import Task, features_of
from alsuite.training.clock import clock
from alsuite.training.curves import tell_losses
from alsuite.training.descent import descend, optimiser
from alsuite.training.fit import Batch, Stream, check_finite, fit, infer
from alsuite.training.game import separation

__all__ = ["DAL", "Discrimination"]

LAYERS, HIDDEN = 4, 256  # of D, the last of which gives its logit


class Discrimination(LightningModule):
    """D, which learns from as many unlabelled as labelled samples a step that they are what they are.

    net: (B, D) features -> (B,) logits of "labelled"
    accuracy: how often it must be right in an epoch, as it learned, for the training to end
    epoch: how many steps that is
    """

    total_steps: int = 1  # what `fit` sets

    def __init__(self, net: nn.Module, lr: float, accuracy: float, epoch: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = net
        self.lr = lr
        self.accuracy = accuracy
        self.epoch = epoch
        self.done = 0
        self.right: list[Tensor] = []  # the share in each step of this epoch
        self.ended = False

    def configure_optimizers(self) -> Optimizer:
        """Return what trains D."""
        self.optimiser = optimiser(self.net.parameters(), "adam", self.lr)
        return self.optimiser

    def training_step(self, block: Iterable[tuple[Batch, Batch]], _: int) -> None:
        before, losses = self.done, []
        for (unlabelled,), (labelled,) in () if self.ended else block:
            signed = self.net(torch.cat([labelled, unlabelled])).split([len(labelled), len(unlabelled)])
            signed = (signed[0], -signed[1])  # larger is right
            losses.append(descend(F.softplus(-signed[0]).mean() + F.softplus(-signed[1]).mean(), self.optimiser))
            self.right.append(torch.stack([(part.detach() > 0).float().mean() for part in signed]).mean())
            self.done += 1
            if self.done % self.epoch == 0 and self.knows_enough():
                self.ended = True
                break
        if losses:
            check_finite(torch.stack(losses).sum(), "discriminator")
            tell_losses("discriminator", (before, self.done), self.total_steps, {"loss": losses})

    def knows_enough(self) -> bool:
        """Tell whether D was right often enough in the epoch that has ended; all ranks tell the same."""
        share, self.right = ranks.mean(torch.stack(self.right).mean()), []
        return float(share) > self.accuracy


class DAL:
    """Asks for the samples that D is surest are unlabelled.

    mini_queries: after how many parts of a query D has been trained anew; fewer where fewer samples are asked for
    accuracy: how often D must be right for its training to end
    epochs: of each training, at the most
    limit: the most steps of each, at reduced scales
    batch: samples of each pool in a step
    """

    def __init__(
        self,
        *,
        mini_queries: int = 10,
        accuracy: float = 0.98,
        epochs: float = 1000,
        limit: int | None = None,
        batch: int = 64,
        lr: float = 1e-4,
    ) -> None:
        whole_number("strategy.", mini_queries=mini_queries, batch=batch)
        whole_if_given("strategy.", limit=limit)
        positive("strategy.", accuracy=accuracy, epochs=epochs, lr=lr)
        if accuracy > 1:
            raise UserError(f"strategy.accuracy={accuracy} is no share: give a number up to 1, such as 0.98")
        self.mini_queries = mini_queries
        self.accuracy = accuracy
        self.epochs = epochs
        self.limit = limit
        self.batch = batch
        self.lr = lr

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        start, labelled, unlabelled = clock(pool.device), pool.labelled, pool.unlabelled
        if not len(labelled):
            raise UserError(
                "strategy=dal tells labelled from unlabelled, and nothing is labelled: take strategy=coreset"
            )
        features = features_of(task, pool.rows(torch.arange(len(pool), device=pool.device)))
        picks, notes = labelled[:0], {}
        for size in parts(n, self.mini_queries):
            logits = self.logits(features, labelled, unlabelled)
            notes = notes or separation(logits[labelled], logits[unlabelled])  # of the first, which knows true labels
            found = Query.best(unlabelled, -logits[unlabelled], size).indices
            picks, labelled = torch.cat([picks, found]), torch.cat([labelled, found])
            unlabelled = unlabelled[~torch.isin(unlabelled, found)]
        return Query(picks, None, {**warned(notes), FIT_SECONDS: clock(pool.device) - start})

    def logits(self, features: Tensor, labelled: Tensor, unlabelled: Tensor) -> Tensor:
        """Return (N,) log odds of "labelled" of (N, D) features, by a D that learned from these indices."""
        net = discriminator(features.shape[1], LAYERS, HIDDEN).to(features.device)
        streams = [
            Stream(features, batch=self.batch, indices=indices, prepare=Tensor.float)
            for indices in (unlabelled, labelled)
        ]
        steps = max(1, round(self.epochs * len(streams[0])))
        epoch = min(len(streams[0]), self.limit or len(streams[0]))  # where fewer steps are allowed, all of these
        learning = Discrimination(net, self.lr, self.accuracy, epoch)
        return infer(fit(learning, *streams, steps=min(steps, self.limit or steps)).net, features, Tensor.float)


def parts(n: int, count: int) -> list[int]:
    """Divide n samples into so many parts, as equal as they can be; into n where that is fewer.

    >>> parts(25, 10)
    [2, 3, 2, 3, 2, 3, 2, 3, 2, 3]
    """
    count = min(n, count)
    return [n * (i + 1) // count - n * i // count for i in range(count)]
