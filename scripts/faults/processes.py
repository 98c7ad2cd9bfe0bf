"""Runs started in forks of a process that has the imports behind it, and killed from outside.

What a start computes is done in the child alone: the process that is forked from has computed nothing.
"""

from __future__ import annotations

import functools
import mmap
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

__all__ = ["NEVER", "POLL", "Ended", "Moment", "beside", "looked_at", "marked", "shared", "start", "until"]

PHASES = ("start", "arrays", "generator", "index", "fit", "query", "journal", "answer")
POLL = 0.002  # seconds
phase = mmap.mmap(-1, 1)  # shared with the children, and made anew for each process that forks


def shared() -> None:
    """Have the phases of this process's children told to it alone."""
    global phase
    phase = mmap.mmap(-1, 1)


def marked(owner: Any, name: str, what: str) -> None:
    """Have a function say that it's under way, to whoever kills it."""
    work = getattr(owner, name)

    @functools.wraps(work)
    def marking(*arguments: Any, **options: Any) -> Any:
        before, phase[0] = phase[0], PHASES.index(what)
        try:
            return work(*arguments, **options)
        finally:
            phase[0] = before

    setattr(owner, name, marking)


class Moment(NamedTuple):
    """When a run is killed: after so many seconds, or some time after so many changes of its files, or in a phase."""

    seconds: float
    changes: int = 1 << 30
    later: float = 0.0
    phase: str = ""


class Ended(NamedTuple):
    """How a start ended.

    status: of the process; None if it was killed
    said: what it wrote
    seconds, cpu: that it took
    phase: in which it was killed
    changes: how often its files were seen to change
    """

    status: int | None
    said: str
    seconds: float
    cpu: float
    phase: str
    changes: int

    @property
    def traced(self) -> bool:
        """Whether it ended otherwise than by itself, in one line, or by the kill."""
        lines = [line for line in self.said.splitlines() if line.startswith("alsuite: ")]
        in_one_line = self.status in (2, 3) and len(lines) == 1
        return "Traceback" in self.said or not (self.status in (0, None) or self.crashed or in_one_line)

    @property
    def crashed(self) -> bool:
        """Whether the system ended it by a signal, as within a library that gets no memory: then no line is told."""
        return self.status is not None and self.status < 0


NEVER = Moment(600.0)


def start(work: Callable[[], object], log: Path) -> int:
    """Fork a child that does the work in a session of its own, with what it says in a file."""
    phase[0] = 0
    if pid := os.fork():
        return pid
    status = 1
    try:
        os.setsid()
        with log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        torch.set_num_threads(1)
        work()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def until(pid: int, moment: Moment, root: Path, log: Path) -> Ended:
    """Wait until a child has ended, or kill it and all its own at a moment."""
    began = time.monotonic()
    seen, changes, due = looked_at(root), 0, began + moment.seconds
    found, status, used = os.wait4(pid, os.WNOHANG)
    while not found and time.monotonic() < due:
        time.sleep(POLL)
        if (now := looked_at(root)) != seen:
            seen, changes = now, changes + 1
            due = min(due, time.monotonic() + moment.later) if changes == moment.changes else due
        if PHASES[phase[0]] == moment.phase:
            due = min(due, time.monotonic() + moment.later)
        found, status, used = os.wait4(pid, os.WNOHANG)
    at = PHASES[phase[0]]
    if not found:
        os.killpg(pid, signal.SIGKILL) if os.getpgid(pid) == pid else os.kill(pid, signal.SIGKILL)
        _, status, used = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status) if found else None
    said = log.read_text(errors="replace") if log.exists() else ""
    return Ended(code, said, time.monotonic() - began, used.ru_utime + used.ru_stime, at, changes)


def looked_at(root: Path) -> dict[str, tuple[int, int]]:
    """Return the files below a folder with their sizes and times."""
    return dict(_files(str(root)))


def _files(folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
    try:
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            else:
                about = entry.stat(follow_symlinks=False)
                yield entry.path, (about.st_size, about.st_mtime_ns)
    except FileNotFoundError:  # it has gone meanwhile
        return


@contextmanager
def beside(work: Callable[[], object], log: Path) -> Iterator[None]:
    """Have another child do something until the block ends."""
    pid = start(work, log)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
