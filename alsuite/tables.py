"""Tables of all images: in memory, or in a file without a name whose space is freed with them."""

from __future__ import annotations

import math
import mmap
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile, gettempdir

import torch
from torch import Tensor

from alsuite import mapped

__all__ = ["in_file", "room"]

LARGE, SHARE = 2**28, 0.25  # bytes of a table, and its share of the memory, from which on it lies in a file


def room(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return room for a table in memory, or in the system's folder of temporary files where it is large.

    So a strategy that holds a table of all images goes on where memory would not, at the speed of the disk.
    """
    size = math.prod(shape) * dtype.itemsize
    if device.type == "cpu" and size > LARGE and size > SHARE * mapped.memory():
        folder = Path(gettempdir())
        if shutil.disk_usage(folder).free > size:
            return in_file(shape, dtype, folder)
    return torch.empty(shape, dtype=dtype, device=device)


def in_file(shape: Sequence[int], dtype: torch.dtype, folder: Path) -> Tensor:
    """Return room for a table in a file that has no name."""
    with TemporaryFile(dir=folder) as file:
        size = math.prod(shape) * dtype.itemsize
        file.truncate(size)
        if hasattr(os, "posix_fallocate"):  # a sparse file on a full disk kills the process at some later write
            os.posix_fallocate(file.fileno(), 0, size)
        return torch.frombuffer(mmap.mmap(file.fileno(), 0), dtype=dtype).view(*shape)
