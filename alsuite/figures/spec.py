"""What a figure is made of, as its experiment lists it under `figure:`; the fields are told in `alsuite.figures`."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from alsuite import CONF
from alsuite.errors import UserError
from alsuite.figures.kinds import KINDS, Kind
from alsuite.figures.names import name_of
from alsuite.recorded import Options, Record
from alsuite.results import key_of
from alsuite.results.measures import factor, largest

__all__ = [
    "METRICS",
    "Panel",
    "bare",
    "description_of",
    "is_figure",
    "most",
    "own_folder",
    "panels_of",
    "read_panels",
    "seeds_of",
    "with_swept",
]

METRICS = ("accuracy", "macro_f1", "mean_iou")
TUPLES = ("series", "published", "rows")


@dataclass(frozen=True)
class Panel:
    """One panel: which runs it shows, and how; `alsuite.figures` tells what the fields mean."""

    kind: str
    title: str = ""
    experiment: str = ""
    where: Options = field(default_factory=dict)
    series: tuple[str, ...] = ("strategy",)
    names: Mapping[str, str] = field(default_factory=dict)
    published: tuple[str | Options, ...] = ()
    x: str = "labelled"
    since: float = 0
    y: str = "accuracy"
    at: str | int = "final"
    cycle: int = 0
    rows: tuple[str, ...] = ()
    columns: int = 10
    varied: Options = field(default_factory=dict)  # the values of `for_each` that are this panel's own
    swept: tuple[Options, ...] = ()  # what the experiment's sweeps make of its series: columns -> values of each

    @property
    def of(self) -> Kind:
        """Return what its kind says of it."""
        return KINDS[self.kind]

    @property
    def curved(self) -> bool:
        """Tell whether it shows learning curves."""
        return self.of.shows == "curves"


FIELDS = [one.name for one in fields(Panel) if one.name not in ("varied", "swept")]


def read_panels(stem: str, configuration: Path = CONF) -> list[Panel]:
    """Read the panels that `experiment/STEM.yaml` lists; each knows the folder of its runs."""
    spec = _merged(stem, configuration)
    if not spec.get("figure"):
        raise UserError(f"experiment/{stem}.yaml describes no figure: add a list of panels under `figure:`")
    return with_swept(panels_of(spec["figure"], stem, str(spec.get("experiment", stem))), stem, configuration)


def with_swept(panels: Sequence[Panel], stem: str, configuration: Path = CONF) -> list[Panel]:
    """Return panels that know what the sweeps of `experiment/STEM.yaml`, if there is one, make of their series."""
    if not (is_figure(stem, configuration) or is_figure(stem)):
        return [*panels]
    spec = _merged(stem, configuration)
    own = str(spec.get("experiment", stem))
    return [replace(panel, swept=tuple(_swept(panel, _of(panel, own, spec, configuration)))) for panel in panels]


def _of(panel: Panel, own: str, spec: Options, configuration: Path) -> Options:
    """Return what is said of the experiment whose runs a panel shows: the figure's own, or another's; {} if nothing."""
    if panel.experiment == own:
        return spec
    try:
        return _merged(f"runs/{panel.experiment}", configuration)
    except UserError:
        return {}


def _swept(panel: Panel, spec: Options) -> Iterator[Options]:
    """Yield what tells apart each series that an experiment's sweeps make for a panel, as column -> value."""
    columns = [column for column in (*panel.series, panel.x) if column != "labelled"]
    for sweep in spec.get("sweeps", ()):
        options = {str(key): _listed(value) for key, value in sweep.items()}
        known = {**{group: [choice] for group, choice in spec["chosen"].items()}, **options}
        shown = {column: _agreeing(values, panel.where.get(column, values)) for column, values in known.items()}
        if all(shown.values()) and (own := [column for column in columns if column in options]):
            yield from (dict(zip(own, each, strict=True)) for each in itertools.product(*(shown[one] for one in own)))


def _listed(value: object) -> list[object]:
    """Return the values that a sweep has of an option, a list being one of them."""
    return [one.strip() for one in re.split(r",(?![^\[]*\])", value)] if isinstance(value, str) else [value]


def _agreeing(values: Sequence[object], wanted: object) -> list[object]:
    """Return the values that are among the wanted ones, or the wanted one."""
    keys = {key_of(one) for one in (wanted if isinstance(wanted, list | tuple) else [wanted])}
    return [value for value in values if key_of(value) in keys]


def own_folder(stem: str) -> str:
    """Return the folder of the runs that `experiment/STEM.yaml` makes."""
    return str(_merged(stem, CONF).get("experiment", stem))


@cache
def seeds_of(stem: str) -> int:
    """Return how many seeds `experiment/STEM.yaml` has, before any scale."""
    return int(_merged(stem, CONF)["seeds"])


def description_of(stem: str, configuration: Path = CONF) -> str:
    """Return what `experiment/STEM.yaml` says of how it reads its paper."""
    return str(_merged(stem, configuration).get("description") or "")


def panels_of(figure: object, stem: str, experiment: str) -> list[Panel]:
    """Make the panels that a configuration lists; `experiment` is the folder of their runs where they name no other."""
    if not isinstance(figure, list) or not all(isinstance(entry, Mapping) for entry in figure):
        raise UserError(f"{stem}: figure is no list of panels: see conf/experiment for examples")
    return [_panel(one, stem, experiment) for entry in figure for one in _expanded(entry, stem)]


def bare(column: str) -> str:
    """Return a column's name without the groups that hold it."""
    return column.rpartition(".")[2]


def most(y: str, runs: pd.DataFrame) -> float | None:
    """Return the most that a measure of runs can be, in the axis's unit, where 0 is the least; None if it is not."""
    highest = largest(y, runs)
    return None if highest is None else factor(y) * highest


def _merged(stem: str, configuration: Path) -> Record:
    """Read an experiment's folder, seeds, panels and description, with those of the experiments that it builds on.

    `chosen` is what it sweeps nowhere: the options of groups, its own before those of every run.
    """
    own: Any = OmegaConf.to_container(OmegaConf.load(_found(stem, configuration)))
    usual: Any = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"))
    spec: Record = {"seeds": usual["seeds"], "chosen": _chosen(usual)}
    for parent in _parents(own):
        spec |= _merged(parent, configuration)
    kept = {name: own[name] for name in ("experiment", "seeds", "figure", "description", "sweeps") if name in own}
    return spec | kept | {"chosen": {**spec["chosen"], **_chosen(own)}}


def _chosen(spec: Any) -> dict[str, object]:
    """Return group -> option of a file's defaults."""
    groups = [entry for entry in spec.get("defaults", ()) if isinstance(entry, Mapping)]
    named = [(str(group), option) for entry in groups for group, option in entry.items() if "@" not in str(group)]
    return {group.removeprefix("override ").lstrip("/"): option for group, option in named}


def is_figure(name: str, configuration: Path = CONF) -> bool:
    """Tell whether a figure of the configuration has this name."""
    return (configuration / "experiment" / f"{name}.yaml").is_file()


def _found(stem: str, configuration: Path) -> Path:
    for folder in (configuration, CONF):
        if (path := folder / "experiment" / f"{stem}.yaml").exists():
            return path
    known = ", ".join(sorted(file.stem for file in (configuration / "experiment").glob("*.yaml")))
    raise UserError(f"no experiment {stem}: choose from {known or f'none, {configuration}/experiment is empty'}")


def _parents(spec: Options) -> Iterator[str]:
    for entry in spec.get("defaults", ()):
        if isinstance(entry, str) and entry != "_self_":
            yield entry.removeprefix("/experiment/")


def _expanded(entry: Options, stem: str) -> list[Options]:
    """Make a panel of each value, or combination of values, that `for_each` lists."""
    if "for_each" not in entry:
        return [entry]
    plain = {name: value for name, value in entry.items() if name != "for_each"}
    return [_varied(plain, values) for values in _each(entry["for_each"], stem)]


def _each(given: object, stem: str) -> Sequence[Options]:
    """Return the values of each panel: those of a list of mappings, or all combinations of a mapping of lists."""
    if isinstance(given, Mapping) and all(isinstance(values, list) for values in given.values()):
        return [dict(zip(given, values, strict=True)) for values in itertools.product(*given.values())]
    if isinstance(given, list) and all(isinstance(values, Mapping) for values in given):
        return given
    raise UserError(f"{stem}: for_each takes lists of values by column, or a list of such mappings, not {given}")


def _varied(entry: Options, values: Options) -> Options:
    """Let a panel's own fields take their values, all else filter the runs; the title's {column} becomes a name."""
    fields_of = {name: value for name, value in values.items() if name in FIELDS}
    columns = {name: value for name, value in values.items() if name not in FIELDS}
    where = dict(entry.get("where", {}))
    for column, value in columns.items():
        where[column] = [*where[column], value] if isinstance(where.get(column), list) else value
    made = {**entry, **fields_of, "where": where, "varied": columns}
    return {**made, "title": _filled(str(made.get("title", "")), columns, made.get("names", {}))}


def _filled(title: str, columns: Options, own: Mapping[str, str]) -> str:
    for column, value in columns.items():
        title = title.replace(f"{{{column}}}", own.get(str(value)) or name_of(column, value))
    return title[:1].upper() + title[1:]


def _panel(entry: Options, stem: str, experiment: str) -> Panel:
    if unknown := sorted(set(entry) - {*FIELDS, "varied"}):
        raise UserError(f"{stem}: a panel has no field {unknown[0]}; its fields are {', '.join(FIELDS)}, for_each")
    if "kind" not in entry:
        raise UserError(f"{stem}: a panel needs a kind")
    if (kind := str(entry["kind"])) not in KINDS:
        raise UserError(f"{stem}: no kind of panel is called {kind}; there are {', '.join(KINDS)}")
    values = {name: _tuple(value) if name in TUPLES else value for name, value in entry.items()}
    return Panel(**{"experiment": experiment, **KINDS[kind].usual, **values})


def _tuple(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)
