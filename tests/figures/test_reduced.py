"""What a figure's face says of a reduced scale, read from the configuration that each run has stored."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from omegaconf import OmegaConf

from alsuite.figures.reduced import CODE, MADE, images, reductions
from alsuite.results.statistics import RUN
from helpers.configs import composed

WHOLE = {"scale": "paper", "labelled": 20_000, "whole": 45_000, "pool": 45_000, "dataset": "cifar10", "seed": 0}


def told(**changes: Any) -> list[str]:
    """Return what is said of one run that does all that its paper does, but for some changes."""
    row = {**dict.fromkeys(RUN, "of one kind"), **WHOLE, **changes}
    return reductions(pd.DataFrame([{**row, "labelled": 10}, row]))


def test_nothing_is_said_of_a_run_that_leaves_nothing_out() -> None:
    steps = {"strategy.limit": 90_000, "strategy.epochs": 100, "strategy.batch": 128, "budget.initial": 0.1}
    assert told(**{"task_model.epochs": 150, "budget.end": 20_000, "task_model.net.width": 2.0, **steps}) == []


def test_of_chosen_classes_what_they_hold_counts() -> None:
    two = {"dataset.classes": [1, 7], "pool": 9_000, "whole": 9_000, "labelled": 4_000}
    assert told(**two, **{"budget.end": 0.4, "dataset.validation": 5_000, "held": 1_000}) == []
    assert told(**{**two, "dataset": "tiny_imagenet"}) == []


def test_an_enlarged_pool_has_copies_of_what_there_is() -> None:
    changes: dict[str, Any] = {"pool": 160_000, "whole": 160_000, "enlarge": 160_000, "dataset": "celeba_hat"}
    epochs = {f"{CODE}.limit": 100, f"{CODE}.epochs.celeba": 19.66, f"{CODE}.batch": 64}
    assert told(**changes, **epochs) == ["100 of 50,015 iterations of the auto-encoder"]


def test_what_differs_in_the_whole_alone_is_said_once() -> None:
    same = {**dict.fromkeys(RUN, "of one kind"), **WHOLE, "task_model.limit": 10}
    options = ("run", "task_model.epochs", "task_model.net.width")
    rows = [
        {**same, **dict(zip(options, its, strict=True))} for its in (("a", 150, 1), ("b", 90, 0.25), ("c", 1200, 1))
    ]
    assert reductions(pd.DataFrame(rows)) == ["10 of 90 to 1,200 epochs", "networks of 1/4 width"]


def test_of_several_limits_it_is_said_whose_each_is() -> None:
    same = {**dict.fromkeys(RUN, "of one kind"), **WHOLE, f"{MADE}.iterations": 100_000, f"{MADE}.limit": 3_000}
    other = {**same, "run": "b", f"{MADE}.limit": 2_000}
    shorter, longer = (f"{limit},000 of 100,000 iterations of the generator" for limit in (2, 3))

    def both(**changes: str) -> list[str]:
        return reductions(pd.DataFrame([{**same, "generator": "dcgan"}, {**other, **changes}]))

    assert both(generator="dcgan", dataset="mnist") == [f"{longer} (CIFAR-10)", f"{shorter} (MNIST)"]
    assert both(generator="wgan_gp") == [f"{longer} (DCGAN)", f"{shorter} (WGAN-GP)"]
    assert both(generator="dcgan") == [longer, shorter]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"pool": 9_000}, "9,000 of 45,000 images"),
        ({"side": 16}, "images scaled down to 16 pixels a side at most"),
        ({"pool": 9_000, "whole": 9_000, "dataset": "tiny_imagenet"}, "9,000 of 100,000 images"),
        ({"task_model.net.width": 0.25}, "networks of 1/4 width"),
        ({"strategy.vae.width": 0.0625}, "VAEs of 1/16 width"),
        ({"task_model.limit": 10, "task_model.epochs": 150}, "10 of 150 epochs"),
        ({f"{MADE}.limit": 3_000, f"{MADE}.iterations": 100_000}, "3,000 of 100,000 iterations of the generator"),
        (
            {f"{CODE}.limit.default": 900, f"{CODE}.epochs.default": 100, f"{CODE}.batch": 100},
            "900 of 45,000 iterations of the auto-encoder",
        ),
        ({f"{CODE}.net.width": 0.25}, "auto-encoders of 1/4 width"),
        (
            {
                "task_model.epoch_of": "unlabelled",
                "task_model.steps": 200,
                "task_model.epochs": 10,
                "task_model.batch": 64,
            },
            "200 of 7,040 steps of M2",
        ),
        ({"strategy.rewarded": 32, f"{MADE}.batch.cifar10": 100}, "32 of 100 images of a batch rewarded"),
        ({"strategy.standardise": True}, "features of unit spread for AALU's VAE"),
        ({"task_model.features.side": 32}, "32 of 64 pixels a side for VGG-16"),
        ({f"{MADE}.limit.default": 30, f"{MADE}.iterations": 100}, "30 of 100 iterations of the generator"),
        (
            {"scale": "laptop", "task_model": "fastnet"},
            "fastnet in the place of a deep network (shifts, flips, smoothed labels, test images mirrored, too)",
        ),
        (
            {"scale": "laptop", "task_model": "fastnet", "task_model.epochs": 22, "task_model.epochs_at": 5_000},
            "fastnet in the place of a deep network (shifts, flips, smoothed labels, test images mirrored, too; "
            "22 epochs of 5,000 labels, fewer of more)",
        ),
        ({"scale": "laptop", "task_model": "lite_unet"}, "a decoder on an ImageNet-pretrained encoder"),
        (
            {"strategy._target_": "alsuite.strategies.dal.DAL", "strategy.limit": 1_000, "strategy.epochs": 1_000}
            | {"strategy.batch": 64},
            "at most 1,000 steps of each discriminator",
        ),
        ({"strategy.vae._target_": "alsuite.nets.vae.patch_vae"}, "VAEs of patches of 4 x 4 pixels"),
        ({"labelled": 10_000, "budget.end": 20_000}, "10,000 of 20,000 labels"),
        ({"labelled": 9_000, "budget.end": 0.4, "dataset.validation": 5_000}, "9,000 of 20,000 labels"),
    ],
)
def test_what_is_left_of_it_is_said(changes: dict[str, Any], text: str) -> None:
    assert told(**changes) == [text]


def test_steps_of_a_game_are_those_of_so_many_epochs_of_what_has_no_label() -> None:
    game = {"strategy.epochs": 100, "strategy.batch": 128, "budget.initial": 0.1, "dataset.validation": 5_000}
    assert told(**{"strategy.limit": 1_000, **game}) == ["1,000 of 31,300 steps of the game"]


def test_all_labels_of_a_pool_are_none_too_few() -> None:
    """Though shares of labels count the images that are set aside for validation."""
    assert told(**{"labelled": 45_000, "budget.end": 1.0, "dataset.validation": 5_000}) == []


def test_images_are_counted_with_those_set_aside() -> None:
    assert images({"pool": 4_500, "whole": 45_000, "dataset.validation": 5_000}) == 5_000


def test_a_generator_stands_where_its_limit_is_read() -> None:
    config = composed("strategy=asal", "dataset=mnist57", "generator=wgan_gp", "scale=laptop")
    for option in ("limit.mnist", "iterations.mnist57", "net.width"):
        assert OmegaConf.select(config, f"{MADE}.{option}") is not None
