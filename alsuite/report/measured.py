"""What the report tells of: published figures, and experiments whose runs lie below a root."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from alsuite import CONF
from alsuite.claims import live_runs, verdicts_on
from alsuite.claims.verdicts import by_size
from alsuite.errors import UserError
from alsuite.figures import kept_runs, parts_by_setting, runs_of, table_of
from alsuite.figures.parts import Part, heading, parts_of, selection
from alsuite.figures.reduced import reductions
from alsuite.figures.spec import Panel, description_of, is_figure, read_panels
from alsuite.figures.tabled import tabled
from alsuite.recorded import Options
from alsuite.report.titles import paper_of_figure, title_of
from alsuite.results import NoRunsError, command_of, load_runs
from alsuite.results.kept import TABLES, facts_of

__all__ = ["Measured", "own_experiment", "published_figures"]

Runs = Mapping[str, pd.DataFrame | str]


@dataclass(frozen=True)
class Measured:
    """A figure or an experiment that has runs.

    name: of its file in conf/experiment, or of its folder of runs
    folder: what is published of it; None of an experiment whose runs lie below the root
    about: the facts that were noted when it was published, or those of its runs
    parts: what its panels show
    runs: a row for each cycle and test set of all its runs
    tables: the comparisons, by the names of their files
    verdicts: on the claims that its runs measure
    """

    name: str
    folder: Path | None
    about: Options
    parts: list[Part]
    runs: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    verdicts: pd.DataFrame
    picture: Path | None
    description: str = ""
    paper: str = ""

    @property
    def title(self) -> str:
        return title_of(self.name)

    @property
    def stored(self) -> list[Part]:
        """The parts that show pictures which a run has stored."""
        return [part for part in self.parts if part.panel.of.shows == "pictures"]

    @property
    def reduced(self) -> list[str]:
        """What a reduced scale has left of what the paper did."""
        if told := self.about.get("reduced to"):
            return str(told).split("; ")
        return reductions(self.runs) if len(self.runs) else []

    @property
    def groups(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each set of runs that its curves compare, once, with a title; without curves, all runs of each setting."""
        seen = set()
        shown = [part for part in self.parts if not part.note and part.panel.of.by_cycle]
        for part in shown or (parts_by_setting(self.runs) if len(self.runs) else ()):
            runs = (*sorted(part.frame["run"].unique()), *sorted(part.frame["series"].unique()))
            if runs not in seen:
                seen.add(runs)
                yield part.panel.title, part.frame


def published_figures(published: Path, verdicts: pd.DataFrame) -> list[Measured]:
    """Read each published figure."""
    folders = sorted(path.parent for path in published.glob("*/about.json"))
    return [_published(folder, verdicts[verdicts["experiment"] == folder.name]) for folder in folders]


def _published(folder: Path, verdicts: pd.DataFrame) -> Measured:
    stem = folder.name
    picture = folder / f"{stem}.png"
    tables = {path.stem: pd.read_csv(path) for name in TABLES if (path := folder / f"{name}.csv").exists()}
    known = is_figure(stem)
    panels = read_panels(stem) if known else []
    titles = _titles(panels)
    tables = {
        name: table.assign(panel=[titles.get(str(one), str(one)) for one in table["panel"]])
        for name, table in tables.items()
    }
    runs = kept_runs(panels, folder) if panels else {}
    return Measured(
        name=stem,
        folder=folder,
        about=json.loads((folder / "about.json").read_text()),
        parts=_parts(panels, runs, CONF) if runs else [],
        runs=_joined(runs),
        tables=tables,
        verdicts=verdicts,
        picture=picture if picture.exists() else None,
        description=description_of(stem) if known else "",
        paper=paper_of_figure(stem),
    )


def _titles(panels: Sequence[Panel]) -> dict[str, str]:
    """Map what stored tables call a selection of runs to the title of the panel that shows it."""
    return {heading(panel): panel.title or heading(panel) for panel in reversed(panels)}


def _parts(panels: Sequence[Panel], runs: Runs, configuration: Path) -> list[Part]:
    """Prepare what panels show of the runs."""
    table = table_of(configuration)
    return [part for panel in panels for part in parts_of(panel, runs[panel.experiment], table)]


def _joined(runs: Runs) -> pd.DataFrame:
    """Return one table of all runs that there are."""
    frames = [frame for frame in runs.values() if isinstance(frame, pd.DataFrame)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def own_experiment(name: str, root: Path, configuration: Path = CONF) -> Measured:
    """Read the finished runs of an experiment below the root, of the largest scale that has any.

    Arguments:
        name: a file in the configuration's experiment/, or a folder of runs
        root: the folder of all runs
        configuration: a folder with an experiment/NAME.yaml of the user's own

    Where no file describes a figure, each setting of the runs is a chart of its own.
    """
    described = is_figure(name, configuration) or is_figure(name)
    panels = read_panels(name, configuration) if described else []
    scale = _largest([panel.experiment for panel in panels] or [name], root)
    found = runs_of(panels, name, scale, root) if panels else {name: load_runs(name, scale, root)}
    runs = _joined(found)
    parts = _parts(panels, found, configuration)
    if all(part.note for part in parts):
        parts = parts_by_setting(runs)
    picture = root / "figures" / scale / f"{name}.png"
    return Measured(
        name=name,
        folder=None,
        about=facts_of(runs, command_of(name, scale), scale),
        parts=parts,
        runs=runs,
        tables=_compared(parts),
        verdicts=verdicts_on(name, live_runs(root, scale)) if is_figure(name) else pd.DataFrame(),
        picture=picture if picture.exists() else None,
        description=description_of(name, configuration) if described else "",
    )


def _largest(folders: Iterable[str], root: Path) -> str:
    """Return the largest scale at which folders have finished runs; where none has any, the last is refused."""
    frames: list[pd.DataFrame] = []
    missing: NoRunsError | None = None
    for folder in folders:
        try:
            frames.append(load_runs(folder, None, root))
        except NoRunsError as error:
            missing = error
    if not frames and missing:
        raise missing
    return by_size(frames)[0]


def _compared(parts: list[Part]) -> dict[str, pd.DataFrame]:
    """Compare the series of each part by its own measure, as published tables do, each selection of runs once."""
    tables: dict[str, list[pd.DataFrame]] = {}
    seen = set()
    for part in parts:
        if part.note:
            continue
        shown = part.frame[["run", "test"]].drop_duplicates().itertuples(index=False, name=None)
        if (key := (*selection(part.panel), part.panel.x, frozenset(shown))) in seen:
            continue
        seen.add(key)
        try:
            _, made = tabled(part.frame, part.panel)
        except UserError:  # runs that are no seeds of one another have a chart, and nothing to compare
            continue
        for name, table in made.items():
            tables.setdefault(name, []).append(table.assign(panel=part.panel.title or part.panel.y))
    return {name: pd.concat(each, ignore_index=True) for name, each in tables.items()}
