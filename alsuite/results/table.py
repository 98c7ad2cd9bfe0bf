"""The last accuracies of some runs, as a sweep shows them at its end."""

import pandas as pd

from alsuite.results.statistics import SETTING, differing, with_series

__all__ = ["last_accuracies"]


def last_accuracies(frame: pd.DataFrame) -> str:
    """Return a table of the last accuracy of each series, mean and standard deviation over seeds."""
    last = frame.sort_values("cycle").groupby(["run", "test"]).tail(1)
    rows = last.groupby(_telling(frame, last), dropna=False).agg(
        labelled=("labelled", "max"), seeds=("seed", "nunique"), accuracy=("accuracy", "mean"), sd=("accuracy", "std")
    )
    return rows.reset_index().to_string(index=False, float_format=lambda value: f"{value:.4f}", na_rep="-")


def _telling(frame: pd.DataFrame, last: pd.DataFrame) -> list[str]:
    """Return the columns that tell the runs apart, the choices before what follows from them."""
    candidates = dict.fromkeys([*SETTING, "strategy", *differing(with_series(frame, "strategy"))])
    columns: list[str] = []
    for column in sorted(candidates, key=lambda column: "." in column):
        if _distinct(last, [*columns, column]) > _distinct(last, columns):
            columns.append(column)
    return columns or ["strategy"]


def _distinct(frame: pd.DataFrame, columns: list[str]) -> int:
    return len(frame.drop_duplicates(columns)) if columns else 1
