"""What a run's folder records of the run, compared with what the run would be now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from alsuite.errors import UserError

__all__ = [
    "ASKED",
    "ASKED_ARRAYS",
    "BY_HAND",
    "INCIDENTAL",
    "PREDICTED",
    "SHOWN",
    "SYNTHETIC",
    "WENT_ON",
    "Change",
    "Options",
    "Record",
    "about_of",
    "changed",
    "compared",
    "difference",
    "differing",
    "ended_as",
    "records_of",
    "whole_lines",
]

INCIDENTAL = (
    "again",
    "at_scale",
    "description",
    "deterministic",
    "device",
    "devices",
    "figure",
    "nodes",
    "parallel",
    "root",
    "seeds",
    "sweeps",
    "ui",
    "wandb",
)
"""The options that say how and where a run is made, or how it is shown, not what it is: they aren't in a folder's name,
a run's identity or the columns that tell series apart."""
NAMED = 3  # how many changed modules a message names
ASKED, ASKED_ARRAYS = "asked.json", "asked.npz"  # the query whose labels are awaited
PREDICTED, SHOWN = "asked: predicted", "asked: shown"  # arrays of that query, beside its images
SYNTHETIC = "synthetic"  # how many images joined the pool in a cycle, and they themselves among its arrays
BY_HAND = "queries"  # the folder of what a person was asked
WENT_ON = "went_on"  # in run.json: from which cycles on another commit, other versions or another device made the run
TOLD = {"cycle", "labelled", "metrics", "fit_seconds", "query_seconds", "queried"}  # at the least, in each record

Record = dict[str, Any]
Options = Mapping[str, Any]


class Change(NamedTuple):
    """How a run isn't what it would be now, "" if in no way, and whether that bars it from going on."""

    what: str
    bars: bool


def ended_as(folder: Path, about: Options) -> bool:
    """Tell whether the folder holds a finished run that is what it would be now; see `difference`."""
    before, cycles = about_of(folder / "run.json"), folder / "cycles.jsonl"
    if before is None or not cycles.exists():
        return False
    lines = whole_lines(cycles)
    ended = bool(lines) and _record(cycles, len(lines) - 1, lines[-1], last=True)["queried"] is None
    return ended and not compared(folder, before, about).bars


def changed(folder: Path, about: Options) -> Change:
    """Say what about the folder's run isn't as it would be now; nothing if there is no run.

    Data that isn't here, not yet or not any more, can't be compared, so that finished runs stay readable without it.
    """
    before = about_of(folder / "run.json")
    if before is None or not ((folder / ASKED).exists() or _begun(folder / "cycles.jsonl")):
        return Change("", False)
    return compared(folder, before, about)


def compared(folder: Path, before: Options, now: Options) -> Change:
    """Compare a folder's run with what it would be now.

    No change of code bars a run that a person labels for: its labels can't be made anew.
    """
    by_hand = (folder / BY_HAND).is_dir()
    barring = difference(before, {key: now[key] for key in now if key != "code"} if by_hand else now)
    return Change(barring, True) if barring else Change(difference(before, now), False)


def difference(before: Options, now: Options) -> str:
    """Say how two runs differ in configuration, code or data; "" if they don't.

    Arguments:
        before: what run.json holds
        now: what the run would be; what it leaves out is not compared, but for its configuration, nor is data of which
            one of both has no hash
    """
    if keys := differing(before.get("config"), _as_stored(now["config"])):
        return f"made with another {keys[0]}"
    if "code" in now and "code" not in before:
        return "made before the code was recorded"
    if modules := _differing_modules(before.get("code", {}), now.get("code", before.get("code", {}))):
        return f"{_listed(modules)} changed since"
    data = {hashed for each in (before, now) if (hashed := each.get("data"))}
    return "the data changed since" if len(data) > 1 else ""


def _differing_modules(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the modules whose code differs, first those that were there before and still are."""
    differing = [name for name in {*before, *now} if before.get(name) != now.get(name)]
    return sorted(differing, key=lambda name: (name not in before or name not in now, name))


def _listed(names: list[str]) -> str:
    """Join names in a sentence, of many the first few."""
    more = len(names) - NAMED
    shown = [*names[:NAMED], f"{more} more"] if more > 0 else names
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def about_of(path: Path) -> Record | None:
    """Read what a run is; None where the file isn't there, or isn't whole."""
    try:
        about = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return about if isinstance(about, dict) and "config" in about else None


def _begun(cycles: Path) -> bool:
    """Tell whether at least one cycle has been written down."""
    try:
        with cycles.open("rb") as file:
            return _whole(file.readline())
    except OSError:
        return False


def _as_stored(config: object) -> object:
    """Return a configuration as JSON gives it back: tuples as lists, and keys as texts."""
    return json.loads(json.dumps(config))


def records_of(path: Path, lines: Sequence[bytes]) -> list[Record]:
    """Return the records of a journal's whole lines; one that isn't as it was written is refused by its number."""
    return [_record(path, cycle, line, cycle == len(lines) - 1) for cycle, line in enumerate(lines)]


def _record(path: Path, cycle: int, line: bytes, last: bool) -> Record:
    """Return the record of a cycle, the last of which alone may ask for nothing."""
    try:
        record = json.loads(line)
        queried = record["queried"]
        asked = last if queried is None else {"indices", "labels"} <= queried.keys()
        if asked and record.keys() >= TOLD and record["cycle"] == cycle:
            return record
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    advice = "undo what was changed there, or delete its folder to start afresh"
    raise UserError(f"{path}, line {cycle + 1} is no record of a cycle: {advice}")


def whole_lines(path: Path) -> list[bytes]:
    """Return all lines but a torn last one."""
    lines = path.read_bytes().splitlines(keepends=True)
    return lines if not lines or _whole(lines[-1]) else lines[:-1]


def _whole(line: bytes) -> bool:
    """Tell whether a line was written to its end."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")


def differing(before: object, now: object, path: str = "") -> list[str]:
    """Return the dotted paths of all values that differ between two trees, in order."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted({*before, *now})
        return [found for key in keys for found in differing(before.get(key), now.get(key), f"{path}.{key}".strip("."))]
    return [] if before == now else [path]
