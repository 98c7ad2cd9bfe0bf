"""Semantic segmentation by a network that is made and trained anew each cycle: a class for each pixel.

Scores of pixels are averaged over an image, and confusions are counted while the images are scanned: the
log-probabilities of Cityscapes' 500 test images would take 18 GB.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.metrics import counted
from alsuite.palette import colour, seen
from alsuite.pool import VOID, Images, Pool, gather
from alsuite.scores import entropy, per_image
from alsuite.tasks import Task
from alsuite.tasks.classification import Classification
from alsuite.training.augment import flip_together
from alsuite.training.fit import Stream, infer
from alsuite.training.losses import pixel_cross_entropy

__all__ = ["Segmentation", "coloured", "mask_pictures", "of_pixels"]

VALUES = 2**26  # log-probabilities at a time, 256 MB
LEAST = 1e-12


class Segmentation(Classification):
    """The task of telling the class of each pixel; void ones count neither in training nor in a test.

    net: `net(shape, outputs)` builds a trunk, a dropout and a head, as in `alsuite.nets.segmenters`; the average of the
        trunk's deepest map are the features of an image
    weighted: whether the loss weighs classes by the root of their inverse frequency among the labels
    settings: options of Classification; `augment` is none or flip, and nothing is mirrored or smoothed
    """

    def __init__(self, net: Callable[..., nn.Sequential], *, weighted: bool = False, **settings: Any) -> None:
        augment = settings.pop("augment", "none")
        if augment not in ("none", "flip"):
            raise UserError(f"task_model.augment={augment} cannot augment masks: choose none or flip")
        if settings.get("loss", "cross_entropy") != "cross_entropy":
            raise UserError(f"task_model.loss={settings['loss']} is none of pixels: take cross_entropy")
        if without := next((option for option in ("mirrored", "smoothing") if settings.get(option)), None):
            raise UserError(f"task_model.{without} is for one label per image: leave it out")
        super().__init__(net, **settings)
        self.flipped = augment == "flip"
        self.weighted = weighted

    def scored(self, images: Images, score: Callable[[Tensor], Tensor], masks: int = 0, whole: bool = False) -> Tensor:
        """Return (N,) means of the scores of all pixels."""
        return super().scored(images, lambda log_probs: per_image(score(log_probs)), masks, whole)

    def outputs(self, images: Images) -> tuple[Tensor, Tensor]:
        """Return (N, D) average features and (N, K) logarithms of average probabilities."""

        def both(x: Tensor) -> tuple[Tensor, Tensor]:
            maps = self.net[0](x)
            deepest = maps if isinstance(maps, Tensor) else maps[-1]
            shares = self._log_probs(self.net[1:](maps)).exp().flatten(1, 2).mean(1)
            return deepest.float().mean((2, 3)), shares.clamp(min=LEAST).log()

        return infer(both, images, self._prepare, self._at_a_time(images))

    def predicted(self, images: Images) -> Tensor:
        """Return (N, H, W) likeliest classes, uint8."""
        return infer(self._likeliest, images, self._prepare, self._at_a_time(images))

    def confusion(self, images: Images, targets: Tensor) -> Tensor:
        """Count (K, K) pairs of pixels: a row a true class, a column a predicted one."""

        def counts(x: Tensor, at: slice) -> Tensor:
            predicted = self._likeliest(x)
            return pairs(predicted, targets[at].to(predicted.device), self.classes)

        return infer(counts, images, self._prepare, self._at_a_time(images), placed=True).sum(0)

    def losses(self, images: Images, labels: Tensor) -> Tensor:
        """Return (N,) mean losses of the labelled pixels."""

        def losses(x: Tensor, at: slice) -> Tensor:
            outputs, its = self.net(x), labels[at].to(self.device)
            return torch.stack(
                [pixel_cross_entropy(*pair) for pair in zip(outputs.split(1), its.split(1), strict=True)]
            )

        return infer(losses, images, self._prepare, self._at_a_time(images), placed=True)

    def _begin(self, pool: Pool) -> Stream:
        if pool.labels.ndim != 3:
            raise UserError("this task model learns from a label per pixel: take dataset=camvid, or task_model=vgg16")
        self.device, self.classes = pool.device, pool.classes
        net = self.make_net(tuple(pool.images.shape[1:]), pool.classes).to(pool.device)
        self.normalise = getattr(net[0], "normalise", pool.normalise)
        self.net = net.to(memory_format=torch.channels_last)
        weights = self._weights(gather(pool.labels, pool.labelled.cpu())) if self.weighted else None
        self.loss = partial(pixel_cross_entropy, weights=weights)
        joint = flip_together if self.flipped else None
        streamed = {"batch": self.batch, "indices": pool.labelled, "prepare": self._prepare, "joint": joint}
        return Stream(pool.images, pool.labels, **streamed)

    def _weights(self, labels: Tensor) -> Tensor:
        counts = counted(labels, self.classes)
        return (counts.sum() / counts.clamp(min=1)).sqrt().to(self.device)

    def _at_a_time(self, images: Images, masks: int = 0) -> int:
        values = math.prod(images[:1].shape[2:]) * self.classes * max(1, masks)
        return max(1, min(64, VALUES // values))

    def _likeliest(self, x: Tensor) -> Tensor:
        return self.net(x).argmax(1).to(torch.uint8)

    @staticmethod
    def _log_probs(logits: Tensor) -> Tensor:
        """Return (B, H, W, K)."""
        return logits.float().movedim(1, -1).log_softmax(-1)


def of_pixels(task: Task) -> Segmentation:
    if not isinstance(task, Segmentation):
        raise UserError("this task model tells no class of each pixel: take task_model=segnet_small")
    return task


def pairs(predicted: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Count (B, K, K) pairs of each image, whose void pixels are left out."""
    size = classes * classes
    first = size * torch.arange(len(targets), device=targets.device).view(-1, 1, 1)
    places = torch.where(targets == VOID, size * len(targets), first + classes * targets.long() + predicted)
    counts = torch.bincount(places.flatten(), minlength=size * len(targets) + 1)[:-1]
    return counts.view(len(targets), classes, classes)


def mask_pictures(pool: Pool, task: Segmentation, indices: Tensor) -> dict[str, np.ndarray]:
    """Show images, what the task predicts, and its entropy, white where all classes are alike."""
    images = pool.rows(indices)
    doubt = entropy(task.log_probs(images)) / math.log(pool.classes)
    return {
        "image": seen(images[:]).cpu().numpy(),
        "prediction": coloured(task.predicted(images).cpu(), pool.classes),
        "entropy": (255 * doubt).round().clamp(0, 255).to(torch.uint8)[:, None].cpu().numpy(),
    }


def coloured(labels: Tensor, classes: int) -> np.ndarray:
    """Give (N, H, W) classes colours, (N, 3, H, W) uint8; void is black."""
    palette = np.zeros((256, 3), np.uint8)
    for label in range(classes):
        palette[label] = colour(label)
    return palette[labels.numpy()].transpose(0, 3, 1, 2)
