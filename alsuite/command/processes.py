"""Runs side by side, a process each.

On a CPU runs share the cores, one each where there are enough; on a GPU as many run together as there are cores and its
memory holds, judged by what the first ones use. A process sends what it has to tell through a pipe: ("cycle", ...) for
each cycle, ("say", text) for a line, ("error", error) before it ends early. Where the system can fork, processes come
from a server that has imported torch once, so that each starts at once and none inherits threads or a GPU's state.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsuite.command.complaints import plainly
from alsuite.command.job import Job
from alsuite.command.progress import Progress
from alsuite.command.shown import Brief, Shown
from alsuite.errors import AwaitingLabels, UserError, is_whole, reason
from alsuite.limits import cores

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

    Starter = ForkServerContext | SpawnContext

__all__ = ["Told", "Work", "heard", "killed", "limit_threads", "server", "show_end", "side_by_side", "slots", "started"]

GPUS = [Path("/dev", name) for name in ("nvidiactl", "dxg", "kfd")]  # of Linux, of Linux within Windows, of AMD
PRELOADED = ["alsuite.command.run", "alsuite.tasks.classification", "alsuite.nets.classifiers", "pandas"]
Work = Callable[[Job, Shown], None]
Running = dict[Connection, tuple[int, BaseProcess]]  # pipe -> the number of a job or a rank, and its process
SHARE = 0.85  # of a GPU's memory


def limit_threads(threads: int) -> None:
    """Let this process, and those that it starts, use that many threads: libraries read it as they are loaded."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)))


def side_by_side(work: Work, jobs: Sequence[Job], parallel: object, progress: Progress) -> dict[int, Exception]:
    """Run all, and return place -> error of those that ended early; one that fails says why, and the others go on.

    work: runs one job in a process of its own; it must be picklable, and so must what a job holds
    jobs: those to be run, started in this order
    parallel: how many at once, or `auto`, which minds a GPU's memory; they share the cores' threads
    progress: is told of cycles and ends, by the places of the jobs
    """
    most = slots(parallel)
    threads = max(1, slots("auto") // min(most, len(jobs)))
    limit_threads(threads)
    runs = _Runs(work, server(), progress, by_memory=parallel == "auto", threads=threads)
    waiting = list(enumerate(jobs))
    while waiting or runs.running:
        while waiting and len(runs.running) < max(1, min(most, runs.room)):
            runs.start(*waiting.pop(0))
        for connection in wait([*runs.running]):
            assert isinstance(connection, Connection)
            runs.hear(connection)
    return runs.errors


def server() -> Starter:
    """Return what starts processes; where that is a server, it has begun, and no Ctrl-C reaches it as it imports."""
    if "forkserver" not in mp.get_all_start_methods():
        return mp.get_context("spawn")
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    resource_tracker.ensure_running()  # it would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
        return context
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def slots(parallel: object) -> int:
    """Return how many runs go at once: the number that was given, or for `auto` one for each core."""
    if is_whole(parallel):
        return parallel
    if parallel != "auto":
        raise UserError(f"parallel={parallel} is no number of runs: give one from 1, or auto")
    return cores()


@dataclass
class _Runs:
    """The processes of a sweep, and what they tell.

    by_memory: whether a GPU's memory decides how many run at once, where no number was asked for
    threads: of each
    running: those there are
    errors: number -> why it ended early
    held: the largest share of a GPU's memory that a run has taken so far
    """

    work: Work
    context: Starter
    progress: Progress
    by_memory: bool = True
    threads: int = 1
    running: Running = field(default_factory=dict)
    errors: dict[int, Exception] = field(default_factory=dict)
    held: float = 0.0

    def __post_init__(self) -> None:
        """Have room for one on a GPU, until a first run tells what it needs."""
        self.room = 1 if self.by_memory and any(path.exists() for path in GPUS) else sys.maxsize

    def start(self, number: int, job: Job) -> None:
        """Start a job in a process."""
        connection, process = started(self.context, self.work, job, self.threads)
        self.running[connection] = (number, process)

    def hear(self, connection: Connection) -> None:
        """Take what a process has to tell."""
        number, kind, told = heard(self.running, connection)
        if kind == "error":
            self.errors[number] = told[0]
        elif kind == "cycle":
            self._cycle(number, *told)
        elif kind == "ended":
            error = self.errors.setdefault(number, killed("it", told[0])) if told[0] else None
            show_end(self.progress, number, error)

    def _cycle(self, number: int, record: Brief, cycles: int, old: bool, held: float) -> None:
        """Show a cycle, and reckon how many runs a GPU holds, if each takes as much as the largest so far.

        The cycles of an earlier start are told before the run has anything on the GPU, and say nothing of it.

        held: the share of a GPU's memory that the run took at most; 0.0 on a CPU
        """
        if not old:
            self.held = max(self.held, held)
            self.room = max(1, int(SHARE / self.held)) if self.by_memory and self.held else sys.maxsize
        self.progress.cycle(number, record, cycles, old)


def show_end(progress: Progress, number: int, error: Exception | None) -> None:
    """Show that a run has ended, has failed, or waits for labels."""
    if isinstance(error, AwaitingLabels):
        progress.waiting(number, str(error))
        return
    progress.ended(number, None if error is None else str(error))


def heard(running: Running, connection: Connection) -> tuple[int, str, list[Any]]:
    """Take what one of the running processes has to tell, and return its number, of what kind this is, and the rest.

    A pipe that ends means that the process has "ended", with a status; it runs no more then.
    """
    number, process = running[connection]
    try:
        kind, *told = connection.recv()
    except EOFError:
        process.join()
        del running[connection]
        return number, "ended", [process.exitcode]
    return number, kind, told


def killed(what: str, status: int | None) -> UserError:
    """Return the error of what ended without a word."""
    return UserError(f"{what} was killed (status {status}); start the same command again")


def started(context: Starter, work: Work, job: Job, threads: int) -> tuple[Connection, BaseProcess]:
    """Start a job in a process; this side closes the pipe's other end, so that it hears when the process dies."""
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(work, job, theirs, threads), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def _child(work: Work, job: Job, parent: Connection, threads: int) -> None:
    """Run a job in a process of its own; what goes wrong is sent to the parent, and the status says so.

    Ctrl-C is the parent's own to handle, which then ends this process.
    """
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    limit_threads(threads)  # a server keeps the variables with which it began
    torch.set_num_threads(threads)
    try:
        temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        with plainly(), temporary as tempfile.tempdir:  # no exit function runs here
            work(job, Told(parent))
    except Exception as error:
        parent.send(("error", error if isinstance(error, UserError) else UserError(unexpected(error, job.folder))))
        sys.exit(1)


class Told:
    """What a child tells of its cycles, to the process that shows them."""

    def __init__(self, parent: Connection) -> None:
        self.parent = parent

    def __call__(self, record: Brief, cycles: int, old: bool) -> None:
        """Send a cycle to the parent, with the share of a GPU's memory that was taken at most."""
        from alsuite.command.machine import held  # imports torch, as the child has

        self.parent.send(("cycle", record, cycles, old, held()))

    def say(self, text: str) -> None:
        """Send a line to the parent."""
        self.parent.send(("say", text))


def unexpected(error: Exception, folder: Path) -> str:
    """Return what an error says first, whose trace is kept in the run's folder."""
    file = folder / "error.txt"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(traceback.format_exception(error)), "utf-8", "backslashreplace")
    return f"{reason(error)} (see {file})"


def _end_with_parent() -> None:
    """End this process as soon as its parent has died, at whatever it is.

    So a killed sweep can be started again at once: the run's journal is whole at any moment.
    """
    parent = mp.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
