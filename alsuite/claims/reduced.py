"""What no number of seeds decides at a scale that has reduced what a paper did."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from alsuite.claims.claim import Claim
from alsuite.claims.series import in_one_setting
from alsuite.figures.reduced import reductions
from alsuite.results.measures import BYTES, timed

__all__ = ["WHOLE", "undecidable"]

WHOLE = "paper"  # the scale that reduces nothing
REDUCED = "seconds at a reduced scale decide nothing"
MADE = "what a reduced generator makes decides nothing"
ENDS = "how a run ends decides nothing where the scale has cut its labels"
SMALLER = "bytes of downscaled images decide nothing"
LEVELS = "the accuracy of a reduced task model decides nothing"


def undecidable(claim: Claim, runs: pd.DataFrame) -> Iterator[str]:
    """Yield why runs decide nothing about a claim, however many seeds they have."""
    if {*runs["scale"]} == {WHOLE}:
        return
    of_time = any(timed(measure) or measure == "cycles_until_cheaper" for measure in claim.measures)
    if of_time and claim.exponent is None:
        yield REDUCED
    if claim.of_a_level and reductions(in_one_setting(claim, runs), of_task=True):
        yield LEVELS
    of_bytes = bool({*claim.measures} & {*BYTES})
    for concerned, cut, why in (
        (claim.of_a_generator, "of the generator", MADE),
        (claim.of_an_end, r"of [\d,]+ labels", ENDS),
        (of_bytes, "pixels a side", SMALLER),
    ):
        if concerned and any(re.search(cut, text) for text in reductions(runs)):
            yield why
