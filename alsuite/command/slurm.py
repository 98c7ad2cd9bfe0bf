"""Runs as tasks of a Slurm array: submitit hands them in, and their journals tell how far they are.

A run's journal is its checkpoint, so a task that was preempted, or whose time was up, only runs the same job again.
Which runs are in the queue is read from what submitit keeps of each task: a command that was killed and is given again
finds them, and waits for them as well. The data is brought here before the tasks start; a generator that several runs
share is trained by the first that wants it, and the log of each other says that it waits.
"""

from __future__ import annotations

import getpass
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

from alsuite.command.job import Job
from alsuite.command.processes import THREADS, Work
from alsuite.command.progress import Progress
from alsuite.command.shown import Growing, brief
from alsuite.errors import AwaitingLabels, UserError

if TYPE_CHECKING:
    from submitit import Job as Handed
    from submitit.core.utils import DelayedSubmission

__all__ = ["Array", "Task", "in_queue", "prepared"]

PERIOD = 5.0  # seconds between two looks at the queue
PATIENCE = 30.0  # seconds until a journal's last line must have come from the node on which its task has ended
VGG16 = "alsuite.tasks.vgg.VGG16"
OURS = "alsuite.errors"


class Task:
    """What submitit calls in a task of the array, and asks what to do next when the task's time is up.

    work: runs one job; pickled by its name
    """

    def __init__(self, work: Work) -> None:
        self.work = work

    def __call__(self, job: Job) -> None:
        """Run the job, or go on where an earlier task stopped.

        SIGTERM is left to Slurm, which ends a preempted task after its grace and puts it back into the queue: at the
        signal itself Lightning would end the process as if the run were done.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        with Progress([job.name]) as progress:
            self.work(job, progress)

    def checkpoint(self, job: Job) -> DelayedSubmission:
        """Return what the task does when it starts again: the same."""
        from submitit.core.utils import DelayedSubmission

        return DelayedSubmission(self, job)


class Array:
    """Runs jobs by Slurm, a task each.

    work: runs one job
    options: those of Hydra's submitit_slurm
    """

    def __init__(self, work: Work, options: Mapping[str, object]) -> None:
        given = {key: value for key, value in options.items() if value is not None}
        self.work = work
        self.folder = str(given.pop("submitit_folder"))
        self.timeouts = given.pop("max_num_timeout", 0)
        self.options = given

    def __call__(self, jobs: Sequence[Job], progress: Progress) -> dict[int, Exception]:
        """Bring the data here, hand in the jobs, wait for all, and return place -> error of those that failed."""
        return self.run(jobs, prepared(jobs), progress)

    def run(self, jobs: Sequence[Job], cycles: Sequence[int], progress: Progress) -> dict[int, Exception]:
        """Hand in those jobs that are not in the queue, and wait for all.

        Arguments:
            jobs: those that are left to do
            cycles: how many each has
            progress: is told of cycles and ends, by the places of the jobs
        """
        queued = self.queued()
        new = [job for job in jobs if job.folder not in queued]
        if len(new) < len(jobs):
            progress.print(f"{len(jobs) - len(new)} of {len(jobs)} runs are in Slurm's queue already")
        tasks = {**queued, **self.submitted(new, progress)}
        watch = _Watch([tasks[job.folder] for job in jobs], [job.folder for job in jobs], cycles, progress)
        return watch.until_all_ended()

    def queued(self) -> dict[Path, Handed[None]]:
        """Return the folder of each run that is in the queue, with its task."""
        from submitit import SlurmJob

        if (numbers := in_queue()) is None:
            raise UserError("Slurm does not answer squeue: start the same command again when it does")
        tasks = [SlurmJob(self.folder, number) for number in sorted(numbers)]
        handed_in = [task for task in tasks if task.paths.submitted_pickle.exists()]
        return {task.submission().args[0].folder: task for task in handed_in}

    def submitted(self, jobs: Sequence[Job], progress: Progress) -> dict[Path, Handed[None]]:
        """Hand in jobs as one array, and return the folder of each with its task."""
        from submitit import AutoExecutor

        if not jobs:
            return {}
        os.environ.update(dict.fromkeys(THREADS, str(self.options.get("cpus_per_task", 1))))  # sbatch hands it on
        try:
            executor = AutoExecutor(self.folder, cluster="slurm", slurm_max_num_timeout=self.timeouts)
            executor.update_parameters(**_named_for_submitit(self.options))
            tasks = executor.map_array(Task(self.work), jobs)
        except (RuntimeError, ValueError) as error:
            raise UserError(f"Slurm takes no runs ({str(error).splitlines()[0]}): see hydra.launcher") from None
        progress.print(f"{len(tasks)} runs are handed in to Slurm as job {tasks[0].job_id.partition('_')[0]}")
        return {job.folder: task for job, task in zip(jobs, tasks, strict=True)}


def _named_for_submitit(options: Mapping[str, object]) -> dict[str, object]:
    """Return the options by the names that submitit has for them: those that only Slurm knows begin with it."""
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

    shared = {field.name for field in fields(BaseQueueConf)}
    return {key if key in shared else f"slurm_{key}": value for key, value in options.items()}


def in_queue() -> set[str] | None:
    """Return the numbers of this user's tasks that wait or run; None when Slurm does not answer."""
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={getpass.getuser()}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError("there is no squeue here: give the command on a machine of the Slurm cluster") from None
    return {*answer.stdout.split()} if answer.returncode == 0 else None


def prepared(jobs: Sequence[Job]) -> list[int]:
    """Return how many cycles each job has, once its data is here: a cluster's nodes may not reach the internet."""
    from alsuite.command.setting import Parts, Setting
    from alsuite.tasks.vgg import convolutions

    for weights in {node["weights"] for job in jobs for node in _nodes(job.config) if node.get("_target_") == VGG16}:
        convolutions(weights)
    cycles: dict[str, int] = {}
    for job in jobs:
        if (start := _start(job)) not in cycles:
            cycles[start] = Setting.of(job.config, job.choices, Parts.of(job.config)).cycles
    return [cycles[_start(job)] for job in jobs]


def _start(job: Job) -> str:
    """Return what a run's data and the number of its cycles follow from, as a text."""
    kept = ("dataset", "scale", "budget", "initial", "enlarge")
    return json.dumps([job.choices["dataset"], *(job.config[key] for key in kept)], sort_keys=True)


def _nodes(tree: object) -> list[Mapping[str, str]]:
    """Return the nodes of a configuration that have keys, at every depth."""
    if not isinstance(tree, Mapping):
        return []
    return [tree, *(node for part in tree.values() for node in _nodes(part))]


class _Watch:
    """Runs in the queue, seen by their journals.

    left: the places of the runs that have not ended
    errors: place -> why it ended early
    """

    def __init__(
        self, tasks: Sequence[Handed[None]], folders: Sequence[Path], cycles: Sequence[int], progress: Progress
    ) -> None:
        self.tasks = tasks
        self.cycles = cycles
        self.progress = progress
        self.journals = [Growing(folder / "cycles.jsonl") for folder in folders]
        self.seen = [monotonic()] * len(tasks)
        self.left = {*range(len(tasks))}
        self.errors: dict[int, Exception] = {}

    def until_all_ended(self) -> dict[int, Exception]:
        """Look at the queue and the journals again and again."""
        while self.left:
            queue = in_queue()
            for place in sorted(self.left):
                self._look(place, queue is None or self.tasks[place].job_id in queue)
            sleep(PERIOD if self.left else 0)
        return self.errors

    def _look(self, place: int, queued: bool) -> None:
        """Show the cycles that a run has done since the last look, and whether it has ended."""
        for record in self.journals[place].added():
            self.progress.cycle(place, brief(record), self.cycles[place], False)
        if queued:
            self.seen[place] = monotonic()
        if self.journals[place].finished:
            self._end(place, None)
        elif monotonic() > self.seen[place] + PATIENCE:
            self._end(place, _failure(self.tasks[place]))

    def _end(self, place: int, error: UserError | None) -> None:
        """Show that a run has ended, or waits for labels."""
        self.left.discard(place)
        if error is None:
            self.progress.ended(place, None)
            return
        self.errors[place] = error
        tell = self.progress.waiting if isinstance(error, AwaitingLabels) else self.progress.ended
        tell(place, str(error))


def _failure(task: Handed[None]) -> UserError:
    """Return why a task left the queue before its run had ended, with the path of its log."""
    told = _last_words(task)
    kind, _, text = told.partition(": ")
    line = f"{text if kind.startswith(OURS) else told} (log: {task.paths.stderr})"
    return AwaitingLabels(line) if kind == f"{OURS}.AwaitingLabels" else UserError(line)


def _last_words(task: Handed[None]) -> str:
    """Return the last line of the error that submitit keeps; of a task that was killed, that of its log."""
    from submitit.core.utils import pickle_load

    result, log = task.paths.result_pickle, task.paths.stderr
    kept = str(pickle_load(result)[1]) if result.exists() else ""
    written = log.read_text(errors="replace") if log.exists() else ""
    errors = [line for line in written.splitlines() if "error: " in line]
    return (kept.splitlines() or errors or ["it left Slurm's queue without a word"])[-1]
