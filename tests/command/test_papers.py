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

ADAM_5E4 = {"task_model.optimiser": "adam", "task_model.lr": 5e-4, "task_model.epochs": 100}
TENTH = {"budget.initial": 0.1, "budget.query": 0.05, "budget.end": 0.4}
GAME = {"strategy.batch": 64, "strategy.lr": 5e-4, "strategy.discriminator_lr": 5e-4, "strategy.epochs": 100}
VAAL = {"task_model": "vgg16", "task_model.batch": 64, **TENTH, "initial": "uniform", "strategy.transductive": 1}
ASSISTANT = {"strategy.ranking": 10, "strategy.margin": 0.1, "strategy.batch": 128, "strategy.lr": 5e-4}
AALU = {"task_model": "resnet18", "task_model.batch": 128, **ADAM_5E4, **TENTH, **ASSISTANT}
LARGE = {"task_model.net.head": "vaal", "strategy.adversarial": 10, "generator.latent": 64}
LINEAR = {"task_model": "linear", "task_model.optimiser": "adam", "task_model.lr": 1e-3, "task_model.epochs": 10}
ASCENT = {"strategy.steps": 100, "strategy.dimensions": 50, "generator": "wgan_gp"}
CELEBA = {"task_model": "celeba_cnn", "task_model.batch": 50, "budget.initial": 100, "budget.query": 10, **ASCENT}
REWARD = {"strategy.epsilon": 0.2, "strategy.alpha": 0.5, "strategy.weight": 0.1, "strategy.hidden": [100, 50, 25]}
MADE = {"task_model": "svm_vgg", **REWARD, "generator": "acgan"}

PAPERS: list[tuple[str, str, str, dict[str, Any]]] = [
    # strategy, data set, section or table, its values
    ("vaal", "cifar10", "4.1, table 3", VAAL | ADAM_5E4 | GAME | {"strategy.adversarial": 1, "generator.latent": 32}),
    ("vaal", "cifar100", "4.1, table 3", VAAL | ADAM_5E4 | GAME | {"strategy.adversarial": 1, "generator.latent": 32}),
    ("vaal", "caltech256", "4.1, table 3", VAAL | ADAM_5E4 | GAME | LARGE),
    ("vaal", "imagenet", "4.1, table 3", VAAL | LARGE | {"task_model.lr": 0.1, "strategy.lr": 5e-3}),
    ("aalu", "cifar10", "4", AALU),
    ("aalu", "cifar100", "4", AALU),
    ("aalu", "svhn", "4", AALU),
    ("aalu", "caltech256", "4", AALU),
    (
        "m2_vaal",
        "fashion_mnist",
        "4.1, figure 2a",
        {"task_model": "m2", "budget.initial": 1000, "budget.query": 1000, "budget.end": 8000},
    ),
    ("m2_alg1", "fashion_mnist", "4.2, figure 4", {"task_model": "m2", "budget.initial": 50, "budget.query": 50}),
    ("m2_alg2", "fashion_mnist", "4.2, figure 4", {"task_model": "m2", "budget.initial": 50, "budget.query": 50}),
    (
        "asal",
        "mnist57",
        "5.3",
        LINEAR | ASCENT | {"task_model.batch": 10, "budget.query": 10, "budget.end": 500, "initial": "stratified"},
    ),
    ("asal_min_distance", "mnist57", "5.3, equation 1", LINEAR | {"task_model.loss": "hinge", "budget.end": 500}),
    ("gaal", "mnist57", "5.3.1", LINEAR | {"generator": "wgan_gp", "oracle": "annotator", "budget.end": 500}),
    (
        "asal",
        "cifar10_two",
        "5.4",
        LINEAR | ASCENT | {"task_model.batch": 50, "budget.query": 10, "budget.end": 1000},
    ),
    (
        "asal",
        "mnist",
        "5.5",
        {"task_model": "lenet", "task_model.batch": 50, "task_model.epochs": 10, "budget.initial": 100}
        | {"budget.query": 50, "budget.end": 10_000, "initial": "stratified"}
        | ASCENT,
    ),
    (
        "asal",
        "cifar10",
        "5.6",
        {"task_model": "allcnn", "task_model.batch": 128, "task_model.epochs": 150, "task_model.lr": 0.01}
        | {"task_model.optimiser": "sgd", "task_model.momentum": 0.9, "strategy.batch": 100}
        | {"budget.initial": 1000, "budget.query": 1000, "budget.end": 30_000}
        | ASCENT,
    ),
    ("asal", "celeba_hat", "A.2", CELEBA),
    ("asal", "celeba_bangs", "A.2", CELEBA),
    ("asal", "celeba_blond", "A.2", CELEBA),
    ("active_gan", "mnist", "evaluation settings", MADE | {"budget.initial": 500, "budget.query": 500}),
    ("active_gan", "fashion_mnist", "evaluation settings", MADE | {"budget.initial": 5000}),
    ("active_gan", "cifar10", "evaluation settings", MADE | {"budget.initial": 5000}),
    ("active_gan", "tiny_imagenet", "evaluation settings", MADE | {"budget.initial": 10_000, "dataset.size": 32}),
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
