"""What a run is made of and what it starts from, built from its configuration.

`Parts` differ between strategies; a `Setting` is the same for all strategies at the same seed, which makes them
comparable: the images, the first labels and the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hydra
import torch
from torch import Tensor

from alsuite.budget import Budget, first_labels
from alsuite.command.identity import FOLDERS
from alsuite.command.kinds import check_kinds, check_options
from alsuite.command.machine import onto
from alsuite.data import Dataset
from alsuite.data.enlarged import enlarged
from alsuite.data.imbalanced import imbalanced
from alsuite.data.made_up import load_or_make_up
from alsuite.errors import UserError, is_whole, not_negative, whole_if_given, whole_number
from alsuite.mapped import Mapped
from alsuite.metrics import counted
from alsuite.oracle import Oracle, known_targets
from alsuite.places import data_root, lies_among, place_of
from alsuite.pool import Pool
from alsuite.recorded import Options
from alsuite.strategies import Strategy, makes_images
from alsuite.tasks import Task
from alsuite.tasks.classification import Classification

__all__ = ["Parts", "Setting", "check_apart"]


@dataclass(frozen=True)
class Parts:
    """What a configuration builds once a run; what is rebuilt in each cycle is a factory.

    task_model: makes a task that has learned nothing
    initial: draws the first labels, from the targets, their number and a generator
    budget: as the configuration has it, in counts or fractions
    oracle: makes who is asked, from the data set and the run's folder
    strategy: chooses what is asked
    """

    task_model: Callable[[], Task]
    initial: Callable[..., Tensor]
    budget: Budget
    oracle: Callable[[Dataset, Path], Oracle]
    strategy: Strategy

    @classmethod
    def of(cls, config: Options) -> Parts:
        """Build the parts of a configuration, and refuse options that they don't have before anything is trained."""
        parts = {group: hydra.utils.instantiate(_made_later(config[group])) for group in cls.__annotations__}
        for group, part in parts.items():
            check_options(part, whole=group == "task_model")
        try:
            made = parts["task_model"]()  # whose options are looked at as it is made
        except TypeError as error:
            raise UserError(f"task_model: {error}: see its options with --cfg job") from None
        if isinstance(made, Classification):
            check_training(config["task_model"])
        for group in ("task_model", "strategy"):
            check_kinds(config[group], group, config)
        return cls(**parts)


@dataclass(frozen=True)
class Setting:
    """What a run starts from, whatever its strategy.

    dataset: as its scale leaves it
    budget: in counts
    initial: the first labelled indices
    whole: training images before the scale cut them
    side: what the scale shrank the images to; None where it left them
    made_up: whether pictures that a scale makes up stand in for those that aren't here
    """

    dataset: Dataset
    budget: Budget
    initial: Tensor
    whole: int
    side: int | None = None
    made_up: bool = False

    @classmethod
    def of(cls, config: Options, choices: Mapping[str, str], parts: Parts) -> Setting:
        """Load the data set, or make it up where the scale allows that, and cut it to the scale.

        Arguments:
            config: a run's resolved configuration, as plain values
            choices: group -> option; the data set's own says whether pictures are made up for it
            parts: those of the run, which say what the budget is and how the first labels are drawn
        """
        seed, scale, name = config["seed"], config["scale"], choices["dataset"]
        if not is_whole(seed, 0) or seed >= 2**63:
            raise UserError(f"seed={seed} is no whole number from 0 to 2^63: give one, such as seed=0")
        tests = [*(config["dataset"].get("extra_tests") or {})]
        shape = (scale["stand_in"] or {}).get(name)
        data = config["dataset"]
        if data["_target_"] in FOLDERS:
            check_apart(place_of(data["path"]), root=config["root"], ALSUITE_DATA=data_root(data.get("root")))
        whole, size = load_or_make_up(name, lambda: hydra.utils.instantiate(config["dataset"]), shape, tests)
        if (imbalance := config.get("imbalance")) is not None:
            before, whole = len(whole.train.targets), imbalanced(whole, imbalance)
            size = size and round(size * len(whole.train.targets) / before)
        if choices["oracle"] == "ideal":
            known_targets(whole)
        if choices["oracle"] != "human" and not whole.train.unlabelled:  # who answers only seems not to know
            whole = replace(whole, train=replace(whole.train, told=False))
        limits = {**scale, "cycles": None} if choices["oracle"] == "human" else scale  # a person says when to stop
        return cls.cut(whole, size, limits, parts, seed, config["enlarge"])

    @classmethod
    def cut(
        cls,
        dataset: Dataset,
        size: int | None,
        scale: Options,
        parts: Parts,
        seed: int,
        enlarge: int | None = None,
    ) -> Setting:
        """Cut a data set to a scale.

        Arguments:
            dataset: the whole one
            size: its true number of training images where its pictures are made up
            scale: its limits: of training images (`pool`), of test images (`test`), of their `side`, and of `cycles`
            parts: those of the run
            seed: draws the first labels
            enlarge: to how many training images the pool is blown up, by copies that are mirrored, shifted and relit
        """
        if scale["cycles"] is not None:
            whole_number("scale.", cycles=scale["cycles"])
        whole_if_given("scale.", side=scale["side"])
        smaller = dataset.subset(scale["pool"], scale["test"], scale["side"])
        whole = enlarge or size or len(dataset.train.targets)
        if enlarge is not None:
            smaller = replace(smaller, train=enlarged(smaller.train, enlarge))
        targets = smaller.train.targets
        budget = parts.budget.of(
            len(targets), whole, scale["cycles"], dataset.held, len(smaller.train.known), makes_images(parts.strategy)
        )
        resized = smaller.train.images.shape[1:] != dataset.train.images.shape[1:]
        first = first_labels(parts.initial, smaller.train, int(budget.initial), seed)
        return cls(smaller, budget, first, whole, scale["side"] if resized else None, size is not None)

    @property
    def cycles(self) -> int:
        """How many cycles the run has: one for the first labels, and one for each query."""
        return 1 + -(-int(self.budget.end - self.budget.initial) // int(self.budget.query))

    def pool(self, device: torch.device) -> Pool:
        """Return a new pool without any label."""
        data = self.dataset
        shape = data.train.targets.shape[1:]
        return Pool(onto(data.train.images, device), len(data.classes), data.mean, data.std, device, shape)

    def tests(self, device: torch.device) -> dict[str, tuple[Tensor, Tensor]]:
        """Return name -> images, on the device if they fit there, and targets."""
        return {name: (onto(split.images, device), split.targets) for name, split in self.dataset.tests.items()}

    def facts(self) -> dict[str, object]:
        """What the results tell of a run beside its options."""
        targets, classes = self.dataset.train.targets, self.dataset.classes
        counts = None if self.dataset.train.unlabelled else counted(targets, len(classes)).tolist()
        sizes = {"pool": len(targets), "whole": self.whole, "held": self.dataset.held}
        told = {"classes": [*classes], **sizes, "pool_counts": counts}
        shuffled = {"shuffle": "blocks"} if isinstance(self.dataset.train.images, Mapped) else {}
        return {**told, "side": self.side, "stand_in": self.made_up, **shuffled}


def _made_later(options: Any) -> Any:
    """Return the options of a part; an optimiser among them, at any depth, is made once there is a network."""
    if not isinstance(options, Mapping):
        return options
    inner = {key: _made_later(value) for key, value in options.items()}
    optimiser = inner.get("optimiser")
    return {**inner, "optimiser": {**optimiser, "_partial_": True}} if isinstance(optimiser, Mapping) else inner


def check_training(options: Options) -> None:
    """Refuse options of a task model with which its training would fail, or would not do what they say."""
    whole_number("task_model.", batch=options.get("batch", 1))
    not_negative("task_model.", **{name: options.get(name, 0) for name in ("weight_decay", "momentum")})
    if not _is_share(smoothing := options.get("smoothing", 0)):
        raise UserError(f"task_model.smoothing={smoothing} is no share: give a number from 0 to 1")
    milestones = options.get("milestones", ())
    if not isinstance(milestones, Sequence) or not all(map(_is_share, milestones)):
        raise UserError(f"task_model.milestones={milestones} are no shares of the training: list some, as [0.5,0.75]")
    if options.get("schedule") == "steps" and not milestones:
        raise UserError("task_model.schedule=steps takes no step: add ++task_model.milestones=[0.5,0.75]")


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def check_apart(images: Path, **written: object) -> None:
    """Refuse a folder that is written to among images that are all read, unless a folder between is hidden."""
    for option, folder in written.items():
        if lies_among(images, folder):
            raise UserError(f"{option}={folder} lies in dataset.path, whose images are all read: give another")
