"""What a strategy of one's own may not do: each fault ends the run with one line that names the strategy."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from alsuite.contract import Promise
from alsuite.errors import UserError
from alsuite.nets.vae import small_vae
from alsuite.pool import Pool
from alsuite.strategies import Once, Query
from alsuite.strategies.vaal import VAAL
from alsuite.tasks import Task
from helpers.pools import digit_pool

FIVE = torch.arange(5)


class Mine:
    """Does what it is made with."""

    def __init__(self, act: Callable[[Mine, Pool], Any]) -> None:
        self.act = act

    def query(self, pool: Pool, task: Task, n: int) -> Any:
        return self.act(self, pool)


@pytest.fixture
def pool() -> Pool:
    """Ten of 1,437 digits labelled, the last ones."""
    pool, targets = digit_pool(0)
    pool.label(torch.arange(1427, 1437), targets[-10:])
    return pool


def kept(strategy: Any, pool: Pool, n: int = 5) -> Query:
    promise = Promise(strategy, pool)
    return promise.kept(strategy.query(pool, None, n), n)


def refusal(act: Callable[[Any, Pool], Any], pool: Pool) -> str:
    with pytest.raises(UserError) as caught:
        kept(Mine(act), pool)
    line = str(caught.value)
    assert "Mine" in line
    assert "\n" not in line
    return line


def noting(value: object) -> Query:
    return Query(FIVE, notes={"mine": value})  # type: ignore[dict-item]


def showing(value: object) -> Query:
    return Query(FIVE, images={"mine": value})  # type: ignore[dict-item]


WRONG: dict[str, tuple[Any, str]] = {
    "a tensor": (FIVE, "returned Tensor of torch.int64 and shape (5,): it must return an alsuite.strategies.Query"),
    "a list": ([0, 1, 2, 3, 4], "returned a list: it must return an alsuite.strategies.Query"),
    "nothing": (None, "returned None: it must return an alsuite.strategies.Query"),
    "a list of indices": (Query([0, 1, 2, 3, 4]), "5 indices and gave a list: give an int64 tensor"),  # type: ignore[arg-type]
    "a matrix": (Query(FIVE[:, None]), "gave Tensor of torch.int64 and shape (5, 1): give an int64 tensor of"),
    "too few": (Query(FIVE[:4]), "shape (4,): give an int64 tensor of shape (5,)"),
    "too many": (Query(torch.arange(6)), "shape (6,): give an int64 tensor of shape (5,)"),
    "floats": (Query(FIVE.float()), "torch.float32 and shape (5,): give an int64"),
    "short integers": (Query(FIVE.int()), "torch.int32 and shape (5,): give an int64"),
    "a mask": (Query(FIVE > 2), "torch.bool and shape (5,): give an int64"),
    "one twice": (Query(torch.tensor([0, 1, 7, 7, 2])), "returned 7 more than once: give 5 different indices"),
    "beyond the end": (Query(FIVE + 1433), "returned the index 1437: the pool's go from 0 to 1436"),
    "negative": (Query(FIVE - 1), "returned the index -1: the pool's go from 0 to 1436"),
    "labelled": (Query(FIVE + 1426), "returned 1427, which is labelled already: choose among pool.unlabelled"),
    "few scores": (Query(FIVE, torch.rand(4)), "scores that are Tensor of torch.float32 and shape (4,): give a tensor"),
    "scores of integers": (Query(FIVE, FIVE), "scores that are Tensor of torch.int64 and shape (5,): give a tensor"),
    "a list of scores": (Query(FIVE, [0.5] * 5), "are a list: give a tensor of floats of shape (5,), or None"),  # type: ignore[arg-type]
    "no number": (Query(FIVE, torch.full((5,), torch.nan)), "gave a score that is not a number"),
    "a note of a tensor": (noting(torch.zeros(2)), "the note 'mine' of Mine is Tensor of torch.float32 and shape (2,)"),
    "a note of a set": (noting({1}), "the note 'mine' of Mine is a set: give a number, a text, or a list or dict"),
    "a note of an object deep inside": (noting({"a": [object()]}), "the note 'mine' of Mine is a object"),
    "a note without a name": (Query(FIVE, notes={3: 1}), "the notes of Mine have the key 3"),  # type: ignore[dict-item]
    "a list of notes": (Query(FIVE, notes=["mine"]), "the notes of Mine are a list: give a dict"),  # type: ignore[arg-type]
    "pictures of floats": (showing(np.zeros((2, 3, 8, 8))), "are ndarray of float64 and shape (2, 3, 8, 8): give a N"),
    "channels last": (showing(np.zeros((2, 8, 8, 3), np.uint8)), "the images 'mine' of Mine are ndarray of uint8"),
    "a tensor of pictures": (showing(torch.zeros(2, 3, 8, 8, dtype=torch.uint8)), "give a NumPy array"),
    "captions of objects": (showing(np.array(["a", None], object)), "are ndarray of object"),
    "pictures without a name": (Query(FIVE, images=[np.zeros(3)]), "the images of Mine are a list: give a dict"),  # type: ignore[arg-type]
    "generated floats": (Query(FIVE, generated=torch.rand(5, 1, 8, 8)), "generated images that are Tensor of torch.fl"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_reply_is_refused_in_one_line(case: str, pool: Pool) -> None:
    reply, message = WRONG[case]
    assert message in refusal(lambda self, pool: reply, pool)


def test_a_right_reply_is_kept_and_its_scalars_become_numbers(pool: Pool) -> None:
    notes = {"a": np.float32(0.5), "b": torch.tensor(3), "c": [np.int64(2), None, True], "d": {"e": "text"}, "f": (1,)}
    images = {"x": np.zeros((2, 3, 8, 8), np.uint8), "x_captions": np.array(["1", "2"]), "places": np.zeros((4, 2))}
    query = kept(Mine(lambda self, pool: Query(FIVE, FIVE.double(), notes, images)), pool)
    assert query.notes == {"a": 0.5, "b": 3, "c": [2, None, True], "d": {"e": "text"}, "f": [1]}
    assert [type(query.notes[name]) for name in "ab"] == [float, int]
    assert list(query.images) == list(images)
    assert all(np.array_equal(query.images[name], array) for name, array in images.items())


@pytest.mark.parametrize(("channels", "seen"), [(1, 1), (2, 1), (3, 3), (4, 3), (13, 3)])
def test_of_many_channels_a_picture_shows_the_first(channels: int, seen: int, pool: Pool) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, channels, 8, 8), np.uint8)
    shown = kept(Mine(lambda self, pool: Query(FIVE, images={"x": images})), pool).images["x"]
    assert np.array_equal(shown, images[:, :seen])


def test_what_cannot_be_asked_is_no_strategy(pool: Pool) -> None:
    with pytest.raises(UserError, match=r"^object is no strategy: it must have a method query\(pool, task, n\)$"):
        Promise(object(), pool)  # type: ignore[arg-type]


def after(change: Callable[[Pool], Any]) -> Callable[[Any, Pool], Query]:
    def act(self: Any, pool: Pool) -> Query:
        change(pool)
        return Query(FIVE)

    return act


def grown(pool: Pool, labels: Tensor | None = None) -> Tensor:
    return pool.extend(torch.full((5, 1, 8, 8), 9, dtype=torch.uint8), labels)


LABELS = "changed the pool's labels: only the oracle labels its images"
IMAGES = "changed pool.images: change a copy"
CHEATS: dict[str, tuple[Callable[[Pool], Any], str]] = {
    "labels what it asks for": (lambda pool: pool.label(FIVE, FIVE), LABELS),
    "labels another image": (lambda pool: pool.label(FIVE + 9, FIVE), LABELS),
    "writes labels": (lambda pool: pool.labels.fill_(3), LABELS),
    "writes labels where no torch sees it": (lambda pool: pool.labels.numpy().fill(3), LABELS),
    "forgets a label": (lambda pool: pool.known.fill_(False), LABELS),
    "replaces the labels": (lambda pool: setattr(pool, "labels", pool.labels + 1), LABELS),
    "reorders the labelled": (lambda pool: setattr(pool, "labelled", pool.labelled.flip(0)), LABELS),
    "shortens the labelled": (lambda pool: setattr(pool, "labelled", pool.labelled[:3]), LABELS),
    "writes images": (lambda pool: pool.images[3].zero_(), IMAGES),
    "writes a view of images": (lambda pool: pool.rows(FIVE).images[:2].add_(1), IMAGES),
    "replaces the images": (lambda pool: setattr(pool, "images", pool.images // 2), IMAGES),
    "drops images": (lambda pool: setattr(pool, "images", pool.images[:100]), IMAGES),
    "writes images before they grow": (lambda pool: (pool.images.zero_(), grown(pool)), IMAGES),
    "writes images after they grew": (lambda pool: (grown(pool), pool.images[3].zero_()), IMAGES),
    "keeps what it labelled": (lambda pool: grown(pool, FIVE), "labelled images that it did not return"),
}


@pytest.mark.parametrize("case", CHEATS)
def test_a_strategy_that_changes_the_pool_is_refused(case: str, pool: Pool) -> None:
    change, message = CHEATS[case]
    assert message in refusal(after(change), pool)


def test_a_label_given_twice_is_refused_in_one_line(pool: Pool) -> None:
    promise = Promise(Mine(after(lambda pool: pool.label(pool.labelled[:1], FIVE[:1]))), pool)
    with pytest.raises(UserError, match="labelled already"):
        promise.strategy.query(pool, None, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize("labels", [None, FIVE])
def test_images_of_its_own_may_join_with_labels_or_without(labels: Tensor | None, pool: Pool) -> None:
    query = kept(Mine(lambda self, pool: Query(grown(pool, labels))), pool)
    assert query.indices.tolist() == [1437, 1438, 1439, 1440, 1441]


def test_images_of_its_own_come_in_the_order_in_which_a_resumed_run_labels_them(pool: Pool) -> None:
    line = refusal(lambda self, pool: Query(grown(pool, FIVE).flip(0)), pool)
    assert "in the same order" in line


@dataclass(slots=True)
class Slotted:
    count: int = 0


@dataclass
class Nested:
    inner: list[Any] = field(default_factory=lambda: [{"seen": set()}])


def trained(net: nn.Module) -> None:
    for parameter in net.parameters():
        parameter.data = parameter.data.clone()  # as a move to another device does
        parameter.detach().add_(0.1)


STATES: dict[str, tuple[object, Callable[[Any], Any]]] = {
    "a counter": (0, lambda self: setattr(self, "held", self.held + 1)),
    "something new": (None, lambda self: setattr(self, "fresh", 1)),
    "a list": ([], lambda self: self.held.append(1)),
    "a dict": ({}, lambda self: self.held.update(a=1)),
    "a value that gives way to its like": ([1], lambda self: self.held.__setitem__(0, torch.zeros(1))),
    "a network": (nn.Linear(2, 2), lambda self: trained(self.held)),
    "a network made inside": (None, lambda self: setattr(self, "held", nn.Linear(2, 2))),
    "a running mean": (nn.BatchNorm1d(2), lambda self: self.held(torch.rand(4, 2))),
    "a tensor": (torch.zeros(2), lambda self: self.held.add_(1)),
    "an array": (np.zeros(2), lambda self: self.held.__iadd__(1)),
    "Python's randomness": (random.Random(0), lambda self: self.held.random()),
    "NumPy's randomness": (np.random.default_rng(0), lambda self: self.held.random()),
    "NumPy's older randomness": (np.random.RandomState(0), lambda self: self.held.rand()),
    "torch's randomness": (torch.Generator(), lambda self: torch.rand(1, generator=self.held)),
    "slots": (Slotted(), lambda self: setattr(self.held, "count", 1)),
    "another strategy": (VAAL(small_vae), lambda self: setattr(self.held, "layers", 7)),
    "deep inside": (Nested(), lambda self: self.held.inner[0]["seen"].add(1)),
}


class Stateful(Mine):
    shared: list[int] = []  # noqa: RUF012

    def __init__(self, held: object, change: Callable[[Any], Any]) -> None:
        super().__init__(lambda self, pool: (change(self), Query(FIVE))[1])
        self.held = held


@pytest.mark.parametrize("case", STATES)
def test_what_a_strategy_would_lose_when_resumed_is_refused(case: str, pool: Pool) -> None:
    held, change = STATES[case]
    name = "fresh" if case == "something new" else "held"
    message = rf"^Stateful changed self\.{name}, which would be lost when the run is resumed: keep it inside query, or"
    with pytest.raises(UserError, match=message):
        kept(Stateful(held, change), pool)
    kept(Stateful(held, lambda self: None), pool)


def test_a_list_that_all_its_strategies_share_counts_too(pool: Pool) -> None:
    with pytest.raises(UserError, match=r"changed self\.shared"):
        kept(Stateful(None, lambda self: self.shared.append(1)), pool)


class Features:
    @cached_property
    def weights(self) -> Tensor:
        return torch.zeros(3)


@pytest.mark.parametrize(
    "held",
    [Once(lambda pool: pool.images.float().std()), nn.Linear(2, 2), Features(), float("nan"), [float("nan")], {1, 2}],
)
def test_what_follows_from_the_rest_may_stay(held: object, pool: Pool) -> None:
    def look(self: Any) -> None:
        if isinstance(self.held, Once):
            self.held(pool)
        if isinstance(self.held, nn.Module):
            self.held.eval().requires_grad_(False).to("cpu")
        if isinstance(self.held, Features):
            self.held.weights.sum()

    kept(Stateful(held, look), pool)
