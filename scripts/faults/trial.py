"""A family's runs, started again and again until they end, and what is counted of each start."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any

from families import Family
from person import forgotten
from processes import NEVER, Ended, Moment, beside, start, until
from records import labels_of, records, unlike

__all__ = ["State", "Trial", "counted"]

State = dict[str, Any]


def counted(fault: str, family: str) -> State:
    """Return a row of the table before anything was counted."""
    counts = dict.fromkeys(("times", "runs", "labels lost", "differing", "tracebacks", "crashed", "refused"), 0)
    return {"fault": fault, "family": family, **counts, "cpu": 0.0, "phases": {}, "told": "", "commit": commit()}


@cache
def commit() -> str:
    """Return the commit whose code is tried."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


class Trial:
    """A family, and what its run is when nothing disturbs it."""

    def __init__(self, family: Family, seed: int, folder: Path, data: Path) -> None:
        self.family = family
        self.seed = seed
        self.folder = folder
        self.data = data
        self.log = folder / "log.txt"
        self.whole: list[dict[str, Any]] = []
        self.ended = Ended(0, "", 0.0, 0.0, "", 0)
        self.cpu = 0.0

    def undisturbed(self) -> None:
        """Run once, for the record and the time that the others are compared with."""
        row = counted("", "")
        root = self.fresh("whole")
        self.run(root, row, lambda: NEVER)
        self.whole, self.cpu = records(root), row["cpu"]
        if row["tracebacks"] + row["crashed"] or not self.whole:
            raise RuntimeError(f"{self.family.name}, undisturbed: {row['told']}")

    def fresh(self, name: str) -> Path:
        root = self.folder / name
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        return root

    def run(self, root: Path, row: State, moment: Callable[[], Moment], around: Callable[[], Any] = int) -> int | None:
        """Start, have a person answer, and start again, until the run ends or cannot go on; return its last status."""
        answering = False
        while True:
            work = self.family.answer if answering else self.family.work
            earlier = records(root)
            with self.visited(root):
                pid = start(lambda work=work: (around(), work(root)), self.log)
                ended = until(pid, moment(), root, self.log)
            self.note(root, row, ended, earlier)
            if ended.status == 0 and not answering:
                row["runs"] += 1
                if self.whole and (difference := unlike(self.whole, records(root))):
                    row["differing"] += 1
                    row["told"] = difference
                return 0
            if ended.status not in (0, 3, None):
                return ended.status
            answering = ended.status == 3 or (answering and ended.status is None)

    def visited(self, root: Path) -> AbstractContextManager[None]:
        """Have a person look at the run's page within the block, if it has one."""
        page = "ui=page" in self.family.options
        return beside(partial(self.family.visit, root), self.folder / "visit.txt") if page else nullcontext()

    def note(self, root: Path, row: State, ended: Ended, earlier: list[dict[str, Any]]) -> None:
        """Add a start to a row."""
        now = records(root)
        gone = [record for i, record in enumerate(earlier) if i >= len(now) or now[i] != record]
        row["labels lost"] += sum(map(labels_of, gone)) + len(forgotten(root))
        row["cpu"] += ended.cpu
        row["tracebacks"] += ended.traced
        row["crashed"] += ended.crashed
        if ended.status is None:
            row["times"] += 1
            row["phases"][ended.phase] = row["phases"].get(ended.phase, 0) + 1
        if ended.traced or ended.crashed or ended.status == 2:
            row["told"] = (ended.said.splitlines() or [f"status {ended.status}"])[-1].replace(str(self.folder), "")
        if not self.whole and ended.seconds > self.ended.seconds:
            self.ended = ended
