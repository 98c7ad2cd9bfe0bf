"""Small faults that a wrong implementation would have, and whether the tests notice them: `make mutants`.

python scripts/mutants.py            apply each fault to a copy of the project, and run the tests that must catch it
python scripts/mutants.py vaal asal  those alone whose name or file holds one of these words
python scripts/mutants.py --list     only list the faults

A fault is killed when a test fails that passes without it; the exit status is 1 unless all are killed.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import yaml

__all__ = ["Mutant", "main", "mutants"]

HERE = Path(__file__).resolve().parents[1]
COPIED = ("alsuite", "conf", "hydra_plugins", "scripts", "tests", "outputs/published", "pyproject.toml", "README.md")
LIMIT = 240  # seconds; a fault that makes the tests run longer is caught, too
KILLED, SURVIVED, UNKNOWN = "killed", "survived", "unknown: its tests fail without it"
CONTEXT = multiprocessing.get_context("fork")  # so that each fault finds torch imported already


@dataclass(frozen=True)
class Mutant:
    """A fault: in a file one text stands for another; the tests are given as pytest takes them."""

    name: str
    file: str
    old: str
    new: str
    tests: str

    def applied(self, root: Path) -> None:
        """Make the fault in a copy of the project."""
        path = root / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            sys.exit(f"{self.name}: its text stands {text.count(self.old)} times in {self.file}, mend the list")
        path.write_text(text.replace(self.old, self.new))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    chosen = [one for one in mutants() if chosen_by(options.words, one)]
    if not chosen:
        sys.exit(f"mutants: no fault is called {' or '.join(options.words)}: see --list")
    if options.list:
        print("\n".join(f"{one.name:<50} {one.file}" for one in chosen))
        return 0
    import_once()
    start = perf_counter()
    tests = [*dict.fromkeys(one.tests for one in chosen)]
    with ThreadPoolExecutor(options.jobs) as pool:
        sound = dict(zip(tests, pool.map(passes, tests), strict=True))
        fates = [*pool.map(lambda one: fate(one, sound[one.tests]), chosen)]
    print(f"{fates.count(KILLED)} of {len(chosen)} killed in {perf_counter() - start:.0f} s")
    return int(fates.count(KILLED) < len(chosen))


def mutants() -> list[Mutant]:
    """Read the faults."""
    entries = yaml.safe_load((Path(__file__).parent / "mutants.yaml").read_text())
    return [Mutant(**entry) for entry in entries]


def chosen_by(words: Sequence[str], mutant: Mutant) -> bool:
    return not words or any(word in f"{mutant.name} {mutant.file}" for word in words)


def import_once() -> None:
    """Import what all tests need and what no fault can be in."""
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    import faiss  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import pandas  # noqa: F401
    import pytorch_lightning  # noqa: F401
    import sklearn  # noqa: F401
    import torch
    import torchvision  # noqa: F401

    torch.set_num_threads(1)


def fate(mutant: Mutant, sound: bool) -> str:
    """Say what becomes of a fault, whose tests pass without it if they are sound."""
    told = UNKNOWN
    if sound:
        with copied() as root:
            mutant.applied(root)
            told = SURVIVED if tested(mutant.tests, root) else KILLED
    print(f"{told:<9} {mutant.name}", flush=True)
    return told


def passes(tests: str) -> bool:
    """Tell whether tests pass without a fault."""
    with copied() as root:
        return tested(tests, root)


@contextlib.contextmanager
def copied() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in COPIED:
            source, target = HERE / name, root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.png", "*.pdf"))
            elif source.exists():
                shutil.copyfile(source, target)
        yield root


def tested(tests: str, root: Path) -> bool:
    process = CONTEXT.Process(target=_test, args=(tests, root))
    process.start()
    process.join(LIMIT)
    if process.exitcode is None:
        process.kill()
        process.join()
    return process.exitcode == 0


def _test(tests: str, root: Path) -> None:
    """Run pytest in a copy, whose modules are imported in place of the installed ones."""
    import pytest

    os.chdir(root)
    sys.path.insert(0, str(root))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    arguments = [part.replace("~", " ") for part in tests.split()]
    os._exit(int(pytest.main(["-x", "-n0", "-p", "no:cacheprovider", *arguments])))


if __name__ == "__main__":
    sys.exit(main())
