"""One run from its configuration: its parts, what it starts from, its journal and its tracker.

`task` is what Hydra calls for a single run; a sweep calls `execute` in a process for each.
"""

from __future__ import annotations

from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path

import torch
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from alsuite import ranks
from alsuite.command.around import finish, left_to_do
from alsuite.command.complaints import complaining
from alsuite.command.first_words import tell
from alsuite.command.identity import provenance
from alsuite.command.job import Job, processes_of
from alsuite.command.leftovers import nothing_left_behind
from alsuite.command.machine import keep_freed_memory, tried_device
from alsuite.command.processes import slots
from alsuite.command.progress import Progress
from alsuite.command.setting import Parts, Setting
from alsuite.command.several import check_launcher, check_machine, several
from alsuite.command.shared import SharedJournal, SharedOracle
from alsuite.command.shown import Shown, brief
from alsuite.command.tracking import Tracker
from alsuite.journal import Journal
from alsuite.loop import Run
from alsuite.recorded import Options, Record, about_of
from alsuite.strategies import Query

__all__ = ["execute", "perform", "task"]


def task(config: DictConfig) -> float:
    """Run what Hydra has composed, and return the last accuracy, which Hydra's sweepers optimise.

    A run by itself ends with its table and its curve; one within another launcher's sweep leaves them to the sweep, and
    its errors to the launcher.

    Arguments:
        config: the composed configuration, without Hydra's own node
    """
    hydra_config = HydraConfig.get()
    alone = hydra_config.mode == RunMode.RUN
    folder = Path(hydra_config.runtime.output_dir)
    with complaining() if alone else nullcontext(), nothing_left_behind(folder, alone):
        job = Job.of(config, hydra_config)
        check_launcher(job.config, hydra_config.runtime.choices.get("hydra/launcher", ""))
        check_machine(job.config)
        with Progress([job.name]) as progress:
            if left_to_do([job], progress):
                execute(job, partial(progress.cycle, 0), _told(job, config, hydra_config, progress))
        if alone:
            finish([job])
        return job.accuracy()


def _told(job: Job, config: DictConfig, hydra: HydraConf, progress: Progress) -> Setting | None:
    """Tell the first words of a run, and return what it starts from; None where each of its processes loads that."""
    setting = Setting.of(job.config, job.choices, Parts.of(job.config))
    tell(job, setting, config, hydra, progress)
    return setting if processes_of(job.config) == 1 else None


def execute(job: Job, shown: Shown, setting: Setting | None = None) -> None:
    """Run to the end, or go on where an earlier start stopped.

    Arguments:
        job: what is run
        shown: who is told of the cycles
        setting: what the job starts from, where that is known already
    """
    config = job.config
    slots(config["parallel"])
    if processes_of(config) > ranks.count():
        several(execute, job, shown)
        return
    with ranks.first_ahead(), ranks.alone():  # a scan that chooses the first images would wait for ranks that wait
        parts = Parts.of(config)
        setting = setting or Setting.of(config, job.choices, parts)
    device = tried_device(config["device"], config["deterministic"])
    perform(job.begun_from(setting.made_up), job.folder, setting, parts, config["seed"], device, config["wandb"], shown)


def perform(
    about: Options,
    folder: Path,
    setting: Setting,
    parts: Parts,
    seed: int,
    device: torch.device,
    wandb: str,
    shown: Shown,
) -> None:
    """Run from parts that are built, and write it down; a finished run only tells of its cycles.

    Arguments:
        about: what tells this run from others: its configuration, code and data; another one's folder is refused
        folder: where the journal lies
        setting: what it starts from
        parts: what it is made of
        seed: from which each cycle's own state of all generators follows
        device: where it computes
        wandb: offline, online or disabled
        shown: who is told of the cycles, those of an earlier start first
    """
    keep_freed_memory()
    alone = ranks.count() == 1
    with closing(Journal(folder) if alone else SharedJournal(folder)) as journal:
        if journal.records or journal.asked:
            keep_threads(folder)
        journal.start({**about, "seed": seed, **setting.facts(), **provenance(device, about.get("code", ()))})
        for record in journal.records:
            shown(brief(record), setting.cycles, True)
        if journal.finished:
            return
        pool, tests = setting.pool(device), setting.tests(device)
        oracle = parts.oracle(setting.dataset, folder) if alone else SharedOracle(parts, setting, folder)
        mode = wandb if ranks.first() else "disabled"
        tracker = Tracker(mode, folder, about, setting.dataset.classes, len(journal.records))

        def report(record: Record, query: Query | None) -> None:
            tracker.cycle(record, pool, query)
            shown(brief(record), setting.cycles, False)

        first, budget = ranks.told(lambda: setting.initial).to(device), setting.budget
        with tracker:
            Run(pool, tests, parts.task_model, parts.strategy, oracle, budget, first, journal, seed, report).go()


def keep_threads(folder: Path) -> None:
    """Compute with no more threads than the run has begun with, since more of them round other sums."""
    began = (about_of(folder / "run.json") or {}).get("threads")
    if isinstance(began, int) and 0 < began < torch.get_num_threads():
        torch.set_num_threads(began)
