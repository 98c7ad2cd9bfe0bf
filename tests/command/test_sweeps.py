"""Which runs a command line leaves of an experiment's sweeps, and what it says over the experiment's own limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from alsuite.command.job import Job
from alsuite.command.narrowing import Sweep, narrowed
from helpers.configs import composer, jobs_with

TWO: list[Sweep] = [{"lr": ["0.1", "0.2"]}, {"batch": ["8", "16"]}]
REWARDS: list[Sweep] = [{"strategy": ["a"], "epsilon": ["0.0", "0.1"]}, {"strategy": ["a"], "alpha": ["0.0", "1.0"]}]
OTHERS: list[Sweep] = [{"strategy": ["full", "random"]}, {"strategy": ["asal"], "generator": ["dcgan", "wgan_gp"]}]


@pytest.mark.parametrize(
    ("sweeps", "given", "left"),
    [
        (REWARDS, {"strategy": ["a"], "alpha": ["0.0"]}, [{"strategy": ["a"], "alpha": ["0.0"]}]),
        (REWARDS, {"alpha": ["1"]}, [{"strategy": ["a"], "alpha": ["1.0"]}]),
        (REWARDS, {"alpha": ["0.5"]}, [{"strategy": ["a"]}]),
        (REWARDS, {"strategy": ["a"]}, REWARDS),
        (OTHERS, {"generator": ["dcgan"]}, [{"strategy": ["asal"], "generator": ["dcgan"]}]),
        (OTHERS, {"strategy": ["full"]}, [{"strategy": ["full"]}]),
        (OTHERS, {"strategy": ["new"]}, [{}]),
        (OTHERS, {"strategy": ["full"], "generator": ["dcgan"]}, [{"strategy": ["full"]}]),
        (OTHERS, {"budget": ["20"]}, OTHERS),
        (TWO, {"lr": ["1e-1"]}, [{"lr": ["0.1"]}]),
        (TWO, {"lr": ["0.3"]}, [{}]),
    ],
)
def test_what_is_given_leaves_the_sweeps_that_have_it(sweeps: list[Sweep], given: Sweep, left: list[Sweep]) -> None:
    assert narrowed(sweeps, given) == left


@pytest.fixture(scope="module")
def jobs() -> Callable[..., list[Job]]:
    return partial(jobs_with, composer())


@pytest.mark.slow
def test_what_an_experiment_limits_at_a_scale_reaches_all_that_is_made_of_it(jobs: Callable[..., list[Job]]) -> None:
    made = jobs("experiment=adversarial_fashion_mnist", "strategy=vaal", "scale=laptop", "protocol=paper", "seed=0")
    assert [(job.config["scale"]["steps"], job.config["strategy"]["limit"]) for job in made] == [(250, 250)]


@pytest.mark.slow
def test_the_command_line_wins_over_what_an_experiment_limits(jobs: Callable[..., list[Job]]) -> None:
    given = ["experiment=adversarial_fashion_mnist", "strategy=vaal", "scale=laptop", "protocol=paper"]
    made = jobs(*given, "seed=0", "scale.steps=20", "++scale.gan_steps.mnist=7")
    assert [(job.config["scale"]["steps"], job.config["strategy"]["limit"]) for job in made] == [(20, 20)]
    assert made[0].config["scale"]["gan_steps"]["mnist"] == 7
    assert made[0].config["scale"]["cycles"] == 5
    assert len(jobs(*given, "scale.seeds=1")) == 1
    assert len(jobs(*given, "seeds=7")) == 7


@pytest.mark.slow
@pytest.mark.slow
def test_an_experiment_may_have_more_seeds_at_a_scale_than_its_paper(jobs: Callable[..., list[Job]]) -> None:
    given = ("experiment=asal_fig14", "strategy=random")
    for options, seeds in ((("scale=laptop",), 10), (("scale=laptop", "scale.seeds=2"), 2), (("scale=smoke",), 1)):
        assert len(jobs(*given, *options)) == seeds


def test_each_of_several_scales_has_its_own_seeds(jobs: Callable[..., list[Job]]) -> None:
    counts = {
        scales: len(jobs("experiment=adversarial_fashion_mnist", "strategy=vaal", "protocol=paper", f"scale={scales}"))
        for scales in ("smoke", "laptop", "smoke,laptop", "laptop,smoke")
    }
    assert counts["smoke"] != counts["laptop"]
    assert counts["smoke,laptop"] == counts["laptop,smoke"] == counts["smoke"] + counts["laptop"]


@pytest.mark.slow
def test_strategies_that_are_compared_share_their_setting(jobs: Callable[..., list[Job]]) -> None:
    """A strategy alone has its paper's; of several the data set's own counts where their papers say unlike things."""
    compared = jobs("strategy=random,vaal", "dataset=cifar10", "seed=0")
    assert [job.config["dataset"]["validation"] for job in compared] == [0, 0]
    assert [job.config["dataset"]["validation"] for job in jobs("strategy=vaal", "dataset=cifar10")] == [5000]
    assert compared[1].folder.name == "dataset=cifar10,dataset.validation=0,seed=0,strategy=vaal"
    trained = jobs("strategy=acgan,active_gan", "dataset=mnist", "seed=0")
    assert [job.choices["task_model"] for job in trained] == ["svm_vgg"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["cifar10_two", "tiny_imagenet", "imagenet"])
def test_the_fair_protocol_trains_all_by_one_recipe(jobs: Callable[..., list[Job]], dataset: str) -> None:
    several = jobs("strategy=random", f"dataset={dataset}", "protocol=fair")
    several += jobs("strategy=vaal", f"dataset={dataset}", "protocol=fair", "task_model=vgg16")
    several += jobs("strategy=asal", f"dataset={dataset}", "protocol=fair", "task_model=vgg16")
    for node, options in (("task_model", ("batch", "lr", "epochs")), ("dataset", ("size", "validation"))):
        found = {tuple(job.config[node].get(option) for option in options) for job in several[node == "task_model" :]}
        assert len(found) == 1


def test_a_paper_that_is_given_is_the_one_that_counts(jobs: Callable[..., list[Job]]) -> None:
    assert jobs("strategy=vaal", "dataset=cifar10", "paper=none")[0].config["dataset"]["validation"] == 0


def test_no_fast_network_where_the_scale_is_to_have_none(jobs: Callable[..., list[Job]]) -> None:
    assert jobs("dataset=cifar10", "scale=laptop", "scale.fast=null")[0].choices["task_model"] == "vgg16"
