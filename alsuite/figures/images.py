"""Rows of images with a caption above each, and groups of samples on a plane: what a run has stored beside its records.

A run stores them as `images_cycle_0000.npz`: an array for each row, its captions under the row's name + "_captions",
and the places of groups under "plane_" + their name. All of it is read without pickle.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alsuite.errors import UserError
from alsuite.figures.parts import Part
from alsuite.figures.spec import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CAPTION", "as_drawn", "draw_rows", "grid_height", "groups_of", "picture_rows", "read_rows", "stored_in"]

LETTER = 5.4 / 72  # inches, of 8 points, the widest of them
CAPTION = 0.3
SUFFIX = "_captions"
PLANE = "plane_"  # before the names of groups that lie on a plane
ASKED = "original"  # the row of the images that were asked for, in order
MADE, MATCHED = "generated", "matched"  # synthetic images, and the pool's image next to each

ImageRows = Mapping[str, np.ndarray]
Captions = Mapping[str, Sequence[str]]


def grid_height(rows: ImageRows, captions: Captions, width: float) -> float:
    """Return the inches that these rows take at this width, of which their names take a part, and captions some."""
    heights = (1 + _caption_height(captions.get(name, ())) for name in rows)
    left = width - 0.25 - LETTER * max(map(len, rows))
    return max(0.6, sum(heights) * left / max(map(len, rows.values())))


def _caption_height(texts: Sequence[str]) -> float:
    """Return the room for a row's captions in heights of an image; a row without captions keeps a narrow gap."""
    return CAPTION * max((1 + text.count("\n") for text in texts), default=0.2)


def draw_rows(axes: "Axes", rows: ImageRows, captions: Captions) -> None:
    """Draw the rows from the top to the bottom, each with its name at the left and a caption above each image.

    An image takes one unit of the axes, which have no frame, and keeps its own pixels, without smoothing.
    """
    top = 0.0
    for name, images in rows.items():
        texts = captions.get(name, ())
        top -= _caption_height(texts)
        axes.text(-0.15, top - 0.5, name.replace("_", " "), ha="right", va="center")
        for c, image in enumerate(images):
            extent = (c + 0.03, c + 0.97, top - 0.97, top - 0.03)
            axes.imshow(as_drawn(image), cmap="gray", vmin=0, vmax=255, extent=extent, interpolation="nearest")
        for c, text in enumerate(texts):
            axes.text(c + 0.5, top + 0.02, text, ha="center", va="bottom", fontsize=6.5, color="#333333")
        top -= 1
    axes.set(xlim=(0, max(map(len, rows.values()))), ylim=(top, 0), aspect="equal")
    axes.set_axis_off()


def as_drawn(image: np.ndarray) -> np.ndarray:
    """Return a (C, H, W) image of one channel or three as it is drawn: its grays (H, W), or its colours (H, W, 3)."""
    return image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)


def picture_rows(part: Part) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """Read what a run of each series stored, as rows and captions; a row that all have alike stands once, on top.

    The rows are called as short as tells them apart: see `_label`.
    """
    panel, runs = part.panel, part.frame.drop_duplicates("series")
    folders = dict(zip(runs["series"], map(Path, runs["folder"]), strict=True))
    read = {
        series: read_rows(stored_in(folders[series], panel.cycle), panel.rows, panel.columns)
        for series in part.order
        if series in folders
    }
    alike = _alike([rows for rows, _ in read.values()])
    rows, captions = {}, {}
    for series, (its, texts) in read.items():
        own = [name for name in its if name not in alike]
        labels = {name: panel.names.get(name, name) for name in alike}
        labels |= {name: _label(panel, series, name, own, len(read)) for name in own}
        rows |= {labels[name]: its[name] for name in (*alike, *own)}
        captions |= {label: texts[name] for name, label in labels.items() if name in texts}
    return rows, captions


def _alike(read: Sequence[ImageRows]) -> list[str]:
    """List the rows that every series has, with the same images."""
    first, *others = read
    return [name for name in first if others and all(_same(first[name], rows.get(name)) for rows in others)]


def _label(panel: Panel, series: str, name: str, own: Sequence[str], count: int) -> str:
    """Call a row after its series, itself, or both: as short as tells it apart.

    own: the rows of the series that others don't share
    count: how many series there are
    """
    row = panel.names.get(name, name)
    if count == 1:
        return row
    return series if len(own) == 1 else f"{series}: {row}"


def _same(one: np.ndarray, other: np.ndarray | None) -> bool:
    return other is not None and np.array_equal(one, other)


def stored_in(folder: Path, cycle: int) -> Path:
    """Find what a run stored in that cycle; -1 is the last one with images, -2 the one before.

    A cycle without images is refused, since those of another would be mistaken for its own.
    """
    stored = {_cycle_of(path): path for path in sorted(folder.glob("images_cycle_*.npz"))}
    wanted = [*stored][cycle] if -len(stored) <= cycle < 0 else cycle
    if wanted not in stored:
        raise UserError(f"{folder.name} stored no images of cycle {cycle}")
    return stored[wanted]


def _cycle_of(path: Path) -> int:
    """Return the cycle that a file of images is named after."""
    return int(path.stem.rpartition("_")[2])


def groups_of(part: Part) -> dict[str, np.ndarray]:
    """Read the (N, 2) places of each group, of the run with the lowest seed.

    A run that placed nothing is refused, with the option that makes it do so.
    """
    folder = Path(part.frame["folder"].iloc[0])
    with np.load(stored_in(folder, part.panel.cycle), allow_pickle=False) as file:
        groups = {name.removeprefix(PLANE): file[name] for name in file if name.startswith(PLANE)}
    if not groups:
        raise UserError(f"{folder.name} placed no samples on a plane: run it with strategy.embedded=500")
    return groups


def read_rows(path: Path, rows: Sequence[str], columns: int) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """Read rows of images and their captions, the first `columns` of each row.

    path: a run's images_cycle_0000.npz, beside which its records lie
    rows: the names of the rows to read; none reads all there are

    A caption that is a number stands for a class. Without captions, the images that were asked for have the oracle's
    answers, and images of the pool that were matched with made ones have their index, too, or it alone where some of
    the answers are missing. A row that the run did not store is refused.
    """
    with np.load(path, allow_pickle=False) as file:
        stored = dict(file)
    names = list(rows) or [name for name in stored if not (name.endswith(SUFFIX) or name.startswith(PLANE))]
    if missing := [name for name in names if name not in stored]:
        raise UserError(f"{path.parent.name} stored no images called {missing[0]}")
    asked = json.loads(path.with_name("cycles.jsonl").read_text().splitlines()[_cycle_of(path)])["queried"]
    texts = {ASKED + SUFFIX: asked["labels"] or (), MADE + SUFFIX: asked.get("generated_labels", ()), **stored}
    captions = {name: _with_classes(texts.get(name + SUFFIX, ())[:columns], path) for name in names}
    if MATCHED in captions and "unsure" not in asked:
        labels = _with_classes(asked["labels"], path)
        captions[MATCHED] = [f"{label}\n{index}" for label, index in zip(labels, captions[MATCHED], strict=False)]
    return {name: stored[name][:columns] for name in names}, {name: told for name, told in captions.items() if told}


def _with_classes(captions: Iterable[object], path: Path) -> list[str]:
    """Turn captions into texts, and those that are the number of a class into its name."""
    classes = json.loads(path.with_name("run.json").read_text())["classes"]
    names = {str(k): name for k, name in enumerate(classes)}
    return [names.get(text, text) for text in map(str, captions)]
