"""cycles.jsonl, a line per finished cycle: the result of a run and its checkpoint in one.

Beside it lie run.json, which says what the run is, the pictures of each query, and asked.json, the query whose labels
are awaited. `alsuite.recorded` reads them without opening the run, and compares it with what it would be now.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from alsuite.errors import UserError
from alsuite.files import lock_of, remove_empty, sync, unlock, write_text, written_whole
from alsuite.recorded import ASKED, ASKED_ARRAYS, WENT_ON, Record, about_of, compared, records_of, whole_lines

__all__ = ["Journal"]

OURS = {"run.json", "cycles.jsonl", "lock"}
MADE_BY = ("commit", "own_commits", "versions", "device", "threads", "processes", "code")  # asked.json tells it, too


class Journal:
    """The records of one run folder, open for one process at a time.

        journal = Journal(Path("outputs/adhoc/paper/default"))
        journal.start({"config": config, "code": code_of(config), "data": data_of(config["dataset"])})
        journal.append({"cycle": 0, "queried": None})
        journal.close()

    A torn last line, which a killed process leaves, is dropped. A run that closes without a record leaves nothing
    behind but what a person was asked.

    records: those of all finished cycles, as they stand in the file
    made_by: the code and the machine of this process
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "cycles.jsonl"
        with self._explained("create it"):
            folder.mkdir(parents=True, exist_ok=True)
            if self.path.is_symlink():  # what it leads to would be cut and written to
                raise UserError(f"{self.path} is a link: put the file itself in its place, or delete it")
            self._lock = lock_of(folder)
            self._lock_file = os.stat(self._lock.lock_file).st_ino
        self.records = self._read()
        self.made_by: Record = {}

    def close(self) -> None:
        """Give the folder free for others; one in which nothing was recorded is removed."""
        if not self._lock.is_locked:
            return
        if not self._owned:
            self._lock.release()
            return
        bare = not self.records and {path.name for path in self.folder.glob("*")} <= OURS
        if bare:
            for name in OURS - {"lock"}:
                (self.folder / name).unlink(missing_ok=True)
        unlock(self._lock)
        if bare:
            remove_empty(self.folder, *self.folder.parents[:2])  # those of its scale and its experiment, too

    @property
    def _owned(self) -> bool:
        """Whether the folder is still the one whose lock this process holds: none that came in its place since."""
        try:
            return os.stat(self._lock.lock_file).st_ino == self._lock_file
        except FileNotFoundError:
            return False

    @property
    def finished(self) -> bool:
        """Whether the last cycle asked for nothing more."""
        return bool(self.records) and self.records[-1]["queried"] is None

    def start(self, about: Mapping[str, object]) -> None:
        """Write what the run is; refuse to go on from a run of another configuration, code or data."""
        path = self.folder / "run.json"
        self.made_by = {key: about[key] for key in MADE_BY if key in about}
        if not self.records and not self.asked:
            with self._explained("write run.json"):
                write_text(path, json.dumps(about, indent=1))
            return
        before = about_of(path)
        if before is None:
            raise UserError(f"{path} is missing or damaged: delete its folder to start afresh")
        what, bars = compared(self.folder, before, about)
        if bars:
            raise UserError(
                f"{self.folder} holds another run ({what}): again=true runs it anew and keeps the old one beside it"
            )
        self._note_change(path, before)

    def _note_change(self, path: Path, before: Record) -> None:
        """Write down from which cycle on another commit, other versions or another device make the run."""
        now = {key: value for key, value in self.made_by.items() if key != "code"}
        last = (before.get(WENT_ON) or [before])[-1]
        if self.finished or all(last.get(key) == now.get(key) for key in MADE_BY if key != "code"):
            return
        noted = [*before.get(WENT_ON, []), {"cycle": len(self.records), **now}]
        with self._explained("write run.json"):
            write_text(path, json.dumps({**before, WENT_ON: noted}, indent=1))

    @property
    def asked(self) -> Record | None:
        """The record of the cycle whose labels are awaited, as far as it was known when they were asked for."""
        path = self.folder / ASKED
        if not path.exists():
            return None
        try:
            record = dict(json.loads(path.read_text()))
            waited_for = record["cycle"] == len(self.records)
        except (OSError, ValueError, TypeError, KeyError):
            raise UserError(f"{path} is damaged: delete it, and its sheet, to have another query made") from None
        return {key: value for key, value in record.items() if key != "made_by"} if waited_for else None

    def ask(self, record: Record, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """Write down what is going to be asked; once this returns, a restart asks the same, whatever has changed.

        Arguments:
            record: what JSON can hold
            arrays: name -> what the answers are compared with, and what is shown, kept in a file that is there before
        """
        if arrays:
            self._save(ASKED_ARRAYS, arrays)
        self._refuse_another()
        with self._explained("write a query"):
            write_text(self.folder / ASKED, json.dumps({**record, "made_by": self.made_by}))

    def asked_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays that were kept with what was asked."""
        path = self.folder / ASKED_ARRAYS
        try:
            return _arrays(path)
        except (OSError, ValueError, EOFError, BadZipFile):
            advice = f"delete it and {ASKED} to have another query made and asked"
            raise UserError(f"{path} is missing or damaged: {advice}") from None

    def append(self, record: Record, images: Mapping[str, np.ndarray] | None = None) -> None:
        """Write a finished cycle down; once this returns, not even a power cut loses it.

        Arguments:
            record: what JSON can hold; its `queried` is None in the last cycle
            images: name -> array of what the query shows, kept in a file of their own that is there before the line is
        """
        self._refuse_another()
        if images:
            self._save(_pictures(record["cycle"]), images)
        line = json.dumps(record).encode() + b"\n"
        with self._explained("write a cycle"):
            _synced(self.path, line, "ab")
            if not self.records:  # a file that is new is in the folder only when this is written
                sync(self.folder)
        self.records.append(record)
        for name in (ASKED, ASKED_ARRAYS):
            (self.folder / name).unlink(missing_ok=True)

    def _refuse_another(self) -> None:
        if not self._owned:
            raise UserError(f"{self.folder} was moved or deleted under this run, which ends: start the command again")

    def images(self, cycle: int) -> dict[str, np.ndarray]:
        """Return what a cycle's query showed, by the names that it was kept under."""
        return _arrays(self.folder / _pictures(cycle))

    def _read(self) -> list[Record]:
        """Return the records of the file, after a torn line is cut off it; one that is damaged elsewhere is refused."""
        if not self.path.exists():
            return []
        lines = whole_lines(self.path)
        size = sum(map(len, lines))
        if size < self.path.stat().st_size:
            with self._explained("drop a torn line"):
                os.truncate(self.path, size)
        return records_of(self.path, lines)

    def _save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays, as a whole or not at all."""
        with self._explained("save images"), written_whole(self.folder / name) as part, part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Turn an error of the disk into one line."""
        try:
            yield
        except OSError as error:
            raise UserError(
                f"cannot {what} in {self.folder} ({error.strerror}): make room or mend the folder, then start the "
                f"same command again; finished cycles are kept"
            ) from None


def _pictures(cycle: int) -> str:
    return f"images_cycle_{cycle:04d}.npz"


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _synced(path: Path, content: bytes, mode: str) -> None:
    """Write to a file, and wait until the disk has it.

    Arguments:
        mode: that of `open`: "ab" adds to the file
    """
    with path.open(mode) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
