"""One run from its configuration: its parts, what it starts from, its journal and its tracker."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from torch import Generator, Tensor

from alsuite.budget import Budget
from alsuite.command.complaints import complaining
from alsuite.command.first_words import tell
from alsuite.command.identity import provenance
from alsuite.command.job import Job
from alsuite.command.machine import choose_device, keep_freed_memory, onto
from alsuite.command.processes import slots
from alsuite.command.progress import Progress, brief
from alsuite.command.tracking import Tracker
from alsuite.data import Dataset
from alsuite.data.enlarged import enlarged
from alsuite.data.made_up import load_or_make_up
from alsuite.errors import UserError, positive
from alsuite.journal import Journal, changed, ended_as, set_aside
from alsuite.loop import Run
from alsuite.metrics import counted
from alsuite.oracle import Oracle
from alsuite.pool import Pool
from alsuite.strategies import Query, Strategy
from alsuite.tasks import Task

__all__ = ["Parts", "Setting", "Shown", "execute", "finish", "left_to_do", "perform", "task"]


class Shown(Protocol):
    """What is told of a run's cycles."""

    def cycle(self, number: int, record: dict[str, Any], cycles: int, old: bool) -> None: ...


def task(config: DictConfig) -> float:
    """What Hydra runs: a run, of which it is told the last accuracy; a run by itself draws its curve at the end."""
    hydra_config = HydraConfig.get()
    alone = hydra_config.mode == RunMode.RUN
    with complaining() if alone else nullcontext(), nothing_left_behind(Path(hydra_config.runtime.output_dir)):
        job = Job.of(config, hydra_config)
        with Progress([job.name]) as progress:
            if left_to_do([job], progress):
                tell(config, hydra_config, progress)
                execute(job, progress)
        if alone:
            finish([job])
        return job.accuracy()


@contextmanager
def nothing_left_behind(folder: Path) -> Iterator[None]:
    """Take away a run's folder, and those above it, where the run has written nothing into them."""
    try:
        yield
    finally:
        for each in (folder, *folder.parents[:3]):
            with suppress(OSError):
                each.rmdir()


def left_to_do(jobs: Sequence[Job], progress: Progress) -> list[int]:
    """The places of the jobs that are to be run: those not finished, and with again=true those made otherwise."""
    changes = [changed(job.folder, *job.identity) for job in jobs]
    again = [bool(job.config["again"]) for job in jobs]
    if refused := [place for place, change in enumerate(changes) if change and not again[place]]:
        raise UserError(_refusal(jobs, refused, changes[refused[0]]))
    done = [ended_as(job.folder, *job.identity) for job in jobs]
    for place, job in enumerate(jobs):
        if again[place] and (done[place] or changes[place]):
            set_aside(job.folder)
            done[place] = False
    if any(done):
        progress.print(f"{sum(done)} of {len(jobs)} runs are finished already: {jobs[0].folder.parent}")
    return [place for place, is_done in enumerate(done) if not is_done]


def _refusal(jobs: Sequence[Job], refused: Sequence[int], change: str) -> str:
    which = jobs[refused[0]].folder if len(refused) == 1 else f"{len(refused)} of {len(jobs)} runs"
    return f"{which}: {change}; again=true runs anew and keeps the old beside it"


def finish(jobs: Sequence[Job]) -> None:
    """Print a table of the runs there are, and the path of the picture as the last line."""
    from alsuite import claims, figures, results
    from alsuite.results.table import last_accuracies

    begun = [job.folder for job in jobs if (job.folder / "cycles.jsonl").exists()]
    if not begun:
        return
    config = jobs[0].config
    frame = results.of_runs(begun)
    print(*filter(None, (last_accuracies(frame), config["description"])), sep="\n")
    if config["figure"]:
        stem = Path(jobs[0].choices["experiment"]).name
        panels = figures.panels_of(config["figure"], stem, config["experiment"])
        scale, root = config["scale"]["name"], Path(config["root"])
        judged = claims.below_a_picture(claims.verdicts_on(stem, claims.live_runs(root, scale)))
        print(figures.draw(stem, scale, root, panels=panels, beneath=judged)[0])
    else:
        print(figures.draw_curves(frame, begun[0] if len(begun) == 1 else begun[0].parent))


@dataclass(frozen=True)
class Parts:
    """What a configuration builds once a run; what is rebuilt in each cycle is a factory."""

    task_model: Callable[[], Task]
    initial: Callable[..., Tensor]
    budget: Budget
    oracle: Callable[[Dataset, Path], Oracle]
    strategy: Strategy

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Parts:
        parts = {group: hydra.utils.instantiate(config[group]) for group in cls.__annotations__}
        for group, part in parts.items():
            check_options(part, whole=group == "task_model")
        return cls(**parts)


@dataclass(frozen=True)
class Setting:
    """What a run starts from, whatever its strategy."""

    dataset: Dataset  # as its scale leaves it
    budget: Budget  # in counts
    initial: Tensor  # the first labelled indices
    whole: int  # training images before the scale cut them
    side: int | None = None  # that the scale shrank the images to
    made_up: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any], choices: Mapping[str, str], parts: Parts) -> Setting:
        seed, scale, name = config["seed"], config["scale"], choices["dataset"]
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise UserError(f"seed={seed} is no whole number from 0: give one, such as seed=0")
        tests = [*(config["dataset"].get("extra_tests") or {})]
        shape = scale["stand_in"].get(name)
        whole, size = load_or_make_up(name, lambda: hydra.utils.instantiate(config["dataset"]), shape, tests)
        return cls.cut(whole, size, scale, parts, seed, config["enlarge"])

    @classmethod
    def cut(
        cls,
        dataset: Dataset,
        size: int | None,
        scale: Mapping[str, Any],
        parts: Parts,
        seed: int,
        enlarge: int | None = None,
    ) -> Setting:
        """Cut a data set to a scale; `size` is its true one where its pictures are made up."""
        if scale["cycles"] is not None:
            positive("scale.", cycles=scale["cycles"])
        smaller = dataset.subset(scale["pool"], scale["test"], scale["side"])
        whole = enlarge or size or len(dataset.train.targets)
        if enlarge is not None:
            smaller = replace(smaller, train=enlarged(smaller.train, enlarge))
        targets = smaller.train.targets
        budget = parts.budget.of(len(targets), whole, scale["cycles"], dataset.held)
        resized = smaller.train.images.shape[1:] != dataset.train.images.shape[1:]
        first = _drawn(parts.initial, targets, budget, seed)
        return cls(smaller, budget, first, whole, scale["side"] if resized else None, size is not None)

    @property
    def cycles(self) -> int:
        return 1 + -(-int(self.budget.end - self.budget.initial) // int(self.budget.query))

    def pool(self, device: torch.device) -> Pool:
        data = self.dataset
        shape = data.train.targets.shape[1:]
        return Pool(onto(data.train.images, device), len(data.classes), data.mean, data.std, device, shape)

    def tests(self, device: torch.device) -> dict[str, tuple[Tensor, Tensor]]:
        return {name: (onto(split.images, device), split.targets) for name, split in self.dataset.tests.items()}

    def facts(self) -> dict[str, Any]:
        """What the results tell of a run beside its options."""
        targets, classes = self.dataset.train.targets, self.dataset.classes
        counts = counted(targets, len(classes)).tolist()
        told = {"classes": [*classes], "pool": len(targets), "whole": self.whole, "pool_counts": counts}
        return {**told, "side": self.side, "stand_in": self.made_up}


def _drawn(initial: Callable[..., Tensor], targets: Tensor, budget: Budget, seed: int) -> Tensor:
    if budget.initial == len(targets):
        return torch.arange(len(targets))
    return initial(targets, int(budget.initial), Generator().manual_seed(seed))


def execute(job: Job, shown: Shown) -> None:
    """Run to the end, or go on where an earlier start stopped."""
    slots(job.config["parallel"])
    parts = Parts.of(job.config)
    setting = Setting.of(job.config, job.choices, parts)
    device, config = choose_device(job.config["device"]), job.config
    perform(job.about, job.folder, setting, parts, config["seed"], device, config["wandb"], shown)


def perform(
    about: Mapping[str, Any],
    folder: Path,
    setting: Setting,
    parts: Parts,
    seed: int,
    device: torch.device,
    wandb: str,
    shown: Shown,
) -> None:
    """Run from its parts; `about` tells what it is."""
    keep_freed_memory()
    with closing(Journal(folder)) as journal:
        journal.start({**about, "seed": seed, **setting.facts(), **provenance(device, about.get("code", ()))})
        for record in journal.records:
            shown.cycle(0, brief(record), setting.cycles, True)
        if journal.finished:
            return
        tracker, pool = Tracker(wandb, folder, about), setting.pool(device)

        def report(record: dict[str, Any], query: Query | None) -> None:
            tracker.cycle(record, pool, query)
            shown.cycle(0, brief(record), setting.cycles, False)

        tests, oracle = setting.tests(device), parts.oracle(setting.dataset, folder)
        first, budget = setting.initial.to(device), setting.budget
        Run(pool, tests, parts.task_model, parts.strategy, oracle, budget, first, journal, seed, report).go()
        tracker.finish()


def check_options(factory: Any, whole: bool = False) -> None:
    """Refuse a wrong option of what is built later; with `whole` also one that is missing."""
    if not isinstance(factory, functools.partial):
        return
    try:
        signature = inspect.signature(factory.func)
        (signature.bind if whole else signature.bind_partial)(*factory.args, **factory.keywords)
    except TypeError as error:
        raise UserError(f"{factory.func.__name__} {error}: see its options with --cfg job") from None
    for value in factory.keywords.values():
        check_options(value)
