"""One run from its configuration: its parts, what it starts from, its journal and its tracker.

`task` is what Hydra calls for a single run; a sweep calls `left_to_do`, `execute` in a process for each, and `finish`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from alsuite import ranks
from alsuite.command.complaints import complaining
from alsuite.command.first_words import tell
from alsuite.command.identity import provenance
from alsuite.command.job import Job
from alsuite.command.machine import choose_device, keep_freed_memory
from alsuite.command.processes import slots
from alsuite.command.progress import Progress
from alsuite.command.setting import Parts, Setting
from alsuite.command.several import check_launcher, check_machine, processes_of, several
from alsuite.command.shared import SharedJournal, SharedOracle
from alsuite.command.shown import Shown, brief
from alsuite.command.tracking import Tracker
from alsuite.errors import UserError
from alsuite.journal import Journal, Record, set_aside
from alsuite.loop import Run
from alsuite.recorded import BY_HAND, Options, by_hand, changed, ended_as
from alsuite.strategies import Query

__all__ = ["execute", "finish", "left_to_do", "perform", "task"]


def task(config: DictConfig) -> float:
    """Run what Hydra has composed, and return the last accuracy, which Hydra's sweepers optimise.

    A run by itself ends with its table and its curve; one within another launcher's sweep leaves them to the sweep, and
    its errors to the launcher.

    Arguments:
        config: the composed configuration, without Hydra's own node
    """
    hydra_config = HydraConfig.get()
    alone = hydra_config.mode == RunMode.RUN
    with complaining() if alone else nullcontext(), nothing_left_behind(Path(hydra_config.runtime.output_dir)):
        job = Job.of(config, hydra_config)
        check_launcher(job.config, hydra_config.runtime.choices.get("hydra/launcher", ""))
        check_machine(job.config)
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
    """Return the places of the jobs that are to be run: those not finished, and with again=true those made otherwise.

    A job whose folder holds a run of other code or data is refused, since its numbers would be mixed with other ones;
    with again=true the old run is set aside. All are looked at before any is, so that a refusal leaves all as they
    were.
    """
    changes = [_barring(job, progress) for job in jobs]
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


def _barring(job: Job, progress: Progress) -> str:
    """Say what about a job's run isn't as it would be now and keeps it from going on; "" if nothing.

    Labels by hand can't be made anew, so that changed code is only told of there, unless all is to be run anew.
    """
    change = changed(job.folder, *job.identity)
    if not change or job.config["again"] or not by_hand(job.folder):
        return change
    if but := changed(job.folder, job.identity[0], None, job.identity[2]):
        return but
    progress.print(f"{job.folder}: {change}; its labels are kept, and it goes on")
    return ""


def _refusal(jobs: Sequence[Job], refused: Sequence[int], change: str) -> str:
    """Return the line that refuses jobs whose runs were made otherwise, of which the first one's change is told."""
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
    if frame.empty:
        print(f"there are no test images to measure on; the labels: {begun[0] / BY_HAND}")
        return
    print(*filter(None, (last_accuracies(frame), config["description"])), sep="\n")
    if config["figure"]:
        stem = Path(jobs[0].choices["experiment"]).name
        panels = figures.panels_of(config["figure"], stem, config["experiment"])
        scale, root = config["scale"]["name"], Path(config["root"])
        judged = claims.below_a_picture(claims.verdicts_on(stem, claims.live_runs(root, scale)))
        print(figures.draw(stem, scale, root, panels=panels, beneath=judged)[0])
    else:
        print(figures.draw_curves(frame, begun[0] if len(begun) == 1 else begun[0].parent))


def execute(job: Job, shown: Shown) -> None:
    """Run to the end, or go on where an earlier start stopped.

    Arguments:
        job: what is run; nothing of it is built before
        shown: who is told of the cycles
    """
    config = job.config
    slots(config["parallel"])
    if processes_of(config) > ranks.count():
        several(execute, job, shown)
        return
    with ranks.first_ahead(), ranks.alone():  # a scan that chooses the first images would wait for ranks that wait
        parts = Parts.of(config)
        setting = Setting.of(config, job.choices, parts)
    device = choose_device(config["device"], config["deterministic"])
    perform(job.about, job.folder, setting, parts, config["seed"], device, config["wandb"], shown)


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
        journal.start({**about, "seed": seed, **setting.facts(), **provenance(device, about.get("code", ()))})
        for record in journal.records:
            shown.cycle(0, brief(record), setting.cycles, True)
        if journal.finished:
            return
        pool, tests = setting.pool(device), setting.tests(device)
        oracle = parts.oracle(setting.dataset, folder) if alone else SharedOracle(parts, setting, folder)
        mode = wandb if ranks.first() else "disabled"
        tracker = Tracker(mode, folder, about, setting.dataset.classes, len(journal.records))

        def report(record: Record, query: Query | None) -> None:
            tracker.cycle(record, pool, query)
            shown.cycle(0, brief(record), setting.cycles, False)

        first, budget = ranks.told(lambda: setting.initial).to(device), setting.budget
        with tracker:
            Run(pool, tests, parts.task_model, parts.strategy, oracle, budget, first, journal, seed, report).go()
