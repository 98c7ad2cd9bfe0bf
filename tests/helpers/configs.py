"""Configurations as a command line composes them."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose, initialize_config_dir, version
from hydra.core.utils import setup_globals
from omegaconf import DictConfig

from alsuite import CONF
from alsuite.__main__ import loader
from alsuite.command.sweeps import Composer, lines_of

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


def composed(*overrides: str) -> DictConfig:
    """Return the configuration of a command line."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", [*overrides])


def composer() -> Composer:
    """Return what composes configurations as the command does."""
    version.setbase("1.3")
    setup_globals()
    return Composer(loader(None))


def lines(arguments: Sequence[str]) -> list[list[str]]:
    """Return a command line for each sweep that the arguments ask for."""
    return lines_of(arguments, composer())
