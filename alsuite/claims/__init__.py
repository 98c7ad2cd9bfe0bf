"""What the five papers claim, and what the runs say to each claim: `python -m alsuite.claims [PAPER]`.

conf/claims.yaml holds the claims; each compares series of an experiment's runs, paired by seed:

    paper, place, claim   whose it is, where it stands, and what it says, in our words
    experiment   the figure whose runs measure it
    where        column: value, or a list of values, that select these runs, as in a figure's panel
    better, than a series and those that it is ahead of. A series is a strategy, or columns with their values: a list of
                 values is averaged over; `experiment`, a folder of runs, and `at` hold for this series alone
    order        instead of these: series, the best first; or `value`, one series alone
    measure      the column compared, by default accuracy; share.CLASS is of the labels; a list if it holds for each
    lower        the smaller value is ahead: differences and ratios are turned round
    over         take from each series first what this strategy has in the same setting
    at           area (the mean height of the curves where both have values; of seconds their mean), last, each (every
                 labelled count but the first), a labelled count, or a share of all training images such as 40%
    since        leave out what lies before this labelled count, or share
    to_reach     compare the labels that it takes to reach this height, or that where the worse series ends (last);
                 a curve that never does takes more than any other
    exponent     compare the exponent with which the measure grows in this column
    effect       difference, or ratio
    least, most  what the effect, or the value, must be, as exactly as it is published; with neither one series is ahead
    within       instead: how far a difference may lie from 0, or a ratio from 1, of a claim that nothing changes
    published    the paper's own number of the effect: points, seconds, nats, labels or a ratio
"""

from __future__ import annotations

from alsuite.claims.claim import Claim, read_claims
from alsuite.claims.judging import judged
from alsuite.claims.pages import below_a_picture, of_papers, on_a_page, verdicts_on
from alsuite.claims.verdicts import live_runs, measured_runs, published_runs, verdicts

__all__ = [
    "Claim",
    "below_a_picture",
    "judged",
    "live_runs",
    "measured_runs",
    "of_papers",
    "on_a_page",
    "published_runs",
    "read_claims",
    "verdicts",
    "verdicts_on",
]
