"""Rows of images with a caption above each."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alsuite.errors import UserError
from alsuite.figures.style import RC

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CAPTION", "draw_rows", "grid_height", "image_grid", "of_cycle", "read_rows"]

CAPTION = 0.3
SUFFIX = "_captions"
ASKED = "original"  # the row of the images that were asked for, in order

Rows = Mapping[str, np.ndarray]
Captions = Mapping[str, Sequence[str]]


def image_grid(rows: Rows, captions: Captions, path: str | Path, width: float = 7.0) -> Path:
    """Draws rows of (N, C, H, W) uint8 images; `captions` may leave rows out."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(RC):
        figure = Figure(figsize=(width, grid_height(len(rows), max(map(len, rows.values())), width)))
        draw_rows(figure.add_axes((0, 0, 1, 1)), rows, captions)
        figure.savefig(path, bbox_inches="tight", metadata={"Software": None} if Path(path).suffix == ".png" else None)
    return Path(path)


def grid_height(rows: int, columns: int, width: float) -> float:
    return max(0.6, rows * (1 + CAPTION) * 0.92 * width / columns)


def draw_rows(axes: "Axes", rows: Rows, captions: Captions) -> None:
    top = 0.0
    for name, images in rows.items():
        texts = captions.get(name, ())
        top -= CAPTION if texts else 0.06
        axes.text(-0.15, top - 0.5, name.replace("_", " "), ha="right", va="center")
        for c, image in enumerate(images):
            shown = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
            extent = (c + 0.03, c + 0.97, top - 0.97, top - 0.03)
            axes.imshow(shown, cmap="gray", vmin=0, vmax=255, extent=extent, interpolation="nearest")
        for c, text in enumerate(texts):
            axes.text(c + 0.5, top + 0.02, text, ha="center", va="bottom", fontsize=6.5, color="#333333")
        top -= 1
    axes.set(xlim=(0, max(map(len, rows.values()))), ylim=(top, 0), aspect="equal")
    axes.set_axis_off()


def of_cycle(folder: Path, cycle: int) -> Path:
    """What a run stored in that cycle; -1 is the last one with images."""
    stored = {_cycle(path): path for path in sorted(folder.glob("images_cycle_*.npz"))}
    wanted = [*stored][cycle] if -len(stored) <= cycle < 0 else cycle
    if wanted not in stored:
        raise UserError(f"{folder.name} stored no images of cycle {cycle}")
    return stored[wanted]


def _cycle(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


def read_rows(path: Path, rows: Sequence[str], columns: int) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """Of a run's images_cycle_0000.npz: row name -> images, and "<row name>_captions" -> a text for each image.

    A caption that is a number stands for a class; without captions, the images asked for have the oracle's answers.
    """
    with np.load(path, allow_pickle=False) as file:
        stored = dict(file)
    names = list(rows) or [name for name in stored if not name.endswith(SUFFIX)]
    if missing := [name for name in names if name not in stored]:
        raise UserError(f"{path.parent.name} stored no images called {missing[0]}")
    texts = {ASKED + SUFFIX: _answers(path), **stored}
    captions = {name: _named(texts.get(name + SUFFIX, ())[:columns], path) for name in names}
    return {name: stored[name][:columns] for name in names}, {name: told for name, told in captions.items() if told}


def _answers(path: Path) -> list[int]:
    lines = path.with_name("cycles.jsonl").read_text().splitlines()
    return json.loads(lines[_cycle(path)])["queried"]["labels"]


def _named(captions: Iterable[object], path: Path) -> list[str]:
    classes = json.loads(path.with_name("run.json").read_text())["classes"]
    names = {str(k): name for k, name in enumerate(classes)}
    return [names.get(text, text) for text in map(str, captions)]
