"""What a figure is made of, read from `conf/experiment/<stem>.yaml`; the fields are told in `alsuite.figures`."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from alsuite.errors import UserError
from alsuite.figures.names import displayed, rank
from alsuite.results.statistics import FULL

__all__ = ["METRICS", "STORED", "Panel", "panels_of", "read_panels"]

METRICS = ("accuracy", "macro_f1", "mean_iou")
STORED = ("images", "plane")  # kinds that show what one run has stored


@dataclass(frozen=True)
class Panel:
    kind: str
    title: str = ""
    experiment: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    series: tuple[str, ...] = ("strategy",)
    names: Mapping[str, str] = field(default_factory=dict)
    published: tuple[str | Mapping[str, Any], ...] = ()
    x: str = "labelled"
    since: float = 0
    y: str = "accuracy"
    at: str | int = "final"
    band: str = "interval"
    cycle: int = 0
    rows: tuple[str, ...] = ()
    columns: int = 10

    def name(self, series: str) -> str:
        return self.names.get(series) or displayed(series)

    def order(self, series: str) -> tuple[Any, ...]:
        """Return what sorts series: as `names` lists them, then numbers, then as they are known, "full" last."""
        listed = [*self.names]
        place = listed.index(series) if series in listed else len(listed) + (series == FULL)
        return (place, _number(series), rank(series), series)


def _number(series: str) -> float:
    return float(series) if series.replace(".", "", 1).isdigit() else math.inf


def read_panels(stem: str, conf: Path) -> list[Panel]:
    """Read the panels of a figure; each knows the folder of its runs."""
    spec = _merged(conf / "experiment" / f"{stem}.yaml", conf)
    if not spec.get("figure"):
        raise UserError(f"conf/experiment/{stem}.yaml describes no figure: add a list of panels under `figure:`")
    return panels_of(spec["figure"], stem, str(spec.get("experiment", stem)))


def panels_of(figure: Any, stem: str, experiment: str) -> list[Panel]:
    """Make the panels that a configuration lists, one of them for each of what its `for_each` lists."""
    if not isinstance(figure, list) or not all(isinstance(entry, Mapping) for entry in figure):
        raise UserError(f"{stem}: figure is no list of panels: see conf/experiment for examples")
    return [_panel(one, stem, experiment) for entry in figure for one in _each(entry)]


def _each(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Fill the words in braces with what each of the entry's `for_each` gives for them."""
    plain = {name: value for name, value in entry.items() if name != "for_each"}
    return [_filled(plain, given) for given in entry.get("for_each", [{}])]


def _filled(value: Any, given: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {name: _filled(part, given) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, given) for part in value]
    alone = [part for name, part in given.items() if value == f"{{{name}}}"]
    if alone or not isinstance(value, str):
        return alone[0] if alone else value
    for name, part in given.items():
        value = value.replace(f"{{{name}}}", str(part))
    return value


def _merged(path: Path, conf: Path) -> dict[str, Any]:
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in (conf / "experiment").glob("*.yaml")))
        raise UserError(f"no experiment {path.stem}: choose from {known or 'none, conf/experiment is empty'}")
    own: Any = OmegaConf.to_container(OmegaConf.load(path))
    spec: dict[str, Any] = {}
    for parent in _parents(own):
        spec |= _merged(conf / "experiment" / f"{parent}.yaml", conf)
    return spec | {name: own[name] for name in ("experiment", "figure") if name in own}


def _parents(spec: Any) -> Iterator[str]:
    for entry in spec.get("defaults", ()):
        if isinstance(entry, str) and entry != "_self_":
            yield entry.removeprefix("/experiment/")


def _panel(entry: Mapping[str, Any], stem: str, experiment: str) -> Panel:
    known = [one.name for one in fields(Panel)]
    if unknown := sorted(set(entry) - set(known)):
        raise UserError(f"{stem}: a panel has no field {unknown[0]}; its fields are {', '.join(known)}")
    if "kind" not in entry:
        raise UserError(f"{stem}: a panel needs a kind")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    for name in ("series", "published", "rows"):
        if name in values and not isinstance(values[name], tuple):
            values[name] = (values[name],)
    defaults = {
        "entropy": {"y": "entropy"},
        "timing": {"y": "query_seconds", "at": "mean"},
        "preparation": {"x": "pool", "y": "preparation_seconds"},
        "transition": {"x": "pool", "y": "cycles_until_cheaper"},
        "gains": {"y": "f1_gain"},
    }
    return Panel(**{"experiment": experiment, **defaults.get(entry["kind"], {}), **values})
