"""Intervals over seeds, within what a measure can be."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special, stats

__all__ = ["ENOUGH", "SIGNIFICANT", "interval"]

SIGNIFICANT = 0.05
ENOUGH = 3  # seeds that make an interval


def interval(frame: pd.DataFrame, by: Sequence[str], value: str, most: float | None = None) -> pd.DataFrame:
    """Return n, mean, standard deviation and the 95 % t-interval [low, high] of `value` in each group.

    The interval of what lies between 0 and `most` is one of its logit, so that it stays there, or of its logarithm, if
    `most` is infinite. Fewer than three values make none.
    """
    groups = frame.dropna(subset=[value]).groupby(list(by), dropna=False)[value]
    table = groups.agg(n="count", mean="mean", sd="std").reset_index()
    half = table["sd"] * stats.t.ppf(1 - SIGNIFICANT / 2, table["n"] - 1) / np.sqrt(table["n"])
    low, high = _around(table["mean"], half, most)
    enough = table["n"] >= ENOUGH
    return table.assign(low=low.where(enough), high=high.where(enough))


def _around(mean: pd.Series, half: pd.Series, most: float | None) -> tuple[pd.Series, pd.Series]:
    """Return the ends of intervals around means.

    half: half the width of each; where it is zero or unknown, both ends are the mean
    most: the largest value there can be, towards which an interval narrows
    """
    if most is None:
        return mean - half, mean + half
    if most == math.inf:
        low, high = (mean * np.exp(sign * half / mean) for sign in (-1, 1))
        return low.where(mean > 0, mean), high.where(mean > 0, mean)
    share = (mean / most).clip(1e-9, 1 - 1e-9)
    wide = half / most / (share * (1 - share))  # as wide as the interval is on the scale of the logit
    low, high = (most * special.expit(special.logit(share) + sign * wide) for sign in (-1, 1))
    return low.where(half > 0, mean), high.where(half > 0, mean)
