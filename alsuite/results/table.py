"""What tells some runs apart, and their last accuracies, as a sweep shows them at its end."""

import pandas as pd

from alsuite.results.statistics import RUN, SETTING, differing, with_series

__all__ = ["last_accuracies", "telling"]


def last_accuracies(frame: pd.DataFrame) -> str:
    """Return a table of the last accuracy of each series, mean and standard deviation over seeds."""
    last = frame.sort_values("cycle").groupby([*RUN, "test"]).tail(1)
    rows = last.groupby(telling(frame) or ["strategy"], dropna=False).agg(
        labelled=("labelled", "max"), seeds=("seed", "nunique"), accuracy=("accuracy", "mean"), sd=("accuracy", "std")
    )
    return rows.reset_index().to_string(index=False, float_format=lambda value: f"{value:.4f}", na_rep="-")


def telling(frame: pd.DataFrame) -> list[str]:
    """Return the columns that tell the runs apart beside their seeds, the choices before what follows from them."""
    runs = frame.drop_duplicates([*RUN, "test"])
    candidates = dict.fromkeys([*SETTING, "strategy", *differing(with_series(frame, "strategy"))])
    columns: list[str] = []
    for column in sorted(candidates, key=lambda column: "." in column):
        if _distinct(runs, [*columns, column]) > _distinct(runs, columns):
            columns.append(column)
    return columns


def _distinct(frame: pd.DataFrame, columns: list[str]) -> int:
    return len(frame.drop_duplicates(columns)) if columns else 1
