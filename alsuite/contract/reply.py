"""A strategy's reply, checked by itself: each fault is a line that names the strategy and says what was wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from alsuite.errors import UserError
from alsuite.palette import seen
from alsuite.strategies import Query

__all__ = ["checked"]


def checked(reply: object, n: int, name: str) -> Query:
    """Return the query that a strategy gave, its notes as JSON has them; refuse anything that is none.

    Arguments:
        reply: what the strategy returned
        n: how many samples it was asked for
        name: the strategy's, which each refusal begins with
    """
    if not isinstance(reply, Query):
        raise UserError(f"{name}.query returned {_described(reply)}: it must return an alsuite.strategies.Query")
    _check_indices(reply.indices, n, name)
    _check_scores(reply.scores, n, name)
    images = dict(_pictures(reply.images, name))
    _check_generated(reply.generated, name)
    notes = {key: _as_json(value, f"the note {key!r} of {name}") for key, value in _named(reply.notes, "notes", name)}
    return replace(reply, images=images, notes=notes)


def _check_indices(indices: object, n: int, name: str) -> None:
    """Refuse anything but n different int64 numbers; whether they are in the pool is not looked at here."""
    if not isinstance(indices, Tensor) or indices.dtype != torch.int64 or indices.shape != (n,):
        given = f"{name} was asked for {n} indices and gave {_described(indices)}"
        raise UserError(f"{given}: give an int64 tensor of shape ({n},)")
    values, counts = indices.unique(return_counts=True)
    if len(values) < n:
        raise UserError(f"{name} returned {int(values[counts > 1][0])} more than once: give {n} different indices")


def _check_scores(scores: object, n: int, name: str) -> None:
    """Refuse scores that are not one number for each index; without scores there is nothing to check."""
    if scores is None:
        return
    if not isinstance(scores, Tensor) or not scores.is_floating_point() or scores.shape != (n,):
        raise UserError(
            f"{name} gave scores that are {_described(scores)}: give a tensor of floats of shape ({n},), or None"
        )
    if scores.isnan().any():
        raise UserError(
            f"{name} gave a score that is not a number: mend its formula, or the task model if that has diverged"
        )


def _pictures(images: object, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what can be shown of arrays; refuse what is neither images nor captions nor places."""
    for key, value in _named(images, "images", name):
        if not (isinstance(value, np.ndarray) and _can_be_shown(value)):
            raise UserError(
                f"the images {key!r} of {name} are {_described(value)}: give a NumPy array of uint8 pictures "
                "(N, C, H, W), of captions (N,), or of places (N, 2)"
            )
        yield key, seen(value) if value.ndim == 4 else value


def _can_be_shown(array: np.ndarray) -> bool:
    """Tell whether an array holds images, (N, C, H, W), captions, (N,), or places in the plane, (N, 2)."""
    if array.dtype == np.uint8:
        return array.ndim == 4 and not array.shape[3] <= 4 < array.shape[1]  # with channels last
    return (array.dtype.kind == "U" and array.ndim == 1) or (array.dtype.kind == "f" and array.shape[1:] == (2,))


def _check_generated(images: object, name: str) -> None:
    """Refuse images that a strategy says it made unless they are uint8 (M, C, H, W)."""
    if images is not None and not (isinstance(images, Tensor) and images.dtype == torch.uint8 and images.ndim == 4):
        raise UserError(f"{name} gave generated images that are {_described(images)}: give uint8 (M, C, H, W), or None")


def _named(values: object, what: str, name: str) -> Iterator[tuple[str, object]]:
    """Yield what a dict holds, if it is one and its keys are texts."""
    if not isinstance(values, Mapping):
        raise UserError(f"the {what} of {name} are {_described(values)}: give a dict")
    for key, value in values.items():
        if not isinstance(key, str):
            raise UserError(f"the {what} of {name} have the key {key!r}: give them names that are texts")
        yield key, value


def _as_json(value: object, what: str) -> object:
    """Return a note as JSON has it: a NumPy or torch scalar becomes a number."""
    if isinstance(value, np.generic) or (isinstance(value, Tensor) and value.ndim == 0):
        value = value.item()
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, list | tuple):
        return [_as_json(each, what) for each in value]
    if isinstance(value, Mapping):
        return {key: _as_json(each, what) for key, each in _named(value, "parts", what)}
    raise UserError(f"{what} is {_described(value)}: give a number, a text, or a list or dict of them")


def _described(value: object) -> str:
    """Say what a value is, in place of what it should be."""
    if isinstance(value, Tensor | np.ndarray):
        return f"{type(value).__name__} of {value.dtype} and shape {tuple(value.shape)}"
    return "None" if value is None else f"a {type(value).__name__}"
