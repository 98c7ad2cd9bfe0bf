"""What surrounds a run and fails: its files, disk and folder, another writer, the clock, data and memory."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from families import LOOKED_AT
from kills import drawn
from processes import NEVER, Moment, looked_at, start, until
from trial import State, Trial, counted

__all__ = ["OTHERS", "Skipped"]


class Skipped(Exception):
    """Why a fault cannot be tried here, or not on this family."""


def torn(trial: Trial, random: Random, row: State) -> None:
    """Cut one of the files that a run has written, when the run has half of its cycles to go."""
    root = trial.fresh("torn")
    shutil.copytree(trial.folder / "whole", root, dirs_exist_ok=True)
    journal = next(root.rglob("cycles.jsonl"))
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: len(lines) // 2]))
    files = [path for path in sorted(looked_at(root)) if not path.endswith("given.txt")]
    kinds = {re.sub(r"\d+", "", Path(path).name): path for path in files if Path(path).stat().st_size}
    path = random.choice([*kinds.values()])
    os.truncate(path, random.randrange(Path(path).stat().st_size))
    (root / "given.txt").unlink(missing_ok=True)
    row["phases"][Path(path).name] = row["phases"].get(Path(path).name, 0) + 1
    row["times"] += 1
    if trial.run(root, row, lambda: NEVER):
        row["refused"] += 1


def goes_on(trial: Trial, root: Path, row: State, around: Callable[[], Any], mended: Callable[[], object]) -> None:
    """Run under a fault, then without it."""
    row["times"] += 1
    if trial.run(root, row, lambda: NEVER, around):
        row["refused"] += 1
        mended()
        trial.run(root, row, lambda: NEVER)


def full(trial: Trial, random: Random, row: State) -> None:
    """Run on a disk that is too small, which then becomes larger."""
    root = trial.fresh("full")
    size = sum(size for size, _ in looked_at(trial.folder / "whole").values())
    with mounted(root, f"size={max(4, int(random.uniform(0.1, 0.9) * size) // 1024)}k"):
        goes_on(trial, root, row, int, lambda: mount("-o", "remount,size=64m", str(root)))


@contextmanager
def mounted(root: Path, options: str) -> Iterator[None]:
    """Have a small disk at a folder."""
    if not mount("-t", "tmpfs", "-o", options, "tmpfs", str(root)):
        raise Skipped("skipped: no disk can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def mount(*options: str) -> bool:
    command = ["mount", *options]
    return (
        shutil.which("mount") is not None and not subprocess.run(command, capture_output=True, check=False).returncode
    )


def forbidden(trial: Trial, random: Random, row: State) -> None:
    """Run in a folder that may not be written to, at first or from some cycle on."""
    root = trial.fresh("forbidden")
    if random.random() < 0.5:
        pid = start(partial(trial.family.work, root), trial.log)
        until(pid, Moment(random.uniform(0, trial.ended.seconds)), root, trial.log)
    folders = [path for path in (root, *root.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(0o500)
    goes_on(trial, root, row, unprivileged, lambda: [path.chmod(0o700) for path in folders])


def unprivileged() -> None:
    """Give up what lets an administrator write anywhere."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError("capabilities cannot be given up here")


def together(trial: Trial, random: Random, row: State) -> None:
    """Start the same run twice: the second is refused, or finds it done."""
    root = trial.fresh("together")
    other = start(partial(trial.family.work, root), trial.folder / "other.txt")
    time.sleep(random.uniform(0, trial.ended.seconds))
    beside = counted("", "")
    first = trial.run(root, beside, lambda: NEVER)
    with trial.visited(root):
        second = until(other, NEVER, root, trial.folder / "other.txt")
    row["times"] += 1
    row["refused"] += first == 2 or second.status == 2
    row["tracebacks"] += second.traced
    row["crashed"] += second.crashed
    trial.run(root, row, lambda: NEVER)
    for name in ("labels lost", "differing", "tracebacks", "crashed"):
        row[name] += beside[name]


def backwards(trial: Trial, random: Random, row: State) -> None:
    """Run while the clock jumps back, beside files from the future."""
    root, times = trial.fresh("backwards"), row["times"] + 1
    trial.run(root, row, lambda: drawn(random, trial.ended) if random.random() < 0.5 else NEVER, jumping)
    for path in root.rglob("*"):
        os.utime(path, (time.time() + 1e6, time.time() + 1e6))
    trial.run(root, row, lambda: NEVER, jumping)
    row["times"] = times  # a start that is killed on the way counts as a trial of its own elsewhere


def jumping() -> None:
    """Let each look at the clock show a minute less than the one before."""
    true, looks = time.time, iter(range(1 << 60))
    time.time = lambda: true() - 60.0 * next(looks)


def changing(trial: Trial, random: Random, row: State) -> None:
    """Change a file of the data when a run is under way, and take it back."""
    if trial.family.name not in LOOKED_AT:
        raise Skipped("only where each start looks at the data")
    root, file = trial.fresh("changing"), random.choice(sorted(trial.data.glob(LOOKED_AT[trial.family.name])))
    pid = start(partial(trial.family.work, root), trial.log)
    until(pid, Moment(600.0, random.randint(1, max(1, trial.ended.changes - 1))), root, trial.log)
    content = file.read_bytes()
    file.write_bytes(content + b"\0")
    goes_on(trial, root, row, int, lambda: file.write_bytes(content))
    file.write_bytes(content)


def starved(trial: Trial, random: Random, row: State) -> None:
    """Run with little more memory than a start has."""
    room = int(random.uniform(0, 60) * 2**20)

    def bounded() -> None:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + room, size + room))

    goes_on(trial, trial.fresh("starved"), row, bounded, int)


OTHERS: dict[str, Callable[[Trial, Random, State], None]] = {
    "a torn file": torn,
    "a full disk": full,
    "no permission": forbidden,
    "two writers": together,
    "a clock that goes back": backwards,
    "data that changes": changing,
    "too little memory": starved,
}
