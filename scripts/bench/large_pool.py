"""A pool that memory does not hold: scanning it and training on it against reading its file in order.

ALSUITE_LARGE_POOL is a folder with room for the file, 15.7 GB at the full size, and how many images: "/tmp 1280000".
The file is removed afterwards, and forgotten by the system before each turn, so that it comes from the disk.

python scripts/bench/large_pool.py FILE TURNS WINDOW    prints seconds of each turn and the most memory that was
resident, where training shuffles within windows of so many bytes
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, cast

import numpy as np
import torch
from pictures import cifar10
from race import Row, Sizes, timed
from simulated import peak
from torch import Tensor, nn

from alsuite import mapped
from alsuite.command.machine import keep_freed_memory
from alsuite.loop import seed_all
from alsuite.mapped import Mapped, in_windows
from alsuite.nets.classifiers import lenet
from alsuite.pool import Pool, Rows
from alsuite.tasks.classification import Classifier
from alsuite.training.fit import Stream, channels_last, fit, infer

__all__ = ["block_shuffling", "large_pool"]

IMAGES, SHAPE, BATCH = 1_280_000, (3, 64, 64), 64
RESIDENT = 2.0  # GB
LIMIT = 4 * 10**9  # bytes of its own that the process may have; what it maps of files is the system's
PART = 4096  # images written at a time
SHARES = {"scan": 0.7, "shuffled epoch": 0.6}  # of the speed at which the file is read in order
EPOCHS, SEEDS = 3, 3
OF = 30_000  # images, four of five to learn from
WINDOWS = {"204 blocks of 2": (2, 408), "8 blocks of 51": (51, 408)}  # of these what a window is of 1.28 million


def large_pool(sizes: Sizes) -> Iterator[Row]:
    """P17 in a process of its own, whose resident memory is that of this work alone."""
    folder, *given = os.environ.get("ALSUITE_LARGE_POOL", gettempdir()).split()
    n = int(given[0]) if given else IMAGES if sizes.points >= Sizes.points else 4 * sizes.scan
    Path(folder).mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as name:
        path = Path(name) / "images.npy"
        write(path, n)
        window = min(mapped.WINDOW, path.stat().st_size // 8)  # so that a small pool has several as well
        command = [sys.executable, __file__, str(path), str(min(3, sizes.turns)), str(window)]
        paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        told = json.loads(subprocess.run(command, env=paths, check=True, stdout=subprocess.PIPE, text=True).stdout)
    what = f"{n:,} images of 64 x 64, {n * int(np.prod(SHAPE)) / 1e9:.1f} GB"
    for kind, goal in SHARES.items():
        yield compared(f"{kind} of {what}", told, kind, goal)
    verdict = "met" if told["resident"] <= RESIDENT else "missed"
    gate = f"it may have {LIMIT / 1e9:g} GB of its own"
    yield Row(f"resident, {what}", "", told["resident"], "GB", goal=f"<= {RESIDENT:g}", verdict=verdict, gate=gate)


def compared(what: str, told: dict[str, Any], kind: str, goal: float) -> Row:
    """Compare the fastest turns, and the turns one by one."""
    ours, theirs = told[kind], told["in order"]
    turns = [base / own for own, base in zip(ours, theirs, strict=True)]
    value, gate = min(theirs) / min(ours), f"{told['seen'][kind]:,} images seen, each once"
    verdict = ("met" if value >= goal else "missed") if told["each once"][kind] else "void"
    times = {"ours": min(ours), "theirs": min(theirs), "turns": len(turns), "gate": gate}
    machine = {"load": os.getloadavg()[0], "threads": torch.get_num_threads()}
    spread = (min(turns), max(turns), f">= {goal:g}")
    return Row(what, "reading the file in order", value, "x its speed", *spread, verdict, **times, **machine)


def write(path: Path, n: int) -> None:
    """Write n random images; the first pixels of each tell its number."""
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (n, *SHAPE))
    offset = images.offset
    del images
    noise = np.random.default_rng(0).integers(0, 256, (PART, *SHAPE), dtype=np.uint8)
    with path.open("r+b") as file:
        file.seek(offset)
        for first in range(0, n, PART):
            some = noise[: n - first]
            some[:, 0, 0, :4] = np.arange(first, first + len(some), dtype="<u4").view(np.uint8).reshape(-1, 4)
            file.write(some.tobytes())
        os.fsync(file.fileno())


def forget(path: Path) -> None:
    """Have the system forget what it has read of a file, where it can be told."""
    if not hasattr(os, "posix_fadvise"):
        return
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def numbers(images: Tensor) -> Tensor:
    """Read the numbers of images from their first pixels."""
    return (images[:, 0, 0, :4].long() << torch.tensor([0, 8, 16, 24])).sum(1)


def in_order(path: Path) -> Tensor:
    room = memoryview(bytearray(2**23))
    with path.open("rb", buffering=0) as file:
        while file.readinto(room):
            pass
    return torch.empty(0)


def scanned(images: Mapped) -> Tensor:
    return infer(numbers, Rows(cast(Tensor, images), torch.arange(len(images))))


def epoch(images: Mapped) -> Tensor:
    assert in_windows(cast(Tensor, images), len(images))
    found, done = torch.empty(len(images), dtype=torch.int64), 0  # many small parts would leave holes in memory
    for some, _ in Stream(cast(Tensor, images), torch.arange(len(images)), batch=BATCH):
        found[done : done + len(some)] = numbers(some)
        done += len(some)
    return found[:done]


def measured(path: Path, turns: int) -> dict[str, Any]:
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    images = Mapped(np.load(path, mmap_mode="r", allow_pickle=False), most=0)
    sides: dict[str, Callable[[], Tensor]] = {
        "in order": lambda: in_order(path),
        "scan": lambda: scanned(images),
        "shuffled epoch": lambda: epoch(images),
    }
    seconds: dict[str, list[float]] = {kind: [] for kind in sides}
    found: dict[str, Tensor] = {}
    for _ in range(turns):
        for kind, side in sides.items():
            forget(path)
            found[kind], spent = timed(side)
            seconds[kind].append(spent)
    whole = torch.arange(len(images))
    once = {kind: torch.equal(found[kind].sort().values, whole) for kind in SHARES}
    return {**seconds, "seen": {kind: len(found[kind]) for kind in SHARES}, "each once": once, "resident": resident()}


def resident() -> float:
    """Return the most GB of memory that were resident in this process."""
    return peak() / 1e9


def block_shuffling(sizes: Sizes) -> Iterator[Row]:
    """What shuffling in blocks costs in accuracy, with images stored in random order, and by class."""
    name, pool, labels = cifar10(min(OF, sizes.scan))
    held_out = torch.arange(len(pool)) % 5 == 0
    parts = [(images.images[keep], labels[keep]) for images, keep in ((pool, ~held_out), (pool, held_out))]
    seeds = range(min(SEEDS, sizes.turns))
    for order in ("random order", "order of class"):
        stored = torch.randperm(len(parts[0][1])) if order == "random order" else parts[0][1].argsort(stable=True)
        train = parts[0][0][stored], parts[0][1][stored]
        with TemporaryDirectory() as folder:
            np.save(Path(folder) / "images.npy", train[0].numpy())
            file = Mapped(np.load(Path(folder) / "images.npy", mmap_mode="r", allow_pickle=False), most=0)
            full = [accuracy(pool, file, train[1], parts[1], seed) for seed in seeds]
            for window, rows in WINDOWS.items():
                blocks = [accuracy(pool, file, train[1], parts[1], seed, rows) for seed in seeds]
                yield lost(f"{EPOCHS} epochs of lenet on {name} in {order}, {window} images", blocks, full)


def accuracy(
    pool: Pool, file: Mapped, labels: Tensor, tests: tuple[Tensor, Tensor], seed: int, rows: tuple[int, int] = (0, 0)
) -> float:
    """Return the accuracy in percent on held-out training images; `rows` are those of a block and of a window."""
    before = mapped.BLOCK, mapped.WINDOW
    mapped.BLOCK, mapped.WINDOW = (file.row * n or 2**40 for n in rows)
    seed_all(seed, 0)
    net: nn.Sequential = lenet(file.shape[1:], 10).to(memory_format=torch.channels_last)
    stream = Stream(
        cast(Tensor, file), labels, batch=BATCH, prepare=lambda images: channels_last(pool.normalise(images))
    )
    try:
        settings = {"name": "adam", "lr": 1e-3}
        fit(Classifier(net, nn.functional.cross_entropy, settings, "cosine"), stream, epochs=EPOCHS)
    finally:
        mapped.BLOCK, mapped.WINDOW = before
    guesses = infer(lambda images: net(pool.normalise(images)).argmax(1), tests[0])
    return 100 * float((guesses == tests[1]).float().mean())


def lost(what: str, blocks: list[float], full: list[float]) -> Row:
    """Tell how much accuracy is lost by the mean of the seeds; there is no goal, as two orders differ by as much."""
    turns = [a - b for a, b in zip(full, blocks, strict=True)]
    text = " ".join(f"{a:.2f}/{b:.2f}" for a, b in zip(blocks, full, strict=True))
    found = ("shuffling all", sum(turns) / len(turns), "points", min(turns), max(turns))
    gate = f"% in blocks / of all, a seed each: {text}"
    return Row(f"accuracy lost by shuffling in blocks, {what}", *found, turns=len(turns), gate=gate)


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()  # as a run does
    mapped.WINDOW = int(sys.argv[3])
    print(json.dumps(measured(Path(sys.argv[1]), int(sys.argv[2]))))
