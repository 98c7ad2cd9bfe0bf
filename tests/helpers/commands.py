"""The command in the test's own process: a process of its own takes seconds to import torch."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from alsuite import __main__, pick

__all__ = ["SMALL", "Command", "Ended", "accuracies", "journals", "lasting", "records", "started"]

SMALL = ("scale=smoke", "device=cpu", "wandb=disabled")


@dataclass(frozen=True)
class Ended:
    status: object
    out: str
    err: str

    @property
    def line(self) -> str:
        """What it complains of, in the one line that it may take."""
        (line,) = self.err.splitlines()
        assert line.startswith("alsuite: ")
        assert self.status not in (0, None)
        return line


Command = Callable[..., Ended]


def started(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what starts the command with small runs below a root, unless its arguments say otherwise.

    A first argument `pick` starts alsuite.pick instead.
    """
    for name in ("HYDRA_FULL_ERROR", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")

    def start(*arguments: str) -> Ended:
        given = {argument.partition("=")[0] for argument in arguments}
        picks = arguments[:1] == ("pick",)
        given |= {"wandb"} if picks else set()
        ours = [option for option in (*SMALL, f"root={root}") if option.partition("=")[0] not in given]
        words = arguments[1:] if picks else arguments
        monkeypatch.setattr(sys, "argv", ["alsuite", *words, *ours])
        capsys.readouterr()
        with as_it_was():
            status = ended(pick.main if picks else __main__.main)
        written = capsys.readouterr()
        return Ended(status, written.out, written.err)

    return start


def ended(main: Callable[[], None]) -> object:
    """Return the exit status of a command."""
    try:
        main()
    except SystemExit as ended:
        return ended.code
    return 0


@contextmanager
def as_it_was() -> Iterator[None]:
    """Take back how Hydra sets up logging, whose streams end with the test."""
    root = logging.getLogger()
    before, level = [*root.handlers], root.level
    try:
        yield
    finally:
        root.handlers[:] = before
        root.setLevel(level)


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "cycles.jsonl").read_text().splitlines()]


def journals(root: Path) -> dict[str, list[Any]]:
    """All that each run below a root wrote down, but for how long it took."""
    return {file.parent.name: lasting(file.parent) for file in root.rglob("cycles.jsonl")}


def lasting(folder: Path) -> list[Any]:
    """All that a run wrote down, but for how long it took."""
    return [untimed(record) for record in records(folder)]


def untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: untimed(part) for key, part in value.items() if "seconds" not in key}
    return value


def accuracies(root: Path) -> dict[str, list[tuple[Any, Any]]]:
    """What each run below a root queried, and how right it was."""
    return {
        file.parent.name: [
            (record["queried"], record["metrics"]["digits"]["accuracy"]) for record in records(file.parent)
        ]
        for file in root.rglob("cycles.jsonl")
    }
