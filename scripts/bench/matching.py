"""Matching generated samples: the index against a k-d tree, all distances and one pass over memory.

Pools are enlarged as in ASAL's fig. 7, by jittered copies, ten of each original; the spectrum is decaying or flat.
Queries are further copies. ALSUITE_VECTORS lists other sizes of the pools, in growing order.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import faiss
import numpy as np
import torch
from race import Check, Row, Sizes, race, timed
from scipy.spatial import KDTree
from torch import Tensor

from alsuite.matching.index import FeatureIndex
from alsuite.matching.inverted_file import FILE, InvertedFile, read_index
from alsuite.matching.neighbours import Exact

__all__ = ["matching", "matching_growth"]

VECTORS = (160_000, 480_000, 1_600_000, 4_800_000, 16_000_000)
DIMENSIONS, QUERIES, COPIES, JITTER = 50, 10, 10, 0.35
TREE, KNN = "scipy cKDTree", "faiss.knn"


@dataclass(frozen=True)
class Match:
    """A pool, its index, and what is asked of it."""

    features: Tensor
    matcher: FeatureIndex
    queries: Tensor
    known: Tensor

    def search(self) -> Tensor:
        return self.matcher.search(self.queries, self.known)


def vectors(sizes: Sizes) -> list[int]:
    """Up to 16 million; a small form has 20 thousand."""
    if given := os.environ.get("ALSUITE_VECTORS"):
        return [int(n) for n in given.split()]
    share = 1.0 if sizes.points >= Sizes.points else 2 * sizes.points / VECTORS[-1]
    return [max(int(n * share), 100) for n in VECTORS]


def pool(path: Path, n: int, power: float) -> tuple[Tensor, Tensor]:
    """(n, 50) features in a file, mapped, and 5,010 queries."""
    scale = torch.arange(1, DIMENSIONS + 1).pow(-power)
    originals = torch.randn(math.ceil(n / COPIES), DIMENSIONS)
    values = np.memmap(path, np.float32, "w+", shape=(n, DIMENSIONS))
    for start in range(0, n, 2**20):
        rows = torch.arange(start, min(start + 2**20, n)) % len(originals)
        values[start : start + len(rows)] = copies(originals, rows) * scale
    values.flush()
    return mapped(path), copies(originals, torch.randint(len(originals), (5010,))) * scale


def copies(originals: Tensor, rows: Tensor) -> Tensor:
    return originals[rows] + JITTER * torch.randn(len(rows), DIMENSIONS)


def mapped(path: Path) -> Tensor:
    return torch.from_numpy(np.memmap(path, np.float32, "c").reshape(-1, DIMENSIONS))


def prepared(folder: Path, n: int, power: float) -> tuple[Match, Tensor, float]:
    """What is searched, the queries of the gate, and the seconds it took to build."""
    features, queries = pool(folder / "features", n, power)
    index, seconds = timed(partial(FeatureIndex, features, kind="ivf", folder=folder))
    return Match(features, index, queries[:QUERIES], torch.zeros(n, dtype=torch.bool)), queries[QUERIES:], seconds


def near(found: Match, queries: Tensor) -> Check:
    """The first neighbours of many queries: how many are the true ones, and how much farther all are than these."""
    truth = torch.from_numpy(faiss.knn(queries.numpy(), found.features.numpy(), 1)[1][:, 0])
    index = found.matcher.neighbours
    assert isinstance(index, InvertedFile)
    rows = index.nearest(queries, 1)[:, 0]
    ours, best = ((found.features[i] - queries).square().sum(1).sqrt() for i in (rows, truth))
    recall, ratio = float((ours <= best * (1 + 1e-5)).float().mean()), float((ours / best).mean())
    text = f"recall {recall:.3f}, distances {ratio:.4f} of {len(queries)}, nprobe {index.nprobe}"
    return recall >= 0.99 and ratio <= 1.005, text


def always(check: Check) -> Callable[[Any, Any], Check]:
    return lambda ours, theirs: check


def matching(sizes: Sizes) -> Iterator[Row]:
    """P1, P4 and P5 on 1.6 million."""
    n = vectors(sizes)[-3:][0]
    for spectrum, power, goal in (("decaying", 1.0, 50), ("flat", 0.0, 500)):
        with TemporaryDirectory() as folder:
            found, queries, _ = prepared(Path(folder), n, power)
            check = near(found, queries)
            what, values = f"match {QUERIES} of {n:,} x {DIMENSIONS}, {spectrum}", found.queries.numpy()
            tree = KDTree(found.features.numpy())
            for name, theirs, wanted in (
                (TREE, partial(tree.query, values, QUERIES), goal),
                (KNN, partial(faiss.knn, values, found.features.numpy(), QUERIES), 100),
            ):
                yield race(what, name, found.search, theirs, always(check), goal=wanted, turns=sizes.turns)
            yield without_replacement(found, spectrum, sizes)
            yield marking(found, spectrum)
            yield exact(found, spectrum, sizes)


def without_replacement(found: Match, spectrum: str, sizes: Sizes) -> Row:
    """Many labelled, against a search that knows nothing of labels, and so may give some of them."""
    index, known = found.matcher.neighbours, found.known.clone()
    assert isinstance(index, InvertedFile)
    labelled = torch.randperm(len(known))[: min(10_000, len(known) // 10)]
    known[labelled] = True
    ours = partial(found.matcher.search, found.queries, known)
    ours()
    theirs = partial(InvertedFile(index.index, index.unit, index.nprobe).nearest, found.queries, 1)

    def gate(ours: Tensor, _: Tensor) -> Check:
        wrong = int(known[ours].sum()) + QUERIES - len(ours.unique())
        return not wrong, f"{wrong} labelled or twice"

    what = f"without replacement, {len(known):,}, {spectrum}, {len(labelled):,} labelled"
    return race(what, "with replacement", ours, theirs, gate, goal=1.2, turns=sizes.turns, unit="x the time")


def marking(found: Match, spectrum: str) -> Row:
    """The bits alone; each turn labels other samples."""
    rows, bits = torch.randperm(len(found.known))[: 10 * QUERIES].split(QUERIES), found.matcher.neighbours
    seconds = min(timed(partial(bits.mark, some, free=False))[1] for some in rows)
    bits.mark(torch.cat(rows), free=True)
    return judged(f"label {QUERIES} of {len(found.known):,}, {spectrum}", 1e6 * seconds, "us", 1000)


def judged(what: str, value: float, unit: str, goal: float, text: str = "", passed: bool = True) -> Row:
    verdict = ("met" if value <= goal else "missed") if passed else "void"
    gate = f"goal <= {goal:g} {unit} {text}".strip()
    return Row(what, "", value, unit, goal=f"<= {goal:g}", verdict=verdict, gate=gate)


def exact(found: Match, spectrum: str, sizes: Sizes) -> Row:
    search = Exact(found.features)

    def gate(ours: Tensor, _: Tensor) -> Check:
        theirs = torch.from_numpy(faiss.knn(found.queries.numpy(), found.features.numpy(), QUERIES)[1])
        same = float((ours == theirs).float().mean())
        return same >= 0.99, f"{same:.0%} as faiss.knn's"

    what = f"exact search, {QUERIES} of {len(found.known):,}, {spectrum}"
    flops, ours = 2.0 * QUERIES * found.features.numel(), partial(search.nearest, found.queries, QUERIES)
    shared = {"goal": 5.0, "turns": sizes.turns, "flops": flops}
    return race(what, "one pass over memory", ours, found.features.sum, gate, unit="x the time", **shared)


def large(found: Match, folder: Path, what: str, check: Check, seconds: float, sizes: Sizes) -> Iterator[Row]:
    """P2, both memory-mapped and in a fresh process."""
    index = found.matcher.neighbours
    assert isinstance(index, InvertedFile)
    bound, (cold, mapped, searched) = 0.2e3, fresh(folder, index)
    yield judged(f"{what}, resident, read_index", mapped, "MB", bound)
    yield judged(f"{what}, resident, searched", searched, "MB", bound, f"first {cold:.0f} ms")
    tree, built = timed(partial(KDTree, found.features.numpy()))
    theirs = partial(tree.query, found.queries.numpy(), QUERIES)
    yield (row := race(what, TREE, found.search, theirs, always(check), goal=5, turns=sizes.turns))
    times = f"built in {seconds:.0f} s, the tree in {built:.0f} s"
    yield judged(what, 1000 * row.ours, "ms", 15, f"{check[1]}, {times}", check[0])


def fresh(folder: Path, index: InvertedFile) -> list[float]:
    """Milliseconds of the first search, MB resident more than before once read_index and once searched."""
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, __file__, str(folder), repr(index.unit), str(index.nprobe)]
    told = subprocess.run(command, env=paths, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [float(value) for value in told.split()]


def open_and_search(folder: Path, unit: float, nprobe: int) -> None:
    queries = mapped(folder / "features")[:QUERIES] + 0.01
    FeatureIndex(torch.randn(500, DIMENSIONS), kind="ivf").neighbours.nearest(queries, QUERIES)  # what any search takes
    before = resident()
    index = InvertedFile(read_index(folder / FILE), unit, nprobe)
    once_opened, begun = resident(), perf_counter()
    index.nearest(queries, QUERIES)
    print(1000 * (perf_counter() - begun), once_opened - before, resident() - before)


def resident() -> float:
    """MB; not a number where the system doesn't tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS")), math.nan)


def matching_growth(sizes: Sizes) -> Iterator[Row]:
    """P3, the exponent of time in the pool's size, and P2 on the largest, of 16 million."""
    for spectrum, power in (("decaying", 1.0), ("flat", 0.0)):
        counts, seconds, passed, texts = vectors(sizes), [], True, []
        for n in counts:
            with TemporaryDirectory() as name:
                folder = Path(name)
                found, queries, build = prepared(folder, n, power)
                holds, text = check = near(found, queries)
                batches = [replace(found, queries=batch) for batch in queries.split(QUERIES)[:5]]
                times = [min(timed(batch.search)[1] for _ in range(max(2, sizes.turns))) for batch in batches]
                if n == counts[-1]:
                    what = f"match {QUERIES} of {n:,} x {DIMENSIONS}, {spectrum}"
                    yield from large(found, folder, what, check, build, sizes)
            seconds.append(sum(times) / len(times))
            passed, texts = passed and holds, [*texts, f"{n:,}: {1000 * seconds[-1]:.2f} ms, {text}"]
        slope = float(np.polyfit(np.log(counts), np.log(seconds), 1)[0])
        yield judged(f"exponent of time, {spectrum}", slope, "", 0.6, "; ".join(texts), passed)


if __name__ == "__main__":
    torch.set_num_threads(1)
    open_and_search(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
