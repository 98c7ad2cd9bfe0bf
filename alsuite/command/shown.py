"""What is told of a run's cycles, to whoever shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypedDict

from alsuite.command.pace import Course
from alsuite.journal import Record
from alsuite.notes import WARNING
from alsuite.training.progress import Work

__all__ = ["Brief", "Sent", "Shown", "brief", "told_of"]


class Brief(TypedDict):
    """What is shown of a cycle."""

    cycle: int
    labelled: int
    fit_seconds: float
    query_seconds: float
    accuracy: float
    warning: str


class Shown(Protocol):
    """What is told of a run's cycles."""

    def cycle(self, number: int, record: Brief, cycles: int, old: bool) -> None: ...


def brief(record: Record) -> Brief:
    """Tell of a journal's record what is shown of it."""
    first = next(iter(record["metrics"].values()))
    notes = (record.get("queried") or {}).get("notes", {})
    return {
        "cycle": record["cycle"],
        "labelled": record["labelled"],
        "fit_seconds": record["fit_seconds"],
        "query_seconds": record["query_seconds"],
        "accuracy": first["accuracy"],
        "warning": notes.get(WARNING, ""),
    }


def told_of(record: Brief, course: Course) -> str:
    place = f"cycle {record['cycle'] + 1:>3}/{course.cycles}"
    return f"{place}   {record['labelled']:>7,} labelled   accuracy {record['accuracy']:.3f}"


class Sent:
    """The display of a child process, which sends the lines to its parent and shows nothing."""

    def __init__(self, send: Callable[[str], None]) -> None:
        self.send = send

    def say(self, text: str) -> None:
        self.send(text)

    def show(self, work: Work) -> None: ...

    def hide(self, work: Work) -> None: ...
