"""Figures from what the runs wrote: `python -m alsuite.figures STEM --scale S`.

`conf/experiment/STEM.yaml` lists the panels under `figure:`, each a mapping with the fields

    kind        accuracy   learning curves: mean and band over seeds; runs of `full` are a dashed line
                entropy    the same, of the entropy of the added samples
                labels     class shares in the labelled set, a small panel per series; ticks: the pool's shares
                bars       a value per series, whiskers over seeds, the published value beside
                timing     the same, of query seconds, on a logarithmic axis
                preparation  seconds of each part of what a strategy prepares once, against the pool's size
                transition   cycles from which on these pay, beside a strategy that scans the pool
                gains      points of F-score that each class gains from a run's first cycle to its last
                aubc       areas of each two series compared; penalty: the penalty matrix
                plane      groups of samples that a run placed on a plane
                images     rows of images, from the runs' images_cycle_0000.npz
    title       above the panel
    where       column: value, or a list of values; columns as in `alsuite.results.load`, null for a gap
    series      the columns that tell the series apart, by default [strategy]; "none" and gaps are left out
    names       series: the name to show; also their order; by default as in alsuite/figures/names.py
    for_each    a list of words; each makes a panel of its own, with {word} filled in wherever it stands
    published   rows of conf/published.csv: names of figures, or mappings such as {figure: vaal_tab1, x: 5000}
    y           the column shown: macro_f1, mean_iou, query_seconds, aubc (bars), notes.agreement, ...
    x           labelled, or a column such as pool or strategy.alpha: then each run gives one value
    since       from which x on curves are shown
    at          that one value (bars, timing, x): final, mean, or (nearest to) a labelled count
    band        interval (95 %, of the mean) or sd
    cycle, rows, columns     of images: which cycle, which stored rows, how many of each
    experiment  the folder of the runs, where it differs from the figure's `experiment:`
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from alsuite import CONF
from alsuite.errors import UserError
from alsuite.figures.images import image_grid
from alsuite.figures.layout import write
from alsuite.figures.names import displayed
from alsuite.figures.panels import KINDS
from alsuite.figures.parts import Part, parts_of
from alsuite.figures.spec import Panel, panels_of, read_panels
from alsuite.results import NoRunsError, load
from alsuite.results.statistics import SETTING, differing, with_series

__all__ = ["Panel", "draw", "draw_curves", "image_grid", "panels_of"]


def draw(
    stem: str,
    scale: str,
    root: str | Path = "outputs",
    out: str | Path | None = None,
    conf: Path = CONF,
    panels: Sequence[Panel] | None = None,
) -> list[Path]:
    """Draw the figure from the runs there are, as PNG and PDF; a panel that has none says so in its place."""
    panels = panels or read_panels(stem, conf)
    if unknown := [panel.kind for panel in panels if panel.kind not in KINDS]:
        raise UserError(f"{stem}: no kind of panel is called {unknown[0]}; there are {', '.join(KINDS)}")
    frames = {panel.experiment: _runs(panel.experiment, stem, scale, Path(root)) for panel in panels}
    parts = [part for panel in panels for part in parts_of(panel, frames[panel.experiment], conf / "published.csv")]
    if all(part.note for part in parts):
        raise UserError(parts[0].note)
    folder = Path(out) if out else Path(root, "figures", scale)
    return write(parts, [folder / f"{stem}.png", folder / f"{stem}.pdf"])


def draw_curves(frame: pd.DataFrame, folder: str | Path) -> Path:
    """Draw accuracy by strategy, a panel per setting; where strategies ran in several ways, these tell series apart.

    The picture lies in the folder, and is called after what its runs differ in.
    """
    series = ["strategy"]
    while (more := differing(with_series(frame, series))) and not set(more) <= set(series):
        series += [column for column in more if column not in series][:1]
    parts = []
    for _, part in frame.groupby(SETTING, dropna=False):
        varying = [column for column in SETTING if frame[column].nunique() > 1] or ["dataset"]
        title = " · ".join(displayed(str(part[column].iloc[0])) for column in varying)
        parts.append(Part(Panel("accuracy", title=title, series=tuple(series)), with_series(part, series)))
    return write(parts, [Path(folder, f"{_called(frame, series)}.png")])[0]


def _called(frame: pd.DataFrame, series: Sequence[str]) -> str:
    """Name a picture: curve of one run, curves of several, with the columns that these differ in."""
    if frame["run"].nunique() == 1:
        return "curve"
    told = [column for column in (*SETTING, *series, "seed") if frame[column].nunique() > 1]
    return "-".join(["curves", *(column.replace(".", "_") for column in told)])


def _runs(experiment: str, stem: str, scale: str, root: Path) -> pd.DataFrame | str:
    try:
        return load(experiment, scale, root)
    except NoRunsError as error:
        return str(error).replace(f"experiment={experiment}", f"experiment={stem}")
