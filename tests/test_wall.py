"""The wall between hidden labels and strategies: a cheat that walks through all it is given finds none."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from alsuite.budget import Budget, uniform
from alsuite.data import Dataset
from alsuite.data.digits import digits
from alsuite.nets.classifiers import linear
from alsuite.oracle import Ideal, Noisy, Oracle, ideal
from alsuite.pool import Pool
from alsuite.strategies import Query
from alsuite.tasks import Task
from helpers.pools import digit_pool
from helpers.runs import perform
from helpers.tasks import dropout_net, fast_task

PLAIN = (str, bytes, int, float, complex, type, types.ModuleType, type(None))


def reachable(*roots: object, depth: int = 12) -> Iterator[object]:
    """Everything behind attributes, containers, closures, defaults, bound methods and views; no modules, no globals."""
    seen: dict[int, object] = {}
    layer = list(roots)
    for _ in range(depth):
        fresh = {id(found): found for found in layer if id(found) not in seen and not isinstance(found, PLAIN)}
        seen |= fresh  # kept alive, so that no id comes twice
        yield from fresh.values()
        layer = [child for found in fresh.values() for child in children(found)]


def children(found: Any) -> Iterable[object]:
    if isinstance(found, dict):
        yield from (*found.keys(), *found.values())
    elif isinstance(found, list | tuple | set | frozenset):
        yield from found
    elif isinstance(found, Tensor | np.ndarray):
        yield getattr(found, "_base", None)
        yield getattr(found, "base", None)
    elif isinstance(found, types.FunctionType):
        yield from (cell.cell_contents for cell in found.__closure__ or ())
        yield from (found.__defaults__, found.__kwdefaults__)
    elif isinstance(found, partial | types.MethodType):
        yield from (getattr(found, name, None) for name in ("func", "args", "keywords", "__func__", "__self__"))
    elif isinstance(found, types.GeneratorType):
        yield dict(found.gi_frame.f_locals) if found.gi_frame else None
    yield getattr(found, "__dict__", None)
    slots = (getattr(kind, "__slots__", ()) for kind in type(found).__mro__)
    names = [name for group in slots for name in ([group] if isinstance(group, str) else group)]
    if type(found).__module__.startswith("alsuite"):
        names += [name for name, value in vars(type(found)).items() if isinstance(value, property)]
    yield from (getattr(found, name, None) for name in names)


def integers(found: object) -> Tensor | None:
    if isinstance(found, list | tuple) and len(found) > 1 and all(type(value) is int for value in found):
        return torch.tensor(found)
    if isinstance(found, np.ndarray) and found.dtype.kind in "iu":
        return torch.from_numpy(np.array(found, np.int64)).flatten()
    if isinstance(found, Tensor) and not found.is_floating_point() and found.dtype != torch.bool:
        return found.long().flatten()
    return None


def leaks(hidden: Tensor, unlabelled: Tensor, *roots: object) -> bool:
    """Whether a vector of integers that is reachable holds the hidden targets, or those of the unlabelled images."""
    secrets = (hidden, hidden[unlabelled])
    vectors = (integers(found) for found in reachable(*roots))
    return any(torch.equal(vector, secret) for vector in vectors if vector is not None for secret in secrets)


def holder(**attributes: object) -> object:
    return types.SimpleNamespace(**attributes)


def closed_over(value: object) -> Callable[[], object]:
    return lambda: value


def generated(values: Tensor) -> Iterator[Tensor]:
    yield values


HIDING_PLACES: dict[str, Callable[[Tensor], object]] = {
    "itself": lambda t: t,
    "attribute": lambda t: holder(a=holder(b=t)),
    "containers": lambda t: [{"a": ({"b": t},)}],
    "closure": closed_over,
    "closure in a closure": lambda t: closed_over(closed_over(t)),
    "partial": lambda t: partial(torch.equal, t),
    "bound method": lambda t: Ideal(t).__call__,
    "view": lambda t: t.view(-1)[:3],
    "array": lambda t: t.numpy().astype(np.uint8),
    "list": lambda t: t.tolist(),
    "generator": generated,
}


@pytest.mark.parametrize(("place", "part"), [*((place, "all") for place in HIDING_PLACES), ("itself", "unlabelled")])
def test_the_cheat_finds_what_is_hidden_badly(place: str, part: str) -> None:
    pool, targets = digit_pool(100)
    task = fast_task(linear, epochs=1).learn(pool)
    assert not leaks(targets, pool.unlabelled, pool, task)
    hidden = targets.clone() if part == "all" else targets[pool.unlabelled]
    task.__dict__["secret"] = HIDING_PLACES[place](hidden)
    assert leaks(targets, pool.unlabelled, pool, task)


def oracles(targets: Tensor, folder: Path) -> list[Oracle]:
    return [Ideal(targets), Noisy(targets, flip=0.0, classes=10), ideal(digits(), folder)]


def test_the_cheat_finds_the_targets_of_every_oracle(tmp_path: Path) -> None:
    pool, targets = digit_pool(100)
    assert all(leaks(targets, pool.unlabelled, oracle) for oracle in oracles(targets, tmp_path))


class Cheat:
    """Picks at random, and asks `found` whether pool and task give the targets away."""

    def __init__(self, found: Callable[[Pool, Task], None]) -> None:
        self.found = found

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        self.found(pool, task)
        return Query(pool.unlabelled[torch.randperm(len(pool.unlabelled))[:n]])


def cheated(folder: Path, leak: Callable[[Pool, Dataset], None]) -> list[bool]:
    """At each query of a whole run, with all its parts wired together: does it leak?"""
    data, found = digits().subset(400, 50), []

    def look(pool: Pool, task: Task) -> None:
        leak(pool, data)
        found.append(leaks(data.train.targets, pool.unlabelled, pool, task))

    perform(
        {"config": {}},
        folder,
        dataset=data,
        task_model=partial(fast_task, dropout_net, epochs=2),
        initial=uniform,
        budget=Budget(20, 20, 80),
        oracle=ideal,
        strategy=Cheat(look),
        seed=0,
    )
    return found


def test_a_run_gives_a_strategy_no_hidden_label(tmp_path: Path) -> None:
    assert cheated(tmp_path, lambda pool, data: None) == [False] * 3


def test_a_run_with_a_hole_in_its_wall_is_caught(tmp_path: Path) -> None:
    def leak(pool: Pool, data: Dataset) -> None:
        pool.__dict__["oracle"] = ideal(data, tmp_path)

    assert cheated(tmp_path, leak) == [True] * 3
