"""cycles.jsonl, a line per finished cycle: the result of a run and its checkpoint in one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from alsuite.errors import UserError

__all__ = ["INCIDENTAL", "Journal", "ended_as"]

INCIDENTAL = ("at_scale", "device", "figure", "parallel", "root", "seeds", "sweeps", "wandb")
"""The options that change no result: not in a folder's name, a run's identity or the columns that tell series apart."""

Record = dict[str, Any]


class Journal:
    """The records of one run folder. Open for one process at a time; a torn last line is dropped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "cycles.jsonl"
        self._written("create it", lambda: folder.mkdir(parents=True, exist_ok=True))
        self._lock = FileLock(folder / "lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"another process runs in {folder}: wait for it, or change an option") from None
        self.records = self._read()

    def close(self) -> None:
        self._lock.release()

    @property
    def finished(self) -> bool:
        return bool(self.records) and self.records[-1]["queried"] is None

    def start(self, about: Mapping[str, Any]) -> None:
        """Writes what the run is; refuses to go on from a run that was configured otherwise."""
        path = self.folder / "run.json"
        if not self.records:
            self._atomically(path, json.dumps(about, indent=1))
            return
        before = _config(path)
        if before is None:
            raise UserError(f"{path} is missing or damaged: delete its folder to start afresh")
        changed = _differences(before, _as_stored(about["config"]))
        if changed:
            raise UserError(f"{self.folder} holds a run with another {changed[0]}: delete that folder to start afresh")

    def append(self, record: Record, images: Mapping[str, np.ndarray] | None = None) -> None:
        if images:
            part = self.folder / "images.part"
            self._written("save images", lambda: self._save(part, images))
            part.replace(self.folder / f"images_cycle_{record['cycle']:04d}.npz")
        line = json.dumps(record).encode() + b"\n"
        self._written("write a cycle", lambda: _synced(self.path, line, "ab"))
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
            self._written("drop a torn line", lambda: os.truncate(self.path, size))
        try:
            return [json.loads(line) for line in lines]
        except ValueError:
            raise UserError(f"{self.path} is damaged before its last line: delete its folder to start afresh") from None

    def _save(self, path: Path, images: Mapping[str, np.ndarray]) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **images)

    def _atomically(self, path: Path, text: str) -> None:
        part = path.with_suffix(".part")
        self._written(f"write {path.name}", lambda: _synced(part, text.encode(), "wb"))
        part.replace(path)

    def _written(self, what: str, write: Any) -> None:
        try:
            write()
        except OSError as error:
            raise UserError(
                f"cannot {what} in {self.folder} ({error.strerror}): make room or mend the folder, then start the "
                f"same command again; finished cycles are kept"
            ) from None


def ended_as(folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether the folder holds a finished run of this configuration; reads only, and takes no lock."""
    about, cycles = folder / "run.json", folder / "cycles.jsonl"
    if not (about.exists() and cycles.exists()):
        return False
    lines = _whole_lines(cycles)
    ended = bool(lines) and json.loads(lines[-1])["queried"] is None
    return ended and _config(about) == _as_stored(config)


def _config(about: Path) -> object:
    try:
        return json.loads(about.read_text())["config"]
    except (OSError, ValueError, KeyError):
        return None


def _as_stored(config: object) -> object:
    return json.loads(json.dumps(config))


def _synced(path: Path, content: bytes, mode: str) -> None:
    with path.open(mode) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _whole_lines(path: Path) -> list[bytes]:
    """All lines but a torn last one."""
    lines = path.read_bytes().splitlines(keepends=True)
    return lines if not lines or _whole(lines[-1]) else lines[:-1]


def _whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")


def _differences(before: object, now: object, path: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted({*before, *now})
        return [
            found for key in keys for found in _differences(before.get(key), now.get(key), f"{path}.{key}".strip("."))
        ]
    return [] if before == now else [path]
