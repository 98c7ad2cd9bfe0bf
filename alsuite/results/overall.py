"""What a comparison comes to: the labels that a series saves, and how it does over several settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from alsuite.results.heights import common, mean_height, reached
from alsuite.results.intervals import ENOUGH, interval
from alsuite.results.measures import FRACTIONS
from alsuite.results.statistics import FULL, SETTING, penalty_matrix, with_series

__all__ = ["labels_needed", "over_settings", "overall"]

BASELINE = "random"
BESIDE = (
    "labels to be where random sampling ends: mean ± sd [95 % interval] of the seeds that get there, and what is saved"
)


def overall(frame: pd.DataFrame, series: Sequence[str], metric: str) -> tuple[str, dict[str, pd.DataFrame]]:
    """Tell how many labels series save, and how they rank where there are several settings, as text and as tables.

    Arguments:
        frame: the runs
        series: the columns that tell the series apart
        metric: the column compared; how early it is reached is told of what is better the higher it is
    """
    parts, tables = [], {}
    if metric in FRACTIONS and len(needed := labels_needed(frame, series, metric)):
        parts.append(f"{BESIDE}\n{_cells(needed).to_string(index=False)}")
        tables["labels"] = needed
    if len(ranks := over_settings(frame, series, metric)):
        heading = f"over {ranks.attrs['settings']} settings: mean rank by area, 1 the largest; sum of penalties"
        parts.append(f"{heading}\n{ranks.round(2).to_string(index=False)}")
        tables["ranks"] = ranks
    return "\n\n".join(parts), tables


def labels_needed(frame: pd.DataFrame, series: Sequence[str], value: str = "accuracy") -> pd.DataFrame:
    """Return with how many labels the series of each setting are as high as random sampling ends at the same seed.

    A curve that never gets there needs no known number: `reach` counts the seeds that get there of all `seeds`, and the
    numbers are of these alone. Random sampling itself gets there where it first was as high. A setting in which it has
    no runs, or runs of several series, is left out.
    """
    rows: list[dict[str, Any]] = []
    named = with_series(frame[frame["strategy"] != FULL], series).dropna(subset=[value]).sort_values("labelled")
    for setting, part in named.groupby(SETTING, dropna=False):
        baseline = part[part["strategy"] == BASELINE]
        if baseline["series"].nunique() != 1:
            continue
        ends: dict[Any, Any] = {seed: run.iloc[-1] for seed, run in baseline.groupby("seed")}
        for (name, seed), run in part[part["seed"].isin([*ends])].groupby(["series", "seed"]):
            labels = reached(run["labelled"].to_numpy(float), run[value].to_numpy(float), float(ends[seed][value]))
            saved = 1 - labels / float(ends[seed]["labelled"])
            rows.append({**dict(zip(SETTING, setting, strict=True)), "series": name, "labels": labels, "saved": saved})
    by = [*SETTING, "series"]
    found = pd.DataFrame(rows, columns=[*by, "labels", "saved"]).replace([math.inf, -math.inf], math.nan)
    table = interval(found, by, "labels", math.inf)
    every = found.groupby(by, dropna=False).agg(seeds=("series", "size"), saved=("saved", "mean")).reset_index()
    return every.merge(table.rename(columns={"n": "reach"}), "left", by).fillna({"reach": 0}).astype({"reach": int})


def over_settings(frame: pd.DataFrame, series: Sequence[str], value: str = "accuracy") -> pd.DataFrame:
    """Return the mean rank, and the sum of penalties, of the series that all settings have, the best first.

    Ranks are of the mean areas under the curves, over the labelled counts and the seeds that all of these series have.
    Penalties are those of Ash et al. (BADGE, ICLR 2020), each a share of budgets, summed over settings and rivals; nan
    where no seeds pair two of them. Each run counts by its data set's own test images, where there are several. With
    one setting, one such series or several scales there is nothing to tell.
    """
    runs = with_series(frame[frame["strategy"] != FULL], series).dropna(subset=[value])
    own = runs["test"].eq(runs["dataset"])
    parts = [
        part for _, part in runs[own | ~own.groupby(runs["dataset"]).transform("any")].groupby(SETTING, dropna=False)
    ]
    shared = set.intersection(*({*part["series"]} for part in parts)) if parts else set()
    if min(len(parts), len(shared)) < 2 or runs["scale"].nunique() > 1:
        return pd.DataFrame()
    kept = [part[part["series"].isin(shared)] for part in parts]
    ranks = pd.DataFrame([_areas(part, value).rank(ascending=False) for part in kept])
    penalties = sum(_penalties(penalty_matrix(part.drop(columns="series"), series, value)) for part in kept)
    table = pd.DataFrame({"rank": ranks.mean(), "penalties": penalties})
    table = table.rename_axis("series").sort_values("rank").reset_index()
    table.attrs["settings"] = len(parts)
    return table


def _areas(part: pd.DataFrame, value: str) -> pd.Series:
    """Return the mean area of each series of a setting; none without a common seed and common labelled counts."""
    seeds = set.intersection(*({*run["seed"]} for _, run in part.groupby("series")))
    runs = part[part["seed"].isin(seeds)].sort_values("labelled").groupby(["series", "seed"])
    curves = {key: run[["labelled", value]].to_numpy(float).T for key, run in runs}
    through = common(*(x for x, _ in curves.values())) if curves else ()
    areas = {key: mean_height(x, y, through) for key, (x, y) in curves.items()} if through else {}
    return pd.Series(areas, dtype=float).groupby(level=0).mean() if areas else pd.Series(dtype=float)


def _penalties(matrix: pd.DataFrame) -> pd.Series:
    """Return the sum of each series' penalties; nan where a rival was not tested."""
    rivals = matrix.drop("mean").where(~np.eye(len(matrix) - 1, dtype=bool))
    return rivals.sum().where(rivals.notna().sum() == len(rivals) - 1)


def _cells(table: pd.DataFrame) -> pd.DataFrame:
    """Write the labels of each series, with its setting where there are several."""
    told = [column for column in SETTING if table[column].nunique(dropna=False) > 1]
    cells = []
    for row in table.to_dict("records"):
        known = row["reach"] > 0
        spread = f" ± {row['sd']:,.0f}" if row["reach"] > 1 else ""
        bounds = f" [{row['low']:,.0f}, {row['high']:,.0f}]" if row["reach"] >= ENOUGH else ""
        cells.append(
            {
                **{column: row[column] for column in told},
                "series": row["series"],
                "get there": f"{row['reach']} of {row['seeds']} seeds",
                "labels": f"{row['mean']:,.0f}{spread}{bounds}" if known else "",
                "saved": f"{100 * row['saved']:.0f} %" if known else "",
            }
        )
    return pd.DataFrame(cells)
