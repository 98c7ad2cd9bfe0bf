"""The verdict on each claim, from the published runs or from those that lie below a root.

A claim agrees or disagrees only if that is sure at the level of 5 %, corrected after Holm for all claims of its paper
that are tested; else it is undecided, and leans to the side that its own p, without that correction, is sure of. Where
there are no runs, or they lack what it compares, it is not measured.

What is measured with one seed is not tested, nor what a scale has reduced. How many seconds something takes, and how
many times as long as something else, is tested by runs of scale=paper alone: smaller networks that train for fewer
steps take fewer, and what trains most saves most; how seconds grow with a pool any scale tests. How accurate a network
is, alone or below what all labels give, is not tested by one that a scale has put in its place, or has trained less;
nor is which classes a generator's images lead to, or which of two generators is ahead, by those that were trained less;
nor what all labels of a run come to where they were cut, nor the bytes of images that were made smaller. How strategies
compare is, each as the scale has reduced it.

Who adds seeds after a look at what is planned, the number of the experiment, has had two chances: p counts twice then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path

import pandas as pd

from alsuite import CONF
from alsuite.claims.claim import Claim
from alsuite.claims.judging import Judgement, deciding, judged
from alsuite.claims.reduced import WHOLE, undecidable
from alsuite.errors import UserError
from alsuite.figures.spec import is_figure, own_folder, read_panels, seeds_of
from alsuite.results import NoRunsError, command_of, load_runs
from alsuite.results.intervals import SIGNIFICANT
from alsuite.results.kept import TABLE, kept_table
from alsuite.results.statistics import RUN, holm

__all__ = ["COLUMNS", "VERDICTS", "Runs", "by_size", "live_runs", "measured_runs", "published_runs", "verdicts"]

NOT_MEASURED, NOT_TESTED = "not measured", "not tested"
OUTSIDE = "the published effect lies outside this interval"
SMOKE = "smoke"  # whose runs, often on made-up pictures, tell nothing of a paper
SIZES, OWN_SIZE = {WHOLE: 0, "laptop": 1, SMOKE: 3}, 2  # of the scales, and of a user's own
VERDICTS = ("agrees", "disagrees", "undecided", NOT_TESTED, NOT_MEASURED)
Runs = Callable[[str], pd.DataFrame]
COLUMNS = (
    "claim", "paper", "place", "says", "verdict", "effect", "low", "high", "unit", "published", "comparisons", "seeds",
    "seeds_needed", "p", "holm_p", "leans", "experiment", "scale", "protocol", "why",
)  # fmt: skip


def verdicts(claims: Sequence[Claim], runs: Runs) -> pd.DataFrame:
    """Return a row for each claim, judged by the runs of its figure; Holm's correction is over those of a paper.

    Arguments:
        claims: those to be judged, in the order of the rows
        runs: gives the runs of a figure, or of a folder, by name; a UserError of it makes the claim not measured
    """

    @lru_cache(2)  # claims of one figure follow one another
    def joined(*names: str) -> pd.DataFrame:
        return pd.concat(map(runs, names), ignore_index=True).drop_duplicates([*RUN, "cycle", "test"])

    rows = pd.DataFrame([_row(claim, joined) for claim in claims], columns=[*COLUMNS, "holds", "clear", "planned"])
    for _, part in rows.groupby("paper"):
        rows.loc[part.index, "holm_p"] = corrected = holm(part["p"].to_numpy(float))
        open_ = part.index[corrected >= SIGNIFICANT]
        told = rows.loc[open_, ["clear", "seeds", "comparisons", "planned"]].astype(float)
        told["comparisons"] *= len(open_)
        rows.loc[open_, "seeds_needed"] = [_needed(*row) for row in told.itertuples(index=False)]
    rows["verdict"] = [_verdict(*row) for row in rows[["seeds", "holm_p", "holds"]].itertuples(index=False)]
    leaning = rows["verdict"].eq("undecided") & (rows["p"] < SIGNIFICANT)
    rows["leans"] = rows["holds"].map({True: "for", False: "against"}).where(leaning)
    apart = ~rows["published"].astype(float).between(rows["low"], rows["high"])
    bounds = pd.Series([one.published in (one.least, one.most) for one in claims], dtype=bool)
    unlike = rows["verdict"].eq("agrees") & apart & ~bounds
    unlike &= rows[["published", "low"]].notna().all(axis=1)
    rows.loc[unlike, "why"] = ["; ".join(filter(None, (why, OUTSIDE))) for why in rows.loc[unlike, "why"].fillna("")]
    return rows[[*COLUMNS]]


def _needed(clear: float, seeds: float, comparisons: float, planned: float) -> float:
    """Return how many seeds would decide, of which those beyond the planned ones make p count twice."""
    if seeds < planned and (few := deciding(clear, seeds, comparisons)) <= planned:
        return few
    return deciding(clear, max(seeds, planned), 2 * comparisons)


def _verdict(seeds: float, p: float, holds: object) -> str:
    """Return the verdict that a corrected p-value allows; it is nan where nothing was tested."""
    if math.isnan(seeds):
        return NOT_MEASURED
    if math.isnan(p):
        return NOT_TESTED
    if p >= SIGNIFICANT:
        return "undecided"
    return "agrees" if holds else "disagrees"


def _row(claim: Claim, joined: Callable[..., pd.DataFrame]) -> dict[str, object]:
    """Return what is told of a claim, with what was measured, or why nothing was.

    joined: gives the runs of all figures or folders that are named
    """
    said = {"claim": claim.key, "paper": claim.paper, "place": claim.place, "says": claim.said}
    row = {**said, "experiment": claim.experiment, "published": claim.published, "unit": claim.unit, "p": math.nan}
    try:
        frame = joined(claim.experiment, *claim.folders)
        if len(scales := sorted(frame["scale"].unique())) > 1:
            raise UserError(f"its runs are of several scales ({', '.join(scales)}): judge those of one with --scale")
        return {**row, **_measured(claim, judged(claim, frame), frame)}
    except UserError as error:
        return {**row, "why": str(error)}


def _measured(claim: Claim, found: Judgement, runs: pd.DataFrame) -> dict[str, object]:
    """Return the columns that a judgement fills."""
    protocols = {*runs["protocol"].dropna()}
    why = [*undecidable(claim, runs)]
    tested, planned = found.tested and not why, seeds_of(claim.experiment)
    why += [f"without {', '.join(found.without)}"] if found.without else []
    why += [f"their task models differ: {', '.join(found.task_models)}"] if found.task_models else []
    why += [f"on different devices at seed {', '.join(map(str, found.apart))}"] if found.apart else []
    looks = 1 if found.seeds <= planned else 2
    why += [f"p doubled, since {planned} seeds were planned"] if tested and looks > 1 else []
    protocol = claim.where.get("protocol", "paper" if "paper" in protocols else ", ".join(sorted(protocols)))
    return {
        "effect": found.effect,
        "low": found.low,
        "high": found.high,
        "comparisons": found.comparisons,
        "seeds": found.seeds,
        "planned": planned,
        "clear": found.clear,
        "p": min(1.0, looks * found.p) if tested else math.nan,
        "holds": found.holds,
        "scale": runs["scale"].iloc[0],
        "protocol": protocol,
        "why": "; ".join(why) or None,
    }


def measured_runs(
    root: str | Path, scale: str | None = None, live: bool = True, read: Callable[[Path], pd.DataFrame] | None = None
) -> Runs:
    """Return what finds a figure's or a folder's published runs, or where there are none those below the root.

    Arguments:
        root: the folder of all runs, with what is published below it
        scale: the only one that counts; None takes published runs of any, and of the others the largest that means
            something; smoke runs are judged where they are asked for
        live: whether runs count that are not published
        read: reads a published folder's table, by default each once
    """
    others, read = live_runs(root, scale), read or cache(kept_table)

    @cache
    def runs(name: str) -> pd.DataFrame:
        kept = [*published_runs(name, Path(root), read)]
        found = _first_of(kept, [scale] if scale else by_size(kept))
        if found is None and not live:
            raise UserError(f"no published runs: {_makes(name, scale)}")
        return others(name) if found is None else found.drop_duplicates([*RUN, "cycle", "test"])

    return runs


def published_runs(name: str, root: Path, read: Callable[[Path], pd.DataFrame] = kept_table) -> Iterator[pd.DataFrame]:
    """Yield the table of a published figure, or of each that shows the runs of a folder, those alone.

    Arguments:
        name: of the figure or the folder
        root: the folder of all runs, with what is published below it
        read: reads a published folder's table
    """
    if (root / "published" / name / TABLE).exists():
        yield read(root / "published" / name)
    elif not is_figure(name):
        for path in sorted((root / "published").glob(f"*/{TABLE}")):
            frame = read(path.parent)
            if (of_folder := frame["experiment"].eq(name)).any():
                yield frame[of_folder]


def _makes(name: str, scale: str | None) -> str:
    """Tell what makes the runs of the figure of this name, or of the first whose runs lie in a folder of this name."""
    stems = [name] if is_figure(name) else sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
    figure = next((stem for stem in stems if own_folder(stem) == name), name)
    return f"make them with `{command_of(figure, scale)}`"


def live_runs(root: str | Path, scale: str | None = None) -> Runs:
    """Return what finds the finished runs that a figure shows, or of a folder, of the largest scale that has any.

    Arguments:
        root: the folder of all runs
        scale: the only one that counts; None leaves out smoke runs alone
    """

    @cache
    def runs(name: str) -> pd.DataFrame:
        folders = [panel.experiment for panel in read_panels(name)] if is_figure(name) else [name]
        frames = [*_finished(dict.fromkeys(folders), scale, Path(root))]
        found = _first_of(frames, [scale] if scale else [one for one in by_size(frames) if one != SMOKE])
        if found is None:
            raise UserError(f"no runs: {_makes(name, scale)}")
        return found

    return runs


def by_size(frames: Iterable[pd.DataFrame]) -> list[str]:
    """Return the scales that runs have, the largest first; a user's own comes before the smallest."""
    found = {scale for frame in frames for scale in frame["scale"]}
    return sorted(found, key=lambda scale: (SIZES.get(scale, OWN_SIZE), scale))


def _first_of(frames: Sequence[pd.DataFrame], scales: Iterable[str]) -> pd.DataFrame | None:
    """Return the runs of the first of these scales that has any."""
    for scale in scales:
        if parts := [part for frame in frames if len(part := frame[frame["scale"] == scale])]:
            return pd.concat(parts, ignore_index=True)
    return None


def _finished(folders: Iterable[str], scale: str | None, root: Path) -> Iterator[pd.DataFrame]:
    """Yield the finished runs of each folder that has any, at this scale or at all."""
    for folder in folders:
        with suppress(NoRunsError):
            yield load_runs(folder, scale, root)
