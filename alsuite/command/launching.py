"""What Hydra asks of a launcher: the jobs' configurations, their runs, and what became of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from alsuite.command.around import left_to_do
from alsuite.command.job import Job, ours, processes_of
from alsuite.command.processes import side_by_side
from alsuite.command.progress import Progress
from alsuite.command.shown import Shown
from alsuite.errors import UserError
from alsuite.recorded import differing

__all__ = ["as_it_was_read", "executed", "in_processes", "in_this_process", "launched"]

Running = Callable[[Sequence[Job], Progress], dict[int, Exception]]


def launched(
    loader: ConfigLoader, master: DictConfig, overrides: Sequence[Sequence[str]], first: int, run: Running
) -> list[JobReturn]:
    """Run jobs as Hydra's launchers do, and return what they return of each; the value of a run is its last accuracy.

    All configurations are read before the first run starts, so that a wrong option is told at once. Runs that are
    finished already aren't run again.

    Arguments:
        loader: Hydra's own, which composes the configurations
        master: the configuration that the command line begins with
        overrides: of each job
        first: the number of the first job
        run: runs those that are left to do, and returns place -> error of those that ended early
    """
    setup_globals()
    with Progress() as progress:
        returns, jobs = [], []
        for number, its in enumerate(overrides):
            progress.reading(number, len(overrides))
            returns.append(_composed(loader, master, its, first + number))
            jobs.append(Job.of(returns[-1].cfg, returns[-1].hydra_cfg.hydra))
        _refuse_alike(jobs)
        numbers = {job.folder: number for number, job in reversed([*enumerate(jobs)])}  # a sweeper may ask twice
        to_do = [number for number in left_to_do(jobs, progress) if numbers[jobs[number].folder] == number]
        progress.runs([jobs[number].name for number in to_do])
        errors = run([jobs[number] for number in to_do], progress) if to_do else {}
    failed = {jobs[to_do[place]].folder: error for place, error in errors.items()}
    for each, job in zip(returns, jobs, strict=True):
        if job.folder in failed:
            each.status, each.return_value = JobStatus.FAILED, failed[job.folder]
        if each.status is JobStatus.UNKNOWN:
            each.status, each.return_value = JobStatus.COMPLETED, job.accuracy()
    return returns


def _refuse_alike(jobs: Sequence[Job]) -> None:
    """Refuse jobs that differ, but in nothing that names a run, of which only one would be run."""
    first: dict[Path, Job] = {}
    for job in jobs:
        before = first.setdefault(job.folder, job).config
        if unlike := differing(before, job.config):
            raise UserError(f"{unlike[0]} is not part of a run's name: give it one value a command")


def in_this_process(jobs: Sequence[Job], progress: Progress) -> dict[int, Exception]:
    """Run a single job in this process, with all its threads; what goes wrong ends the command."""
    executed(jobs[0], partial(progress.cycle, 0))
    return {}


def in_processes(jobs: Sequence[Job], progress: Progress) -> dict[int, Exception]:
    """Run jobs in processes of this machine."""
    parallel = jobs[0].config["parallel"]
    if any(processes_of(job.config) > 1 for job in jobs):
        from alsuite.command.several import one_after_another

        return one_after_another(as_it_was_read, jobs, parallel, progress)
    return side_by_side(as_it_was_read, jobs, parallel, progress)


def as_it_was_read(job: Job, shown: Shown) -> None:
    """Run a job in a process of its own, which reads modules and images anew: they must be those of the command."""
    job.refuse_changes()
    executed(job, shown)


def executed(job: Job, shown: Shown) -> None:
    """Run a job, with what it takes seconds to import: only the processes that run something need it."""
    from alsuite.command.run import execute

    execute(job, shown)


def _composed(loader: ConfigLoader, master: DictConfig, overrides: Sequence[str], number: int) -> JobReturn:
    """Return a job with its configuration, as Hydra's own launchers make it."""
    config = loader.load_sweep_config(master, [*overrides])
    with open_dict(config.hydra), read_write(config.hydra), read_write(config.hydra.runtime):
        config.hydra.job.id = str(number)
        config.hydra.job.num = number
        HydraConfig.instance().set_config(config)
        config.hydra.runtime.output_dir = os.path.abspath(f"{config.hydra.sweep.dir}/{config.hydra.sweep.subdir}")
    return JobReturn([*overrides], ours(config), OmegaConf.masked_copy(config, ["hydra"]))
