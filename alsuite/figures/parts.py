"""What each panel draws: the runs it selects, named by series, with the published points."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from alsuite.errors import UserError
from alsuite.figures.costs import preparation, until_cheaper
from alsuite.figures.gains import gains
from alsuite.figures.published import Point, published
from alsuite.figures.spec import METRICS, STORED, Panel
from alsuite.results import lacking, select
from alsuite.results.statistics import FULL, RUN, aubc, one_setting, unique_seeds, with_series

__all__ = ["Part", "parts_of", "per_run"]

DERIVED = {"preparation": preparation, "transition": until_cheaper, "gains": gains}  # other rows than the runs' cycles


@dataclass(frozen=True)
class Part:
    """A panel with what is to be drawn in it, or with a note that says why there is nothing."""

    panel: Panel
    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    points: list[Point] = field(default_factory=list)
    note: str = ""
    lacking: list[str] = field(default_factory=list)  # what it should show beside, but was not run


def parts_of(panel: Panel, runs: pd.DataFrame | str, table: Path) -> list[Part]:
    if isinstance(runs, str):
        return [Part(panel, note=runs)]
    if len(protocols := sorted(runs["protocol"].dropna().unique(), reverse=True)) > 1 and "protocol" not in panel.where:
        each = (_of_protocol(panel, protocol) for protocol in protocols)
        return [part for one in each for part in parts_of(one, runs, table)]
    try:
        chosen = select(runs, panel.where)
        frame = _prepared(panel, chosen)
        points = published(panel, frame, table)
    except UserError as error:
        return [Part(panel, note=str(error))]
    if panel.kind != "labels":
        return [Part(panel, frame, points, lacking=lacking(chosen, panel.where))]
    names = sorted(set(frame.loc[frame["strategy"] != FULL, "series"]), key=panel.order)
    return [Part(_titled(panel, name), frame[frame["series"] == name]) for name in names]


def _of_protocol(panel: Panel, protocol: str) -> Panel:
    title = f"{panel.title}\nprotocol: {protocol}".lstrip()
    return replace(panel, where={**panel.where, "protocol": protocol}, title=title)


def _titled(panel: Panel, series: str) -> Panel:
    return replace(panel, title=f"{panel.title}\n{panel.name(series)}".lstrip())


def _prepared(panel: Panel, frame: pd.DataFrame) -> pd.DataFrame:
    if panel.kind in ("labels", *STORED) or panel.y not in (*METRICS, "aubc"):
        frame = frame.drop_duplicates([*RUN, "cycle"]).assign(test=frame["test"].iloc[0])
    if panel.kind in DERIVED:
        frame = DERIVED[panel.kind](frame)
    for column in {panel.x, panel.y} - {"aubc"}:
        if column not in frame:
            raise UserError(f"the runs have no column {column} to draw")
    if panel.kind == "timing":
        frame = frame[frame["strategy"] != FULL]
    against = [] if panel.x == "labelled" else [panel.x]
    if panel.kind not in STORED:
        one_setting(frame, free=[*panel.series, *against])
        unique_seeds(with_series(frame, [*panel.series, *against]))
    frame = with_series(frame, panel.series)
    lowest = frame.groupby("series")["seed"].transform("min")
    return frame[frame["seed"] == lowest] if panel.kind in STORED else frame


def per_run(frame: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """One row per run: its last, its mean, or its value at the labelled count nearest to the one asked for."""
    if panel.y == "aubc":
        return aubc(frame, panel.series)
    frame = frame.dropna(subset=[panel.y]).sort_values("labelled")
    if panel.at == "mean":
        return frame.drop_duplicates(RUN).assign(**{panel.y: frame.groupby(RUN)[panel.y].transform("mean")})
    if panel.at == "final":
        return frame.drop_duplicates(RUN, keep="last")
    distance = (frame["labelled"] - int(panel.at)).abs()
    return frame.assign(distance=distance).sort_values("distance", kind="stable").drop_duplicates(RUN)
