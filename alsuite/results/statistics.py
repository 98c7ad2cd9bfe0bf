"""Learning curves compared over seeds: areas, intervals, penalties and paired tests.

All take the table of `alsuite.results.load_runs` and the columns that tell its series apart, of whose runs none may
differ in more than the seed.
"""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from alsuite.errors import UserError
from alsuite.results.heights import common, mean_height
from alsuite.results.intervals import SIGNIFICANT, interval
from alsuite.results.measures import largest

__all__ = [
    "FULL",
    "ROUNDING",
    "RUN",
    "SETTING",
    "aubc",
    "differing",
    "holm",
    "one_setting",
    "paired_tests",
    "parts_of_series",
    "penalty_matrix",
    "summary",
    "unique_seeds",
    "with_series",
]

FULL = "full"
RUN = ["experiment", "scale", "run"]
SETTING = ["scale", "dataset", "task_model", "protocol", "test"]
OF_IMAGES = ("scale.side", "scale.test")  # what a scale says of images, and no other option does
ROUNDING = 1e-12  # of a difference, relative to it
Columns = str | Sequence[str]


def with_series(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Add the column `series`: the values of `columns` joined by a dot, without those that are empty or "none".

    A column that there isn't is refused, with the options that the runs were configured by.
    """
    columns = [columns] if isinstance(columns, str) else list(columns)
    if missing := [column for column in columns if column not in frame]:
        raise UserError(f"no column {missing[0]} to tell series apart: choose from {', '.join(_options(frame))}")
    parts = [tuple(parts_of_series(columns, row)) for row in frame[columns].itertuples(index=False, name=None)]
    names = {each: " · ".join(part for _, part in each) or "none" for each in set(parts)}
    alike = Counter(names.values())
    told = {each: name if alike[name] == 1 else _in_full(columns, each) for each, name in names.items()}
    return frame.assign(series=[told[each] for each in parts])


def _in_full(columns: Sequence[str], parts: Sequence[tuple[str, str]]) -> str:
    """Name a series whose parts alone would name another one, too, with the columns that they are of."""
    known = dict(parts)
    return " · ".join(f"{column}={known.get(column, 'none').rpartition('=')[2]}" for column in columns)


def parts_of_series(columns: Sequence[str], values: Sequence[object]) -> list[tuple[str, str]]:
    """Return the parts of a series' name, each with its column: none for a gap, and column=value for a number."""
    parts = []
    for column, value in zip(columns, values, strict=True):
        if value is None or value == "none" or value != value:
            continue
        shown = f"{value:.10g}" if isinstance(value, float) else str(value)
        bare = isinstance(value, str) or len(columns) == 1
        parts.append((column, shown if bare else f"{column.rpartition('.')[2]}={shown}"))
    return parts


def _options(frame: pd.DataFrame) -> list[str]:
    """List the columns that runs were configured by, of those that change a result."""
    return list(dict.fromkeys(name for names in frame["options"].unique() for name in names))


def one_setting(frame: pd.DataFrame, free: Sequence[str] = (), apart: Sequence[str] = ()) -> None:
    """Refuse to average over data sets, task models, protocols, scales or test sets.

    free: columns that may differ
    apart: columns that may differ between series, but not within one
    """
    for column in SETTING:
        groups = frame.groupby("series")[column] if column in apart else [("", frame[column])]
        values = max((sorted(map(str, group.unique())) for _, group in groups), key=len, default=[])
        if len(values) > 1 and column not in free:
            hint = f"filter on one, such as {column}={values[0]}"
            raise UserError(f"the runs mix several values of {column} ({', '.join(values)}): {hint}")


def differing(frame: pd.DataFrame, of_seeds: bool = False) -> list[str]:
    """Return the options that tell apart runs of the same series, setting and seed, or the seeds of a series."""
    runs, keys = frame.drop_duplicates([*RUN, "test"]), ["series", *([] if of_seeds else ["seed"]), *SETTING]
    clashing = runs[runs.duplicated(keys, keep=False)]
    every = [*_options(frame), *({"pool"} & {*frame} if of_seeds else ())]
    options = [name for name in every if clashing[name].nunique(dropna=False) > 1]  # the others tell nothing apart
    columns = _telling_apart(clashing, options, keys, of_seeds) if options else []
    if of_seeds:  # the draws of a part, as oracle.seed, follow the run's; what a scale's numbers do stands elsewhere
        seeds = [column for column in columns if column == "seeds" or column.rpartition(".")[2] == "seed"]
        limits = [column for column in columns if column.startswith("scale.") and column not in OF_IMAGES]
        return [column for column in columns if column not in (*seeds, *limits)]
    return columns or [column for column in RUN if clashing[column].nunique() > 1]


def _telling_apart(clashing: pd.DataFrame, options: list[str], keys: list[str], of_seeds: bool) -> list[str]:
    """Return the options of which runs that are alike in the keys have more than one value."""
    gaps = {name for name in options if clashing[name].astype(str).str.startswith("[").any()}
    gaps |= {*OF_IMAGES} & {*options} if of_seeds else set()
    groups = clashing.assign(**{name: _null_told(clashing, name) for name in gaps}).groupby(keys, dropna=False)[options]
    told, known = groups.nunique(dropna=False), groups.nunique()  # of lists, which a table that was kept may lack
    return [name for name in options if (known if name in gaps else told)[name].gt(1).any()]


def _null_told(frame: pd.DataFrame, option: str) -> pd.Series:
    """Return an option's values, a null where a run was configured so, and a gap where its table doesn't tell."""
    configured = np.array([option in options for options in frame["options"]])
    return frame[option].astype(object).mask(frame[option].isna() & configured, "null")


def unique_seeds(frame: pd.DataFrame) -> None:
    """Refuse two runs of one series and seed, and seeds of unlike options: what spreads then is not seeds alone."""
    for of_seeds, what in ((False, "runs of one series and seed"), (True, "the seeds of one series")):
        if columns := differing(frame, of_seeds):
            hint = f"filter on {columns[0]}, or add it to the series"
            raise UserError(f"{what} differ in {', '.join(columns[:4])}: {hint}")


def aubc(frame: pd.DataFrame, series: Columns = "strategy", value: str = "accuracy") -> pd.DataFrame:
    """Return a row per run and test set: the area under its curve over the budget's range, and its last value."""
    frame, rows = with_series(frame, series).sort_values("labelled"), []
    about = ["experiment", *SETTING, "series", "strategy", "run", "seed"]
    for _, curve in frame.groupby([*RUN, "test"], dropna=False):
        first = curve.iloc[0]
        area = mean_height(curve["labelled"].to_numpy(float), curve[value].to_numpy(float))
        rows.append({**first[about].to_dict(), "aubc": area, "final": float(curve[value].iloc[-1])})
    return pd.DataFrame(rows, columns=[*about, "aubc", "final"])


def summary(frame: pd.DataFrame, series: Columns = "strategy", value: str = "accuracy") -> pd.DataFrame:
    """Return intervals over seeds: of `value` at each labelled count, of the curves' areas and of their last values."""
    named = with_series(frame, series)
    unique_seeds(named)
    by = [*SETTING, "series"]
    areas = aubc(frame, series, value)
    most = largest(value, frame)
    tables = [interval(named, [*by, "labelled"], value, most).assign(measure=value)]
    tables += [interval(areas, by, column, most).assign(measure=column) for column in ("aubc", "final")]
    columns = [*by, "measure", "labelled", "n", "mean", "sd", "low", "high"]
    return pd.concat(tables, ignore_index=True)[columns]


def penalty_matrix(frame: pd.DataFrame, series: Columns = "strategy", value: str = "accuracy") -> pd.DataFrame:
    """Return the pairwise penalty matrix of Ash et al. (BADGE, ICLR 2020): entry (i, j) is the share of budgets where
    series i beats series j in a two-sided t-test paired by seed. The last row, "mean", is each column's mean with the
    zero diagonal in it, as there: the overall penalty, the lower the better. No two common seeds: NaN."""
    table = _pairable(frame, series).pivot(index=["labelled", "seed"], columns="series", values=value)
    names = [str(name) for name in table.columns]
    matrix = pd.DataFrame(0.0, index=names, columns=names)
    for i, j in itertools.permutations(names, 2):
        gains = (table[i] - table[j]).dropna()
        budgets = [gain.to_numpy(float) for _, gain in gains.groupby(level="labelled") if len(gain) > 1]
        wins = [gain.mean() > 0 and _paired_t(gain) < SIGNIFICANT for gain in budgets]
        matrix.loc[i, j] = float(np.mean(wins)) if wins else math.nan
    means = matrix.mean().where(matrix.notna().sum() > 1)
    return pd.concat([matrix, means.rename("mean").to_frame().T])


def paired_tests(frame: pd.DataFrame, series: Columns = "strategy", value: str = "accuracy") -> pd.DataFrame:
    """Compare the areas of each two series, paired by seed; Holm's correction is of the t-test's p-values.

    The area of each two curves is that over the range of labelled counts which both have.
    """
    runs: Any = _pairable(frame, series).sort_values("labelled").groupby(["series", "seed"])
    curves = {key: run[["labelled", value]].to_numpy(float).T for key, run in runs}
    rows = []
    for first, second in itertools.combinations(sorted({name for name, _ in curves}), 2):
        seeds = [seed for name, seed in curves if name == first and (second, seed) in curves]
        gains = np.array([_gain(curves[first, seed], curves[second, seed]) for seed in seeds])
        gain = gains[~np.isnan(gains)]
        difference = float(gain.mean()) if len(gain) else math.nan
        tests = {"t_p": _paired_t(gain), "wilcoxon_p": _wilcoxon(gain)}
        rows.append({"first": first, "second": second, "seeds": len(gain), "difference": difference, **tests})
    tests = pd.DataFrame(rows, columns=["first", "second", "seeds", "difference", "t_p", "wilcoxon_p"])
    return tests.assign(holm_p=holm(tests["t_p"].to_numpy(float)))


def _gain(first: np.ndarray, second: np.ndarray) -> float:
    """Return how much higher a curve (2, any number) is than another, in the mean over the range of x that both have.

    Without such a range it is NaN.
    """
    points = common(first[0], second[0])
    heights = [mean_height(curve[0], curve[1], points) for curve in (first, second)] if points else [math.nan] * 2
    return heights[0] - heights[1]


def _pairable(frame: pd.DataFrame, series: Columns) -> pd.DataFrame:
    """Return the rows whose series can be paired by seed; full supervision has no curve to pair."""
    frame = with_series(frame[frame["strategy"] != FULL], series)
    columns = [series] if isinstance(series, str) else series
    one_setting(frame, free=columns, apart=["task_model"])
    unique_seeds(frame)
    if "pool" in frame and "pool" not in columns:
        pools = frame.groupby([*SETTING, "seed"])["pool"].unique()
        if len(sizes := max(pools, key=len, default=[])) > 1:
            told = " and ".join(f"{size:,.0f}" for size in sorted(sizes))
            hint = "filter on pool, or run all with the same dataset.validation and imbalance"
            raise UserError(f"runs of one seed chose among {told} images, so that no seed pairs them: {hint}")
    for column in {"imbalance.ratio", "imbalance.kind"} & {*frame} - {*columns}:
        if frame.groupby([*SETTING, "seed"])[column].nunique(dropna=False).max() > 1:
            raise UserError(
                f"runs of one seed have pools of unlike imbalance, so that no seed pairs them: filter on {column}"
            )
    return frame


def _paired_t(gain: np.ndarray) -> float:
    """Return the p-value of the two-sided paired t-test; NaN below two pairs.

    Where all gain the same but nothing, up to rounding, it is that of the sign test.
    """
    if len(gain) < 2:
        return math.nan
    mean, error = gain.mean(), gain.std(ddof=1) / math.sqrt(len(gain))
    if error <= ROUNDING * abs(mean):
        return 1.0 if mean == 0 else 2 * 0.5 ** len(gain)
    return float(2 * stats.t.sf(abs(mean) / error, len(gain) - 1))


def _wilcoxon(gain: np.ndarray) -> float:
    """Return the p-value of Wilcoxon's signed-rank test; NaN below two pairs, and 1 where no pair differs."""
    if len(gain) < 2:
        return math.nan
    return float(np.asarray(stats.wilcoxon(gain))[1]) if gain.any() else 1.0


def holm(p: np.ndarray) -> np.ndarray:
    """Return Holm's adjusted p-values; NaN stays NaN and does not count as a test."""
    adjusted, order = np.full(len(p), math.nan), np.argsort(p)[: np.count_nonzero(~np.isnan(p))]
    chances = p[order] * np.arange(len(order), 0, -1)  # NaN is sorted to the end
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(chances))
    return adjusted
