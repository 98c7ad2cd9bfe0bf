"""The panel of images above their labels per pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alsuite import CONF
from alsuite.figures.layout import compose
from alsuite.figures.masks import ROWS
from alsuite.figures.parts import parts_of
from alsuite.figures.spec import Panel
from alsuite.results import load_runs
from helpers.journals import synthetic_curve, write_run


def stored(root: Path, shown: int = 3) -> None:
    folder = write_run(root, "vaal", 0, synthetic_curve(0.8, 0))
    generator = np.random.default_rng(0)
    channels = {"image": 3, "label": 3, "prediction": 3, "entropy": 1}
    rows = {name: generator.integers(0, 255, (shown, c, 12, 16), np.uint8) for name, c in channels.items()}
    np.savez(folder / "images_cycle_0000.npz", **rows)  # type: ignore[arg-type]


def test_each_image_has_a_column_and_each_class_an_entry(tmp_path: Path) -> None:
    stored(tmp_path)
    panels = [Panel("accuracy", experiment="toy"), Panel("masks", experiment="toy", columns=2)]
    runs, table = load_runs("toy", "smoke", tmp_path), CONF / "published.csv"
    figure = compose([part for panel in panels for part in parts_of(panel, runs, table)])
    axes = figure.axes[1]
    assert len(axes.images) == 2 * len(ROWS)
    extents = np.array([image.get_extent() for image in axes.images])
    width, height = extents[:, 1] - extents[:, 0], extents[:, 3] - extents[:, 2]
    assert (height + 0.06) / (width + 0.06) == pytest.approx(12 / 16)  # no image is squeezed
    assert [text.get_text() for text in axes.texts] == list(ROWS)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["VAAL", "0", "1"]
