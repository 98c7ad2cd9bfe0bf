"""Runs as tasks of a Slurm array: submitit hands them in, and their journals tell how far they are.

A run's journal is its checkpoint, so a task that was preempted, or whose time was up, only runs the same job again.
Which runs are in the queue is read from what submitit keeps of each task: a command that was killed and is given again
finds them, and waits for them as well; so does a second one beside the first. The data is brought here before the tasks
start; a generator that several runs share is trained by the first that wants it, and the log of each other says that
it waits.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, suppress
from dataclasses import fields, replace
from functools import partial
from io import StringIO
from pathlib import Path
from pickle import PickleError
from typing import TYPE_CHECKING

from alsuite.command.complaints import plainly
from alsuite.command.job import Job, processes_of
from alsuite.command.processes import Work, limit_threads
from alsuite.command.progress import Progress
from alsuite.command.slurm_queue import Watch, failure, in_queue
from alsuite.errors import UserError, first_line
from alsuite.files import locked
from alsuite.recorded import Options

if TYPE_CHECKING:
    from submitit import Job as Handed
    from submitit.core.utils import DelayedSubmission

__all__ = ["Array", "Resuming", "fetched"]

VGG16 = "alsuite.tasks.vgg.VGG16"
# Those of a task of another version, or of a torn one.
UNREADABLE = (AssertionError, AttributeError, EOFError, ImportError, OSError, PickleError)


class Resuming:
    """What submitit calls in a task of the array, and asks what to do next when the task's time is up.

    work: runs one job; pickled by its name
    """

    def __init__(self, work: Work) -> None:
        self.work = work

    def __call__(self, job: Job) -> None:
        """Run the job, or go on where an earlier task stopped.

        SIGTERM is left to Slurm, which ends a preempted task after its grace and puts it back into the queue: at the
        signal itself Lightning would end the process as if the run were done. The job's code is looked at anew, since
        it may have changed while the task was waiting.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        with ExitStack() as stack:
            looked_at = stack.enter_context(_task(job))
            shown = partial(stack.enter_context(Progress([job.name])).cycle, 0) if looked_at else lambda *_: None
            with plainly():
                self.work(replace(job), shown)

    def checkpoint(self, job: Job) -> DelayedSubmission:
        """Return what the task does when it starts again: the same."""
        from submitit.core.utils import DelayedSubmission

        return DelayedSubmission(self, job)


class Array:
    """Runs jobs by Slurm, a task each.

    work: runs one job
    options: those of Hydra's submitit_slurm
    """

    def __init__(self, work: Work, options: Options) -> None:
        given = {key: value for key, value in options.items() if value is not None}
        if more := [key for key in ("nodes", "tasks_per_node") if given.get(key, 1) != 1]:
            raise UserError(f"leave out hydra.launcher.{more[0]}: nodes=2 devices=4 are a run's own options")
        self.work = work
        self.folder = str(given.pop("submitit_folder"))
        self.timeouts = given.pop("max_num_timeout", 0)
        self.options = given

    def __call__(self, jobs: Sequence[Job], progress: Progress) -> dict[int, Exception]:
        """Bring the data here, hand in the jobs, wait for all, and return place -> error of those that failed."""
        if any(job.config["oracle"].get("ui") == "page" for job in jobs):
            raise UserError("ui=page shows a page where the run is, which Slurm decides: take ui=csv or label_studio")
        self.queued()  # where there is no Slurm this is said before anything is fetched
        return self.run(jobs, fetched(jobs), progress)

    def run(self, jobs: Sequence[Job], cycles: Sequence[int], progress: Progress) -> dict[int, Exception]:
        """Hand in those jobs that are not in the queue, and wait for all.

        Arguments:
            jobs: those that are left to do
            cycles: how many each has
            progress: is told of cycles and ends, by the places of the jobs
        """
        with self._one_at_a_time():
            queued = self.queued()
            new = [job for job in jobs if job.folder not in queued]
            if len(new) < len(jobs):
                progress.say(f"{len(jobs) - len(new)} of {len(jobs)} runs are in Slurm's queue already")
            tasks = {**queued, **self.submitted(new, progress)}
        watch = Watch([tasks[job.folder] for job in jobs], [job.folder for job in jobs], cycles, progress)
        try:
            return watch.until_all_ended()
        except KeyboardInterrupt:
            numbers = sorted({task.job_id.partition("_")[0] for task in watch.tasks})
            progress.say(f"the runs go on in Slurm's queue: scancel {' '.join(numbers)} ends them")
            raise

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Let no other command hand in runs meanwhile, which might be the same."""
        self.home.mkdir(parents=True, exist_ok=True)
        with locked(self.home / "lock"):
            yield

    @property
    def home(self) -> Path:
        """Return the folder that holds those of all tasks."""
        from submitit.core.utils import JobPaths

        return JobPaths.get_first_id_independent_folder(self.folder)

    def queued(self) -> dict[Path, Handed[None]]:
        """Return the folder of each run that is in the queue, with its task."""
        from submitit import SlurmJob

        if (numbers := in_queue()) is None:
            raise UserError("Slurm does not answer squeue: start the same command again when it does")
        tasks = [SlurmJob(self.folder, number) for number in sorted(numbers)]
        queued: dict[Path, Handed[None]] = {}
        for task in tasks:
            if task.paths.submitted_pickle.exists():
                try:
                    queued[task.submission().args[0].folder] = task
                except UNREADABLE:
                    raise UserError(
                        f"task {task.job_id} in Slurm's queue was handed in by another version: let it end, or "
                        f"scancel {task.job_id}"
                    ) from None
        return queued

    def tell_of_earlier(self, jobs: Sequence[Job], progress: Progress) -> None:
        """Say how many jobs had a task that left the queue before the run had ended, and of the last of them why."""
        from submitit import SlurmJob

        last: dict[Path, Handed[None]] = {}
        found = {path: path.stat() for path in self.home.rglob("*_submitted.pkl")}
        own = os.getuid()  # to read a pickle is to run it
        submitted = {path: status.st_mtime for path, status in found.items() if status.st_uid == own}
        for path in sorted(submitted, key=submitted.__getitem__):
            task: Handed[None] = SlurmJob(self.folder, path.name.removesuffix("_submitted.pkl"))
            with suppress(*UNREADABLE):
                last[task.submission().args[0].folder] = task
        if again := [job for job in jobs if job.folder in last]:
            job = again[-1]
            why = f"{job.name}: {failure(last[job.folder])}"
            progress.say(f"{len(again)} of {len(jobs)} runs are handed in again; {why}")

    def submitted(self, jobs: Sequence[Job], progress: Progress) -> dict[Path, Handed[None]]:
        """Hand in jobs as one array, and return the folder of each with its task."""
        from submitit import AutoExecutor

        if not jobs:
            return {}
        self.tell_of_earlier(jobs, progress)
        limit_threads(int(self.options.get("cpus_per_task", 1)))  # sbatch hands it on
        try:
            executor = AutoExecutor(self.folder, cluster="slurm", slurm_max_num_timeout=self.timeouts)
            executor.update_parameters(**_named_for_submitit({**self.options, **_tasks(jobs)}))
            with redirect_stderr(StringIO()):  # submitit prints what it raises
                tasks = executor.map_array(Resuming(self.work), jobs)
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(f"Slurm takes no runs ({first_line(error)}): see hydra.launcher") from None
        progress.say(f"{len(tasks)} runs are handed in to Slurm as job {tasks[0].job_id.partition('_')[0]}")
        return {job.folder: task for job, task in zip(jobs, tasks, strict=True)}


@contextmanager
def _task(job: Job) -> Iterator[bool]:
    """Be within the block what this task is of its run, all of it or one of the ranks, and tell whether the first."""
    if processes_of(job.config) == 1:
        yield True
        return
    from alsuite.command.several import as_task  # imports torch, which takes seconds

    with as_task(job.config) as first:
        yield first


def _tasks(jobs: Sequence[Job]) -> Options:
    """Return the options by which each run gets a task for each of its processes, which end together."""
    if len(sizes := {(job.config.get("nodes", 1), job.config.get("devices", 1)) for job in jobs}) > 1:
        raise UserError("runs of an array need equal numbers of processes: give devices and nodes one value")
    ((nodes, devices),) = sizes
    if nodes * devices == 1:
        return {}
    return {"nodes": nodes, "tasks_per_node": devices, "srun_args": ["--kill-on-bad-exit=1"]}


def _named_for_submitit(options: Options) -> dict[str, object]:
    """Return the options by the names that submitit has for them: those that only Slurm knows begin with it."""
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

    shared = {field.name for field in fields(BaseQueueConf)}
    return {key if key in shared else f"slurm_{key}": value for key, value in options.items()}


def fetched(jobs: Sequence[Job]) -> list[int]:
    """Return how many cycles each job has, once its data is here: a cluster's nodes may not reach the internet."""
    from alsuite.command.setting import Parts, Setting
    from alsuite.tasks.vgg import convolutions

    nodes = [node for job in jobs for node in _nodes(job.config)]
    for weights in {node.get("weights") for node in nodes if node.get("_target_") == VGG16}:
        convolutions(weights)
    cycles: dict[str, int] = {}
    for job in jobs:
        if (start := _start(job)) not in cycles:
            cycles[start] = Setting.of(job.config, job.choices, Parts.of(job.config)).cycles
    return [cycles[_start(job)] for job in jobs]


def _start(job: Job) -> str:
    """Return what a run's data and the number of its cycles follow from, as a text."""
    kept = ("dataset", "scale", "budget", "initial", "enlarge", "imbalance")
    chosen = [job.choices[group] for group in ("dataset", "oracle")]
    return json.dumps([*chosen, *(job.config.get(key) for key in kept)], sort_keys=True)


def _nodes(tree: object) -> list[Mapping[str, str]]:
    """Return the nodes of a configuration that have keys, at every depth."""
    if isinstance(tree, list | tuple):
        return [node for part in tree for node in _nodes(part)]
    if not isinstance(tree, Mapping):
        return []
    return [tree, *(node for part in tree.values() for node in _nodes(part))]
