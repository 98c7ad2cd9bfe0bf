"""What a figure is made of, read from `conf/experiment/<stem>.yaml`; the fields are told in `alsuite.figures`."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from alsuite.errors import UserError
from alsuite.results.statistics import FULL

__all__ = ["METRICS", "STORED", "Panel", "read_panels"]

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
        return self.names.get(series, series.replace("_", " "))

    def order(self, series: str) -> tuple[int, float, str]:
        """As listed in `names`; the others follow, sorted, numbers as numbers, "full" last."""
        listed = [*self.names]
        number = float(series) if series.replace(".", "", 1).isdigit() else math.inf
        return (listed.index(series) if series in listed else len(listed) + (series == FULL), number, series)


def read_panels(stem: str, conf: Path) -> list[Panel]:
    """The panels of a figure; each knows the folder of its runs."""
    spec = _merged(conf / "experiment" / f"{stem}.yaml", conf)
    if not spec.get("figure"):
        raise UserError(f"conf/experiment/{stem}.yaml describes no figure: add a list of panels under `figure:`")
    return [_panel(entry, stem, str(spec.get("experiment", stem))) for entry in spec["figure"]]


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
