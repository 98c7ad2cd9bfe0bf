"""A small published folder, made as scripts/publish.py makes it."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
from publish import publish

from alsuite.claims import Claim, verdicts
from alsuite.results.kept import kept_table
from helpers.journals import synthetic_curve, write_run

__all__ = ["CLAIM", "FIGURE", "NOTES", "add_pictures", "publish_some"]

FIGURE = "asal_fig18"
CLAIM = Claim(
    "ahead", "asal", "figure 18", "ASAL is <b>ahead</b>.", FIGURE, where={"test": "usps"}, better="asal", than="random"
)
NOTES = {"d_ranking": 0.7, "warning": "the <game> is & stays dull", "fit_seconds": 0.1}


def publish_some(root: Path) -> Path:
    """Make the runs of a figure of ASAL below the root, publish it there, and return the published folder."""
    for seed in range(3):
        for level, strategy, choices in (
            (0.8, "random", {}),
            (0.9 + 0.001 * seed, "asal", {"generator": "dcgan", "features": "gray"}),
        ):
            chosen, curve = {"dataset": "mnist", **choices}, synthetic_curve(level, seed, 4)
            run, tests = f"seed={seed},strategy={strategy}", ("mnist", "usps")
            write_run(
                root, strategy, seed, curve, experiment="asal_mnist", run=run, tests=tests, choices=chosen, notes=NOTES
            )
    folder = root / "published" / FIGURE
    with patch("alsuite.claims.pages.read_claims", lambda: [CLAIM]):  # all claims take seconds to read
        publish(FIGURE, "smoke", root, folder)
    verdicts([CLAIM], lambda _: kept_table(folder)).to_csv(root / "published" / "claims.csv", index=False)
    return root / "published"


def add_pictures(run: Path, count: int = 3) -> None:
    """Store what a query of a run's first cycle showed: images, and a group of samples on a plane."""
    images = np.random.default_rng(0).integers(0, 256, (count, 1, 8, 8)).astype(np.uint8)
    np.savez(run / "images_cycle_0000.npz", original=images, plane_all=np.zeros((4, 2)))
