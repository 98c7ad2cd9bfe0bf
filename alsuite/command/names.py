"""How the folders of runs are called: <root>/<experiment>/<scale>/<what the command line chose>.

Hydra asks for these names by resolvers, as in `${alsuite.run_name:}`, which `hydra_plugins.alsuite` registers: in every
program of Hydra's, so that they bear our name. The name of a run is all that tells it apart from others of its
experiment, so it must never depend on what changes no result.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence

from omegaconf import DictConfig, OmegaConf

from alsuite.command.papers import Pairs, beyond_the_paper, parsed
from alsuite.recorded import INCIDENTAL

__all__ = ["ADHOC", "RESOLVERS", "experiment_of", "run_name", "shortened"]

ADHOC = "adhoc"
UNTOLD = (*INCIDENTAL, "scale.seeds", "experiment", "scale")  # change no result, or stand in the folders above
LONGEST = 200  # bytes of a folder's name, of the 255 that file systems take


def experiment_of(config: DictConfig, choices: Mapping[str, object]) -> str:
    """Return the folder under the root: what the configuration says, else the name of the experiment's file."""
    chosen = choices.get("experiment")
    return config.experiment if config.experiment != ADHOC or not chosen else str(chosen).rpartition("/")[2]


def run_name(overrides: Sequence[str], pairs: Pairs | None = None, dataset: str = "") -> str:
    """Return what tells a run apart: a name of its own, that every system takes.

    It leaves out what changes no result, and what says no more than the strategy's paper does on the data set. What has
    signs that no folder may have, or is too long, ends in a hash of the whole.

    Arguments:
        overrides: the options of the command line
        pairs: what the strategy's paper used on each data set; None within an experiment, which has settings of its own
        dataset: the one that was chosen
    """
    options = {one.get_key_element().lstrip("+~"): _shown(one.get_value_element_as_str()) for one in parsed(overrides)}
    told = beyond_the_paper(options, pairs, dataset)
    kept = [f"{key}={value}" for key, value in sorted(told.items()) if key not in UNTOLD]
    exact = ",".join(kept)
    safe = re.sub(r"[^\w=.,+\-\[\]{}@]", "_", exact)
    if safe == exact and len(safe.encode()) <= LONGEST:
        return safe or "default"
    return _hashed(safe, LONGEST, exact)


def shortened(name: str, most: int) -> str:
    """Return a name of so many bytes at most; one that is longer ends in a hash of the whole."""
    return name if len(name.encode()) <= most else _hashed(name, most - 9, name)


def _hashed(name: str, most: int, whole: str) -> str:
    shown = name.encode()[:most].decode(errors="ignore")
    return f"{shown}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _shown(value: str) -> str:
    """Return a value without the quotes that Hydra's grammar wanted around it."""
    return value.strip("'\"")


def _experiment_folder(*, _root_: DictConfig) -> str:
    """Return the folder of an experiment's runs at its scale, for `${alsuite.experiment_folder:}`."""
    experiment = experiment_of(_root_, _root_.hydra.runtime.choices)
    return f"{_root_.root}/{experiment}/{_root_.scale.name}"


def _run_name(*, _root_: DictConfig) -> str:
    """Return the name of a run's folder, for `${alsuite.run_name:}`."""
    choices = _root_.hydra.runtime.choices
    pairs = None if choices.get("experiment") else OmegaConf.select(_root_, "paper.pairs")
    return run_name([*_root_.hydra.overrides.task], pairs, choices.dataset)


def _sweep_or_run(sweeps: Sequence[object]) -> str | None:
    """Return Hydra's mode of a configuration that lists sweeps, for `${alsuite.sweep_or_run:}`."""
    return "MULTIRUN" if sweeps else None


RESOLVERS: dict[str, Callable[..., object]] = {
    "alsuite.experiment_folder": _experiment_folder,
    "alsuite.run_name": _run_name,
    "alsuite.sweep_or_run": _sweep_or_run,
    "alsuite.or": lambda value, other: value or other,
}
