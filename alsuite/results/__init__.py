"""What the runs wrote, as one tidy table, and how its series compare.

A run's folder holds run.json, what it is, and cycles.jsonl, what it did. `load_runs` joins both into a table with a
row per run, cycle and test set. Its columns are experiment, scale and run; the run's configuration, groups joined by
dots, such as strategy.alpha; facts such as pool; and what each cycle measured, its notes under notes.*. All else reads
this table.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from alsuite.errors import UserError
from alsuite.notes import FIT_SECONDS
from alsuite.recorded import INCIDENTAL, Options, Record, about_of, records_of, whole_lines
from alsuite.results.statistics import aubc, paired_tests, penalty_matrix, summary, with_series

__all__ = [
    "NoRunsError",
    "aubc",
    "command_of",
    "key_of",
    "lacking",
    "load_runs",
    "of_runs",
    "paired_tests",
    "penalty_matrix",
    "select",
    "summary",
    "told_lacking",
    "with_series",
]

FACTS = ("pool", "whole", "held", "pool_counts", "side", "classes", "device", "stand_in")


class NoRunsError(UserError):
    """There is nothing finished to read yet."""


def load_runs(experiment: str, scale: str | None = None, root: str | Path = "outputs") -> pd.DataFrame:
    """Read one row per cycle and test set of each run that has ended.

    scale: the runs of this scale alone, by default of all

    Runs that were set aside, whose folders end in ~1, ~2, ..., are left out. Where nothing is left NoRunsError tells
    the command that makes runs.
    """
    base = Path(root, experiment)
    found = sorted((base / (scale or "")).rglob("cycles.jsonl"))
    journals = [journal for journal in found if not re.search(r"~\d+$", journal.parent.name)]  # old runs, set aside
    rows = [row for journal in journals for row in _run_rows(journal, complete=True, base=base)]
    if not rows:
        raise NoRunsError(f"{experiment}: {_nothing_of(experiment, scale, base, journals)}")
    return pd.DataFrame(rows)


def _nothing_of(experiment: str, scale: str | None, base: Path, journals: Sequence[Path]) -> str:
    """Say why there is nothing to read of an experiment, and what to do."""
    ended = [records for journal in journals if (records := _records(journal)) and records[-1]["queried"] is None]
    if ended:
        return f"{len(ended)} finished, without test images to be measured on; give some as dataset.test"
    state = f"{len(journals)} started, none finished" if journals else f"no runs in {base / (scale or '')}"
    return f"{state}; make them with `{command_of(experiment, scale)}`"


def command_of(experiment: str, scale: str | None) -> str:
    """Return the command that makes the runs of an experiment; those that have none tell their parts."""
    what = "strategy=... dataset=..." if experiment == "adhoc" else f"experiment={experiment}"
    return f"python -m alsuite {what}" + (f" scale={scale}" if scale else "")


def of_runs(folders: Sequence[Path]) -> pd.DataFrame:
    """Read one row per cycle and test set of the runs in these folders, wherever they lie, ended or not."""
    return pd.DataFrame([row for folder in folders for row in _run_rows(folder / "cycles.jsonl", complete=False)])


def _run_rows(journal: Path, complete: bool, base: Path | None = None) -> Iterator[Record]:
    """Yield the rows of one run; none where it has not begun, or has not ended and should have.

    base: the experiment's folder, by which the run is named, or None where its own configuration names it
    """
    about_path, records = journal.with_name("run.json"), _records(journal)
    if not records or not about_path.exists() or (complete and records[-1]["queried"] is not None):
        return
    about = about_of(about_path)
    if about is None and not about_path.exists():  # it has just been set aside
        return
    if about is None:
        raise UserError(f"{about_path} is damaged: delete its folder to start afresh")
    place = {**_place(journal.parent, about["config"], base), "folder": str(journal.parent)}
    row = {**place, **_about(about), **place, "agreement": _agreement(records)}
    for record in records:
        for test, metrics in record["metrics"].items():
            yield {**row, **_cycle(record), "test": test, **metrics}


def _place(folder: Path, config: Record, base: Path | None) -> Record:
    """Tell which run it is: by its place below the experiment's folder, or by what it says of itself."""
    if base is None:
        return {"experiment": config["experiment"], "scale": config["scale"]["name"], "run": folder.name}
    scale, *run = folder.relative_to(base).parts
    return {"experiment": base.name, "scale": scale, "run": "/".join(run)}


def _records(journal: Path) -> list[Record]:
    """Read the lines of a journal; a torn last line, as a killed process leaves it, is dropped, any other refused."""
    try:
        return records_of(journal, whole_lines(journal))
    except FileNotFoundError:  # the run has just been set aside
        return []


def _about(about: Record) -> Record:
    """Return what run.json says of a run; `options` names the columns it was configured by, seed and place apart."""
    config = about["config"]
    given = {**dict(_flat(config)), **about["choices"], **{name: config.get(name) for name in ("seed", "protocol")}}
    given = {name: value for name, value in given.items() if name not in ("experiment", "scale")}
    options = tuple(name for name in given if name.partition(".")[0] not in (*INCIDENTAL, "seed"))
    return {**given, **{name: about.get(name) for name in FACTS}, "options": options}


def _flat(tree: Options, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the leaves of nested mappings, their names joined by dots, and lists as the text that JSON has for them."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value) if isinstance(value, list) else value


def _agreement(records: Sequence[Record]) -> float:
    """Return how often a match has the label that an annotator gave the synthetic image; these classes weigh alike."""
    asked = [record["queried"] for record in records if (record["queried"] or {}).get("generated_labels")]
    pairs = [pair for one in asked for pair in zip(one["generated_labels"], one["labels"], strict=False)]
    frame = pd.DataFrame([(given, given == matched) for given, matched in pairs], columns=["given", "agrees"])
    return float(frame.groupby("given")["agrees"].mean().mean())


def _cycle(record: Record) -> Record:
    """Return what a record tells beside its metrics; what only a query has is NaN in a run's last cycle."""
    queried = record["queried"] or {}
    kept = {name: record.get(name) for name in ("cycle", "labelled", "fit_seconds", "label_counts")}
    asked = {**_timings(record, queried), **{name: queried.get(name) for name in ("entropy", "wrong")}}
    numbers = {name: math.nan if value is None or not queried else value for name, value in asked.items()}
    return {**kept, **numbers, **dict(_flat(queried.get("notes") or {}, "notes."))}


def _timings(record: Record, queried: Record) -> Record:
    """Return the seconds of a query, of what follows the training inside it, and of it all for each 100 samples."""
    seconds, notes = record.get("query_seconds"), queried.get("notes") or {}
    if seconds is None or not queried:
        return dict.fromkeys(("query_seconds", "select_seconds", "query_seconds_per_100"))
    return {
        "query_seconds": seconds,
        "select_seconds": seconds - notes.get(FIT_SECONDS, 0),
        "query_seconds_per_100": 100 * seconds / len(queried["indices"]),
    }


def select(frame: pd.DataFrame, where: Options) -> pd.DataFrame:
    """Return the rows where each column has the value, or one of the values, given for it; null matches a gap.

    where: column -> value, or list of values

    Values match however they are spelt: see `key_of`. A column that there isn't is refused, and a filter that leaves no
    row, with the values that there are but none: an empty figure would not tell which of them was wrong.
    """
    for column, wanted in where.items():
        if column not in frame:
            raise UserError(f"the runs have no column {column} to filter on")
        values = {key_of(value) for value in (wanted if isinstance(wanted, list | tuple) else [wanted])}
        keys = frame[column].map(key_of)
        if not keys.isin(values).any():
            there = sorted({*keys} - {"none", "null"}) or ["none"]
            raise UserError(f"no runs where {column}={wanted}: there are {', '.join(there)}")
        frame = frame[keys.isin(values)]
    return frame


def lacking(frame: pd.DataFrame, where: Options, swept: Sequence[Options] = ()) -> list[str]:
    """List what no row has of what was asked for, as column=value.

    where: column -> a value, or a list of values each of which was asked for
    swept: column -> value of each series that was asked for
    """
    listed = [
        {column: value} for column, values in where.items() if isinstance(values, list | tuple) for value in values
    ]
    columns = {column for series in (*listed, *swept) for column in series if column in frame}
    rows = frame[[*columns]].map(key_of).drop_duplicates()
    return [*dict.fromkeys(filter(None, (_absent(series, rows) for series in (*listed, *swept))))]


def told_lacking(panels: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Say what the panels lack, and which of them where not all do.

    panels: the title of each, and what it lacks
    """
    count = len({title for title, _ in panels})
    lacked: dict[str, dict[str, None]] = {}
    for title, values in panels:
        for value in values:
            lacked.setdefault(value, {})[" ".join(title.split())] = None
    said: dict[str, list[str]] = {}
    for value, where in lacked.items():
        alone = next(iter(where)) if len(where) == 1 else ""
        some = alone or f"{len(where)} of {count} panels"
        said.setdefault("" if len(where) == count else f" ({some})", []).append(value)
    return "; ".join(f"{', '.join(values)}{where}" for where, values in said.items())


def _absent(series: Options, rows: pd.DataFrame) -> str:
    """Say which value of a series no row has, or that none has all; "" if one does."""
    left = rows
    for column, value in series.items():
        if column not in rows or not rows[column].eq(key_of(value)).any():
            return f"{column}={value}"
        left = left[left[column].eq(key_of(value))]
    return " ".join(f"{column}={value}" for column, value in series.items()) if left.empty else ""


def key_of(value: object) -> str:
    """Spell alike what YAML, the command line and the table write differently (1, 1.0, "1"; true, True; lists)."""
    if value is None or value != value:
        return "null"
    if str(value).startswith("["):
        return re.sub(r"[\s\"']", "", str(value))
    try:
        return f"{float(str(value)):.12g}"
    except ValueError:
        return str(value).lower() if str(value).lower() in ("true", "false", "null") else str(value)
