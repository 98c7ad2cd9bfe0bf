"""The short command means the paper: what a strategy's paper used on each of its data sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hydra import version
from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf

from alsuite.__main__ import loader
from alsuite.command.papers import beyond_the_paper
from alsuite.command.sweeps import Composer

TENTH = {"budget.initial": 0.1, "budget.query": 0.05, "budget.end": 0.4, "initial": "uniform"}
ADAM = {"task_model.optimiser": "adam", "task_model.lr": 5e-4, "task_model.epochs": 100, "task_model.augment": "flip"}
GAME = {"strategy.batch": 64, "strategy.lr": 5e-4, "strategy.discriminator_lr": 5e-4, "strategy.epochs": 100}
TERMS = {"strategy.transductive": 1, "strategy.beta": 1, "strategy.discriminator_layers": 5, "generator": "vae"}
VAAL = {"task_model": "vgg16", "task_model.batch": 64, "task_model.epochs": 100, **TENTH, **GAME, **TERMS}
CIFAR = {**ADAM, "strategy.adversarial": 1, "generator.latent": 32}
LARGE = {"task_model.net.head": "vaal", "strategy.adversarial": 10, "generator.latent": 64}
IMAGENET = {"task_model.lr": 0.1, "strategy.lr": 5e-3, "strategy.discriminator_lr": 5e-3, "budget.end": 0.3}
DRN = {"task_model": "drn", "task_model.batch": 8, "task_model.lr": 1e-3, "task_model.epochs": 100}
RATES = {"strategy.batch": 8, "strategy.lr": 1e-3, "strategy.discriminator_lr": 1e-3}
PIXELS = {**DRN, **GAME, **TERMS, **RATES, "strategy.adversarial": 25, "generator.latent": 128, "initial": "uniform"}
ASSISTANT = {"strategy.ranking": 10, "strategy.margin": 0.1, "strategy.adversarial": 1, "strategy.assistant_layers": 3}
MODULES = {**GAME, "strategy.batch": 128, "generator": "feature_vae"}
AALU = {"task_model": "resnet18", "task_model.batch": 128, **ADAM, **TENTH, **ASSISTANT, **MODULES}
M2 = {"task_model": "m2", "task_model.vae.latent": 32, "task_model.discriminator_layers": 3}
THOUSANDS = {"budget.initial": 1000, "budget.query": 1000, "budget.end": 8000, "initial": "uniform"}
FIFTIES = {"budget.initial": 50, "budget.query": 50, "initial": "uniform"}
ADAM_1E3 = {"task_model.optimiser": "adam", "task_model.lr": 1e-3}
LINEAR = {"task_model": "linear", "task_model.epochs": 10, "task_model.loss": "cross_entropy", **ADAM_1E3}
TENS = {"task_model.batch": 10, "budget.query": 10, "budget.end": 500, "initial": "stratified"}
ASCENT = {"strategy.steps": 100, "strategy.lr": 0.01, "strategy.dimensions": 50, "generator": "wgan_gp"}
HINGE = {"task_model": "linear", "task_model.loss": "hinge"}
GAAL = {"task_model": "linear", "generator": "wgan_gp", "oracle": "annotator", "budget.end": 500}
LENET = {"task_model": "lenet", "task_model.batch": 50, "task_model.epochs": 10, **ADAM_1E3}
TO_10K = {"budget.initial": 100, "budget.query": 50, "budget.end": 10_000, "initial": "stratified"}
SGD = {"task_model.optimiser": "sgd", "task_model.lr": 0.01, "task_model.momentum": 0.9, "task_model.batch": 128}
DECAY = {"task_model.epochs": 150, "task_model.schedule": "steps", "task_model.milestones": [0.8667, 0.9333]}
ALL_CNN = {"task_model": "allcnn", **SGD, **DECAY}
TO_30K = {"budget.initial": 1000, "budget.query": 1000, "budget.end": 30_000, "initial": "stratified"}
RESIDUAL = {"generator": "res_wgan_ct", "strategy.batch": 100, "features": "rgb"}
FACES = {"task_model": "celeba_cnn", "task_model.batch": 50, "task_model.epochs": 30, **ADAM_1E3}
TO_2K = {"budget.initial": 100, "budget.query": 10, "budget.end": 2000, "initial": "proportional"}
CELEBA = {**FACES, **TO_2K, **ASCENT, "features": "rgb"}
REWARD = {"strategy.epsilon": 0.2, "strategy.alpha": 0.5, "strategy.weight": 0.1, "strategy.floor_reward": 0}
MADE = {"task_model": "svm_vgg", "generator": "acgan", "initial": "uniform"}
MARGINS = {"strategy.thresholds": [0.1, 0.15, 0.2, 0.25, 0.3]}


def made(n: int) -> dict[str, Any]:
    """Return a budget of n labelled images, and as many that are made."""
    return {**MADE, "budget.initial": n, "budget.query": n, "budget.end": 2 * n}


PAPERS: list[tuple[str, str, str, dict[str, Any]]] = [
    # strategy, data set, section or table, its values
    ("vaal", "cifar10", "4.1, table 3", VAAL | CIFAR),
    ("vaal", "cifar100", "4.1, table 3", VAAL | CIFAR),
    ("vaal", "caltech256", "4.1, table 3", VAAL | ADAM | LARGE),
    ("vaal", "imagenet", "4 and 4.1, d and lambda of table 3", VAAL | LARGE | IMAGENET),
    ("vaal", "cityscapes", "tables 2 and 3", PIXELS | {"budget.initial": 300, "budget.query": 150}),
    ("vaal", "bdd100k", "tables 2 and 3", PIXELS | {"budget.initial": 800, "budget.query": 400}),
    ("aalu", "cifar10", "4", AALU),
    ("aalu", "cifar100", "4", AALU),
    ("aalu", "svhn", "4", AALU),
    ("aalu", "caltech256", "4", AALU),
    ("m2_vaal", "fashion_mnist", "4.1, figure 2a", M2 | THOUSANDS | {"task_model.discriminator": "adversarial"}),
    ("m2_vaal_no_adv", "fashion_mnist", "4.1, figure 2a", M2 | THOUSANDS | {"task_model.discriminator": "detached"}),
    ("m2_alg1", "fashion_mnist", "4.1, figure 4", M2 | FIFTIES),
    ("m2_alg2", "fashion_mnist", "4.1, figure 4", M2 | FIFTIES),
    ("asal", "mnist57", "5.2, 5.3", LINEAR | TENS | ASCENT | {"features": "gray"}),
    ("asal_min_distance", "mnist57", "5.3, equation 1", LINEAR | TENS | ASCENT | HINGE),
    ("gaal", "mnist57", "5.3.1", GAAL),
    ("asal", "cifar10_two", "5.4", LINEAR | TENS | ASCENT | {"task_model.batch": 50, "budget.end": 1000}),
    ("asal_min_distance", "cifar10_two", "5.4, figure 22", HINGE | {"task_model.batch": 50, "features": "rgb"}),
    ("asal", "mnist", "5.5", LENET | TO_10K | ASCENT | {"features": "gray"}),
    ("asal", "cifar10", "5.6", ALL_CNN | TO_30K | ASCENT | RESIDUAL),
    ("asal", "celeba_hat", "A.2", CELEBA),
    ("asal", "celeba_bangs", "A.2", CELEBA),
    ("asal", "celeba_blond", "A.2", CELEBA),
    ("active_gan", "mnist", "evaluation settings, table 1", made(500) | REWARD),
    ("active_gan", "fashion_mnist", "evaluation settings, table 1", made(5000) | REWARD),
    ("active_gan", "cifar10", "evaluation settings, table 1", made(5000) | REWARD),
    ("active_gan", "tiny_imagenet", "evaluation settings, table 1", made(10_000) | REWARD | {"dataset.size": 32}),
    ("acgan", "cifar10", "evaluation settings, table 1", made(5000)),
    ("acgan_filtered", "cifar10", "image classification, table 1", made(5000) | MARGINS),
]

Composed = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def short() -> Composed:
    """What a short command is composed to."""
    version.setbase("1.3")
    setup_globals()
    composer = Composer(loader(None))
    return lambda *options: composer(composer.with_paper(options))


def value(config: DictConfig, key: str) -> Any:
    choices = config.hydra.runtime.choices
    found = choices[key] if key in choices else OmegaConf.select(config, key)
    return OmegaConf.to_container(found) if OmegaConf.is_list(found) else found


@pytest.mark.parametrize(("strategy", "dataset", "place", "values"), PAPERS)
def test_the_short_command_means_the_paper(
    short: Composed, strategy: str, dataset: str, place: str, values: dict[str, Any]
) -> None:
    config = short(f"strategy={strategy}", f"dataset={dataset}")
    assert {key: value(config, key) for key in values} == values, place


def test_every_pair_of_the_papers_is_in_the_table(short: Composed) -> None:
    strategies = {"vaal", "aalu", "m2_vaal", "m2_alg1", "asal", "gaal", "active_gan"}
    pairs = {(name, dataset) for name in strategies for dataset in short(f"strategy={name}").paper.pairs}
    assert pairs <= {(strategy, dataset) for strategy, dataset, *_ in PAPERS}


def test_every_paper_says_what_it_is(short: Composed) -> None:
    for strategy, *_ in PAPERS:
        paper = short(f"strategy={strategy}").paper
        assert all(paper[name] for name in ("title", "authors", "year", "address"))


def test_the_command_line_wins(short: Composed) -> None:
    config = short("strategy=vaal", "dataset=caltech256", "task_model=resnet18", "strategy.adversarial=3")
    assert config.hydra.runtime.choices.task_model == "resnet18"
    assert "head" not in config.task_model.net
    assert (config.strategy.adversarial, config.generator.latent) == (3, 64)
    assert short("strategy=vaal", "dataset=caltech256", "generator=feature_vae").generator.latent == 32
    assert short("strategy=vaal", "dataset=caltech256", "task_model.net.head=cifar").task_model.net.head == "cifar"


@pytest.mark.parametrize("more", ["task_model=vgg16", "generator=vae", "budget=vaal", "strategy.adversarial=10"])
def test_what_the_paper_says_can_be_said_again(short: Composed, more: str) -> None:
    config = short("strategy=vaal", "dataset=caltech256", more)
    assert (config.task_model.net.head, config.strategy.adversarial, config.generator.latent) == ("vaal", 10, 64)


@pytest.mark.parametrize(("dataset", "other"), [("mnist", "usps"), ("mnist57", "usps57")])
def test_another_test_set_leaves_the_setting_alone(short: Composed, dataset: str, other: str) -> None:
    plain = short(f"dataset={dataset}").hydra.runtime.choices
    choices = short(f"dataset={dataset}", f"+dataset@dataset.extra_tests.{other}={other}").hydra.runtime.choices
    assert all(choices[group] == plain[group] for group in ("task_model", "budget", "initial", "dataset"))


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


def test_an_experiment_keeps_its_setting_for_each_strategy(short: Composed) -> None:
    config = short("experiment=vaal_fig2_caltech256", "strategy=aalu")
    assert config.hydra.runtime.choices.task_model == "vgg16"
    theirs = short("experiment=aalu_fig2_caltech256", "strategy=vaal")
    assert theirs.hydra.runtime.choices.task_model == "resnet18"
    assert (theirs.strategy.adversarial, theirs.generator.latent) == (10, 64)


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
