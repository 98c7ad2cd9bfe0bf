"""Budgets in counts and fractions, and the initial draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from torch import Generator, Tensor

from alsuite.budget import Budget, biased, first_labels, proportional, stratified, uniform
from alsuite.command.setting import Parts, Setting
from alsuite.data.dataset import Split
from alsuite.data.digits import digits
from alsuite.errors import UserError
from helpers.configs import composed
from helpers.runs import UNCUT

DRAWS = {
    "uniform": uniform,
    "stratified": stratified,
    "proportional": proportional,
    "missing": partial(biased, missing=2),
    "only": partial(biased, only=[0, 3]),
}
REFUSED = {
    "end 101.*pool of 100 images: lower budget.end": Budget(10, 10, 101),
    "initial 300, end 300.*pool of 100 images: lower budget.initial": Budget(300, 10, 300),
    "lies below budget.initial": Budget(50, 10, 40),
    "budget.initial=0 buys nothing": Budget(0, 10, 40),
    "budget.query=0 buys nothing": Budget(10, 0, 40),
    "budget.query=-5 buys nothing": Budget(10, -5, 40),
    "budget.end=0.0 buys nothing": Budget(0.1, 0.1, 0.0),
    "budget.end=1.5 is neither": Budget(0.1, 0.1, 1.5),
    "budget.query=10.0 is neither": Budget(10, 10.0, 40),
}


@pytest.fixture
def targets() -> Tensor:
    """100 of class 0, 60 of class 1, 30 of class 2, 10 of class 3, mixed."""
    counts = torch.tensor([100, 60, 30, 10])
    return torch.arange(4).repeat_interleave(counts)[torch.randperm(200, generator=seed(9))]


def seed(value: int) -> Generator:
    return Generator().manual_seed(value)


def counts(targets: Tensor, chosen: Tensor) -> list[int]:
    return torch.bincount(targets[chosen], minlength=4).tolist()


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (Budget(20, 5, 300), Budget(20, 5, 300)),
        (Budget(0.1, 0.05, 0.4), Budget(100, 50, 400)),
        (Budget(1.0, 1, 1.0), Budget(1000, 1, 1000)),
        (Budget(20, 0.0001, 1.0), Budget(20, 1, 1000)),
    ],
)
def test_fractions_and_counts(budget: Budget, expected: Budget) -> None:
    assert budget.of(1000) == expected


def test_counts_shrink_with_a_pool_that_was_cut_and_fractions_follow_it() -> None:
    assert Budget(100, 50, 0.4).of(500, whole=5000) == Budget(10, 10, 200)
    assert Budget(10, 2, 500).of(500, whole=5000) == Budget(10, 2, 50)
    assert Budget(1000, 200, 8000).of(600, whole=60_000) == Budget(10, 10, 80)
    assert Budget(50, 50, 1000).of(60, whole=60_000) == Budget(10, 10, 20)


def test_fractions_are_of_all_training_images_the_held_out_ones_too() -> None:
    """VAAL's table 2: 5,000 and 2,500 of 50,000, where the pool has 45,000."""
    assert Budget(0.1, 0.05, 0.4).of(45_000, held=5_000) == Budget(5_000, 2_500, 20_000)
    assert Budget(1.0, 1, 1.0).of(45_000, held=5_000) == Budget(45_000, 1, 45_000)
    assert Budget(0.1, 100, 0.4).of(450, whole=45_000, held=5_000) == Budget(50, 10, 200)


def test_a_run_counts_the_images_that_its_data_set_holds_out() -> None:
    nothing: Any = None
    parts = Parts(nothing, uniform, Budget(0.1, 0.05, 0.4), nothing, nothing)
    half = len(digits().train.targets)
    sizes = Setting.cut(replace(digits(), held=half), None, UNCUT, parts, seed=0).budget
    assert sizes == Budget(*(round(share * 2 * half) for share in (0.1, 0.05, 0.4)))


def test_images_that_are_made_are_not_bounded_by_the_pool_and_the_first_labels_are() -> None:
    """ActiveGAN with all 20,000 images labelled makes 20,000 more."""
    assert Budget(100, 100, 200).of(100, endless=True) == Budget(100, 100, 200)
    assert Budget(1000, 1000, 2000).of(50, whole=1000, endless=True) == Budget(50, 50, 100)
    with pytest.raises(UserError, match=r"initial 101.*exceeds the pool of 100"):
        Budget(101, 10, 150).of(100, endless=True)


@pytest.mark.parametrize("message", REFUSED)
def test_refusals_name_the_option(message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        REFUSED[message].of(100)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("whole", [100, 1000])
def test_what_asks_for_nothing_ends_with_the_labels_that_are_known(whole: int) -> None:
    assert Budget(20, 5, 20).of(100, whole, known=50) == Budget(50, 5, 50)
    with pytest.raises(UserError, match=r"end \(20\) lies below the labels that are known \(50\): raise budget\.end"):
        Budget(10, 5, 20).of(100, known=50)
    assert Budget(1, 5, 1.0).of(100, whole, known=50).end == 100


@pytest.mark.parametrize(("cycles", "end"), [(1, 10), (3, 30), (100, 95), (None, 95)])
def test_cycles_cap_the_end(cycles: int | None, end: int) -> None:
    assert Budget(10, 10, 95).of(100, cycles=cycles).end == end


def test_next_fills_up_exactly_to_the_end() -> None:
    budget, labelled, sizes = Budget(10, 40, 95), 10, []
    while n := budget.next(labelled):
        sizes.append(n)
        labelled += n
    assert sizes == [40, 40, 5]
    assert budget.next(95) == budget.next(200) == 0


@pytest.mark.parametrize("name", DRAWS)
def test_draws_are_unique_in_range_and_follow_their_seed(targets: Tensor, name: str) -> None:
    draw: Callable[..., Tensor] = DRAWS[name]
    chosen = draw(targets, 40, seed(1))
    assert chosen.shape == chosen.unique().shape == (40,)
    assert 0 <= int(chosen.min()) <= int(chosen.max()) < 200
    assert torch.equal(draw(targets, 40, seed(1)), chosen)
    assert not torch.equal(draw(targets, 40, seed(2)), chosen)


def test_uniform_gives_each_sample_the_same_chance() -> None:
    drawn = torch.cat([uniform(torch.zeros(20), 5, seed(i)) for i in range(1000)])
    assert (torch.bincount(drawn, minlength=20) - 250).abs().max() < 60  # 4 standard deviations


@pytest.mark.parametrize("n", [4, 30, 40])
def test_stratified_counts_differ_by_at_most_one(targets: Tensor, n: int) -> None:
    found = counts(targets, stratified(targets, n, seed(0)))
    assert sum(found) == n
    assert max(found) - min(found) <= 1


def test_stratified_gives_the_remainder_to_chance(targets: Tensor) -> None:
    favoured = {tuple(counts(targets, stratified(targets, 5, seed(i)))) for i in range(40)}
    assert len(favoured) == 4


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (20, [10, 6, 3, 1]),
        (10, [5, 3, 2, 0]),  # exact 5, 3, 1.5, 0.5: the first of the equal remainders
        (7, [4, 2, 1, 0]),  # exact 3.5, 2.1, 1.05, 0.35
        (200, [100, 60, 30, 10]),
    ],
)
def test_proportional_is_by_largest_remainders(targets: Tensor, n: int, expected: list[int]) -> None:
    assert counts(targets, proportional(targets, n, seed(0))) == expected


def test_missing_classes_are_wholly_missing_and_chosen_by_chance(targets: Tensor) -> None:
    absent = set()
    for i in range(20):
        found = counts(targets, biased(targets, 90, seed(i), missing=1))
        absent.add(tuple(label for label in range(4) if not found[label]))
    assert all(len(labels) == 1 for labels in absent)
    assert len(absent) > 2


def test_only_the_named_classes(targets: Tensor) -> None:
    found = counts(targets, biased(targets, 50, seed(0), only=[1, 3]))
    assert found[0] == found[2] == 0
    assert found[1] > 0 < found[3]


def test_named_classes_take_the_place_of_missing_ones(targets: Tensor) -> None:
    drawn = biased(targets, 5, seed(0), only=[3], missing=9)
    assert torch.equal(drawn, biased(targets, 5, seed(0), only=[3]))


@pytest.mark.parametrize("draw", [stratified, proportional])
def test_the_order_of_a_draw_tells_no_class(targets: Tensor, draw: Callable[..., Tensor]) -> None:
    drawn = targets[draw(targets, 40, seed(0))]
    assert (drawn.diff() < 0).any()


def test_a_draw_by_images_sees_those_alone_that_nobody_knows() -> None:
    def brightest(targets: Tensor, n: int, generator: Generator, images: Tensor) -> Tensor:
        return images.flatten(1).sum(1).argsort(descending=True)[:n]

    images = torch.arange(8, dtype=torch.uint8).view(8, 1, 1, 1)
    targets = torch.tensor([-1, 0, -1, -1, -1, -1, 1, 0])
    assert first_labels(brightest, Split(images, targets, told=True), 6, seed=0).tolist() == [1, 6, 7, 5, 4, 3]


def test_draws_that_the_classes_cannot_fill_are_refused(targets: Tensor) -> None:
    with pytest.raises(UserError, match=r"11 samples of class 3, which has 10: lower budget\.initial"):
        stratified(targets, 44, seed(0))
    with pytest.raises(UserError, match="asks for 80 samples but its classes hold 70"):
        biased(targets, 80, seed(0), only=[1, 3])
    with pytest.raises(UserError, match=r"initial\.missing=4 leaves no part of the 4 classes"):
        biased(targets, 10, seed(0), missing=4)
    with pytest.raises(UserError, match=r"initial\.only names 99, which is no class's number"):
        biased(targets, 10, seed(0), only=[2, 99])
    with pytest.raises(UserError, match=r"initial\.only=3 is no list: write it as \[3\]"):
        biased(targets, 10, seed(0), only=3)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"initial\.missing=1\.5 must be a whole number from 0"):
        biased(targets, 10, seed(0), missing=1.5)  # type: ignore[arg-type]


def test_named_classes_come_from_the_configuration(targets: Tensor) -> None:
    config = composed("initial=biased", "initial.only=[1,3]", "initial.missing=0")
    found = counts(targets, instantiate(config.initial)(targets, 50, seed(0)))
    assert found[0] == found[2] == 0
