"""Classification that also learns to predict its own loss, for `learning_loss` and TA-VAAL.

"Learning Loss for Active Learning", Donggeun Yoo and In So Kweon, 2019, https://arxiv.org/abs/1905.03677;
"Task-Aware Variational Adversarial Active Learning", Kwanyoung Kim, Dongwon Park, Kwang In Kim and Se Young Chun, 2021,
https://arxiv.org/abs/2002.04709.

The loss module reads the network's maps, the last one of each size: an average over the map, a linear layer to 128 and
ReLU each, then one linear layer to the predicted loss. One half of each batch is ranked against the other; for the last
40 % of the training no gradient of the ranking reaches the network (from epoch 120 of 200 there).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from alsuite.errors import UserError, one_of
from alsuite.pool import Images, Pool
from alsuite.tasks.classification import Classification, Classifier
from alsuite.tasks.masked import mean
from alsuite.training.fit import Stream, infer
from alsuite.training.losses import ranking_hinge, ranking_logistic
from alsuite.training.together import enough

__all__ = ["LossModule", "Ranked", "Ranker"]

RANKINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"hinge": ranking_hinge, "logistic": ranking_logistic}
ATTACHED = 0.6


class LossModule(nn.Module):
    """Predicts losses from maps: (B, channels[i], H_i, W_i) each -> (B,)."""

    def __init__(self, channels: Sequence[int], hidden: int = 128) -> None:
        super().__init__()
        self.readers = nn.ModuleList(nn.Sequential(nn.Linear(size, hidden), nn.ReLU()) for size in channels)
        self.predict = nn.Linear(hidden * len(channels), 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        read = [reader(x.flatten(2).mean(2)) for reader, x in zip(self.readers, maps, strict=True)]
        return self.predict(torch.cat(read, dim=1)).squeeze(1)


class Ranker(Classifier):
    """A classifier with a loss module; `weight` is that of the ranking, `settings` are the classifier's own."""

    def __init__(self, loss_module: LossModule, ranking: str, weight: float, *settings: Any) -> None:
        super().__init__(*settings)
        self.loss_module = loss_module
        self.ranking = RANKINGS[ranking]
        self.weight = weight

    def objective(self, images: Tensor, labels: Tensor) -> Tensor:
        maps, outputs = mapped(self.net, images)
        losses = self.loss(outputs, labels, reduction="none")
        if self.step >= ATTACHED * self.total_steps:
            maps = [x.detach() for x in maps]
        return losses.mean() + self.weight * self.ranking(self.loss_module(maps), losses.detach())


class Ranked(Classification):
    """Classification with a loss module; `settings` are options of its parent."""

    def __init__(
        self, net: Callable[..., nn.Sequential], *, ranking: str = "hinge", weight: float = 1.0, **settings: Any
    ) -> None:
        try:
            super().__init__(net, **settings)
        except TypeError as error:
            raise UserError(f"task_model: {error}: learning_loss and ta_vaal take a plain classifier") from None
        one_of("task_model.ranking", ranking, RANKINGS)
        self.ranking = ranking
        self.weight = weight

    def predicted_losses(self, images: Images) -> Tensor:
        """Return (N,) losses as the loss module predicts them, larger for worse images; of mirrored views the mean."""

        def predicted(x: Tensor) -> Tensor:
            return mean([self.loss_module(mapped(self.net, view)[0]) for view in self._views(x)])

        return infer(predicted, images, self._prepare)

    def _begin(self, pool: Pool) -> Stream:
        enough(self.batch, 2)  # to be compared
        labelled = super()._begin(pool)
        maps, _ = mapped(self.net.eval(), self._prepare(pool.images[:1]))
        self.loss_module = LossModule([x.shape[1] for x in maps]).to(pool.device)
        return labelled

    def _module(self) -> Ranker:
        module = self.loss_module, self.ranking, self.weight
        return Ranker(*module, self.net, self.loss, self.settings, *self.schedule)


def mapped(net: nn.Sequential, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return the last map (B, C, H, W) of each size, and the (B, outputs) outputs.

    Where there is no map the features stand for one, (B, D, 1).
    """
    found = {}
    for layer in net[:-1]:
        x = layer(x)
        if x.ndim == 4 and x.shape[-1] > 1:
            found[x.shape[-2:]] = x
    return list(found.values()) or [x[..., None]], net[-1](x)
