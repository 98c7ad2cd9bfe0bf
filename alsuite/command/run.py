"""One run from its configuration: its parts, data on the device, initial pool, journal and tracker."""

from __future__ import annotations

import ctypes
import functools
import inspect
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from torch import Generator, Tensor

from alsuite.budget import Budget
from alsuite.command.complaints import complaining
from alsuite.command.identity import provenance
from alsuite.command.job import Job
from alsuite.command.progress import Progress
from alsuite.command.tracking import Tracker
from alsuite.data import Dataset
from alsuite.data.enlarged import enlarged
from alsuite.data.stand_in import load_or_make_up
from alsuite.errors import UserError
from alsuite.journal import Journal, changed, ended_as, set_aside
from alsuite.loop import Run
from alsuite.pool import Pool
from alsuite.strategies import Query

__all__ = ["choose_device", "execute", "finish", "left_to_do", "task"]

GROUPS = ("task_model", "initial", "budget", "oracle", "strategy")


def task(config: DictConfig) -> float:
    """What Hydra runs: a run, of which it is told the last accuracy; a run by itself draws its curve at the end."""
    alone = HydraConfig.get().mode == RunMode.RUN
    with complaining() if alone else nullcontext(), nothing_left_behind(Path(HydraConfig.get().runtime.output_dir)):
        job = Job.of(config, HydraConfig.get())
        with Progress([job.name]) as progress:
            if left_to_do([job], progress):
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
    """The places of the jobs that are to be run: those not finished, and with again=true those made by other code."""
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
    """A table of the runs there are, and the path of the picture as the last line."""
    from alsuite import figures, results
    from alsuite.results.table import last_accuracies

    begun = [job.folder for job in jobs if (job.folder / "cycles.jsonl").exists()]
    if not begun:
        return
    config = jobs[0].config
    frame = results.of_runs(begun)
    print(last_accuracies(frame))
    if config["figure"]:
        stem = Path(jobs[0].choices["experiment"]).name
        panels = figures.panels_of(config["figure"], stem, config["experiment"])
        print(figures.draw(stem, config["scale"]["name"], config["root"], panels=panels)[0])
    else:
        print(figures.draw_curves(frame, begun[0] if len(begun) == 1 else begun[0].parent))


@dataclass(frozen=True)
class Setting:
    """What a run starts from, whatever its strategy."""

    dataset: Dataset  # at its scale
    whole: int  # training images before the scale cut them
    budget: Budget  # in counts
    initial: Tensor  # the first labelled indices
    resized: bool

    @property
    def cycles(self) -> int:
        return 1 + -(-int(self.budget.end - self.budget.initial) // int(self.budget.query))


def execute(job: Job, progress: Any) -> None:
    """Run to the end, or go on where an earlier start stopped; `progress` is told of each cycle."""
    keep_freed_memory()
    device = choose_device(job.config["device"])
    parts = built(job)
    setting, made_up = setting_of(job, parts)
    with closing(Journal(job.folder)) as journal:
        journal.start(
            {**job.about, **facts(job, setting), "stand_in": made_up, **provenance(device, job.about["code"])}
        )
        for record in journal.records:
            progress.cycle(0, brief(record), setting.cycles, True)
        if not journal.finished:
            _go(job, setting, parts, journal, device, progress)


def _go(
    job: Job, setting: Setting, parts: dict[str, Any], journal: Journal, device: torch.device, progress: Any
) -> None:
    data = setting.dataset
    pool = Pool(onto(data.train.images, device), len(data.classes), data.mean, data.std, device)
    tests = {name: (onto(split.images, device), split.targets) for name, split in data.tests.items()}
    tracker = Tracker(job.config["wandb"], job.folder, job.about)

    def report(record: dict[str, Any], query: Query | None) -> None:
        tracker.cycle(record, pool, query)
        progress.cycle(0, brief(record), setting.cycles, False)

    oracle, seed = parts["oracle"](data, job.folder), job.config["seed"]
    learner, strategy = parts["task_model"], parts["strategy"]
    first = setting.initial.to(device)
    Run(pool, tests, learner, strategy, oracle, setting.budget, first, journal, seed, report).go()
    tracker.finish()


def built(job: Job) -> dict[str, Any]:
    """The run's parts; what is rebuilt in each cycle arrives as a factory, whose options are checked now."""
    parts = {group: hydra.utils.instantiate(job.config[group]) for group in GROUPS}
    for group, part in parts.items():
        check_options(part, whole=group == "task_model")
    return parts


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


def setting_of(job: Job, parts: dict[str, Any]) -> tuple[Setting, bool]:
    """What the run starts from, and whether its pictures are made up."""
    config, scale = job.config, job.config["scale"]
    seed = config["seed"]
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UserError(f"seed={seed} is no whole number from 0: give one, such as seed=0")
    given, whole = load_or_make_up(
        job.choices["dataset"],
        lambda: hydra.utils.instantiate(config["dataset"]),
        scale["stand_in"].get(job.choices["dataset"]),
        [*(config["dataset"].get("extra_tests") or {})],
    )
    dataset = given.subset(scale["pool"], scale["test"], scale["side"])
    size = whole or len(given.train.targets)
    if config["enlarge"] is not None:
        dataset, size = replace(dataset, train=enlarged(dataset.train, config["enlarge"])), config["enlarge"]
    targets = dataset.train.targets
    budget = parts["budget"].of(len(targets), size, scale["cycles"])
    resized = dataset.train.images.shape[1:] != given.train.images.shape[1:]
    return Setting(dataset, size, budget, _drawn(parts["initial"], targets, budget, seed), resized), whole is not None


def _drawn(initial: Any, targets: Tensor, budget: Budget, seed: int) -> Tensor:
    if budget.initial == len(targets):
        return torch.arange(len(targets))
    return initial(targets, int(budget.initial), Generator().manual_seed(seed))


def facts(job: Job, setting: Setting) -> dict[str, Any]:
    """What the results tell of a run beside its options."""
    targets, classes = setting.dataset.train.targets, setting.dataset.classes
    return {
        "seed": job.config["seed"],
        "classes": [*classes],
        "pool": len(targets),
        "whole": setting.whole,
        "pool_counts": torch.bincount(targets, minlength=len(classes)).tolist(),
        "side": job.config["scale"]["side"] if setting.resized else None,
    }


def brief(record: dict[str, Any]) -> dict[str, Any]:
    """What the terminal shows of a cycle."""
    shown = {name: record[name] for name in ("cycle", "labelled", "fit_seconds", "query_seconds")}
    notes = (record.get("queried") or {}).get("notes", {})
    accuracy = next(iter(record["metrics"].values()))["accuracy"]
    return {**shown, "accuracy": accuracy, "warning": notes.get("warning", "")}


def keep_freed_memory() -> None:
    """Else glibc gives large blocks back to the system, and each step of a narrow network waits a third of its time for
    new pages."""
    with suppress(OSError, AttributeError):
        libc, trim_threshold, mmap_threshold = ctypes.CDLL("libc.so.6"), -1, -3
        libc.mallopt(trim_threshold, 2**30)
        libc.mallopt(mmap_threshold, 2**25)


def choose_device(device: str) -> torch.device:
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"device={device} is unknown: choose auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda, but torch sees no GPU here: take device=cpu, or mend the driver")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high")
    return torch.device("cuda")


def onto(images: Tensor, device: torch.device) -> Tensor:
    """The images on the device, unless they would fill more than half of what is free there."""
    held = getattr(images, "originals", images)
    fits = device.type != "cuda" or 2 * held.nbytes < torch.cuda.mem_get_info(device)[0]
    return images.to(device) if fits else images
