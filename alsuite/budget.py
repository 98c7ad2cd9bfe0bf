"""How many labels a run may buy, and which samples it starts from."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from alsuite.data.dataset import Split, chosen_of
from alsuite.errors import UserError, whole_number

__all__ = ["Budget", "biased", "first_labels", "proportional", "stratified", "uniform"]


@dataclass(frozen=True)
class Budget:
    """How many labels a run may buy: counts, or fractions as floats, of all training images, with those held out.

    initial: what a run starts from
    query: how many it buys at a time
    end: what it ends with; the last query is smaller where that is needed

    >>> Budget(initial=0.1, query=50, end=0.5).of(pool=1000)
    Budget(initial=100, query=50, end=500)
    """

    initial: float
    query: float
    end: float

    def of(
        self,
        pool: int,
        whole: int | None = None,
        cycles: int | None = None,
        held: int = 0,
        known: int = 0,
        endless: bool = False,
    ) -> Budget:
        """Return it in counts, and refuse one that the pool cannot serve, or that ends before it begins.

        A fraction is one of all training images, those for validation as well, as papers count it. A count shrinks with
        a pool that a scale has cut down, but not below 10, and at least one query is left.

        Arguments:
            pool: how many images can be labelled
            whole: how many there were before the scale cut the pool
            cycles: the most trainings that the scale allows
            held: training images beside the whole pool that are for validation
            known: labels that are there already, from all of which the run starts, and ends with if it buys none
            endless: whether what is labelled later is made, and not taken from the pool
        """
        cut, whole = pool / (whole or pool), whole or pool
        trains = pool * (whole + held) / whole
        initial, query, end = (self._count(name, pool, trains, cut) for name in ("initial", "query", "end"))
        asks = (end, self.end) != (initial, self.initial)
        initial, most = max(initial, known), math.inf if endless else pool
        if not asks:
            end = initial
        elif cut < 1:
            end = min(most, max(end, initial + query))  # one query at the least
        if initial > pool or end > most:
            size = f"the budget (initial {initial:,}, end {end:,}) exceeds the pool of {pool:,} images"
            raise UserError(f"{size}: lower budget.{'initial' if initial > pool else 'end'}")
        if end < initial == known == pool:
            raise UserError(
                f"all {pool:,} images are labelled: add others, or give budget.end={pool} to learn from these"
            )
        if end < initial:
            start = "budget.initial" if initial > known else "the labels that are known"
            raise UserError(f"budget.end ({end:,}) lies below {start} ({initial:,}): raise budget.end")
        if cycles is not None:
            end = min(end, initial + query * (cycles - 1))
        return Budget(initial, query, end)

    def next(self, labelled: int) -> int:
        """Return how many to query now; 0 at the end."""
        return int(max(0, min(self.query, self.end - labelled)))

    def _count(self, name: str, pool: int, trains: float, cut: float) -> int:
        """Return one of the sizes as a count; `cut` is the share of the pool that the scale has left."""
        size = getattr(self, name)
        if not isinstance(size, int | float) or isinstance(size, bool) or not 0 < size < math.inf:
            raise UserError(
                f"budget.{name}={size} buys nothing: give a count of samples or a fraction above 0 of all images"
            )
        if isinstance(size, float) and size > 1:
            raise UserError(
                f"budget.{name}={size} is neither a count nor a fraction: write {int(size)} or a fraction up to 1.0"
            )
        if isinstance(size, float):
            return max(1, min(pool, round(size * trains)))
        return max(min(size, 10), round(size * cut))


def uniform(targets: Tensor, n: int, generator: Generator) -> Tensor:
    """Draw n samples, each as likely as any other."""
    return torch.randperm(len(targets), generator=generator)[:n]


def stratified(targets: Tensor, n: int, generator: Generator) -> Tensor:
    """Draw the same number of every class (give or take one)."""
    _one_each(targets)
    classes = targets.unique()
    share = torch.full((len(classes),), n // len(classes))
    share[torch.randperm(len(classes), generator=generator)[: n % len(classes)]] += 1
    return _by_class(targets, classes, share, generator)


def proportional(targets: Tensor, n: int, generator: Generator) -> Tensor:
    """Draw as many of every class as the data's distribution says: largest remainders first."""
    _one_each(targets)
    classes, counts = targets.unique(return_counts=True)
    exact = counts * n / len(targets)
    share = exact.floor().long()
    share[(exact - share).sort(descending=True, stable=True).indices[: n - int(share.sum())]] += 1
    return _by_class(targets, classes, share, generator)


def biased(
    targets: Tensor, n: int, generator: Generator, *, missing: int = 0, only: Sequence[int] | None = None
) -> Tensor:
    """Draw uniformly from the classes in `only`, or from all but `missing` classes chosen at random."""
    _one_each(targets)
    classes = targets.unique()
    kept = _named(classes, only) if only is not None else _without(classes, missing, generator)
    allowed = torch.nonzero(torch.isin(targets, kept)).squeeze(1)
    if len(allowed) < n:
        raise UserError(
            f"the initial pool asks for {n:,} samples but its classes hold {len(allowed):,}: lower budget.initial"
        )
    return allowed[torch.randperm(len(allowed), generator=generator)[:n]]


def _named(classes: Tensor, only: Sequence[int]) -> Tensor:
    """Return the classes that are named."""
    if not isinstance(only, Sequence) or isinstance(only, str):
        raise UserError(f"initial.only={only} is no list: write it as [{only}]")
    if unknown := [label for label in only if label not in classes.tolist()]:
        known = f"{classes.tolist()}, their places among the run's classes"
        raise UserError(f"initial.only names {unknown[0]}, which is no class's number: choose from {known}")
    return torch.tensor(only)


def _without(classes: Tensor, missing: int, generator: Generator) -> Tensor:
    """Return all classes but as many as are missing, by chance."""
    whole_number("initial.", 0, missing=missing)
    if not missing < len(classes):
        raise UserError(
            f"initial.missing={missing} leaves no part of the {len(classes)} classes: give 0 to {len(classes) - 1}"
        )
    return classes[torch.randperm(len(classes), generator=generator)[missing:]]


def first_labels(initial: Callable[..., Tensor], split: Split, n: int, seed: int) -> Tensor:
    """Return the n indices that are labelled first: those of labels that are known, and others drawn beside them."""
    if n == len(split.targets):
        return torch.arange(n)
    known = split.known
    if n == len(known):
        return known
    parameters = inspect.signature(initial).parameters
    rest = torch.nonzero(split.targets < 0).squeeze(1) if len(known) else torch.arange(len(split.targets))
    among = chosen_of(split, rest) if len(known) else split
    seen = {"images": among.images, **({"known": chosen_of(split, known).images} if len(known) else {})}
    looked_at = {name: images for name, images in seen.items() if name in parameters}
    if split.unlabelled and not looked_at and getattr(initial, "func", initial) is not uniform:
        raise UserError("this choice needs labels, and some images have none: take initial=uniform or coreset")
    drawn = initial(among.targets, n - len(known), Generator().manual_seed(seed), **looked_at)
    return torch.cat([known, rest[drawn]])


def _one_each(targets: Tensor) -> None:
    """Refuse masks, which have no class to draw by."""
    if targets.ndim > 1:
        raise UserError("images with a label per pixel cannot be drawn by class: take initial=uniform")


def _by_class(targets: Tensor, classes: Tensor, share: Tensor, generator: Generator) -> Tensor:
    """Draw so many of each class as `share` says, and mix them, so that their order tells nothing."""
    picks = []
    for label, n in zip(classes.tolist(), share.tolist(), strict=True):
        members = torch.nonzero(targets == label).squeeze(1)
        if len(members) < n:
            raise UserError(
                f"the initial pool wants {n} samples of class {label}, which has {len(members)}: lower budget.initial"
            )
        picks.append(members[torch.randperm(len(members), generator=generator)[:n]])
    return torch.cat(picks)[torch.randperm(int(share.sum()), generator=generator)]
