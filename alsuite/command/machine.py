"""The machine that a run uses: its device, what fits there, and how its memory is kept."""

from __future__ import annotations

import ctypes
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import torch
from torch import Tensor

from alsuite.errors import UserError, first_line
from alsuite.limits import cores
from alsuite.training.progress import say

__all__ = ["choose_device", "generators_left", "held", "keep_freed_memory", "onto"]


NO_GPU = "torch sees no GPU here"
CONTEXT = 2**29  # bytes of its memory that a process takes before it has a tensor there


def keep_freed_memory() -> None:
    """Have glibc keep large blocks of memory that are freed, rather than give them back to the system.

    Else each step of a narrow network waits a third of its time for new pages. Elsewhere than under glibc it does
    nothing.
    """
    with suppress(OSError, AttributeError):
        libc, trim_threshold, mmap_threshold = ctypes.CDLL("libc.so.6"), -1, -3
        libc.mallopt(trim_threshold, 2**30)
        libc.mallopt(mmap_threshold, 2**25)


def choose_device(device: str, deterministic: bool = False) -> torch.device:
    """Return the device of an option: `auto` is a GPU where there is one.

    A GPU that is asked for and isn't there is refused, since the run would take days in silence. On a GPU, products of
    float32 matrices may use TF32 from then on, and with `deterministic` it gives the same bits each time, but for what
    torch warns of. On a CPU, torch uses no more threads than the system grants cores.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"device={device} is unknown: choose auto, cpu or cuda")
    lacks = _lacks() if device != "cpu" else NO_GPU
    if device == "cuda" and lacks:
        raise UserError(f"device=cuda, but {lacks}: take device=cpu, or mend that")
    if lacks:
        if lacks != NO_GPU:
            say(f"computing on the CPU, since {lacks}")
        torch.set_num_threads(min(torch.get_num_threads(), cores()))
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high")
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first product of matrices
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device("cuda")


def _lacks() -> str:
    """Say why no GPU can be used; "" where one can, which is tried: a driver may be too old for this torch."""
    if not torch.cuda.is_available():
        return NO_GPU
    try:
        torch.zeros(1, device="cuda").add_(1)
    except RuntimeError as error:
        return f"torch cannot use the GPU ({first_line(error)})"
    return ""


def onto(images: Tensor, device: torch.device) -> Tensor:
    """Return the images on the device, unless they would fill more than half of what is free there.

    Those that stay behind are gathered a batch at a time.
    """
    held = getattr(images, "originals", images)
    fits = device.type != "cuda" or 2 * held.nbytes < torch.cuda.mem_get_info(device)[0]
    return images.to(device) if fits else images


def held() -> float:
    """Return the share of a GPU's memory that this process has taken at most; 0.0 where it computes on the CPU."""
    if not torch.cuda.is_initialized():  # to ask would take memory there
        return 0.0
    return (torch.cuda.max_memory_reserved() + CONTEXT) / torch.cuda.mem_get_info()[1]


@contextmanager
def generators_left() -> Iterator[None]:
    """Leave the generators of random numbers as they were, whatever is drawn within the block."""
    before = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
