"""Imbalanced training sets: how many images each class keeps, which, and that a run starts from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from alsuite.command.setting import Parts, Setting
from alsuite.data import Dataset, Split
from alsuite.data.digits import digits
from alsuite.data.imbalanced import imbalanced, shares
from alsuite.errors import UserError
from helpers.configs import composed


def level(classes: int = 5, each: int = 100, held: int = 0) -> Dataset:
    """A data set of as many images of each class, each of which shows its own number."""
    n = classes * each
    images = torch.arange(n).view(n, 1, 1, 1).expand(n, 1, 2, 2).to(torch.int16)
    split = Split(images, torch.arange(n) % classes)
    return Dataset("level", split, {"test": split}, tuple("abcdefghij"[:classes]), None, (0.5,), (0.25,), held)


def counts(dataset: Dataset) -> list[int]:
    return torch.bincount(dataset.train.targets, minlength=len(dataset.classes)).tolist()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"ratio": 0.01, "kind": "exp"}, [100, 32, 10, 3, 1]),
        ({"ratio": 0.1}, [100, 56, 32, 18, 10]),
        ({"ratio": 0.1, "kind": "step"}, [100, 100, 100, 10, 10]),
        ({"ratio": 1, "kind": "exp"}, [100] * 5),
        ({"ratio": 1e-6, "kind": "step"}, [100, 100, 100, 1, 1]),
    ],
)
def test_each_class_keeps_its_share_and_one_image_at_the_least(options: dict[str, Any], expected: list[int]) -> None:
    whole = level()
    thinned = imbalanced(whole, options)
    assert counts(thinned) == expected
    assert thinned.tests is whole.tests
    kept = thinned.train.images[:, 0, 0, 0].long()
    assert torch.equal(thinned.train.targets, whole.train.targets[kept])
    assert torch.equal(kept, kept.sort().values)


def test_a_class_that_is_rarer_already_keeps_a_share_of_its_own() -> None:
    found, before = counts(imbalanced(digits(), {"ratio": 0.2, "kind": "step"})), counts(digits())
    assert found == [n if label < 5 else round(0.2 * n) for label, n in enumerate(before)]


def test_half_of_an_even_number_of_classes_is_thinned_by_a_step() -> None:
    assert shares("step", 0.5, 4) == [1, 1, 0.5, 0.5]
    assert shares("exp", 0.5, 2) == [1, 0.5]


def test_which_images_stay_is_drawn_once_and_for_all() -> None:
    some, more = (imbalanced(level(), {"ratio": ratio}).train.images[:, 0, 0, 0] for ratio in (0.1, 0.5))
    assert torch.equal(some, imbalanced(level(), {"ratio": 0.1}).train.images[:, 0, 0, 0])
    assert torch.isin(some, more).all()
    tail = some[some % 5 == 4]
    assert tail.tolist() != [4 + 5 * i for i in range(len(tail))]  # not the first ones


def test_what_is_held_out_counts_as_thinned_as_much() -> None:
    assert imbalanced(level(held=50), {"ratio": 0.1, "kind": "step"}).held == 32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            0.1,
            r"imbalance=0\.1 must have a ratio, .* nothing else: write it as imbalance=\{ratio: 0\.1, kind: exp\}",
        ),
        ({"kind": "exp"}, "must have a ratio, may have a kind"),
        ({"ratio": 0.1, "sort": "exp"}, "must have a ratio, may have a kind"),
        ({"ratio": 0}, r"imbalance\.ratio=0 must be a number above 0"),
        ({"ratio": "few"}, r"imbalance\.ratio=few must be a number above 0"),
        ({"ratio": 2}, r"imbalance\.ratio=2 is no share of a class: give a number up to 1"),
        ({"ratio": 0.1, "kind": "linear"}, r"imbalance\.kind=linear is unknown: choose one of exp, step"),
    ],
)
def test_what_is_no_imbalance_is_refused(options: object, message: str) -> None:
    with pytest.raises(UserError, match=f"{message}"):
        imbalanced(level(), options)


def test_masks_and_images_without_a_label_are_refused() -> None:
    whole = level()
    masks = replace(whole, train=replace(whole.train, targets=torch.zeros(500, 2, 2, dtype=torch.uint8)))
    with pytest.raises(UserError, match="these have a label per pixel: leave it out"):
        imbalanced(masks, {"ratio": 0.1})
    unknown = replace(whole, train=replace(whole.train, targets=torch.full((500,), -1)))
    with pytest.raises(UserError, match="some here have no label: leave it out"):
        imbalanced(unknown, {"ratio": 0.1})


def setting(*options: str) -> Setting:
    config: Any = OmegaConf.to_container(composed("scale=smoke", *options), resolve=True)
    choices = {"dataset": "mnist" if "dataset=mnist" in options else "digits", "oracle": "ideal"}
    return Setting.of(config, choices, Parts.of(config))


def test_a_run_starts_from_it_before_the_scale_cuts_it() -> None:
    whole = counts(imbalanced(digits(), {"ratio": 0.1}))
    found = setting("imbalance={ratio: 0.1, kind: exp}", "scale.pool=null")
    assert found.facts()["pool_counts"] == whole
    assert found.whole == sum(whole)
    cut = setting("imbalance={ratio: 0.1, kind: exp}")
    assert (cut.whole, len(cut.dataset.train.targets)) == (sum(whole), 500)
    assert setting().whole == 1437


def test_pictures_that_are_made_up_stand_for_as_small_a_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path))
    found = setting("dataset=mnist", "imbalance={ratio: 0.1, kind: step}")
    assert found.made_up
    assert found.whole == pytest.approx(60_000 * 0.55, rel=0.05)
