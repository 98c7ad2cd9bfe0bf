"""The comparison of an experiment's series within each setting, as text and as tables, and tables in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

import pandas as pd

from alsuite.errors import UserError
from alsuite.results.intervals import ENOUGH
from alsuite.results.measures import FRACTIONS, factor
from alsuite.results.statistics import SETTING, aubc, paired_tests, penalty_matrix, summary

__all__ = ["markdown", "report"]

COLUMNS = 6  # labelled counts that a text shows


def report(frame: pd.DataFrame, series: Sequence[str], metric: str = "accuracy") -> tuple[str, dict[str, pd.DataFrame]]:
    """Compare the series within each setting: as text, and as the tables to store.

    series: the columns that tell the series apart
    metric: the column compared, where it is known; the text gives fractions in percent, the tables as they are
    """
    frame = _measured(frame, metric)
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in ("summary", "aubc", "penalty", "tests")}
    text = []
    for values, part in frame.groupby(SETTING, dropna=False):
        setting = dict(zip(SETTING, map(str, values), strict=True))
        made = {
            "summary": summary(part, series, metric),
            "aubc": aubc(part, series, metric),
            "penalty": penalty_matrix(part, series, metric).rename_axis("series").reset_index().assign(**setting),
            "tests": paired_tests(part, series, metric).assign(**setting),
        }
        text.append(_text(setting, made, metric, factor(metric)))
        for name, table in made.items():
            tables[name].append(table)
    return "\n\n".join(text), {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows))


def _measured(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the rows that have a value of the metric; refuse what no run has measured."""
    numbers = [str(name) for name in frame.select_dtypes("number").dropna(axis="columns", how="all")]
    if metric not in numbers:
        near = get_close_matches(metric, numbers, n=3) or [name for name in FRACTIONS if name in numbers]
        raise UserError(f"the runs have no measure {metric}: choose {' or '.join(near)}")
    return frame.dropna(subset=[metric])


def _text(setting: Mapping[str, str], made: Mapping[str, pd.DataFrame], metric: str, unit: int) -> str:
    """Write the comparison of one setting: its name, values over the budget, and tests where series can be paired.

    made: the tables of this setting, by their names
    unit: what the metric is multiplied by
    """
    table = made["summary"]
    table = table.assign(**{name: unit * table[name] for name in ("mean", "sd", "low", "high")})
    overall = table[table["measure"] != metric]
    overall = overall.assign(cell=overall.apply(_cell, axis=1)).pivot(index="series", columns="measure", values="cell")
    overall.insert(0, "seeds", table.groupby("series")["n"].max())
    penalties = made["penalty"].drop(columns=SETTING).set_index("series").round(2)
    tests = made["tests"].drop(columns=SETTING).assign(difference=unit * made["tests"]["difference"]).round(4)
    parts = [
        (" | ".join(f"{name}={value}" for name, value in setting.items()), ""),
        (f"{metric}{' (%)' if unit == 100 else ''} over seeds: mean ± sd [95 % interval]", overall.to_string()),
        ("at these labelled counts: mean ± sd", _thinned(table[table["measure"] == metric]).to_string()),
    ]
    if len(tests):
        wins = "penalty: share of budgets at which the row beats the column (paired t-test, 5 %)"
        parts.append((wins, penalties.to_string()))
        parts.append(
            (
                f"area compared, paired by seed{' (difference in points)' if unit == 100 else ''}",
                tests.to_string(index=False),
            )
        )
    return "\n\n".join(f"{head}\n{body}".strip() for head, body in parts)


def _thinned(curve: pd.DataFrame) -> pd.DataFrame:
    """Keep a few labelled counts, evenly apart, of the series that have more than one."""
    several = curve.groupby("series")["labelled"].transform("count") > 1
    curve = (curve[several] if several.any() else curve).astype({"labelled": int})
    counts = sorted(curve["labelled"].unique())
    shown = {counts[round(k * (len(counts) - 1) / (COLUMNS - 1))] for k in range(COLUMNS)}
    curve = curve[curve["labelled"].isin(shown)]
    cells = curve.assign(cell=[_cell(row).partition(" [")[0] for _, row in curve.iterrows()])
    return cells.pivot(index="series", columns="labelled", values="cell").fillna("")


def _cell(row: pd.Series) -> str:
    """Write mean ± sd [interval], each where there are enough seeds for it."""
    mean, sd, low, high = (float(row[name]) for name in ("mean", "sd", "low", "high"))
    spread = f" ± {sd:.2f}" if row["n"] > 1 else ""
    return f"{mean:.2f}{spread}" + (f" [{low:.2f}, {high:.2f}]" if row["n"] >= ENOUGH else "")
