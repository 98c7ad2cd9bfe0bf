"""One clock for all that is timed."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

import torch

__all__ = ["clock", "timed"]

Result = TypeVar("Result")


def clock(device: torch.device) -> float:
    """Return seconds, after all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()


def timed(work: Callable[[], Result], device: torch.device) -> tuple[Result, float]:
    """Return what the work gives, and its seconds, those of a GPU that still computes among them."""
    start = clock(device)
    done = work()
    return done, round(clock(device) - start, 4)
