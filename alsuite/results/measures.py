"""What the columns of a table of runs measure: in which unit, and how large it can be."""

import math

import pandas as pd

__all__ = ["BYTES", "FRACTIONS", "PER_CLASS", "factor", "largest", "timed", "unit_of"]

FRACTIONS = ("accuracy", "macro_f1", "mean_iou", "agreement", "aubc", "wrong")
PER_CLASS = {"share": "label_counts", "per_class_f1": "per_class_f1"}  # what holds a value for each class
BYTES = ("notes.memory",)  # counted: neither a seed nor a machine changes them
UNITS = {
    "entropy": "nats",
    "cycles_until_cheaper": "cycles",
    **dict.fromkeys(BYTES, "bytes"),
    **dict.fromkeys(("f1_gain", *FRACTIONS, *PER_CLASS), "points"),
}


def timed(measure: str) -> bool:
    """Tell whether a measure is of seconds."""
    return "seconds" in measure


def factor(measure: str) -> int:
    """Return what a value is multiplied by where it is shown: fractions are told in percent."""
    return 100 if measure in FRACTIONS else 1


def unit_of(measure: str) -> str:
    """Return the unit of a measure, or of a class's, such as share.7; "" if it has none."""
    return "s" if timed(measure) else UNITS.get(measure, UNITS.get(measure.partition(".")[0], ""))


def largest(measure: str, runs: pd.DataFrame) -> float | None:
    """Return the most that a measure of runs can be, where 0 is the least: infinity if there is none; None if 0 is not.

    An entropy is at most that of all classes alike.
    """
    if measure in FRACTIONS:
        return 1.0
    if measure == "entropy" and "classes" in runs:
        return math.log(max([2, *runs["classes"].dropna().map(len)]))
    return math.inf if measure == "entropy" or timed(measure) else None
