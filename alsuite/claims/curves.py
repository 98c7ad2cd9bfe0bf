"""What a curve gives: a number of one run, or of the runs of a seed, each with a `value` at its labelled counts."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from alsuite.errors import UserError
from alsuite.results import heights

__all__ = ["nearest", "reached", "slope"]

NEAR = 0.6  # of the distance between two labelled counts: how far away a claim's count may be


def nearest(run: pd.DataFrame, at: float) -> float:
    """Return the value at the labelled count nearest to one; none where that is far."""
    distance = (run["labelled"] - at).abs()
    if len(distance) == 1:
        return float(run["value"].iloc[0]) if distance.iloc[0] == 0 else math.nan
    step = float(np.diff(run["labelled"].unique()).min())
    return float(run["value"][distance.idxmin()]) if distance.min() <= NEAR * step else math.nan


def reached(run: pd.DataFrame, height: float) -> float:
    """Return the labels at which a curve first reaches a height; inf if it never does."""
    return heights.reached(run["labelled"].to_numpy(float), run["value"].to_numpy(float), height)


def slope(rows: pd.DataFrame, column: str) -> float:
    """Return the exponent with which the mean value of runs grows in a column."""
    means = rows.groupby(column)["value"].mean()
    if len(means) < 2:
        raise UserError(f"the runs have one {column} only: no exponent can be told")
    return float(np.polyfit(np.log(means.index.to_numpy(float)), np.log(means.to_numpy(float)), 1)[0])
