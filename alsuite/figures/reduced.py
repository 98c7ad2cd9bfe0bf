"""What a reduced scale has left of what a paper did, in words for a figure's face.

All of it is read from the configuration that each run has stored, never from that of today. A word is said only where
both numbers are known and the run did less.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain, groupby
from typing import Any

import pandas as pd

from alsuite.figures.names import name_of
from alsuite.recorded import Options
from alsuite.results.statistics import RUN

__all__ = ["CODE", "MADE", "Row", "images", "reductions"]

Row = Mapping[Hashable, Any]

SMALL = {  # the networks of a reduced scale, where a paper has a deep one that it trains as a whole
    "fastnet": "fastnet in the place of a deep network (shifts, flips, smoothed labels, test images mirrored, too{})",
    "lite_unet": "a decoder on an ImageNet-pretrained encoder",
}
MADE = "strategy.generator"
CODE = "strategy.features.autoencoder"
TASK_WIDTHS = {"task_model.net.width": "networks", "task_model.vae.width": "VAEs"}
WIDTHS = {
    "strategy.vae.width": "VAEs",
    f"{MADE}.net.width": "generators",
    f"{CODE}.net.width": "auto-encoders",
}
PATCHES = "alsuite.nets.vae.patch_vae"  # in the place of VAAL's own
DAL = "alsuite.strategies.dal.DAL"  # whose discriminators play no game
TRAINING = {"celeba": 162_770, "tiny_imagenet": 100_000}  # images of data of which often less is at hand
VGG_SIDE = 64  # pixels, to which images are scaled before ImageNet's VGG-16 sees them


def reductions(frame: pd.DataFrame, of_task: bool = False) -> list[str]:
    """List what was reduced, such as "1,000 of 70,313 steps of the game", each once over all runs.

    frame: rows of runs, which hold their configuration; a run's last row counts
    of_task: only what the task model is, and what it learns from
    """
    runs = frame.sort_values("labelled").drop_duplicates(RUN, keep="last")
    found: dict[str, list[tuple[Row, float]]] = {}
    for row in runs.to_dict("records"):
        for text, whole in _of_task(row) if of_task else chain(_of_task(row), _of_strategy(row)):
            found.setdefault(text, []).append((row, whole))
    whose = _whose({text: [row for row, _ in its] for text, its in found.items()})
    return [text.format(_range([whole for _, whole in its])) + whose.get(text, "") for text, its in found.items()]


def _range(wholes: Sequence[float]) -> str:
    """Write the least and the most, once where they are the same."""
    return " to ".join(f"{whole:,.0f}" for whole in sorted({min(wholes), max(wholes)}))


def _whose(rows: Mapping[str, Sequence[Row]]) -> dict[str, str]:
    """Say of several limits of one thing whose each is, where data sets or generators tell them apart.

    rows: those of the runs that each text is about
    """
    told: dict[str, str] = {}
    for _, alike in groupby(sorted(rows, key=_what), key=_what):
        texts = [text for text in alike if "{}" in text]
        for column in ("dataset", "generator") if len(texts) > 1 else ():
            names = [sorted({name_of(column, row.get(column)) for row in rows[text]}) for text in texts]
            if sum(map(len, names)) == len({*chain(*names)}):
                told |= {text: f" ({', '.join(its)})" for text, its in zip(texts, names, strict=True)}
                break
    return told


def _what(text: str) -> str:
    """Return what a text says is limited."""
    return text.partition("{}")[2]


def _of_task(row: Row) -> Iterator[tuple[str, float]]:
    """Yield what the task of one run was reduced in: images, networks, epochs, and steps.

    Each is a text, and the whole that belongs into its braces; 0 where it has none.
    """
    if not _number(row, "enlarge"):  # which makes copies of them
        yield from _of(_number(row, "pool"), _whole(row), "images")
    if row.get("task_model") in SMALL and row.get("scale") != "paper":
        yield SMALL[row["task_model"]].format(_falling(row)), 0
    if side := _number(row, "side"):
        yield f"images scaled down to {side:.0f} pixels a side at most", 0
    yield from _narrow(row, TASK_WIDTHS)
    yield from _of(_limit(row, "task_model"), _number(row, "task_model.epochs"), "epochs")
    if row.get("task_model.epoch_of") == "unlabelled":
        yield from _of(_number(row, "task_model.steps"), _steps_of(row, "task_model"), "steps of M2")
    yield from _of(_number(row, "task_model.features.side"), VGG_SIDE, "pixels a side for VGG-16")


def _falling(row: Row) -> str:
    """Say how many epochs there are of how many labels, where they fall as labels are added."""
    epochs, at = _number(row, "task_model.epochs"), _number(row, "task_model.epochs_at")
    return f"; {epochs:.0f} epochs of {at:,.0f} labels, fewer of more" if epochs and at else ""


def _of_strategy(row: Row) -> Iterator[tuple[str, float]]:
    """Yield what else one run was reduced in: widths of networks, steps, iterations and labels."""
    yield from _narrow(row, WIDTHS)
    if row.get("strategy.vae._target_") == PATCHES:
        yield "VAEs of patches of 4 x 4 pixels", 0
    steps = _limit(row, "strategy")
    if row.get("strategy._target_") != DAL:
        yield from _of(steps, _game(row), "steps of the game")
    elif steps:
        yield f"at most {steps:,.0f} steps of each discriminator", 0
    yield from _of(_limit(row, MADE), _by_data_set(row, f"{MADE}.iterations"), "iterations of the generator")
    yield from _of(_limit(row, CODE), _steps_of(row, CODE), "iterations of the auto-encoder")
    yield from _of(_number(row, "strategy.rewarded"), _by_data_set(row, f"{MADE}.batch"), "images of a batch rewarded")
    if row.get("strategy.standardise") is True:
        yield "features of unit spread for AALU's VAE", 0
    yield from _of(_number(row, "labelled"), _end(row), "labels")


def _narrow(row: Row, widths: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    """Say which networks are narrower than they should be."""
    for column, name in widths.items():
        if (width := _number(row, column) or 1) < 1:
            yield f"{name} of {Fraction(width).limit_denominator(64)} width", 0


def _of(limit: float | None, most: float | None, what: str) -> Iterator[tuple[str, float]]:
    """Say that a limit left so much of the whole, if it did."""
    if limit and most and limit < most:
        yield f"{limit:,.0f} of {{}} {what}", most


def _limit(row: Row, group: str) -> float | None:
    """Return the limit that a scale sets to a group's training; none where it sets none."""
    return _by_data_set(row, f"{group}.limit")


def _game(row: Row) -> float | None:
    """Return the steps that a game of so many epochs of the whole unlabelled pool has at its first query.

    Of those that play with a part of it the epochs are of that part. An initial set below one is a share of the pool,
    else a count.
    """
    epochs, batch, whole = (_number(row, name) for name in ("strategy.epochs", "strategy.batch", "whole"))
    if not (epochs and batch and whole):
        return None
    initial = _number(row, "budget.initial") or 0
    labelled = initial * _with_held(row, whole) if initial < 1 else initial
    unlabelled = min(whole - labelled, _number(row, "strategy.subset") or math.inf)
    return round(epochs * -(-unlabelled // batch))


def _steps_of(row: Row, group: str) -> float | None:
    """Return the steps of a training by so many epochs of the whole pool."""
    epochs, batch = (_by_data_set(row, f"{group}.{name}") for name in ("epochs", "batch"))
    whole = _whole(row)
    return round(epochs * -(-whole // batch)) if epochs and batch and whole else None


def _whole(row: Row) -> float | None:
    """Return how many training images the data set has, those aside that are held out, however few are at hand."""
    every = not isinstance(row.get("dataset.classes"), list) and not _number(row, "imbalance.ratio")
    known = next((n for name, n in TRAINING.items() if every and str(row.get("dataset")).startswith(name)), None)
    return known - (_number(row, "dataset.validation") or 0) if known else _number(row, "whole")


def _end(row: Row) -> float | None:
    """Return the labels that the budget ends with, of as many images as the pool has, and no more than those.

    An end that is a share stays one of this pool; a count shrinks as the pool did.
    """
    end, pool, whole = (_number(row, name) for name in ("budget.end", "pool", "whole"))
    if not (end and pool and whole):
        return None
    if isinstance(row["budget.end"], float) and end <= 1:
        return min(round(end * images(row)), pool)
    return round(end * pool / whole)


def images(row: Row) -> float:
    """Return how many training images a run has, which shares of labels are shares of.

    What is set aside for validation counts as well, as far as the scale has left it.
    """
    pool, whole = (_number(row, name) or 0 for name in ("pool", "whole"))
    return pool * _with_held(row, whole) / whole if whole else pool


def _with_held(row: Row, whole: float) -> float:
    """Return the training images with those that are set aside for validation, of the classes that are kept."""
    held = _number(row, "held")
    return whole + ((_number(row, "dataset.validation") or 0) if held is None else held)


def _by_data_set(row: Row, column: str) -> float | None:
    """Return an option's value, which may be one for each data set: that of the longest key the name begins with."""
    if (value := _number(row, column)) is not None:
        return value
    values = {str(name).removeprefix(f"{column}."): row[name] for name in row if str(name).startswith(f"{column}.")}
    fitting = [name for name in values if str(row["dataset"]).startswith(name) and _number(values, name) is not None]
    return _number(values, max(fitting, key=len, default="default"))


def _number(row: Row | Options, column: str) -> float | None:
    """Return a cell's value where it is a number and no gap."""
    value = row.get(column)
    return float(value) if isinstance(value, int | float) and value == value else None
