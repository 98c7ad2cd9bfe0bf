"""A run before it starts: its resolved configuration, what was chosen, and the folder it lies in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from hydra.conf import HydraConf
from omegaconf import DictConfig, OmegaConf

from alsuite import CONF
from alsuite.command.identity import code_of, data_of
from alsuite.command.names import experiment_of
from alsuite.command.papers import key_of, parsed
from alsuite.errors import UserError, is_whole
from alsuite.recorded import INCIDENTAL, Options, Record

__all__ = ["Job", "as_given", "limited", "ours", "own_limits", "processes_of"]

TEMPLATES = ("fair", "features", "generator", "paper")  # their values stand again in what uses them
MADE_UP = "made up"  # in place of a hash
OF_SCALE = ("fast", "seeds", "stand_in")  # what a scale says beside its limits on a run


@dataclass(frozen=True)
class Job:
    """What a run is, before it is built.

    config: the configuration, resolved, as plain values; it can be sent to another process
    choices: group -> option, or the class that the command line put in its place
    folder: where its journal lies
    own: a folder of the user's own that configurations were looked for in first; alsuite's where there is none
    """

    config: Options
    choices: dict[str, str]
    folder: Path
    own: Path = CONF

    @classmethod
    def of(cls, config: DictConfig, hydra: HydraConf) -> Job:
        """Return the job of a composed configuration.

        Arguments:
            config: all but Hydra's own node; it is copied, with the scale's own limits of the experiment put in
            hydra: Hydra's own node, which knows the choices, the overrides and the folder
        """
        choices = {group: choice for group, choice in hydra.runtime.choices.items() if not group.startswith("hydra/")}
        config = config.copy()
        config.experiment = experiment_of(config, choices)
        config.scale = limited(config, hydra.overrides.task)
        values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        assert isinstance(values, dict)
        named = {str(key): value for key, value in values.items()}
        sources = {str(source.provider): source.path for source in hydra.runtime.config_sources}
        own = Path(sources.get("command-line") or CONF)
        return cls(named, choices | own_classes(hydra.overrides.task), Path(hydra.runtime.output_dir), own)

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def about(self) -> Record:
        """Return all that the result depends on beside the seed's draws: options, choices, code and data.

        Options that change no result are left out, and so are templates, whose values stand again in what uses them. So
        a run stays the same run when it is moved, described otherwise or drawn in another figure. Data that isn't here
        yet has no hash: see `begun_from`.
        """
        limits = {key: value for key, value in self.config["scale"].items() if key not in OF_SCALE}
        options = {**self.config, "scale": limits}
        config = {key: _without_folders(v) for key, v in options.items() if key not in (*INCIDENTAL, *TEMPLATES)}
        return {
            "config": config,
            "choices": self.choices,
            "code": code_of(config),
            "data": data_of(self.config["dataset"]),
        }

    def refuse_changes(self) -> None:
        """Refuse code or data that have changed since this job was read: seeds of one series would differ in them."""
        now = replace(self).about
        for what in ("code", "data"):
            if self.about[what] and now[what] not in ("", self.about[what]):
                raise UserError(f"its {what} changed after the command was given: give the same command again")

    def begun_from(self, made_up: bool) -> Record:
        """Return the same once the data is here.

        Arguments:
            made_up: whether pictures that a scale makes up stand in for it
        """
        data = MADE_UP if made_up else self.about["data"] or data_of(self.config["dataset"])
        return {**self.about, "data": data}

    def accuracy(self) -> float:
        """Return the last accuracy on the first test set that the journal tells; nan without a journal."""
        path = self.folder / "cycles.jsonl"
        if not path.exists():
            return float("nan")
        last = json.loads(path.read_bytes().splitlines()[-1])
        return next((test["accuracy"] for test in last["metrics"].values()), float("nan"))


def ours(config: DictConfig) -> DictConfig:
    """Return a configuration without what is Hydra's own."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def limited(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return the scale with the limits of the experiment's own at it, over which those win that the overrides give."""
    scale = OmegaConf.merge(config.scale, own_limits(config))
    assert isinstance(scale, DictConfig)
    return as_given(scale, config.scale, overrides)


def own_limits(config: DictConfig) -> Options:
    """Return the limits that an experiment has of its own at the chosen scale."""
    return (config.at_scale or {}).get(config.scale.name, {})


def as_given(scale: DictConfig, given: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return a scale, with what the overrides have set of another."""
    for key in map(key_of, parsed(overrides)):
        if key.startswith("scale."):
            name = key.removeprefix("scale.")
            OmegaConf.update(scale, name, OmegaConf.select(given, name), force_add=True)
    return scale


def processes_of(config: Options) -> int:
    """Return how many processes do a run."""
    numbers = [config.get(name, 1) for name in ("devices", "nodes")]
    for name, number in zip(("devices", "nodes"), numbers, strict=True):
        if not is_whole(number):
            raise UserError(f"{name}={number} is no number of {name}: give one from 1")
    return math.prod(numbers)


def own_classes(overrides: Sequence[str]) -> dict[str, str]:
    """Return group -> class where the command line names the class, as in `strategy._target_=mine.Mine`."""
    targets = [one for one in parsed([*overrides]) if one.get_key_element().endswith("._target_")]
    return {
        one.get_key_element().lstrip("+").split(".")[0]: one.get_value_element_as_str().rpartition(".")[2]
        for one in targets
        if one.get_key_element().count(".") == 1
    }


def _without_folders(value: object) -> object:
    """Return a configuration's values without those named `folder` or `ui`: where something is kept, and how a person
    is asked, changes no result."""
    if not isinstance(value, Mapping):
        return value
    return {key: _without_folders(part) for key, part in value.items() if key not in ("folder", "ui")}
