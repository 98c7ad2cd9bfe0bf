"""What the scripts share that try a grid of options: each option, its configuration, and the table of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import Tensor

from alsuite import CONF
from alsuite.command.papers import of_scale
from alsuite.files import write_text, written_whole
from alsuite.pool import Images
from alsuite.tasks import Task

__all__ = ["accuracy", "configured", "fill", "listed"]

KEYS = ("dataset", "options", "scale", "seed")  # of a table that `fill` fills


def listed(option: str) -> list[str]:
    """Return an option once for each of its values."""
    key, _, values = option.partition("=")
    return [f"{key}={value}" for value in values.split(",")]


def configured(*options: str) -> DictConfig:
    """Compose the configuration with these options, and the task model that the scale puts in the usual one's place."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        if not any(one.startswith("task_model=") for one in options):
            usual = compose("config", [*options], return_hydra_config=True)
            fast = of_scale(usual.scale, usual.hydra.runtime.choices)
            options = (*options, *(f"{group}={choice}" for group, choice in fast.items()))
        return compose("config", [*options])


def fill(
    table: Path,
    asked: Iterable[tuple[str, Sequence[str], int]],
    scale: str,
    measured: Callable[..., Mapping[str, object]],
    page: Callable[[pd.DataFrame], Iterable[str]],
) -> None:
    """Measure what the table lacks, a row each, and write the page beside it.

    asked: data set, options and seed
    measured: called with the seed and with all options
    """
    rows = pd.read_csv(table).to_dict("records") if table.exists() else []
    known = {tuple(str(row[key]) for key in KEYS) for row in rows}
    for dataset, chosen, seed in asked:
        about = dict(zip(KEYS, (dataset, " ".join(chosen), scale, str(seed)), strict=True))
        if tuple(about.values()) in known:
            continue
        rows.append({**about, **measured(seed, f"dataset={dataset}", f"scale={scale}", *chosen)})
        print(rows[-1], flush=True)
        with written_whole(table) as file:
            pd.DataFrame(rows).to_csv(file, index=False, float_format="%.4g")
    write_text(table.with_suffix(".md"), "\n".join(page(pd.DataFrame(rows))))
    print(table.with_suffix(".md"))


def accuracy(task: Task, images: Images, targets: Tensor) -> float:
    """Return the share of images that the task gets right."""
    return float((task.log_probs(images).argmax(1) == targets).float().mean())
