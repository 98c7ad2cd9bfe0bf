"""cycles.jsonl, a line per finished cycle: the result of a run and its checkpoint in one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from alsuite.errors import UserError
from alsuite.files import written_whole

__all__ = ["INCIDENTAL", "Journal", "changed", "ended_as", "set_aside"]

INCIDENTAL = ("again", "at_scale", "description", "device", "figure", "parallel", "root", "seeds", "sweeps", "wandb")
"""The options that change no result: not in a folder's name, a run's identity or the columns that tell series apart."""
OURS = {"run.json", "cycles.jsonl", "lock"}
NAMED = 3  # how many changed modules a message names

Record = dict[str, Any]


class Journal:
    """The records of one run folder, open for one process at a time.

        journal = Journal(Path("outputs/adhoc/paper/default"))
        journal.start({"config": config, "code": code_of(config), "data": data_of(config["dataset"])})
        journal.append({"cycle": 0, "queried": None})
        journal.close()

    A torn last line, which a killed process leaves, is dropped. A run that closes without a record leaves nothing
    behind but what a person was asked.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "cycles.jsonl"
        with self._explained("create it"):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder)
        self.records = self._read()

    def close(self) -> None:
        if not self._lock.is_locked:
            return
        bare = not self.records and {path.name for path in self.folder.glob("*")} <= OURS
        if bare:
            for name in OURS - {"lock"}:
                (self.folder / name).unlink(missing_ok=True)
        _unlock(self._lock, self.folder)
        if bare:
            _remove_empty(self.folder)

    @property
    def finished(self) -> bool:
        return bool(self.records) and self.records[-1]["queried"] is None

    def start(self, about: Mapping[str, Any]) -> None:
        """Write what the run is; refuse to go on from a run of another configuration, code or data."""
        path = self.folder / "run.json"
        if not self.records:
            with self._explained("write run.json"), written_whole(path) as part:
                part.write_text(json.dumps(about, indent=1))
            return
        before = _about(path)
        if before is None:
            raise UserError(f"{path} is missing or damaged: delete its folder to start afresh")
        if reason := _difference(before, about):
            raise UserError(
                f"{self.folder} holds another run ({reason}): again=true runs it anew and keeps the old one beside it"
            )

    def append(self, record: Record, images: Mapping[str, np.ndarray] | None = None) -> None:
        if images:
            self._save(record["cycle"], images)
        line = json.dumps(record).encode() + b"\n"
        with self._explained("write a cycle"):
            _synced(self.path, line, "ab")
        self.records.append(record)

    def images(self, cycle: int) -> dict[str, np.ndarray]:
        with np.load(self.folder / f"images_cycle_{cycle:04d}.npz", allow_pickle=False) as file:
            return dict(file)

    def _read(self) -> list[Record]:
        if not self.path.exists():
            return []
        lines = _whole_lines(self.path)
        size = sum(map(len, lines))
        if size < self.path.stat().st_size:
            with self._explained("drop a torn line"):
                os.truncate(self.path, size)
        try:
            return [json.loads(line) for line in lines]
        except ValueError:
            raise UserError(f"{self.path} is damaged before its last line: delete its folder to start afresh") from None

    def _save(self, cycle: int, images: Mapping[str, np.ndarray]) -> None:
        path = self.folder / f"images_cycle_{cycle:04d}.npz"
        with self._explained("save images"), written_whole(path) as part, part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **images)

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


def ended_as(
    folder: Path, config: Mapping[str, Any], code: Mapping[str, str] | None = None, data: str | None = None
) -> bool:
    """Tell whether the folder holds a finished run of this configuration, code and data; None is not compared."""
    before, cycles = _about(folder / "run.json"), folder / "cycles.jsonl"
    if before is None or not cycles.exists():
        return False
    lines = _whole_lines(cycles)
    ended = bool(lines) and json.loads(lines[-1])["queried"] is None
    return ended and not _difference(before, _identity(config, code, data))


def changed(folder: Path, config: Mapping[str, Any], code: Mapping[str, str], data: str) -> str:
    """Say what about the folder's run isn't as it would be now; "" if nothing, or if there is no run.

    Data that isn't here any more can't be compared, so that finished runs stay readable without it.
    """
    before = _about(folder / "run.json")
    if before is None or not _begun(folder / "cycles.jsonl"):
        return ""
    return _difference(before, _identity(config, code, data or None))


def set_aside(folder: Path) -> Path:
    """Rename a run's folder to the first free of <name>~1, <name>~2, ... beside it, which results leave out."""
    _unlock(_locked(folder), folder)
    beside = next(path for i in count(1) if not (path := folder.with_name(f"{folder.name}~{i}")).exists())
    return folder.rename(beside)


def _locked(folder: Path) -> FileLock:
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"another process runs in {folder}: wait for it, or change an option") from None
    return lock


def _unlock(lock: FileLock, folder: Path) -> None:
    """Remove the lock's file while it is held: whoever has just opened it finds it gone, and is refused."""
    with suppress(OSError):  # Windows keeps an open file, and removes this one when it is released
        (folder / "lock").unlink(missing_ok=True)
    lock.release()


def _remove_empty(folder: Path) -> None:
    """Remove a run's folder, and those of its scale and its experiment, as far as nothing is in them."""
    with suppress(OSError):
        for path in (folder, *folder.parents[:2]):
            path.rmdir()


def _identity(config: Mapping[str, Any], code: Mapping[str, str] | None, data: str | None) -> Record:
    known = {"config": config, "code": code, "data": data}
    return {key: value for key, value in known.items() if value is not None}


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say how two runs differ in configuration, code or data, as far as `now` holds them."""
    if keys := _differing(before.get("config"), _as_stored(now["config"])):
        return f"made with another {keys[0]}"
    if "code" in now and "code" not in before:
        return "made before the code was recorded"
    if modules := _differing_modules(before.get("code", {}), now.get("code", before.get("code", {}))):
        return f"{_listed(modules)} changed since"
    return "" if now.get("data", before.get("data")) == before.get("data") else "the data changed since"


def _differing_modules(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the modules whose code differs, first those that were there before and still are."""
    differing = [name for name in {*before, *now} if before.get(name) != now.get(name)]
    return sorted(differing, key=lambda name: (name not in before or name not in now, name))


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    shown = [*names[:NAMED], f"{more} more"] if more > 0 else names
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _about(path: Path) -> Record | None:
    """Read what a run is, if the file is there and whole."""
    try:
        about = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return about if isinstance(about, dict) and "config" in about else None


def _begun(cycles: Path) -> bool:
    try:
        with cycles.open("rb") as file:
            return _whole(file.readline())
    except OSError:
        return False


def _as_stored(config: object) -> object:
    return json.loads(json.dumps(config))


def _synced(path: Path, content: bytes, mode: str) -> None:
    with path.open(mode) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _whole_lines(path: Path) -> list[bytes]:
    """Return all lines but a torn last one."""
    lines = path.read_bytes().splitlines(keepends=True)
    return lines if not lines or _whole(lines[-1]) else lines[:-1]


def _whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")


def _differing(before: object, now: object, path: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted({*before, *now})
        return [
            found for key in keys for found in _differing(before.get(key), now.get(key), f"{path}.{key}".strip("."))
        ]
    return [] if before == now else [path]
