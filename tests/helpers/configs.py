"""Configurations as a command line composes them."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose, initialize_config_dir, version
from hydra.core.utils import setup_globals
from omegaconf import DictConfig, read_write

from alsuite import CONF
from alsuite.command.job import Job, ours
from alsuite.command.sweeps import Composer, jobs_of, lines_of, loader

GROUPS = (
    "budget",
    "dataset",
    "features",
    "generator",
    "initial",
    "oracle",
    "protocol",
    "scale",
    "strategy",
    "task_model",
)

TRAIN_IMAGES = {
    "bdd100k": 7_000,
    "caltech256": 29_780 - 2_560,
    "camvid": 367,
    **dict.fromkeys(("celeba_bangs", "celeba_blond", "celeba_hat"), 162_770),
    **dict.fromkeys(("cifar10", "cifar100"), 50_000),
    "cifar10_two": 10_000,
    "cityscapes": 2_975,
    "digits": 1_437,
    "imagenet": 1_281_167,
    **dict.fromkeys(("mnist", "fashion_mnist"), 60_000),
    "mnist57": 5_421 + 6_265,
    "svhn": 73_257,
    "tiny_imagenet": 100_000,
    "usps": 7_291,
}
HELD = {("mnist57", 10_000): 1_921}  # of the training images of some classes, beside so many of all for validation


def composed(*overrides: str) -> DictConfig:
    """Return the configuration of a command line."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", [*overrides])


def composer() -> Composer:
    """Return what composes configurations as the command does."""
    version.setbase("1.3")
    setup_globals()
    return Composer(loader(None))


def jobs_with(composer: Composer, *arguments: str) -> list[Job]:
    """Return the jobs that a command line leads to."""
    configs = [composer(job) for job in jobs_of(arguments, composer)]
    for config in configs:
        with read_write(config.hydra), read_write(config.hydra.runtime):
            config.hydra.runtime.output_dir = config.hydra.sweep.subdir
    return [Job.of(ours(config), config.hydra) for config in configs]


def lines(arguments: Sequence[str]) -> list[list[str]]:
    """Return a command line for each sweep that the arguments ask for."""
    return lines_of(arguments, composer())
