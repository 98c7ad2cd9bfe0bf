"""Who answers: the only readers of hidden labels.

Each kind of oracle comes with a function of the same name in lower case, which configurations name: it takes the data
set and the run's folder, and chooses between labels of images and of pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Generator, Tensor

from alsuite.data import Dataset
from alsuite.errors import UserError, one_of
from alsuite.labelling.human import Human
from alsuite.labelling.label_studio import LabelStudio
from alsuite.labelling.page import Page
from alsuite.masks import HumanMasks, NoisyMasks
from alsuite.noise import confusions
from alsuite.pool import Pool
from alsuite.recorded import BY_HAND
from alsuite.tasks.classification import Classification
from alsuite.training.taught import Taught, learned_once

__all__ = ["Annotator", "Ideal", "Noisy", "Oracle", "annotator", "human", "ideal", "known_targets", "noisy"]


class Oracle(Protocol):
    """Who is asked for labels.

    >>> oracle = Ideal(torch.tensor([5, 0, 4]))
    >>> pool = Pool(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), classes=6, mean=[0], std=[1])
    >>> oracle(pool, torch.tensor([2, 0])).tolist()
    [4, 5]
    """

    def __call__(self, pool: Pool, indices: Tensor) -> Tensor:
        """Return the (n,) labels of the images at `indices`, -1 where it can't tell.

        What it is asked is written down before, unless it has an attribute `knows` that is true: it answers at once.
        """
        ...

    def judge(self, pool: Pool, images: Tensor) -> Tensor | None:
        """Return (M,) labels of images that need not be in the pool; None if it can't."""
        ...


class Ideal:
    """It is always right."""

    knows = True

    def __init__(self, targets: Tensor) -> None:
        self.targets = targets

    def __call__(self, pool: Pool, indices: Tensor) -> Tensor:
        if len(indices) and int(indices.max()) >= len(self.targets):
            raise UserError("this oracle knows no label of a synthetic image: take oracle=annotator or oracle=human")
        return self.targets[indices.cpu()]

    def judge(self, pool: Pool, images: Tensor) -> Tensor | None:
        return None


class Noisy(Ideal):
    """It is wrong for a share of the samples, always in the same way for the same sample, however often it is asked.

    VAAL's noisy oracle errs within the superclasses of CIFAR100 (figure 5 of the paper).
    """

    def __init__(
        self,
        targets: Tensor,
        *,
        flip: float,
        classes: int,
        superclasses: Sequence[int] | None = None,
        confusion: Mapping[int, Sequence[int]] | None = None,
        seed: int = 0,
    ) -> None:
        """Make the wrong labels once, for all samples.

        Arguments:
            targets: (N,) the true classes
            flip: the share of samples whose label is wrong
            classes: how many there are
            superclasses: that of each class, within which it errs; None for one that holds all
            confusion: class -> those that it is taken for, in place of superclasses
            seed: draws which samples are wrong, and how
        """
        others = confusions(flip, classes, superclasses, confusion)
        generator = Generator().manual_seed(seed)
        flipped = torch.rand(len(targets), generator=generator) < flip
        turn = torch.rand(len(targets), generator=generator)
        noisy = targets.clone()
        for label in range(classes):
            mistaken = torch.nonzero(flipped & (targets == label)).squeeze(1)
            if its := others[label]:
                noisy[mistaken] = torch.tensor(its)[(turn[mistaken] * len(its)).long()]
        super().__init__(noisy)


class Annotator(Ideal):
    """It is always right about real images; synthetic ones are labelled by a classifier, in place of a person.

    Synthetic images come after the real ones in the pool. The classifier learns from all real labels, hidden ones as
    well, when it is first asked, and is kept in the folder for later runs.
    """

    def __init__(
        self, targets: Tensor, task_model: Callable[[], Classification], seed: int = 0, folder: Path | None = None
    ) -> None:
        super().__init__(targets)
        self.task_model = task_model
        self.seed = seed
        self.folder = folder
        self.expert: Taught[Classification] | None = None

    def __call__(self, pool: Pool, indices: Tensor) -> Tensor:
        real = indices < len(self.targets)
        labels = torch.empty_like(indices)
        labels[real] = super().__call__(pool, indices[real]).to(indices.device)
        if not real.all():
            labels[~real] = self.judge(pool, pool.rows(indices[~real])[:])
        return labels

    def judge(self, pool: Pool, images: Tensor) -> Tensor:
        """Return what the classifier sees in images."""
        self.expert = self.expert or self.taught(pool)
        return self.expert.task.log_probs(images).argmax(1)

    def taught(self, pool: Pool) -> Taught[Classification]:
        """Return the classifier, trained on all real images with all their labels, or read from the folder."""
        whole = pool.emptied(pool.original_images)
        whole.label(torch.arange(len(self.targets)), self.targets)
        with torch.random.fork_rng([pool.device] if pool.device.type == "cuda" else []):
            torch.manual_seed(self.seed)  # so that it's the same at whatever cycle a run starts again
            return learned_once(self.task_model(), whole, "annotator", self.folder, self.seed)


def ideal(dataset: Dataset, folder: Path) -> Oracle:
    """Make an oracle that is always right, about images or their pixels."""
    return Ideal(known_targets(dataset))


def known_targets(dataset: Dataset) -> Tensor:
    """Return the true targets, and refuse a data set that has none."""
    if dataset.train.unlabelled:
        raise UserError(f"nobody knows the labels of {dataset.name}: add oracle=human, and a person is asked")
    return dataset.train.targets


def noisy(
    dataset: Dataset, folder: Path, *, flip: float, confusion: Mapping[int, Sequence[int]] | None = None, seed: int = 0
) -> Oracle:
    """Make an oracle that is wrong for a share `flip` of the samples, or of the classes in each of their masks."""
    classes, superclasses, targets = len(dataset.classes), dataset.superclasses, known_targets(dataset)
    if targets.ndim > 1:
        return NoisyMasks(targets, flip=flip, classes=classes, confusion=confusion, seed=seed)
    return Noisy(targets, flip=flip, classes=classes, superclasses=superclasses, confusion=confusion, seed=seed)


def annotator(
    dataset: Dataset,
    run: Path,
    *,
    task_model: Callable[[], Classification],
    seed: int = 0,
    folder: str | None = None,
) -> Oracle:
    """Make an oracle that labels synthetic images, too.

    Arguments:
        task_model: makes the classifier that labels them
        seed: of the classifier's training, the same for all runs
        folder: where the classifier is kept; None trains it anew in each run
    """
    if dataset.train.targets.ndim > 1:
        raise UserError("oracle=annotator labels whole images, and these have a label per pixel: take oracle=ideal")
    return Annotator(known_targets(dataset), task_model, seed, Path(folder) if folder else None)


def human(dataset: Dataset, folder: Path, *, ui: str = "csv") -> Oracle:
    """Make an oracle that asks a person, through files in the run's folder: a sheet of labels, or masks to draw.

    Arguments:
        ui: csv ends the run until the files are filled in, label_studio until its export is there; page shows the
            images in a browser and waits
    """
    one_of("ui", ui, ("csv", "page", "label_studio"))
    queries = folder / BY_HAND
    if dataset.train.targets.ndim > 1:
        if ui != "csv":
            raise UserError(f"ui={ui} shows whole images, and these have a label per pixel: take ui=csv")
        return HumanMasks(queries, dataset.classes)
    kinds: dict[str, type[Page | LabelStudio]] = {"page": Page, "label_studio": LabelStudio}
    page = kinds[ui](queries, dataset.classes) if ui in kinds else None
    known = dataset.train.targets if dataset.train.told else None
    return Human(queries, dataset.classes, dataset.train.files, page, known)
