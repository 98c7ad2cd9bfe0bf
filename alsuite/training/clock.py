"""One clock for all that is timed."""

from __future__ import annotations

from time import perf_counter

import torch

__all__ = ["clock"]


def clock(device: torch.device) -> float:
    """Return seconds, after all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()
