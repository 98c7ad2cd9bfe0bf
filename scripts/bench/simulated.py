"""The peak memory of one query in a pool as large as ImageNet's, whose images and predictions are made up as asked.

python scripts/bench/simulated.py STRATEGY N    prints GB for the whole pool, from what N images and a quarter take
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from alsuite import scores
from alsuite.nets.vae import feature_vae, no_vae
from alsuite.pool import Images, Pool
from alsuite.strategies import Strategy
from alsuite.strategies.aalu import AALU
from alsuite.strategies.badge import Badge
from alsuite.strategies.committee import Committee
from alsuite.strategies.coreset import CoreSet
from alsuite.strategies.dropout import Dropout
from alsuite.strategies.suggestive import Suggestive
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.strategies.vaal import VAAL
from alsuite.training.fit import infer

__all__ = ["STRATEGIES", "Simulated"]

IMAGES, CLASSES, FEATURES, MASKS, ASKED = 1_281_167, 1000, 512, 10, 10
STEPS = 2  # of a game


class Simulated:
    """A task whose features and log-probabilities are random, made for a chunk of images at a time."""

    def learn(self, pool: Pool) -> Self:
        return self

    def log_probs(self, images: Images) -> Tensor:
        return infer(lambda chunk: torch.randn(len(chunk), CLASSES).log_softmax(-1), images)

    def scored(self, images: Images, score: Callable[[Tensor], Tensor], masks: int = 0, whole: bool = False) -> Tensor:
        shape = (masks,) if masks else ()
        return infer(lambda chunk: score(torch.randn(*shape, len(chunk), CLASSES).log_softmax(-1)), images)

    def outputs(self, images: Images) -> tuple[Tensor, Tensor]:
        def both(chunk: Tensor) -> tuple[Tensor, Tensor]:
            return torch.randn(len(chunk), FEATURES), torch.randn(len(chunk), CLASSES).log_softmax(-1)

        return infer(both, images)


STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "entropy": lambda: Uncertainty(scores.entropy),
    "bald": lambda: Dropout(scores.bald, MASKS),
    "ensemble": lambda: Committee(Simulated, scores.variation_ratio, 5),  # type: ignore[arg-type]
    "coreset": lambda: CoreSet(),
    "badge": lambda: Badge(),
    "suggestive": lambda: Suggestive(Simulated),  # type: ignore[arg-type]
    "aalu": lambda: AALU(feature_vae, limit=STEPS),
    "vaal_no_vae": lambda: VAAL(no_vae, transductive=0, adversarial=0, limit=STEPS),
}


def peak() -> float:
    """Return the most memory that this process has held, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peak_after(name: str, n: int) -> float:
    """Return the peak after a query among n images, a tenth of them labelled."""
    pool = Pool(torch.zeros(n, 1, 8, 8, dtype=torch.uint8), CLASSES, [0.5], [0.25])
    pool.label(torch.arange(n // 10), torch.arange(n // 10) % CLASSES)
    query = STRATEGIES[name]().query(pool, Simulated(), ASKED)
    assert len(query.indices) == ASKED
    return peak()


def measured(name: str, n: int) -> float:
    """Return GB that a query takes among all images, from two parts of them: what a query takes once, and for each."""
    start, first, second = peak(), peak_after(name, n // 4), peak_after(name, n)
    return (first - start + (second - first) * (IMAGES - n // 4) / (n - n // 4)) / 1e9


if __name__ == "__main__":
    print(f"{measured(sys.argv[1], int(sys.argv[2])):.2f}")
