"""The short command means the paper: what a strategy's paper used on each of its data sets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from omegaconf import DictConfig, OmegaConf

from alsuite.command.papers import beyond_the_paper
from helpers.configs import composer

Composed = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def short() -> Composed:
    """What a short command is composed to."""
    compose = composer()
    return lambda *options: compose(compose.with_paper(options))


@pytest.mark.slow
def test_every_paper_says_what_it_is(short: Composed) -> None:
    for strategy in ("vaal", "aalu", "m2_vaal", "m2_alg1", "asal", "gaal", "active_gan", "acgan_filtered"):
        paper = short(f"strategy={strategy}").paper
        assert all(paper[name] for name in ("title", "authors", "year", "address"))


def test_the_command_line_wins(short: Composed) -> None:
    config = short("strategy=vaal", "dataset=caltech256", "task_model=resnet18", "strategy.adversarial=3")
    assert config.hydra.runtime.choices.task_model == "resnet18"
    assert "head" not in config.task_model.net
    assert (config.strategy.adversarial, config.generator.latent) == (3, 64)
    assert short("strategy=vaal", "dataset=caltech256", "generator=feature_vae").generator.latent == 32
    assert short("strategy=vaal", "dataset=caltech256", "task_model.net.head=cifar").task_model.net.head == "cifar"


@pytest.mark.parametrize(
    "more", ["task_model=vgg16", "generator=vae", "budget=vaal_caltech256", "strategy.adversarial=10"]
)
def test_what_the_paper_says_can_be_said_again(short: Composed, more: str) -> None:
    config = short("strategy=vaal", "dataset=caltech256", more)
    assert (config.task_model.net.head, config.strategy.adversarial, config.generator.latent) == ("vaal", 10, 64)


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "other"), [("mnist", "usps"), ("usps", "mnist")])
def test_another_test_set_leaves_the_setting_alone(short: Composed, dataset: str, other: str) -> None:
    plain = short(f"dataset={dataset}").hydra.runtime.choices
    choices = short(f"dataset={dataset}", f"+dataset@dataset.extra_tests.{other}={other}").hydra.runtime.choices
    assert all(choices[group] == plain[group] for group in ("task_model", "budget", "initial", "dataset"))


@pytest.mark.slow
def test_a_pair_of_no_paper_takes_what_is_usual_for_the_data_set(short: Composed) -> None:
    for strategy, dataset, network, budget in (
        ("vaal", "mnist", "lenet", "asal_mnist"),
        ("random", "cifar10", "vgg16", "vaal"),
        ("coreset", "celeba_hat", "celeba_cnn", "asal_celeba"),
        ("aalu", "fashion_mnist", "lenet", "m2vaal_1000"),
        ("random", "digits", "linear", "digits"),
    ):
        choices = short(f"strategy={strategy}", f"dataset={dataset}").hydra.runtime.choices
        assert (choices.task_model, choices.budget) == (network, budget)
    assert short("dataset=cifar10_two").task_model.batch == 50


@pytest.mark.parametrize(
    ("options", "held"),
    [
        (["strategy=vaal"], 5000),
        (["strategy=vaal", "protocol=fair"], 0),
        (["strategy=vaal", "dataset.validation=100"], 100),
        (["strategy=random"], 0),
        (["strategy=aalu"], 0),
        (["experiment=vaal_fig2_cifar10", "strategy=random"], 5000),
        (["experiment=aalu_fig2_cifar10", "strategy=vaal"], 0),
    ],
)
def test_a_pool_is_the_papers_and_a_fair_one_is_whole(short: Composed, options: list[str], held: int) -> None:
    assert short("dataset=cifar10", *options).dataset.validation == held


@pytest.mark.slow
def test_an_experiment_keeps_its_setting_for_each_strategy(short: Composed) -> None:
    config = short("experiment=vaal_fig2_caltech256", "strategy=aalu")
    assert config.hydra.runtime.choices.task_model == "vgg16"
    theirs = short("experiment=aalu_fig2_caltech256", "strategy=vaal")
    assert theirs.hydra.runtime.choices.task_model == "resnet18"
    assert (theirs.strategy.adversarial, theirs.generator.latent) == (10, 64)


@pytest.mark.parametrize(
    ("options", "network"),
    [
        (["strategy=vaal", "dataset=cifar10"], "fastnet"),
        (["strategy=asal", "dataset=cifar10"], "fastnet"),
        (["strategy=random", "dataset=tiny_imagenet", "protocol=fair"], "fastnet"),
        (["experiment=aalu_fig2_svhn", "strategy=vaal"], "fastnet"),
        (["experiment=segmentation_camvid", "strategy=vaal"], "lite_unet"),
        (["strategy=entropy", "dataset=camvid"], "lite_unet"),
        (["strategy=vaal", "dataset=caltech256"], "vgg16"),
        (["strategy=active_gan", "dataset=cifar10"], "svm_vgg"),
        (["strategy=m2_vaal", "dataset=cifar10"], "m2"),
        (["strategy=vaal", "dataset=cifar10", "task_model=resnet18"], "resnet18"),
        (["experiment=vaal_fig6", "strategy=vaal", "task_model=vgg16"], "vgg16"),
    ],
)
def test_the_laptop_scale_trains_a_fast_network_in_the_place_of_deep_ones(
    short: Composed, options: list[str], network: str
) -> None:
    config = short(*options, "scale=laptop")
    assert config.hydra.runtime.choices.task_model == network
    assert OmegaConf.to_container(config.task_model, resolve=True)
    assert short(*options).hydra.runtime.choices.task_model != "fastnet"


@pytest.mark.parametrize(("scale", "net"), [("paper", "image_vae"), ("laptop", "patch_vae")])
def test_the_laptop_scale_plays_with_a_vae_of_patches(short: Composed, scale: str, net: str) -> None:
    config = short("strategy=vaal", "dataset=caltech256", f"scale={scale}")
    assert config.strategy.vae._target_ == f"alsuite.nets.vae.{net}"
    assert config.strategy.vae.latent == 64


def test_a_name_leaves_out_what_the_paper_says() -> None:
    pairs = {"caltech256": {"task_model": "vgg16", "strategy.adversarial": 10}}
    options = {"strategy": "vaal", "task_model": "vgg16", "strategy.adversarial": "3"}
    told = {"strategy": "vaal", "strategy.adversarial": "3"}
    assert beyond_the_paper(options, pairs, "caltech256") == told
    assert beyond_the_paper(options, pairs, "cifar10") == options
    assert beyond_the_paper(options, None, "caltech256") == options


def test_a_name_keeps_what_the_paper_says_of_another_choice() -> None:
    pairs = {"caltech256": {"task_model": "vgg16", "task_model.net.head": "vaal", "generator.latent": 64}}
    options = {"task_model": "resnet18", "task_model.net.head": "vaal", "generator": "wide", "generator.latent": "64"}
    assert beyond_the_paper(options, pairs, "caltech256") == options
    assert beyond_the_paper({**options, "task_model": "vgg16"}, pairs, "caltech256").keys() == {*options} - {
        "task_model",
        "task_model.net.head",
    }
