"""Figures from what the runs wrote: `python -m alsuite.figures STEM --scale S`.

An experiment lists its panels under `figure:`, each a mapping with the fields

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
                masks      images that were asked for, above their labels per pixel, predictions and entropies
                images     rows of images, from the runs' images_cycle_0000.npz
    title       above the panel
    where       column: value, or a list of values; columns as in `alsuite.results.load_runs`, null for a gap
    series      the columns that tell the series apart, by default [strategy]; "none" and gaps are left out
    for_each    {column: values}, a panel for each combination, or a list of such mappings with one value each. A value
                filters the runs, beside those that `where` lists for its column, and {column} in the title is its name;
                a value of one of these fields takes the field's place
    names       value: the name to show, also their order; the others are called as alsuite/figures/names.py has it
    published   rows of conf/published.csv: names of figures, or mappings such as {figure: vaal_tab1, x: 5000}
    y           the column shown: macro_f1, mean_iou, query_seconds, aubc (bars), notes.agreement, ...
    x           labelled, or a column such as pool or strategy.alpha: then each run gives one value
    since       from which x on curves are shown
    at          that one value (bars, timing, x): final, mean, or (nearest to) a labelled count
    cycle, rows, columns     of images: which cycle, which stored rows, how many of each
    experiment  the folder of the runs, where it differs from the figure's `experiment:`
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from alsuite import CONF
from alsuite.errors import UserError
from alsuite.figures.layout import WIDEST, save_figure
from alsuite.figures.names import name_of
from alsuite.figures.parts import BLANK, Part, part_named, parts_of
from alsuite.figures.spec import Panel, panels_of, read_panels, with_swept
from alsuite.results import NoRunsError, load_runs
from alsuite.results.kept import kept_table
from alsuite.results.statistics import RUN, SETTING, differing, with_series
from alsuite.results.table import telling

__all__ = [
    "Panel",
    "draw",
    "draw_curves",
    "kept_runs",
    "panels_of",
    "parts_by_setting",
    "runs_of",
    "table_of",
    "with_swept",
]

PUBLISHED = "published.csv"
NOT_MEASURED = "not measured"
LONGEST = 120  # characters of a picture's name


def draw(
    stem: str,
    scale: str,
    root: str | Path = "outputs",
    out: str | Path | None = None,
    panels: Sequence[Panel] | None = None,
    configuration: Path = CONF,
    published: str | Path | None = None,
    beneath: str = "",
) -> list[Path]:
    """Draw a figure from the runs there are, as PNG and PDF; a panel that has none says so in its place.

    stem: the name of an experiment
    panels: what is shown, by default what the configuration's experiment STEM lists
    root: the folder whose runs of this scale are drawn
    published: a folder that keeps the table of published runs, which are drawn in their stead
    out: the folder of the files, by default root/figures/SCALE
    configuration: the folder that holds experiment/STEM.yaml, and may hold a published.csv of its own
    beneath: a sentence at the end of the footer

    It returns the paths of the files, and refuses a figure none of whose panels has anything to show.
    """
    panels = panels or read_panels(stem, configuration)
    runs = runs_of(panels, stem, scale, Path(root)) if published is None else kept_runs(panels, Path(published))
    table = table_of(configuration)
    parts, columns = in_rows([parts_of(panel, runs[panel.experiment], table) for panel in panels])
    if all(part.note for part in parts):
        raise UserError(parts[0].note)
    if published is not None:
        parts = [replace(part, note=NOT_MEASURED) if part.note.strip() else part for part in parts]
    folder = Path(out) if out else Path(root, "figures", scale)
    return save_figure(parts, [folder / f"{stem}.png", folder / f"{stem}.pdf"], beneath, columns)


def table_of(configuration: Path) -> Path:
    """Return the file of published values: the configuration's own, or that of the papers."""
    return next(path for path in (configuration / PUBLISHED, CONF / PUBLISHED) if path.exists())


def runs_of(panels: Sequence[Panel], stem: str, scale: str, root: Path) -> dict[str, pd.DataFrame | str]:
    """Load the runs of each experiment that the panels show, or say why there are none.

    A figure may show the runs of another experiment; the advice names the command of the figure's own, `stem`.
    """
    found: dict[str, pd.DataFrame | str] = {}
    for experiment in dict.fromkeys(panel.experiment for panel in panels):
        try:
            found[experiment] = load_runs(experiment, scale, root)
        except NoRunsError as error:
            found[experiment] = str(error).replace(f"experiment={experiment}", f"experiment={stem}")
    return found


def in_rows(groups: Sequence[Sequence[Part]]) -> tuple[list[Part], int | None]:
    """Give the parts of each panel rows of their own where several panels of class shares have many parts each.

    Rows are filled up with blank parts, so that they have one length, which is returned with the parts; elsewhere
    their number tells how many stand in a row.
    """
    most = max(map(len, groups))
    if most < 3 or len(groups) == 1 or not all(part.panel.kind == "labels" for parts in groups for part in parts):
        return [part for parts in groups for part in parts], None
    columns = min(most, WIDEST)
    return [part for parts in groups for part in (*parts, *[BLANK] * (-len(parts) % columns))], columns


def kept_runs(panels: Sequence[Panel], folder: Path) -> dict[str, pd.DataFrame | str]:
    """Return the published runs of each experiment that the panels show, or say that there are none."""
    frame = kept_table(folder)
    runs = {str(name): part for name, part in frame.groupby("experiment")}
    return {panel.experiment: runs.get(panel.experiment, NOT_MEASURED) for panel in panels}


def draw_curves(frame: pd.DataFrame, folder: str | Path) -> Path:
    """Draw accuracy by strategy, a panel per setting, into a picture that is called after what the runs differ in.

    Where strategies ran in several ways, these tell the series apart. It returns the picture's path.
    """
    return save_figure(parts_by_setting(frame), [Path(folder, f"{_called(frame)}.png")])[0]


def parts_by_setting(frame: pd.DataFrame) -> list[Part]:
    """Return a part with the accuracy of each setting, of runs that no experiment describes a figure of."""
    series = _telling_apart(frame)
    varying = [column for column in SETTING if frame[column].nunique() > 1] or ["dataset"]
    parts = []
    for _, part in frame.groupby(SETTING, dropna=False):
        title = " · ".join(name_of(column, part[column].iloc[0]) for column in varying)
        parts.append(part_named(Panel("accuracy", title=title, series=tuple(series)), part))
    return parts


def _telling_apart(frame: pd.DataFrame) -> list[str]:
    """Add to the strategy what else tells apart runs of one seed."""
    series = ["strategy"]
    while more := [column for column in differing(with_series(frame, series)) if column not in series]:
        series.append(min(more, key=lambda column: "." in column))  # a choice before what follows from it
    return series


def _called(frame: pd.DataFrame) -> str:
    """Name a picture: curve of one run; curves of several, with what they differ in."""
    if len(frame.drop_duplicates(RUN)) == 1:
        return "curve"
    varied = [column for column in (*telling(frame), "seed") if frame[column].nunique() > 1 and column != "test"]
    return "-".join(["curves_" + varied[0], *varied[1:]])[:LONGEST] if varied else "curves"
