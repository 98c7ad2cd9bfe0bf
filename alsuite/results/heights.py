"""How high curves are on average, and over what range several can be compared."""

import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy import integrate

__all__ = ["common", "mean_height", "reached"]


def common(*curves: np.ndarray) -> tuple[float, ...]:
    """Return the least and the largest x between which all curves have values; none if there is no such range.

    Where all have these two, the others that all have stand between: the area under a curve of more points, where it
    bends, is another.
    """
    low, high = max(x.min() for x in curves), min(x.max() for x in curves)
    shared = functools.reduce(np.intersect1d, curves)
    if low > high:
        return ()
    return tuple(shared.tolist()) if {low, high} <= {*shared} else (float(low), float(high))


def mean_height(x: np.ndarray, y: np.ndarray, through: Sequence[float] = (-math.inf, math.inf)) -> float:
    """Return the area under a curve over the range of x, or the part of it between two, by trapezoids.

    Cut ends are interpolated; of a single point it is the height.

    Arguments:
        x: where the curve has values, in order
        y: these
        through: the ends of the part; where others stand between them, only those points of the curve count
    """
    if len(through) > 2:
        x, y = x[np.isin(x, through)], y[np.isin(x, through)]
    low, high = max(x[0], through[0]), min(x[-1], through[-1])
    inner = (x > low) & (x < high)
    ends = np.interp([low, high], x, y)
    x, y = np.array([low, *x[inner], high]), np.array([ends[0], *y[inner], ends[1]])
    return float(integrate.trapezoid(y, x) / (high - low)) if high > low else float(y[-1])


def reached(x: np.ndarray, y: np.ndarray, height: float) -> float:
    """Return the x at which a curve is first as high as this; inf if it never is.

    Between two points the curve is a straight line.
    """
    above = np.flatnonzero(y >= height)
    if not len(above):
        return math.nan if math.isnan(height) else math.inf
    first = int(above[0])
    return float(np.interp(height, y[first - 1 : first + 1], x[first - 1 : first + 1]) if first else x[0])
