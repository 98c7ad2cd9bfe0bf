"""How much of its machine the system grants a process: in a container less than there is."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["cores", "memory"]

GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def memory() -> float:
    """Return how many bytes of memory there are for this process; any number where the system doesn't tell."""
    try:
        there = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
    given = [path.read_text().strip() for path in _limits("memory", "memory.max", "memory.limit_in_bytes")]
    return min([there, *(float(limit) for limit in given if limit.isdigit())])


def cores() -> int:
    """Return how many cores' time there is for this process, at least one."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for path in _limits("cpu", "cpu.max", "cpu.cfs_quota_us"):
        quota, *period = path.read_text().split()
        period = period or path.with_name("cpu.cfs_period_us").read_text().split()
        if quota.isdigit():
            there = min(there, math.ceil(int(quota) / int(period[0])))
    return max(1, there)


def _limits(kind: str, name: str, older: str) -> Iterator[Path]:
    """Yield the files of Linux that limit this process: of its group, and of those that hold this one.

    kind: of what
    name: of the files
    older: their name where each kind has groups of its own
    """
    lines = OWN_GROUPS.read_text().splitlines() if OWN_GROUPS.is_file() else []
    for kinds, group in (line.split(":", 2)[1:] for line in lines):
        if not kinds or kind in kinds.split(","):
            root, file = (GROUPS, name) if not kinds else (GROUPS / kind, older)
            paths = (root / folder.relative_to("/") / file for folder in (Path(group), *Path(group).parents))
            yield from (path for path in paths if path.is_file())
