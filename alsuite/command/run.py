"""One run from its parts: data on the device, initial pool, journal, tracker, and what its numbers depend on."""

from __future__ import annotations

import contextlib
import ctypes
import platform
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Generator

from alsuite.budget import Budget
from alsuite.command.tracking import Tracker
from alsuite.data import Dataset
from alsuite.data.enlarged import enlarged
from alsuite.errors import UserError
from alsuite.journal import Journal
from alsuite.loop import Run
from alsuite.oracle import Oracle
from alsuite.pool import Pool
from alsuite.strategies import Query, Strategy
from alsuite.tasks import Task

__all__ = ["choose_device", "perform", "provenance"]

Show = Callable[[dict[str, Any], int, bool], None]  # a record, how many there will be, whether it was there before
PACKAGES = (
    "alsuite",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "hydra-core",
    "numpy",
    "pandas",
    "faiss-gpu",
    "faiss-cpu",
)


def perform(
    about: Mapping[str, Any],
    folder: Path,
    *,
    dataset: Dataset,
    task_model: Callable[[], Task],
    initial: Callable[..., torch.Tensor],
    budget: Budget,
    oracle: Callable[..., Oracle],
    strategy: Strategy,
    seed: int,
    scale: Mapping[str, Any],
    device: str,
    wandb: str,
    show: Show,
    whole: int | None = None,
    enlarge: int | None = None,
) -> None:
    where = choose_device(device)
    keep_freed_memory()
    if not isinstance(seed, int):
        raise UserError(f"seed={seed} is no whole number: give one, such as seed=0")
    whole = whole or len(dataset.train.targets)
    shape = dataset.train.images.shape[1:]
    dataset = dataset.subset(scale["pool"], scale["test"], scale["side"])
    if enlarge is not None:
        dataset, whole = replace(dataset, train=enlarged(dataset.train, enlarge)), enlarge
    targets = dataset.train.targets
    sizes = budget.of(len(targets), whole, scale["cycles"])
    first = (
        torch.arange(len(targets))
        if sizes.initial == len(targets)
        else initial(targets, int(sizes.initial), Generator().manual_seed(seed))
    )
    counts = torch.bincount(targets, minlength=len(dataset.classes)).tolist()
    facts = {
        "seed": seed,
        "classes": list(dataset.classes),
        "pool": len(targets),
        "whole": whole,
        "pool_counts": counts,
        "side": None if dataset.train.images.shape[1:] == shape else scale["side"],
    }
    journal = Journal(folder)
    try:
        journal.start({**about, **facts, **provenance(where)})
        cycles = 1 + -(-int(sizes.end - sizes.initial) // int(sizes.query))
        for record in journal.records:
            show(record, cycles, True)
        if journal.finished:
            return
        tracker = Tracker(wandb, folder, about)

        def report(record: dict[str, Any], query: Query | None) -> None:
            tracker.cycle(record, pool, query)
            show(record, cycles, False)

        pool = Pool(onto(dataset.train.images, where), len(dataset.classes), dataset.mean, dataset.std, where)
        tests = {name: (onto(split.images, where), split.targets) for name, split in dataset.tests.items()}
        answers = oracle(dataset, folder)
        Run(pool, tests, task_model, strategy, answers, sizes, first.to(where), journal, seed, report).go()
        tracker.finish()
    finally:
        journal.close()


def keep_freed_memory() -> None:
    """Else glibc gives large blocks back to the system, and each step of a narrow network waits a third of its time for
    new pages."""
    with contextlib.suppress(OSError, AttributeError):
        libc, trim_threshold, mmap_threshold = ctypes.CDLL("libc.so.6"), -1, -3
        libc.mallopt(trim_threshold, 2**30)
        libc.mallopt(mmap_threshold, 2**25)


def choose_device(device: str) -> torch.device:
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"device={device} is unknown: choose auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda, but torch sees no GPU here: take device=cpu, or mend the driver")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high")
    return torch.device("cuda")


def onto(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The images on the device, unless they would fill more than half of what is free there."""
    held = getattr(images, "originals", images)
    fits = device.type != "cuda" or 2 * held.nbytes < torch.cuda.mem_get_info(device)[0]
    return images.to(device) if fits else images


def provenance(device: torch.device) -> dict[str, Any]:
    """Commit, package versions and machine: what a number depends on beside its configuration."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu {platform.machine()}"
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"commit": _commit(), "versions": versions, "device": name, "threads": torch.get_num_threads()}


def _commit() -> str:
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+changes" if changed.strip() else "")
