"""The values that a claim compares: one of each seed, for a series and a place on its curve.

A series is selected from the runs of an experiment (`Evidence`), reduced to a number for each run, and averaged over
the runs of a seed, so that series are compared seed by seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import pandas as pd

from alsuite.claims.claim import At, Claim, Series
from alsuite.claims.curves import nearest, reached, slope
from alsuite.errors import UserError
from alsuite.figures.costs import until_cheaper
from alsuite.figures.reduced import images
from alsuite.figures.spec import own_folder
from alsuite.results import key_of, select
from alsuite.results.heights import common, mean_height
from alsuite.results.measures import PER_CLASS, factor, timed
from alsuite.results.statistics import FULL, RUN, unique_seeds, with_series

__all__ = ["Evidence", "Height", "in_one_setting", "not_averaged", "places", "said", "values"]

Rows = pd.DataFrame
Height = float | pd.Series | None  # that curves are to reach, one for all seeds or one for each


@dataclass(frozen=True)
class Evidence:
    """A claim, and the runs that it speaks of.

    claim: says how runs are selected and reduced
    frame: the rows of the runs, in one setting
    selected: those of each series that was looked at, by what it is called and its measure
    """

    claim: Claim
    frame: Rows
    selected: dict[tuple[str, str], Rows] = field(default_factory=dict)

    def rows(self, wanted: Series, measure: str = "") -> Rows:
        """Return a series' rows that have the measure, with it as `value`; they are selected and checked once.

        Arguments:
            wanted: the series
            measure: what of it, by default the first that the claim compares
        """
        key = said(wanted), measure or self.claim.measures[0]
        if key not in self.selected:
            self.selected[key] = _selected(self.claim, self.frame, wanted, key[1])
        return self.selected[key]

    def instead(self, wanted: Series) -> Series:
        """Return the series of the strategy that gains are told over, in the same setting where it has one."""
        over = self.claim.over
        if isinstance(wanted, str):
            return str(over)
        rows = self.frame[self.frame["strategy"] == over]
        has = [column for column in wanted if column in rows and not _empty(rows[column])]
        return {**{column: wanted[column] for column in has}, "strategy": over}

    def used(self, *wanted: Series | None) -> list[Series]:
        """List the series that there are of those given, and those that their gains are told over."""
        named = [one for one in wanted if one is not None]
        return named if self.claim.over is None else [*named, *map(self.instead, named)]


def in_one_setting(claim: Claim, frame: Rows) -> Rows:
    """Keep the runs that a claim speaks of: of several protocols the paper's, and of several tests the data set's own.

    A claim that names a protocol, or a test, gets that one.
    """
    if frame["protocol"].nunique() > 1 and "protocol" not in claim.where:
        frame = frame[frame["protocol"] == "paper"]
    frame = select(frame, claim.where)
    own = frame[frame["test"] == frame["dataset"]]
    return frame if own.empty or "test" in claim.where else own


def places(of: Evidence, measure: str, *wanted: Series | None) -> list[At]:
    """List the places on the curves that a claim speaks of.

    Of every budget they are those that all its series have; of the area the range that all have. Seconds are averaged.
    """
    claim = of.claim
    if claim.at == "area" and timed(measure):
        return ["mean"]
    if claim.at not in ("each", "area") or claim.exponent or claim.to_reach is not None:
        return [claim.at]
    curves = [rows for one in of.used(*wanted) if not _alone(rows := of.rows(one, measure))]
    if claim.at == "area":
        if not curves:
            return [claim.at]
        counts = [run.to_numpy(float) for rows in curves for _, run in rows.groupby(RUN)["labelled"]]
        if not (shared := common(*counts)):
            raise UserError("the curves share no range of labelled counts")
        return [shared]
    everywhere = set.intersection(*({*one["labelled"]} for one in curves))
    if not everywhere:
        raise UserError("the series share no labelled count")
    return [int(count) for count in sorted(everywhere)[1:] or sorted(everywhere)]


def values(of: Evidence, wanted: Series, measure: str, at: At, height: Height = None) -> pd.Series:
    """Return the value of each seed, less that of the strategy that it is told over.

    Arguments:
        of: the claim and its runs
        wanted: the series
        measure: what of it
        at: where on the curve, unless the series names a place of its own
        height: that the curve is to reach, for a claim of how many labels that takes
    """
    found, *over = (_values(of.claim, of.rows(one, measure), _place(wanted, at), height) for one in of.used(wanted))
    return found - over[0] if over else found


def _selected(claim: Claim, frame: Rows, wanted: Series, measure: str) -> Rows:
    """Select a series' rows that have the measure, with it as `value`; a series without any is refused.

    Unless the claim is of how something grows, a seed may have one run only for each value that is averaged over, and
    of those only values count that every seed has, so that averages are of the same.
    """
    columns = {"strategy": wanted} if isinstance(wanted, str) else {c: v for c, v in wanted.items() if c != "at"}
    columns = {"experiment": claim.where.get("experiment", _folder(claim.experiment)), **columns}
    rows = _measured(select(frame, columns), frame, measure)
    rows = rows.dropna(subset=["value"]).sort_values("labelled")
    since = _count(claim.since, rows)
    rows = rows if _alone(rows) else rows[rows["labelled"] >= since]
    if rows.empty:
        raise UserError(f"no {measure} of {said(wanted)}")
    if claim.exponent is None:
        averaged = [column for column, value in {**claim.where, **columns}.items() if isinstance(value, list)]
        unique_seeds(with_series(rows, ["strategy", *averaged]))
        rows = _with_all_seeds(rows, averaged) if averaged else rows
    return rows


def _with_all_seeds(rows: Rows, columns: list[str]) -> Rows:
    """Keep the rows of those settings of the columns that every seed was run with."""
    settings = rows[columns].map(key_of).agg(" ".join, axis=1)
    seeds = rows.groupby(settings)["seed"].transform("nunique")
    if (kept := rows[seeds == rows["seed"].nunique()]).empty:
        raise UserError(f"no {' and '.join(columns)} was run with every seed")
    return kept


def not_averaged(of: Evidence, wanted: Series) -> list[str]:
    """List what a series was to be averaged over, too, and of which there are no runs, or not of all seeds."""
    named = {**of.claim.where, **(wanted if isinstance(wanted, Mapping) else {})}
    lists = {column: values for column, values in named.items() if isinstance(values, list)}
    listed = [(column, value) for column, values in lists.items() for value in values]
    if not listed:
        return []
    rows = of.rows(wanted)
    return [f"{column}={value}" for column, value in listed if not rows[column].map(key_of).eq(key_of(value)).any()]


_folder = cache(own_folder)  # of a figure's runs, for which several files are read


def said(wanted: Series) -> str:
    """Say in words which series is meant."""
    return wanted if isinstance(wanted, str) else " ".join(f"{name}={value}" for name, value in wanted.items())


def _measured(rows: Rows, frame: Rows, measure: str) -> Rows:
    """Return the rows with the measure as `value`, fractions in percent."""
    kind, _, name = measure.partition(".")
    if kind in PER_CLASS:
        held = zip(rows[PER_CLASS[kind]], rows["classes"], strict=True)
        parts = [_of_class(counts, classes, name) for counts, classes in held]
        shares = [100 * part / (total if kind == "share" else 1) for part, total in parts]
        return rows.assign(value=shares)
    if measure == "cycles_until_cheaper":
        wanted = until_cheaper(frame)
        return wanted[wanted["run"].isin(rows["run"])].assign(value=lambda each: each["cycles_until_cheaper"])
    if measure not in rows:
        return rows.assign(value=math.nan)
    return rows.assign(value=factor(measure) * rows[measure])


def _of_class(counts: list[float], classes: list[str], name: str) -> tuple[float, float]:
    """Return the value of a class, and the sum over all."""
    if name not in map(str, classes):
        raise UserError(f"no class is called {name}")
    return counts[[*map(str, classes)].index(name)], sum(counts)


def _empty(column: pd.Series) -> bool:
    return bool((column.isna() | column.eq("none")).all())


def _alone(rows: Rows) -> bool:
    """Tell whether a series is a single point, which stands beside any."""
    return bool(rows["strategy"].eq(FULL).all()) or rows["labelled"].nunique() == 1


def _place(wanted: Series, at: At) -> At:
    """Return the place on the curve that a series names for itself, or else the claim's."""
    return wanted.get("at", at) if isinstance(wanted, Mapping) else at


def _values(claim: Claim, rows: Rows, at: At, height: Height) -> pd.Series:
    """Return a value of each seed; that of several runs is their mean."""
    if claim.exponent:
        return _by_seed(rows, lambda run: slope(run, str(claim.exponent)))
    if height is not None:
        return _by_run(rows, lambda run: reached(run, _of_seed(height, run)))
    if _alone(rows) or at == "last":
        return _by_run(rows, lambda run: float(run["value"].iloc[-1]))
    if at == "mean":
        return _by_run(rows, lambda run: float(run["value"].mean()))
    if at == "area" or isinstance(at, tuple):
        ends = at if isinstance(at, tuple) else (-math.inf, math.inf)
        return _by_run(rows, lambda run: mean_height(run["labelled"].to_numpy(), run["value"].to_numpy(), ends))
    count = _count(at, rows)
    return _by_run(rows, lambda run: nearest(run, count))


def _by_run(rows: Rows, value: Callable[[Rows], float]) -> pd.Series:
    """Return each seed's mean of what its runs give."""
    runs = {key: value(run) for key, run in rows.groupby(["seed", "experiment", "run"])}
    return pd.Series(runs).groupby(level=0).mean()


def _by_seed(rows: Rows, value: Callable[[Rows], float]) -> pd.Series:
    """Return what the rows of each seed give together."""
    return pd.Series({seed: value(run) for seed, run in rows.groupby("seed")})


def _count(at: str | float, rows: Rows) -> float:
    """Return a labelled count, of which a text such as 40% is a share of all training images, those held out, too."""
    if isinstance(at, str) and at.endswith("%"):
        runs = rows.drop_duplicates(RUN).to_dict("records")
        return float(at[:-1]) / 100 * max(map(images, runs), default=math.nan)
    return float(at)


def _of_seed(height: float | pd.Series, run: Rows) -> float:
    """Return the height for a run: the one for all, or that of the run's seed; nan where that seed has none."""
    if not isinstance(height, pd.Series):
        return float(height)
    return float(height.get(run["seed"].iloc[0], math.nan))
