"""What a strategy prepares once, and from how many cycles on that pays (ASAL, figure 8).

A run notes the seconds of each part of its preparation, such as the training of its generator. The tables here have a
row for each run, or part of its preparation, not for each cycle, and keep the columns of the runs, so that they are
drawn as any others.
"""

import numpy as np
import pandas as pd

from alsuite.errors import UserError
from alsuite.results.statistics import RUN

__all__ = ["preparation_of", "until_cheaper"]

PARTS = ("generator", "autoencoder", "extract", "index")
SECONDS = [f"notes.{part}_seconds" for part in PARTS]


def preparation_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each run and part of its preparation, with its `preparation_seconds`.

    The part stands in the place of the strategy, so that parts are told apart as series are. Parts that took no time,
    such as an auto-encoder that the features don't need, and runs that prepare nothing are left out.
    """
    runs = _first_rows(frame).dropna(subset=SECONDS)
    parts = [
        runs.assign(strategy=part, preparation_seconds=runs[column], run=runs["run"] + f",{part}")
        for part, column in zip(PARTS, SECONDS, strict=True)
    ]
    table = pd.concat(parts)
    return table[table["preparation_seconds"] > 0]


def until_cheaper(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each run that prepares, with its `cycles_until_cheaper`.

    These are the seconds of its preparation over those that a query saves beside a scan of as large a pool at the same
    seed; infinite where it saves none. Two strategies that scan one pool are refused, since either could be meant; runs
    without a scan are left out, and refused where none has one.
    """
    runs = _first_rows(frame)
    prepares = runs[SECONDS].notna().all(axis=1)
    scans = runs[~prepares].set_index(["pool", "seed"])["mean_seconds"].rename("scan_seconds")
    if not scans.index.is_unique:
        raise UserError("several strategies scan the pool: name one of them with `where: {strategy: [...]}`")
    pairs = runs[prepares].join(scans, on=["pool", "seed"], how="inner")
    if pairs.empty:
        raise UserError("no run scans as large a pool, as those with strategy=entropy do")
    saved = pairs["scan_seconds"] - pairs["mean_seconds"]
    cycles = pairs[SECONDS].sum(axis=1) / saved.where(saved > 0)
    return pairs.assign(cycles_until_cheaper=cycles.fillna(np.inf))


def _first_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each run: its mean seconds of a selection, its last labels, and of all else its first value.

    Runs none of which notes a preparation are refused.
    """
    if not {*SECONDS} <= {*frame} or frame[SECONDS].isna().to_numpy().all():
        raise UserError("no run here notes its preparation, as those with strategy=asal do")
    whole = frame.groupby(RUN).agg(mean_seconds=("select_seconds", "mean"), labelled=("labelled", "max"))
    return frame.sort_values("cycle").groupby(RUN, as_index=False).first().drop(columns="labelled").join(whole, on=RUN)
