"""A claim of a paper, as conf/claims.yaml states it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import TypeGuard

import yaml

from alsuite import CONF
from alsuite.errors import UserError, one_of
from alsuite.figures.spec import METRICS
from alsuite.recorded import Options
from alsuite.results.measures import unit_of
from alsuite.results.statistics import FULL

__all__ = ["At", "Claim", "Series", "read_claims", "strategy_of"]

Series = str | Options
At = str | int | tuple[float, ...]  # the last: between two labelled counts, or at several and between
EFFECTS = ("difference", "ratio")


@dataclass(frozen=True)
class Claim:
    """One claim; `alsuite.claims` tells what the fields mean.

    key: its name in conf/claims.yaml
    """

    key: str
    paper: str
    place: str
    claim: str
    experiment: str
    where: Mapping[str, object] = field(default_factory=dict)
    better: Series | None = None
    than: Series | list[Series] | None = None
    order: tuple[Series, ...] = ()
    value: Series | list[Series] | None = None
    measure: str | list[str] = "accuracy"
    lower: bool = False
    over: str | None = None
    at: At = "area"
    since: str | float = 0
    to_reach: str | float | None = None
    exponent: str | None = None
    effect: str = "difference"
    least: float | None = None
    most: float | None = None
    within: float | None = None
    published: float | None = None

    def __post_init__(self) -> None:
        """Refuse a claim that compares nothing, or in several ways at once."""
        one_of(f"claim {self.key}: effect", self.effect, EFFECTS)
        if [self.better is not None and self.than is not None, bool(self.order), self.value is not None].count(
            True
        ) != 1:
            raise UserError(f"claim {self.key}: give either `better` and `than`, or `order`, or `value`")
        if self.value is not None and self.least is None and self.most is None:
            raise UserError(f"claim {self.key}: say with `least` or `most` what the value must be")

    @property
    def said(self) -> str:
        """Return what it says, with what it must be or how far apart it may lie, unless its words tell that."""
        told = self._alike if self.within is not None else self._bounded
        return f"{self.claim.removesuffix('.')} ({told})." if told else self.claim

    @property
    def _alike(self) -> str:
        """Say within what two series are taken for alike."""
        assert self.within is not None
        if self.effect == "ratio":
            return f"within {100 * self.within:g} %"
        return f"within {self.within:g} {self.unit.removesuffix('s' if self.within == 1 else '')}"

    @property
    def _bounded(self) -> str:
        """Say what the effect, or the value, must be."""
        limits = [limit for limit in (self.least, self.most) if limit is not None]
        if all(re.search(rf"(?<![\d.]){_number(limit)}(?![\d.]*\d)", self.claim) for limit in limits):
            return ""
        kind, _, name = self.measures[0].partition(".")
        what = "exponent " if self.exponent else f"{name} " if kind == "notes" else ""
        unit = f" {'times' if self.effect == 'ratio' else self.unit}".rstrip()
        if len(limits) > 1:
            return f"{what}between {' and '.join(map(_number, limits))}{unit}"
        told = f"{_number(limits[0])}{unit.removesuffix('s') if abs(limits[0]) == 1 else unit}"
        if limits[0] < 0:
            return f"at most {told} below"
        return f"{what}at {'most' if self.least is None else 'least'} {told}"

    @property
    def unit(self) -> str:
        """The unit of its effect, as it stands behind the number: % of a share, points of a difference of two."""
        if self.effect == "ratio":
            return "x"
        if self.exponent:
            return ""
        unit = "labels" if self.to_reach is not None else unit_of(self.measures[0])
        return "%" if unit == "points" and self.value is not None and self.over is None else unit

    @property
    def pairs(self) -> Iterator[tuple[Series, Series | None]]:
        """Yield each series that is said to be ahead, with the one that it is ahead of, if there is one."""
        if self.value is not None:
            yield from ((one, None) for one in (self.value if isinstance(self.value, list) else [self.value]))
        elif self.order:
            yield from zip(self.order, self.order[1:], strict=False)
        elif self.better is not None:
            others = self.than if isinstance(self.than, list) else [self.than]
            yield from ((self.better, other) for other in others)

    @property
    def measures(self) -> list[str]:
        """Return the columns compared, one or several, for each of which the claim must hold."""
        return self.measure if isinstance(self.measure, list) else [self.measure]

    @property
    def of_a_level(self) -> bool:
        """Whether it says how accurate something is, alone or below what all labels give, so that a network counts."""
        bounded = self.least is not None or self.most is not None
        return bounded and {*self.measures} <= {*METRICS, "wrong"} and (self.value is not None or self.than == FULL)

    @property
    def of_an_end(self) -> bool:
        """Whether it says what all labels of a run come to, alone or beside all that there are, so that it counts with
        how many it ends: which classes they are of, or how accurate a curve ends."""
        beside_all = any(strategy_of(one) == FULL for pair in self.pairs for one in pair)
        shares = self._of_shares and (beside_all or self.value is not None)
        return self.at == "last" and (shares or (beside_all and {*self.measures} <= {*METRICS}))

    @property
    def of_a_generator(self) -> bool:
        """Whether it says which classes a generator's images lead to, or which of two generators is ahead, so that it
        counts how these were trained."""
        made = [[one["generator"] for one in pair if _has_generator(one)] for pair in self.pairs]
        unlike = any(len(pair) == 2 and pair[0] != pair[1] for pair in made)
        return unlike or (any(made) and self._of_shares)

    @property
    def _of_shares(self) -> bool:
        return all(measure.startswith("share.") for measure in self.measures)

    @property
    def bounds(self) -> tuple[float, float]:
        """What an effect must lie between: points, seconds, ... or the logarithm of a ratio."""
        ratio = self.effect == "ratio"
        if self.within is not None:
            return (-self.within, self.within) if not ratio else (math.log(1 - self.within), math.log(1 + self.within))
        low, high = self._limit(self.least, -1), self._limit(self.most, 1)
        if self.least is None and self.most is None:
            low = 1.0 if ratio else 0.0
        if not ratio:
            return low, high
        return math.log(low) if low > 0 else -math.inf, math.log(high)

    def _limit(self, given: float | None, side: int) -> float:
        """Return a limit, half a unit of its last digit farther off where it is a level that the paper has rounded."""
        if given is None:
            return side * math.inf
        exponent = int(Decimal(str(given)).as_tuple().exponent)
        return given + side * 0.5 * 10.0**exponent if given == self.published and self.of_a_level else given

    @property
    def folders(self) -> list[str]:
        """Return the folders of runs that its series name beside the figure's own."""
        named = [one for pair in self.pairs for one in pair] + [self.where]
        return [*dict.fromkeys(one["experiment"] for one in named if isinstance(one, Mapping) and "experiment" in one)]


def strategy_of(series: Series | None) -> object:
    """Return the strategy that a series is of."""
    return series["strategy"] if isinstance(series, Mapping) else series


def _has_generator(series: Series | None) -> TypeGuard[Options]:
    return isinstance(series, Mapping) and "generator" in series


def _number(value: float) -> str:
    return f"{abs(value):,.10g}"


def read_claims(path: Path = CONF / "claims.yaml", paper: str | None = None) -> list[Claim]:
    """Read all claims, or those of one paper, in the papers' order.

    Arguments:
        path: a file like conf/claims.yaml
        paper: the name of its file in conf/paper; one without claims is refused
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in a tenth of the time, where it was compiled
    stated: Options = loader(path.read_text(encoding="utf-8")).get_single_data()
    claims = [_claim(str(key), entry) for key, entry in stated.items()]
    papers = dict.fromkeys(claim.paper for claim in claims)
    if paper is not None and paper not in papers:
        raise UserError(f"no claims of {paper}: choose from {', '.join(papers)}")
    return [claim for claim in claims if paper in (None, claim.paper)]


def _claim(key: str, entry: Options) -> Claim:
    """Return the claim of an entry; a field that is missing or unknown is refused by name."""
    known = [one.name for one in fields(Claim)]
    if unknown := sorted(set(entry) - set(known)):
        raise UserError(f"claim {key} has no field {unknown[0]}; its fields are {', '.join(known[1:])}")
    if missing := [name for name in ("paper", "place", "claim", "experiment") if name not in entry]:
        raise UserError(f"claim {key} lacks {missing[0]}")
    return Claim(key, **{**entry, "order": tuple(entry.get("order", ()))})
