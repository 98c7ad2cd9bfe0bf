"""The peak memory and the time of one query in large pools, whose images and predictions are made up as asked.

python scripts/bench/simulated.py STRATEGY N       prints GB of a query among N images of ImageNet's classes
python scripts/bench/simulated.py STRATEGY N N ... prints seconds of a core, and GB, of a query among each number
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, Self
from unittest.mock import patch

import numpy as np
import torch
from race import Row, Sizes
from torch import Tensor

from alsuite import scores
from alsuite.matching.index import FeatureIndex
from alsuite.nets.vae import feature_vae, no_vae
from alsuite.pool import Images, Pool
from alsuite.strategies import Strategy, m2_vaal
from alsuite.strategies.aalu import AALU
from alsuite.strategies.asal import ASAL
from alsuite.strategies.badge import Badge
from alsuite.strategies.committee import Committee
from alsuite.strategies.coreset import CoreSet
from alsuite.strategies.dropout import Dropout
from alsuite.strategies.suggestive import Suggestive
from alsuite.strategies.ta_vaal import TAVAAL, LearningLoss
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.strategies.vaal import VAAL, NoDiscriminator
from alsuite.tasks.m2 import M2
from alsuite.training.fit import infer

__all__ = ["STRATEGIES", "Simulated", "query_growth"]

IMAGES, CLASSES, FEATURES, MASKS, ASKED = 1_281_167, 1000, 512, 10, 10
FEW_CLASSES, LABELLED, CODES = 100, 1000, 50  # where time is measured
STEPS = 2  # of a game
LIMITS = {"asal": 0.6}  # of the exponent of time in the pool's size; of all others:
LINEAR = 1.05


class Simulated:
    """A task whose features are random, made for a chunk of images at a time, and whose log-probabilities are drawn
    from a few thousand random rows, so that next to no time goes into them.
    """

    classes = CLASSES

    def learn(self, pool: Pool) -> Self:
        return self

    def log_probs(self, images: Images) -> Tensor:
        return infer(lambda chunk: drawn(len(chunk), self.classes), images)

    def scored(self, images: Images, score: Callable[[Tensor], Tensor], masks: int = 0, whole: bool = False) -> Tensor:
        def each(chunk: Tensor) -> Tensor:
            return score(torch.stack([drawn(len(chunk), self.classes) for _ in range(masks)]))

        return infer(each if masks else lambda chunk: score(drawn(len(chunk), self.classes)), images)

    def outputs(self, images: Images) -> tuple[Tensor, Tensor]:
        return infer(lambda chunk: (torch.randn(len(chunk), FEATURES), drawn(len(chunk), self.classes)), images)

    def predicted_losses(self, images: Images) -> Tensor:
        return infer(lambda chunk: torch.rand(len(chunk)), images)

    def differentiable_log_probs(self, images: Tensor) -> Tensor:
        return (images.flatten(1) @ torch.ones(images[0].numel(), self.classes)).log_softmax(1)


class SimulatedM2(Simulated, M2):
    """The same with codes beside the predictions, and with a discriminator."""

    discriminator = "adversarial"  # type: ignore[assignment]

    def __init__(self) -> None: ...

    def codes(self, images: Images) -> tuple[Tensor, Tensor]:
        return infer(lambda chunk: (torch.randn(len(chunk), CODES), drawn(len(chunk), self.classes)), images)

    def labelled_logits(self, images: Images) -> Tensor:
        return self.predicted_losses(images)


class Made:
    """A generator of images, and features of images for matching, all random."""

    latent = 8

    def trained(self, pool: Pool) -> Self:
        return self

    def of(self, pool: Pool, trained: object) -> Callable[[Tensor], Tensor]:
        return lambda images: torch.randn(len(images), CODES)

    def images(self, z: Tensor) -> Tensor:
        return z.sigmoid().repeat(1, 8).view(-1, 1, 8, 8)


def drawn(n: int, classes: int, kept: dict[int, Tensor] = {}) -> Tensor:  # noqa: B006
    """Return (n, classes) log-probabilities."""
    if classes not in kept:
        kept[classes] = torch.randn(4096, classes).log_softmax(-1)
    return kept[classes][torch.randint(4096, (n,))]


GAME: dict[str, Any] = {"transductive": 0, "adversarial": 0, "limit": STEPS, "discriminator_layers": 2}
STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "entropy": lambda: Uncertainty(scores.entropy),
    "bald": lambda: Dropout(scores.bald, MASKS),
    "ensemble": lambda: Committee(Simulated, scores.variation_ratio, 5),  # type: ignore[arg-type]
    "coreset": lambda: CoreSet(),
    "badge": lambda: Badge(),
    "suggestive": lambda: Suggestive(Simulated),  # type: ignore[arg-type]
    "aalu": lambda: AALU(partial(feature_vae, hidden=64), assistant_layers=2, limit=STEPS),
    "vaal_no_vae": lambda: VAAL(no_vae, **GAME),
    "margin": lambda: Uncertainty(scores.margin),
    "least_confidence": lambda: Uncertainty(scores.least_confidence),
    "mc_dropout": lambda: Dropout(scores.mean_std, MASKS),
    "dbal": lambda: Dropout(scores.mean_entropy, MASKS),
    "qbc": lambda: Committee(Simulated, scores.bald, 5),  # type: ignore[arg-type]
    "learning_loss": lambda: LearningLoss(),
    "ta_vaal": lambda: TAVAAL(no_vae, **GAME),
    "vaal_no_d": lambda: NoDiscriminator(no_vae, **GAME),
    "m2_vaal": lambda: m2_vaal.M2VAAL(),
    "m2_alg1": lambda: m2_vaal.M2Alg1(),
    "m2_alg2": lambda: m2_vaal.M2Alg2(),
    "asal": lambda: ASAL(Made(), Made(), FeatureIndex, score=scores.entropy),  # type: ignore[arg-type]
}


def task_of(name: str) -> Simulated:
    return SimulatedM2() if name.startswith("m2_") else Simulated()


def peak() -> float:
    """Return the most memory that this process has held, in bytes; getrusage may tell the parent's on Linux."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024.0 * next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@patch.object(m2_vaal, "with_diagnoses", lambda query, *_: query)
def held(name: str, n: int) -> float:
    """Return the GB that a query takes beside a pool of n images, a tenth of them labelled."""
    pool = Pool(torch.randint(256, (n, 1, 8, 8), dtype=torch.uint8), CLASSES, [0.5], [0.25])
    pool.label(torch.arange(n // 10), torch.arange(n // 10) % CLASSES)
    drawn(1, CLASSES)
    start = peak()
    assert len(STRATEGIES[name]().query(pool, task_of(name), ASKED).indices) == ASKED
    return (peak() - start) / 1e9


@patch.object(m2_vaal, "with_diagnoses", lambda query, *_: query)
@patch.object(Simulated, "classes", FEW_CLASSES)
def growth(name: str, counts: list[int]) -> list[tuple[float, float]]:
    """Return seconds of a core, and the most GB more than before, of a query among each of these numbers of images.

    What a strategy makes once is made before; the fastest of two queries counts, where these are short.
    """
    torch.set_num_threads(1)
    task, start, found = task_of(name), peak(), []
    for n in counts:
        pool = Pool(torch.randint(256, (n, 1, 8, 8), dtype=torch.uint8), FEW_CLASSES, [0.5], [0.25])
        pool.label(torch.arange(LABELLED), torch.arange(LABELLED) % FEW_CLASSES)
        strategy, seconds = STRATEGIES[name](), []
        for _ in range(2 if name == "asal" or n < counts[-1] else 1):
            begun = process_time()
            assert len(strategy.query(pool, task, ASKED).indices) == ASKED
            seconds.append(process_time() - begun)
        found.append((min(seconds), (peak() - start) / 1e9))
        del pool, strategy
    return found


def query_growth(sizes: Sizes) -> Iterator[Row]:
    """P18: the exponent of a query's time in the pool's size, and the memory of each, a process for each strategy."""
    counts = [10_000, 100_000, 1_000_000] if sizes.points >= Sizes.points else [2_000, 6_000, 20_000]
    for name in STRATEGIES:
        command = [sys.executable, str(Path(__file__)), name, *map(str, counts)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        slope = float(np.polyfit(np.log(counts), np.log([seconds for seconds, _ in found]), 1)[0])
        told = [f"{n:,}: {found[i][0]:.3g} s, {found[i][1]:.2f} GB" for i, n in enumerate(counts)]
        goal = LIMITS.get(name, LINEAR)
        yield Row(
            f"exponent of a query's time, {name}",
            f"{counts[0]:,} to {counts[-1]:,} images, {FEW_CLASSES} classes",
            *(slope, ""),
            goal=f"<= {goal:g}",
            verdict="met" if slope <= goal else "missed",
            threads=1,
            gate="; ".join(told),
        )


if __name__ == "__main__":
    if len(sys.argv) > 3:
        print(json.dumps(growth(sys.argv[1], [int(n) for n in sys.argv[2:]])))
    else:
        print(f"{held(sys.argv[1], int(sys.argv[2])):.2f}")
