"""What the runs of an experiment say to a claim: paired differences over seeds, and how sure they are.

A claim makes one or more comparisons, each a t-test on the effects of the seeds that both series have. It holds if all
of its comparisons do: so the p-value for it is that of its weakest comparison, and the one against it that of the
strongest contradiction, times the number of comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from alsuite.claims.claim import Claim, Series, strategy_of
from alsuite.claims.series import Evidence, Height, in_one_setting, not_averaged, places, said, values
from alsuite.errors import UserError
from alsuite.results.intervals import SIGNIFICANT
from alsuite.results.measures import BYTES
from alsuite.results.statistics import ROUNDING

__all__ = ["Judgement", "deciding", "judged"]

POWER = 0.8
MANY = 100  # seeds, beyond which nobody runs them
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """What the runs say to one comparison of a claim.

    seeds: how many both series have
    effect: the mean, of differences or (as a ratio again) of logarithms of ratios; nan where one is infinite
    low, high: its 95 % interval; nan with one seed, or where all are alike
    p_for: the one-sided p-value for the claim
    p_against: that against it
    clear: how far the mean lies from the nearer bound, in standard deviations over seeds
    tested: whether it has more than one seed, without which it could decide nothing that seeds change
    """

    seeds: int
    effect: float
    low: float
    high: float
    p_for: float
    p_against: float
    clear: float
    tested: bool


@dataclass(frozen=True)
class Judgement(Comparison):
    """What the runs say to a claim: its weakest comparison, and what holds of all.

    p_against: that of the strongest contradiction, times the number of comparisons
    tested: whether any is
    comparisons: how many the claim makes
    without: what the claim averages over, and the runs lack
    task_models: those of each series, where they differ and strategies are compared
    apart: the seeds at which series ran on different devices, so that they are pairs in name
    """

    comparisons: int
    without: tuple[str, ...] = ()
    task_models: tuple[str, ...] = ()
    apart: tuple[int, ...] = ()

    @property
    def p(self) -> float:
        """Two-sided: how likely so clear a result is, in either direction, where nothing holds."""
        return min(1.0, 2 * min(self.p_for, self.p_against))

    @property
    def holds(self) -> bool:
        """Whether the runs speak for the claim rather than against it, however surely."""
        return self.p_for <= self.p_against


def judged(claim: Claim, runs: pd.DataFrame) -> Judgement:
    """Judge a claim by runs; those that it needs and that are missing are named in a UserError.

    Arguments:
        claim: what is judged
        runs: a row for each cycle and test, as `alsuite.results` loads them; they may hold more than the claim needs
    """
    evidence = Evidence(claim, in_one_setting(claim, runs))
    comparisons = [
        _compared(claim, gain, measure in BYTES)
        for better, than in claim.pairs
        for measure in claim.measures
        for gain in _effects(evidence, measure, better, than)
    ]
    weakest = max(comparisons, key=lambda one: (one.p_for, -one.effect))
    named = [one for pair in claim.pairs for one in pair if one is not None]
    lacking = [text for one in named for text in not_averaged(evidence, one)]
    of_all = replace(
        weakest,
        p_against=min(1.0, len(comparisons) * min(one.p_against for one in comparisons)),
        tested=any(one.tested for one in comparisons),
    )
    return Judgement(
        **vars(of_all),
        comparisons=len(comparisons),
        without=tuple(dict.fromkeys(lacking)),
        task_models=_unlike_models(evidence, named),
        apart=_apart(evidence),
    )


def _unlike_models(evidence: Evidence, named: Sequence[Series]) -> tuple[str, ...]:
    """Return each series with its task models, if these differ where strategies are compared."""
    if len({*map(strategy_of, named)}) == 1:
        return ()
    found = {said(one): sorted(evidence.rows(one)["task_model"].unique()) for one in named}
    if len({*map(tuple, found.values())}) < 2:
        return ()
    return tuple(f"{name} has {' or '.join(models)}" for name, models in found.items())


def _apart(evidence: Evidence) -> tuple[int, ...]:
    """Return the seeds of which the series that are compared ran on different devices."""
    found: set[int] = set()
    for pair in evidence.claim.pairs:
        rows = [evidence.rows(one)[["seed", "device"]] for one in evidence.used(*pair)]
        shared = set.intersection(*({*each["seed"]} for each in rows))
        devices = pd.concat(rows).groupby("seed")["device"].nunique()
        found |= {int(seed) for seed in shared if devices[seed] > 1}
    return tuple(sorted(found))


def _effects(evidence: Evidence, measure: str, better: Series, than: Series | None) -> Iterator[Array]:
    """Yield, for each place on the curve that the claim speaks of, the effects of the common seeds."""
    for at in places(evidence, measure, better, than):
        height = _height(evidence, measure, than)
        pair = [values(evidence, one, measure, at, height) for one in (better, than) if one is not None]
        both = pd.concat(pair, axis=1, join="inner")
        if both.empty:
            raise UserError(f"{' and '.join(said(one) for one in (better, than) if one)} have no common seed")
        if both.isna().any(axis=1).all():
            raise UserError(f"a curve ends far from {at} labels")
        if np.isnan(gain := _effect(evidence.claim, both.dropna().to_numpy(float))).all():
            raise UserError("no curve reaches that height with the labels that it has")
        yield gain[~np.isnan(gain)]


def _effect(claim: Claim, values: Array) -> Array:
    """Return what one series has before the other, or the logarithm of their ratio; of one alone its value.

    Where one of two curves never reaches a height the difference is inf, where neither does nan.
    """
    values = np.log(values) if claim.effect == "ratio" else values
    if values.shape[1] == 1:
        return values[:, 0]
    fewer = claim.lower or claim.to_reach is not None
    with np.errstate(invalid="ignore"):
        return (values[:, 1] - values[:, 0]) if fewer else (values[:, 0] - values[:, 1])


def _height(evidence: Evidence, measure: str, than: Series | None) -> Height:
    """Return the height that curves are to reach, if the claim speaks of one: a number, or where the worse one ends."""
    to_reach = evidence.claim.to_reach
    if to_reach != "last":
        return None if to_reach is None else float(to_reach)
    assert than is not None
    return values(evidence, than, measure, "last")


def _compared(claim: Claim, gain: Array, counted: bool = False) -> Comparison:
    """Judge one comparison by its paired effects: by t-tests, so that with one seed nothing is sure.

    By sign tests where all effects are alike, or one is infinite, since a curve never reaches a height: how large the
    mean is, or how sure, nobody knows then. What is counted, and the same whatever the seed, is sure as it is.
    """
    count, finite = len(gain), np.isfinite(gain).all()
    mean = float(gain.mean()) if finite else math.nan
    sd = float(gain.std(ddof=1)) if finite and count > 1 else math.nan
    vary = sd > ROUNDING * abs(mean)
    half = float(stats.t.ppf(1 - SIGNIFICANT / 2, count - 1)) * sd / math.sqrt(count) if vary else math.nan
    shown = [math.exp(value) if claim.effect == "ratio" else value for value in (mean, mean - half, mean + half)]
    low, high = claim.bounds
    inside = [gain - low] if math.isfinite(low) else []
    inside += [high - gain] if math.isfinite(high) else []
    above = _surely_above if counted else _mean_above if vary else _most_above
    return Comparison(
        seeds=count,
        effect=shown[0],
        low=shown[1],
        high=shown[2],
        p_for=max(map(above, inside)),
        p_against=min(above(-distance) for distance in inside),
        clear=min(mean - low, high - mean) / sd if sd > 0 else math.nan,
        tested=counted or count > 1,
    )


def _mean_above(distance: Array) -> float:
    """Return the one-sided p-value of a mean that lies so far above 0, by a t-test."""
    error = distance.std(ddof=1) / math.sqrt(len(distance))
    return float(stats.t.sf(distance.mean() / error, len(distance) - 1))


def _most_above(distance: Array) -> float:
    """Return the one-sided p-value of so many that are above 0, by a sign test."""
    return float(stats.binomtest(int((distance > 0).sum()), len(distance), alternative="greater").pvalue)


def _surely_above(distance: Array) -> float:
    """Return 0 where all are above 0, else 1, of what no seed changes."""
    return 0.0 if (distance > 0).all() else 1.0


def deciding(clear: float, seeds: float, comparisons: float) -> float:
    """Return how many seeds, more than there are, would decide with the usual power, if the effect is as measured.

    It is infinite beyond those that anybody runs, and nan if this can't be told.

    clear: of the judgement
    comparisons: that share the level
    """
    if not (clear and math.isfinite(clear)):
        return math.nan
    counts = np.arange(seeds + 1.0, MANY + 1)
    sure = stats.t.isf(SIGNIFICANT / 2 / comparisons, counts - 1)
    enough = counts[stats.nct.sf(sure, counts - 1, abs(clear) * np.sqrt(counts)) >= POWER]
    return float(enough[0]) if len(enough) else math.inf
