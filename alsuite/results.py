"""What the runs wrote, as one tidy table: `python -m alsuite.results EXPERIMENT` prints and stores the comparison."""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from alsuite.errors import UserError
from alsuite.statistics import SETTING, aubc, paired_tests, penalty_matrix, summary, with_series

__all__ = [
    "NoRunsError",
    "aubc",
    "lacking",
    "load",
    "paired_tests",
    "penalty_matrix",
    "select",
    "summary",
    "with_series",
]

Record = dict[str, Any]


class NoRunsError(UserError):
    """Nothing finished to read yet."""


def load(
    experiment: str, scale: str | None = None, root: str | Path = "outputs", complete: bool = True
) -> pd.DataFrame:
    """One row per run, cycle and test set; `complete` leaves out the runs that have not ended."""
    base = Path(root, experiment)
    journals = sorted((base / (scale or "")).rglob("cycles.jsonl"))
    rows = [row for journal in journals for row in _run_rows(journal, base, complete)]
    if not rows:
        command = f"python -m alsuite experiment={experiment}" + (f" scale={scale}" if scale else "")
        state = f"{len(journals)} started, none finished" if journals else f"no runs in {base / (scale or '')}"
        raise NoRunsError(f"{experiment}: {state}; make them with `{command}`")
    return pd.DataFrame(rows)


def _run_rows(journal: Path, base: Path, complete: bool) -> Iterator[Record]:
    about_path, records = journal.with_name("run.json"), _records(journal)
    if not records or not about_path.exists() or (complete and records[-1]["queried"] is not None):
        return
    about = json.loads(about_path.read_text())
    scale, *run = journal.parent.relative_to(base).parts
    place = {"experiment": base.name, "scale": scale, "run": "/".join(run), "folder": str(journal.parent)}
    row = {**place, **_about(about), **place, "agreement": _agreement(records)}
    for record in records:
        for test, metrics in record["metrics"].items():
            yield {**row, **_cycle(record), "test": test, **metrics}


def _records(journal: Path) -> list[Record]:
    lines = journal.read_bytes().splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise UserError(f"{journal}, line {number} is not JSON: delete this run and start it again") from error
    return records


def _about(about: Record) -> Record:
    config, kept = about["config"], ("pool", "pool_counts", "side", "classes", "device", "stand_in")
    root = {name: config.get(name) for name in ("seed", "protocol")}
    scalars = {name: value for name, value in _flat(config) if name not in ("experiment", "scale")}
    return {**scalars, **about["choices"], **root, **{name: about.get(name) for name in kept}}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif not isinstance(value, list):
            yield f"{prefix}{name}", value


def _agreement(records: Sequence[Record]) -> float:
    """How often a match has the label that an annotator gave the synthetic image; the classes of these weigh alike."""
    asked = [record["queried"] for record in records if (record["queried"] or {}).get("generated_labels")]
    pairs = [pair for one in asked for pair in zip(one["generated_labels"], one["labels"], strict=False)]
    frame = pd.DataFrame([(given, given == matched) for given, matched in pairs], columns=["given", "agrees"])
    return float(frame.groupby("given")["agrees"].mean().mean())


def _cycle(record: Record) -> Record:
    queried = record["queried"] or {}
    kept = {name: record.get(name) for name in ("cycle", "labelled", "fit_seconds", "label_counts")}
    asked = {**_timings(record, queried), **{name: queried.get(name) for name in ("entropy", "wrong")}}
    numbers = {name: math.nan if value is None or not queried else value for name, value in asked.items()}
    return {**kept, **numbers, **dict(_flat(queried.get("notes") or {}, "notes."))}


def _timings(record: Record, queried: Record) -> Record:
    """Seconds of the query, of what follows the training inside it, and of it all for each 100 samples asked for."""
    seconds, notes = record.get("query_seconds"), queried.get("notes") or {}
    if seconds is None or not queried:
        return dict.fromkeys(("query_seconds", "select_seconds", "query_seconds_per_100"))
    return {
        "query_seconds": seconds,
        "select_seconds": seconds - notes.get("fit_seconds", 0),
        "query_seconds_per_100": 100 * seconds / len(queried["indices"]),
    }


def select(frame: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows where each column has the value, or one of the listed values, given for it; null matches a gap."""
    for column, wanted in where.items():
        if column not in frame:
            raise UserError(f"the runs have no column {column} to filter on")
        values = {_key(value) for value in (wanted if isinstance(wanted, list | tuple) else [wanted])}
        keys = frame[column].map(_key)
        if not keys.isin(values).any():
            raise UserError(f"no runs where {column}={wanted}: there are {', '.join(sorted(keys.unique()))}")
        frame = frame[keys.isin(values)]
    return frame


def lacking(frame: pd.DataFrame, where: Mapping[str, Any]) -> list[str]:
    """The listed values that no row has, as column=value."""
    return [
        f"{column}={value}"
        for column, wanted in where.items()
        if isinstance(wanted, list | tuple)
        for value in wanted
        if not frame[column].map(_key).eq(_key(value)).any()
    ]


def _key(value: object) -> str:
    """One spelling for what YAML, the command line and the table write differently (1, 1.0, "1"; true, True)."""
    if value is None or value != value:
        return "null"
    try:
        return f"{float(str(value)):.12g}"
    except ValueError:
        return str(value).lower() if str(value).lower() in ("true", "false", "null") else str(value)


def report(frame: pd.DataFrame, series: Sequence[str], metric: str = "accuracy") -> tuple[str, dict[str, pd.DataFrame]]:
    """The comparison within each setting: as text, and as the tables to store."""
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in ("summary", "aubc", "penalty", "tests")}
    text = []
    for values, part in frame.groupby(SETTING, dropna=False):
        setting: Record = dict(zip(SETTING, values, strict=True))
        made = {
            "summary": summary(part, series, metric),
            "aubc": aubc(part, series, metric),
            "penalty": penalty_matrix(part, series, metric).rename_axis("series").reset_index().assign(**setting),
            "tests": paired_tests(part, series, metric).assign(**setting),
        }
        text.append(_text(setting, made, metric))
        for name, table in made.items():
            tables[name].append(table)
    return "\n\n".join(text), {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}


def _text(setting: Record, made: Mapping[str, pd.DataFrame], metric: str) -> str:
    table = made["summary"]
    overall = table[table["measure"] != metric]
    overall = overall.assign(cell=overall.apply(_cell, axis=1)).pivot(index="series", columns="measure", values="cell")
    overall.insert(0, "seeds", table.groupby("series")["n"].max())
    penalties = made["penalty"].drop(columns=SETTING).set_index("series").round(2)
    tests = made["tests"].drop(columns=SETTING).assign(difference=100 * made["tests"]["difference"]).round(4)
    parts = [
        (" | ".join(f"{name}={value}" for name, value in setting.items()), ""),
        (f"{metric} (%) over seeds: mean ± sd [95 % interval]", overall.to_string()),
        ("at these labelled counts: mean ± sd", _thinned(table[table["measure"] == metric]).to_string()),
    ]
    if len(tests):
        wins = "penalty: share of budgets at which the row beats the column (paired t-test, 5 %)"
        parts.append((wins, penalties.to_string()))
        parts.append(("area compared, paired by seed (difference in points)", tests.to_string(index=False)))
    return "\n\n".join(f"{head}\n{body}".strip() for head, body in parts)


def _thinned(curve: pd.DataFrame, columns: int = 6) -> pd.DataFrame:
    """A few labelled counts, evenly apart, of the series that have more than one."""
    several = curve.groupby("series")["labelled"].transform("count") > 1
    curve = (curve[several] if several.any() else curve).astype({"labelled": int})
    counts = sorted(curve["labelled"].unique())
    shown = {counts[round(k * (len(counts) - 1) / (columns - 1))] for k in range(columns)}
    curve = curve[curve["labelled"].isin(shown)]
    cells = curve.assign(cell=[_cell(row).partition(" [")[0] for _, row in curve.iterrows()])
    return cells.pivot(index="series", columns="labelled", values="cell").fillna("")


def _cell(row: pd.Series) -> str:
    mean, sd, low, high = (100 * float(row[name]) for name in ("mean", "sd", "low", "high"))
    return f"{mean:.2f}" if row["n"] < 2 else f"{mean:.2f} ± {sd:.2f} [{low:.2f}, {high:.2f}]"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m alsuite.results", description="Compare the runs of an experiment.")
    parser.add_argument("experiment", help="the folder under the root")
    parser.add_argument("--scale")
    parser.add_argument("--series", nargs="+", default=["strategy"], metavar="COL")
    parser.add_argument("--where", nargs="+", default=[], metavar="COL=VALUE")
    parser.add_argument("--metric", default="accuracy")
    parser.add_argument("--root", type=Path, default=Path("outputs"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    try:
        _write(options)
    except UserError as error:
        sys.exit(str(error))


def _write(options: argparse.Namespace) -> None:
    if wrong := [item for item in options.where if "=" not in item]:
        raise UserError(f"--where takes COLUMN=VALUE, not {wrong[0]}")
    where = dict(item.split("=", 1) for item in options.where)
    frame = select(load(options.experiment, options.scale, options.root), where)
    text, tables = report(frame, options.series, options.metric)
    scales = frame["scale"].unique()
    base = options.root / options.experiment / (str(scales[0]) if len(scales) == 1 else "")
    folder = options.out or base / "results"
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in {"long": with_series(frame, options.series), **tables}.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    print(f"{text}\n\n{folder}")


if __name__ == "__main__":
    main()
