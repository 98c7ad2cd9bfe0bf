"""The last accuracies of some runs, as a sweep shows them at its end."""

import pandas as pd

from alsuite.results.statistics import RUN, telling

__all__ = ["last_accuracies"]


def last_accuracies(frame: pd.DataFrame) -> str:
    """Return a table of the last accuracy of each series, mean and standard deviation over seeds."""
    last = frame.sort_values("cycle").groupby([*RUN, "test"]).tail(1)
    rows = last.groupby(telling(frame) or ["strategy"], dropna=False).agg(
        labelled=("labelled", "max"), seeds=("seed", "nunique"), accuracy=("accuracy", "mean"), sd=("accuracy", "std")
    )
    return rows.reset_index().to_string(index=False, float_format=lambda value: f"{value:.4f}", na_rep="-")
