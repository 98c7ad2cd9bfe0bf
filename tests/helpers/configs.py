"""Configurations as a command line composes them."""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from alsuite import CONF

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
