"""The sentences below a sheet: what was measured, on what, how it was reduced, and what is missing."""

from collections.abc import Iterator, Sequence

import pandas as pd

from alsuite.figures.curves import crowded
from alsuite.figures.names import name_of
from alsuite.figures.parts import Part, letters
from alsuite.figures.reduced import reductions
from alsuite.results import told_lacking
from alsuite.results.intervals import ENOUGH

__all__ = ["footer", "seeds_counted"]

TOLD = ("scale", "dataset", "protocol", "pool", "device", "series", "seed", "stand_in")
FEW = 4  # series that are named for their number of seeds


def footer(parts: Sequence[Part]) -> str:
    """Say what was measured, on what, how it was reduced, and what is missing."""
    shown = [part for part in parts if not part.note]
    frame = pd.concat([part.frame.reindex(columns=TOLD) for part in shown])
    scales = ", ".join(sorted(frame["scale"].unique()))
    compared = [part for part in shown if not part.panel.of.stored] or shown  # a picture is of one run
    seeds = pd.concat([part.frame.groupby("series")["seed"].nunique() for part in compared])
    sentences = [
        f"Measured at scale={scales}: {'; '.join(filter(None, _facts(frame, seeds)))}.",
        *_spread(parts, seeds),
    ]
    if reduced := reductions(pd.concat([part.frame for part in shown])):
        sentences.insert(1, f"Reduced to {', '.join(reduced)}.")
    if points := [point for part in parts for point in part.points]:
        levels = ", at the right edge those for all labels" if any(point.level for point in points) else ""
        sentences.append(f"Hollow: the paper's own numbers{levels}.")
    if any(part.panel.kind == "labels" for part in shown):
        sentences += ["Shares of labels: means over seeds."] if seeds.max() > 1 else []
        sentences.append("Ticks: the classes' shares of the pool.")
    sentences += _late(parts)
    if absent := told_lacking([(part.panel.title, part.lacking) for part in shown]):
        sentences.append(f"Not measured: {absent}.")
    return " ".join(sentences)


def _facts(frame: pd.DataFrame, seeds: pd.Series) -> list[str]:
    """List data sets, number of seeds, pools and devices, and whatever makes the images other than the paper's.

    seeds: how many each series of each panel has
    """
    facts = [
        ", ".join(sorted(name_of("dataset", name) for name in frame["dataset"].unique())),
        _seeds(seeds),
        f"pool {' / '.join(f'{int(pool):,}' for pool in sorted(frame['pool'].dropna().unique()))}",
        ", ".join(sorted(map(str, frame["device"].dropna().unique()))),
    ]
    if made_up := sorted(
        name_of("dataset", name) for name in frame.loc[frame["stand_in"].eq(True), "dataset"].unique()
    ):
        facts.append(f"MADE-UP PICTURES stand in for {', '.join(made_up)}")
    return facts


def _late(parts: Sequence[Part]) -> Iterator[str]:
    """Yield from which counts on curves are shown, and in which panels if not in all that have curves."""
    begun: dict[float, list[str]] = {}
    for part, letter in zip(parts, letters(parts), strict=True):
        if not part.note and part.panel.x == "labelled" and part.panel.curved:
            labelled, since = part.frame["labelled"], part.panel.since
            begun.setdefault(since if labelled.min() < since <= labelled.max() else 0, []).append(letter)
    for since in sorted({*begun} - {0}):
        of = f" of {', '.join(begun[since])}" if len(begun) > 1 else ""
        yield f"Curves{of} are shown from {since:,.0f} labels on."


def _spread(parts: Sequence[Part], seeds: pd.Series) -> list[str]:
    """Say how the seeds are shown: by bands, where enough of them make one, or one by one.

    seeds: how many each series of each panel has
    """
    bands = any(part.panel.of.shows in ("curves", "values") for part in parts)
    sentences = []
    if bands and seeds.max() >= ENOUGH:
        along_labels = any(part.panel.x == "labelled" and part.panel.curved for part in parts)
        cut = ", wide ones cut at the axis" if along_labels else ""
        shown = "Bands and bars"
        if any(crowded(part) for part in parts if not part.note):
            shown = "Bands, or bars beside the last point where curves are many"
        sentences.append(f"{shown}: 95 % interval of the mean over seeds{cut}.")
    if bands and seeds.between(2, ENOUGH - 1).any():
        sentences.append("Thin lines and small dots: single seeds.")
    return sentences


def _seeds(counts: pd.Series) -> str:
    """Say how many seeds most series have, and which series have others unless these are many.

    counts: of each series of each panel, by its name
    """
    usual = int(counts.mode().max())
    alike = {*counts.index[counts == usual]}
    others = [
        f"{name} {' or '.join(map(str, sorted({*each})))}{' in part' if name in alike else ''}"
        for name, each in counts[counts != usual].groupby(level=0, sort=False)
    ]
    if not 0 < len(others) <= FEW:
        return seeds_counted(counts)
    return f"{seeds_counted(counts[counts == usual])} ({', '.join(others)})"


def seeds_counted(counts: pd.Series) -> str:
    """Write a range of numbers of seeds as short as it goes."""
    low, high = int(counts.min()), int(counts.max())
    return f"{low if low == high else f'{low} to {high}'} seed{'' if high == 1 else 's'}"
