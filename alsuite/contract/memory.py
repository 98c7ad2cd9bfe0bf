"""What a strategy holds, in a form that shows whether it has changed.

What it was made with, such as networks, lists and generators of random numbers, is looked through; functions, a `Once`
and what is trained once for a data set are taken as they are.

Tensors are not copied: torch counts how often each was written to, which tells as much and costs nothing.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence, Set
from functools import cached_property, partial
from logging import Logger, LoggerAdapter
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, NoneType

import numpy as np
import torch
from torch import Tensor

from alsuite.generators import Generator
from alsuite.strategies import Once

__all__ = ["memory"]

PLAIN = (NoneType, bool, int, float, complex, str, bytes)
FIXED = (type, ModuleType, FunctionType, MethodType, BuiltinFunctionType, partial, Once, Logger, LoggerAdapter)


class Same:
    """An object that is compared by which one it is, not by what it holds."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.value is self.value

    __hash__ = None  # type: ignore[assignment]


def memory(strategy: object) -> dict[str, object]:
    """Return for each attribute of a strategy and its classes what compares equal until it changes.

    Attributes of Python's own, whose names begin with two underscores, are left out.
    """
    held = {name: value for kind in reversed(type(strategy).__mro__[:-1]) for name, value in vars(kind).items()}
    held |= _attributes(strategy)
    seen: dict[int, object] = {}
    return {name: (_state(value, seen),) for name, value in held.items() if not name.startswith("__")}


def _state(value: object, seen: dict[int, object]) -> object:
    """Return what compares equal until a value changes.

    Arguments:
        value: anything that a strategy may hold
        seen: id -> what was looked through already, which ends circles
    """
    if isinstance(value, PLAIN):
        return value
    trained_once = isinstance(value, Generator) and not hasattr(value, "query")
    if isinstance(value, FIXED) or trained_once or id(value) in seen:
        return Same(value)
    seen[id(value)] = value  # kept alive, so that no id comes twice
    if isinstance(value, Tensor):
        return Same(value), hash(value.cpu().numpy().tobytes()) if value.is_inference() else value._version
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if isinstance(value, Mapping):
        return tuple((_state(key, seen), _state(value[key], seen)) for key in value)
    if isinstance(value, Sequence | Set):
        return tuple(_state(each, seen) for each in value)
    return _state_of_random(value, seen) or (Same(value), _state(_attributes(value), seen))


def _state_of_random(value: object, seen: dict[int, object]) -> object:
    """Return the state of a generator of random numbers, of Python, NumPy or torch; None for anything else."""
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, np.random.Generator):
        return _state(value.bit_generator.state, seen)
    if isinstance(value, np.random.RandomState):
        return _state(value.get_state(), seen)
    return bytes(value.get_state().numpy()) if isinstance(value, torch.Generator) else None


def _attributes(value: object) -> dict[str, object]:
    """Return what an object holds, less what follows from the rest, and less whether a network trains just now."""
    kind, state = type(value), object.__getstate__(value)
    parts = state if isinstance(state, tuple) else (state,)  # slots come as a second one
    held = {name: each for part in parts if isinstance(part, dict) for name, each in part.items()}
    if isinstance(value, torch.nn.Module):
        held.pop("training")
    return {name: each for name, each in held.items() if not isinstance(getattr(kind, name, None), cached_property)}
