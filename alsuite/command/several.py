"""One run by several processes: on this machine, a GPU or a share of the threads each, or as Slurm started them.

The command's own process only shows what the first rank tells, and ends all of them when one has ended early. What is
left of the run then is its journal, from which the same command goes on.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait

import torch

from alsuite import ranks
from alsuite.command.job import Job, processes_of
from alsuite.command.machine import choose_device
from alsuite.command.processes import Running, Told, Work, heard, killed, limit_threads, server, show_end, started
from alsuite.command.progress import Progress
from alsuite.command.shown import Shown
from alsuite.errors import UserError
from alsuite.progress import SILENCE, Lines, displayed, say
from alsuite.recorded import Options

__all__ = ["as_task", "check_launcher", "check_machine", "one_after_another", "several"]

GRACE = 3.0  # seconds in which the other ranks tell why they end, too
PORT, PORTS = 20_000, 10_000  # where the ranks of a task of Slurm's meet, by its number


def check_machine(config: Options) -> None:
    """Refuse more processes than this machine can take by itself, before anything is computed."""
    if processes_of(config) == 1:
        return
    nodes, devices = config["nodes"], config["devices"]
    if nodes > 1:
        raise UserError(f"nodes={nodes} is for a cluster: add -m hydra/launcher=slurm, or leave it out")
    if choose_device(config["device"]).type == "cuda" and devices > (there := torch.cuda.device_count()):
        raise UserError(f"devices={devices}, but torch sees {there} here: take devices={there}, or device=cpu")


def check_launcher(config: Options, launcher: str) -> None:
    """Refuse several processes a run where runs go side by side, in processes that can start no others."""
    if launcher == "joblib" and processes_of(config) > 1:
        raise UserError("runs of several processes take turns: leave hydra/launcher=joblib out, or devices")


def several(work: Work, job: Job, shown: Shown) -> None:
    """Have as many processes of this machine do a job as it says; what ends one of them ends the job.

    Arguments:
        work: does the job as one of the ranks
        job: what is done
        shown: who is told of the cycles
    """
    check_machine(job.config)
    count, gpu = job.config["devices"], choose_device(job.config["device"]).type == "cuda"
    threads = max(1, torch.get_num_threads() // count)
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # what the first words have taken
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        starts = [Start(work, f"file://{folder}/meeting", rank, count, rank if gpu else None) for rank in range(count)]
        _Watch(starts, job, shown, threads).until_all_ended()


@dataclass(frozen=True)
class Start:
    """How a rank begins.

    work: does the job as one of the ranks
    place: where they meet
    rank: its number
    count: how many there are
    gpu: the place of its GPU among those of this machine; None on a CPU
    """

    work: Work
    place: str
    rank: int
    count: int
    gpu: int | None

    def __call__(self, job: Job, shown: Shown) -> None:
        """Do the job."""
        assert isinstance(shown, Told)
        display = Lines(shown.say) if self.rank == 0 else SILENCE
        with displayed(display), met(self.place, self.rank, self.count, self.gpu, here=True):
            self.work(job, shown)


@contextmanager
def met(place: str, rank: int, count: int, gpu: int | None, here: bool) -> Iterator[None]:
    """Meet the other ranks, all of them on this machine or not; each sees no GPU but its own."""
    if here and sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = own_gpu(gpu, os.environ)
    with ranks.meeting(place, rank, count):
        yield


def own_gpu(place: int, environment: Mapping[str, str]) -> str:
    """Return the GPU of a rank by its place on this machine, among those that are shown to it."""
    shown = environment.get("CUDA_VISIBLE_DEVICES")
    if not shown:
        return str(place)
    names = shown.split(",")
    if place >= len(names) > 1:
        raise UserError(f"devices={place + 1} or more, but {len(names)} GPUs are shown to it: take fewer")
    return names[place % len(names)]  # of one, which Slurm has chosen for each


@contextmanager
def as_task(config: Options) -> Iterator[bool]:
    """Be within the block the rank of a run that this task of Slurm's is, and tell whether that is the first."""
    from submitit import JobEnvironment

    task, count = JobEnvironment(), processes_of(config)
    if task.num_tasks != count:
        raise UserError(f"Slurm has started {task.num_tasks} tasks for {count} processes: see nodes and devices")
    here = task.num_nodes == 1
    place = f"tcp://{'127.0.0.1' if here else task.hostnames[0]}:{PORT + int(task.raw_job_id) % PORTS}"
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # else to look for GPUs fixes, before `met`, which ones it sees
    gpu = task.local_rank if choose_device(config["device"]).type == "cuda" else None
    with displayed(SILENCE), met(place, task.global_rank, count, gpu, here):
        yield ranks.first()


class _Watch:
    """The processes of a run, and what they tell.

    running: pipe -> the rank, and its process
    errors: rank -> why it ended early
    """

    def __init__(self, starts: Sequence[Start], job: Job, shown: Shown, threads: int) -> None:
        self.shown = shown
        self.running: Running = {}
        self.errors: dict[int, Exception] = {}
        limit_threads(threads)
        context = server()
        for start in starts:
            connection, process = started(context, start, job, threads)
            self.running[connection] = (start.rank, process)

    def until_all_ended(self) -> None:
        """Show what the first rank tells; once a rank has ended early, end the others, which wait for it."""
        try:
            while self.running and (told := wait([*self.running], GRACE if self.errors else None)):
                for connection in told:
                    assert isinstance(connection, Connection)
                    self._hear(connection)
        finally:
            for _, process in self.running.values():
                process.kill()
                process.join()
        if self.errors:
            raise min(self.errors.values(), key=lambda error: isinstance(error, ranks.Lost))

    def _hear(self, connection: Connection) -> None:
        rank, kind, told = heard(self.running, connection)
        if kind == "error":
            self.errors[rank] = told[0]
        elif kind == "say":
            say(told[0])
        elif kind == "ended" and told[0]:
            self.errors.setdefault(rank, killed(f"process {rank + 1} of the run", told[0]))
        elif kind == "cycle" and rank == 0:
            record, cycles, old, _ = told
            self.shown(record, cycles, old)


def one_after_another(work: Work, jobs: Sequence[Job], parallel: object, progress: Progress) -> dict[int, Exception]:
    """Do jobs that take several processes each, and return place -> error of those that ended early."""
    if parallel not in ("auto", 1):
        raise UserError(f"parallel={parallel} runs of several processes would share the machine: leave parallel out")
    errors: dict[int, Exception] = {}
    for place, job in enumerate(jobs):
        try:
            work(job, partial(progress.cycle, place))
        except UserError as error:
            errors[place] = error
        show_end(progress, place, errors.get(place))
    return errors
