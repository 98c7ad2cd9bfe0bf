"""What is in Slurm's queue, and how far its runs are: their journals tell.

A look costs the cluster one squeue for all tasks. Nothing else is asked of it, so that no accounting need be there.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

from alsuite.command.processes import show_end
from alsuite.command.progress import QUIET, Progress
from alsuite.command.shown import brief
from alsuite.errors import AwaitingLabels, UserError
from alsuite.recorded import Record

if TYPE_CHECKING:
    from submitit import Job as Handed

__all__ = ["Growing", "Watch", "failure", "in_queue"]

PERIOD = 10.0  # seconds between two looks at the queue
PATIENCE = 30.0  # seconds until a journal's last line must have come from the node on which its task has ended
OURS = "alsuite.errors"


def in_queue() -> dict[str, str] | None:
    """Return task -> running, waiting or held, for all tasks of this user; None when Slurm does not answer."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i|%T|%r"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError("there is no squeue here: give the command on a machine of the Slurm cluster") from None
    if answer.returncode != 0:
        return None
    lines = (line.split("|", 2) for line in answer.stdout.splitlines())
    return {number: _does(state, reason) for number, state, reason in lines}


def _does(state: str, reason: str) -> str:
    """Return what a task does, from Slurm's words; a held one starts only when a person lets it."""
    if "held" in reason.lower():
        return "held (scontrol release lets it start)"
    return "waiting" if state == "PENDING" else "running"


class Growing:
    """A journal that another process writes.

    at: the bytes that were read
    finished: whether the last record ends the run
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.at = 0
        self.finished = False

    def added(self) -> list[Record]:
        """Return the records that were written since the last call; a line that is not whole yet is left for later."""
        try:
            with self.path.open("rb") as file:  # which asks a file server what there is; its size alone may be old
                file.seek(self.at)
                lines = [line for line in file if line.endswith(b"\n")]
        except FileNotFoundError:
            return []
        self.at += sum(map(len, lines))
        records = [json.loads(line) for line in lines]
        if records:
            self.finished = records[-1]["queried"] is None
        return records


class Watch:
    """Runs in the queue, seen by their journals.

    left: the places of the runs that have not ended
    errors: place -> why it ended early
    seen: when each was in the queue last
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
        self.doing: Counter[str] = Counter()
        self.told = -QUIET
        for place in self.left:
            self._show(place, True)

    def until_all_ended(self) -> dict[int, Exception]:
        """Look at the queue and the journals again and again."""
        while self.left:
            queue = in_queue()
            if queue is not None:
                self._tell(queue)
            for place in sorted(self.left):
                self._look(place, queue is None or self.tasks[place].job_id in queue)
            sleep(PERIOD if self.left else 0)
        return self.errors

    def _tell(self, queue: Mapping[str, str]) -> None:
        """Say what the tasks do where that has changed, but not at every change."""
        numbers = [self.tasks[place].job_id for place in self.left]
        doing = Counter(queue[number] for number in numbers if number in queue)
        if doing and doing != self.doing and monotonic() > self.told + QUIET:
            self.doing, self.told = doing, monotonic()
            self.progress.say("in Slurm's queue: " + ", ".join(f"{n} {what}" for what, n in sorted(doing.items())))

    def _look(self, place: int, queued: bool) -> None:
        """Show the cycles that a run has done since the last look, and whether it has ended."""
        self._show(place, False)
        if queued:
            self.seen[place] = monotonic()
        if self.journals[place].finished:
            self._end(place, None)
        elif monotonic() > self.seen[place] + PATIENCE:
            self._end(place, failure(self.tasks[place]))

    def _show(self, place: int, old: bool) -> None:
        """Show the cycles that a run has written down since they were shown last.

        Arguments:
            old: whether they were done before this command was given
        """
        for record in self.journals[place].added():
            self.progress.cycle(place, brief(record), self.cycles[place], old)

    def _end(self, place: int, error: UserError | None) -> None:
        """Show that a run has ended, or waits for labels."""
        self.left.discard(place)
        if error is not None:
            self.errors[place] = error
        show_end(self.progress, place, error)


def failure(task: Handed[None]) -> UserError:
    """Return why a task left the queue before its run had ended, with the path of its log."""
    log = next((path for path in (task.paths.stderr, task.paths.stdout) if path.exists()), task.paths.folder)
    told = _last_words(task, log)
    kind, _, text = told.partition(": ")
    line = f"{text if kind.startswith(OURS) else told} (log: {log})"
    return AwaitingLabels(line) if kind == f"{OURS}.AwaitingLabels" else UserError(line)


def _last_words(task: Handed[None], log: Path) -> str:
    """Return the last line of the error that submitit keeps; of a task that was killed, that of its log."""
    from submitit.core.utils import pickle_load

    result = task.paths.result_pickle
    outcome, kept = pickle_load(result) if result.exists() else ("killed", "")
    if outcome == "error":
        return str(kept).splitlines()[-1]
    written = log.read_text(errors="replace").splitlines() if log.is_file() else []
    errors = [line for line in written if "error: " in line]
    return ["it has left Slurm's queue before its journal's end", *errors][-1]
