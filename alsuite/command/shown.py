"""What is told of a run's cycles, to whoever shows them: in this process, or through a pipe in another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypedDict

from alsuite.command.pace import Course
from alsuite.notes import WARNING
from alsuite.recorded import Record

__all__ = ["Brief", "Shown", "brief", "told_of"]


class Brief(TypedDict):
    """What is shown of a cycle.

    cycle: its number, from 0 on
    labelled: how many labels it trained on
    fit_seconds: for training
    query_seconds: for the strategy's choice
    accuracy: on the first test set; nan where there is none
    warning: what the strategy has to warn of; "" if nothing
    """

    cycle: int
    labelled: int
    fit_seconds: float
    query_seconds: float
    accuracy: float
    warning: str


Shown = Callable[[Brief, int, bool], None]  # takes a cycle, how many the run has, and whether it was done before


def brief(record: Record) -> Brief:
    """Return what is shown of a journal's record."""
    accuracies = (test["accuracy"] for test in record["metrics"].values())
    notes = (record.get("queried") or {}).get("notes", {})
    return {
        "cycle": record["cycle"],
        "labelled": record["labelled"],
        "fit_seconds": record["fit_seconds"],
        "query_seconds": record["query_seconds"],
        "accuracy": next(accuracies, math.nan),
        "warning": notes.get(WARNING, ""),
    }


def told_of(record: Brief, course: Course) -> str:
    """Return a cycle in words: its place in the run, its labels and its accuracy."""
    place = f"cycle {record['cycle'] + 1:>3}/{course.cycles}"
    measured = "" if math.isnan(record["accuracy"]) else f"   accuracy {record['accuracy']:.3f}"
    return f"{place}   {record['labelled']:>7,} labelled{measured}"
