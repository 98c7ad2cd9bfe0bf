"""Runs from parts that a test makes, without a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alsuite.command.machine import choose_device
from alsuite.command.run import perform as run
from alsuite.command.setting import Parts, Setting
from alsuite.command.shown import Shown
from alsuite.data import Dataset

__all__ = ["UNCUT", "perform"]

UNCUT = {"pool": None, "test": None, "side": None, "cycles": None}


def perform(
    about: Mapping[str, Any],
    folder: Path,
    *,
    dataset: Dataset,
    seed: int,
    scale: Mapping[str, Any] = UNCUT,
    device: str = "cpu",
    wandb: str = "disabled",
    show: Shown = lambda record, cycles, old: None,
    enlarge: int | None = None,
    **parts: Any,
) -> None:
    """Run with these parts: task_model, initial, budget, oracle and strategy."""
    made = Parts(**parts)
    setting = Setting.cut(dataset, None, scale, made, seed, enlarge)
    run(about, folder, setting, made, seed, choose_device(device), wandb, show)
