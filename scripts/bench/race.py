"""Two ways of doing the same work against each other, in turns, in one process."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

__all__ = ["Check", "Row", "Scaled", "Sizes", "memory_speed", "product_speed", "race", "timed"]

Check = tuple[bool, str]
UNITS: dict[str, Callable[[float, float], float]] = {
    "x faster": lambda ours, theirs: theirs / ours,
    "x the time": lambda ours, theirs: ours / theirs,
    "ms more": lambda ours, theirs: 1000 * (ours - theirs),
}


@dataclass(frozen=True)
class Sizes:
    """How much work each benchmark is; a peer of the core-set does `picks` of the budget and is scaled up."""

    points: int = 50_000
    centres: int = 5_000
    budget: int = 2_500
    picks: int = 40
    images: int = 10_000
    scan: int = 50_000
    top: int = 1_000
    masked: int = 256
    turns: int = 5


@dataclass(frozen=True)
class Row:
    what: str
    against: str
    value: float
    unit: str
    low: float = math.nan
    high: float = math.nan
    goal: str = ""
    verdict: str = ""  # met, missed, holds (the gate alone), void (it failed) or not installed
    ours: float = math.nan  # seconds, the fastest turn
    theirs: float = math.nan
    share: float = math.nan
    turns: int = 0
    load: float = math.nan
    threads: int = 0
    gate: str = ""


@dataclass(frozen=True)
class Scaled:
    """What a side gives that does a part of the work and times itself."""

    result: Any
    seconds: float


def race(
    what: str,
    against: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    gate: Callable[[Any, Any], Check],
    *,
    goal: float,
    turns: int,
    unit: str = "x faster",
    flops: float = math.nan,
) -> Row:
    times, mine, other, peak = [], None, None, 0.0
    for _ in range(turns):
        (mine, first), (other, second) = timed(ours), timed(theirs)
        times.append((first, second))
        peak = math.nan if math.isnan(flops) else max(peak, product_speed())
    least = [min(column) for column in zip(*times, strict=True)]
    values = [UNITS[unit](*pair) for pair in times]
    value, sign = UNITS[unit](*least), ">=" if unit == "x faster" else "<="
    passed, text = gate(mine, other)
    met = value >= goal if sign == ">=" else value <= goal
    return Row(
        *(what, against, value, unit, min(values), max(values), f"{sign} {goal:g}"),
        verdict=("met" if met else "missed") if passed else "void",
        ours=least[0],
        theirs=least[1],
        share=flops / least[0] / peak,
        turns=turns,
        load=os.getloadavg()[0],
        threads=torch.get_num_threads(),
        gate=text,
    )


def timed(side: Callable[[], Any]) -> tuple[Any, float]:
    start = perf_counter()
    result = side()
    seconds = perf_counter() - start
    return (result.result, result.seconds) if isinstance(result, Scaled) else (result, seconds)


def product_speed(size: int = 2048) -> float:
    """FLOP/s of a float32 product."""
    a = torch.ones(size, size)
    return 2 * size**3 / min(timed(lambda: a @ a)[1] for _ in range(2))


def memory_speed(size: int = 2**27) -> float:
    """B/s of a sum over 512 MB, the best of three."""
    values = torch.ones(size)
    return values.nbytes / min(timed(values.sum)[1] for _ in range(3))
