"""The machine that a run uses: its device, what fits there, and how its memory is kept."""

from __future__ import annotations

import ctypes
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import numpy as np
import torch
from torch import Tensor

from alsuite.command.complaints import short_of_memory
from alsuite.errors import UserError, first_line, one_of
from alsuite.limits import cores
from alsuite.progress import say

__all__ = ["choose_device", "generators_left", "held", "keep_freed_memory", "onto", "tried_device"]


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
    one_of("device", device, ("auto", "cpu", "cuda"))
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda, but torch sees no GPU here: take device=cpu, or mend the driver")
    if device == "cpu" or not torch.cuda.is_available():
        torch.set_num_threads(min(torch.get_num_threads(), cores()))
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high")
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first product of matrices
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device("cuda")


def tried_device(device: str, deterministic: bool = False) -> torch.device:
    """Return the device of an option; a GPU that torch cannot use is refused, or, by `auto`, left for the CPU."""
    chosen = choose_device(device, deterministic)
    if chosen.type == "cpu" or not (broken := _broken()):
        return chosen
    if device == "cuda":
        raise UserError(f"device=cuda, but {broken}: take device=cpu, or mend the driver")
    return choose_device("cpu")


@cache
def _broken() -> str:
    """Say why torch cannot use the GPU that it sees, such as an old driver; one that is full is not broken."""
    try:
        torch.zeros(1, device="cuda").add_(1)
    except Exception as error:  # DeferredCudaCallError is of no other kind
        if short_of_memory(error) or "busy" in str(error):
            raise
        say(told := f"torch cannot use the GPU ({first_line(error)})")
        return told
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
