"""The record of published runs in one small file: their tidy table, from which a figure is drawn without a run.

Beside the table lie the indices that each run queried, and what a picture of images or of places shows.
"""

from __future__ import annotations

import io
import json
import lzma
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from alsuite.errors import UserError
from alsuite.files import written_whole
from alsuite.recorded import WENT_ON, Record
from alsuite.results.statistics import RUN

__all__ = [
    "TABLES",
    "asked",
    "facts_of",
    "is_here",
    "joined_versions",
    "keep",
    "keep_queried",
    "kept_in",
    "kept_table",
    "pictured_in",
    "place_of",
    "queried",
]

TABLE, QUERIED, PICTURED = "runs.json.xz", "queried.npz.xz", "pictured"
TABLES = ("summary", "aubc", "penalty", "tests", "values")  # the comparisons beside it, each a CSV


def keep(frame: pd.DataFrame, folder: Path) -> None:
    """Store the rows that `alsuite.results.load_runs` has read; the runs' own folders are left out.

    They would name places of one machine; `kept_table` puts those of the pictures in their stead.
    """
    columns = {str(name): column.tolist() for name, column in frame.drop(columns="folder").items()}
    with written_whole(folder / TABLE) as part:
        part.write_bytes(lzma.compress(json.dumps(columns).encode(), preset=9))


def kept_table(folder: Path) -> pd.DataFrame:
    """Read the rows again; where pictures of a run were kept, its folder is the one that holds them."""
    path = folder / TABLE
    if not path.exists():
        raise UserError(f"{folder} holds no table of runs, which a clone of alsuite has: name --root CLONE/outputs")
    try:
        frame = pd.DataFrame(json.loads(lzma.decompress(path.read_bytes())))
    except (lzma.LZMAError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): take it from the repository again") from error
    places = [str(pictured_in(folder, *names)) for names in frame[RUN].itertuples(index=False)]
    return frame.assign(folder=places, options=frame["options"].map(tuple))


def pictured_in(folder: Path, experiment: str, scale: str, run: str) -> Path:
    """Return where the pictures of a run are kept, if any are."""
    return folder / PICTURED / place_of(experiment, scale, run)


def place_of(experiment: str, scale: str, run: str) -> str:
    """Return the name of a run among all, which is also its folder below that of the pictures."""
    place = f"{experiment}/{scale}/{run}"
    if not {"", ".", ".."}.isdisjoint(place.split("/")):
        raise UserError(f"a published run is called {place}, which leads elsewhere: publish it anew")
    return place


def keep_queried(frame: pd.DataFrame, folder: Path) -> None:
    """Store which samples of the pool each run labelled in which cycle, in the order of their indices.

    frame: rows with the folders of the runs; what published ones asked for is read where their rows were

    Of each cycle its size is kept, and of the sorted indices their differences, which take a fraction of the space.
    """
    arrays, published = {}, cache(queried)
    for *names, source in frame[[*RUN, "folder"]].drop_duplicates().itertuples(index=False):
        name = place_of(*names)
        found = asked(Path(source)) if is_here(source) else published(kept_in(source))[name]
        cycles = [np.sort(np.array(indices, np.int64)) for indices in found]
        arrays[f"{name}:sizes"] = np.array([len(indices) for indices in cycles], np.uint32)
        arrays[f"{name}:steps"] = np.diff(np.concatenate(cycles), prepend=0).astype(np.int32)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    with written_whole(folder / QUERIED) as part:
        part.write_bytes(lzma.compress(buffer.getvalue(), preset=9))


def facts_of(frame: pd.DataFrame, command: str, scale: str) -> Record:
    """Tell what runs were: the command that makes them, and what each of them noted of itself.

    frame: rows with the folders of the runs
    """
    abouts = [json.loads(Path(folder, "run.json").read_text()) for folder in frame["folder"].unique()]

    def each(name: str) -> str:
        made_by = (each for about in abouts for each in (about, *about.get(WENT_ON, [])))
        return ", ".join(sorted({str(each[name]) for each in made_by if name in each}))

    return {
        "command": command,
        "scale": scale,
        "commit": each("commit"),
        "device": each("device"),
        "threads": each("threads"),
        "seeds": ", ".join(map(str, sorted({about["config"]["seed"] for about in abouts}))),
        "runs": len(abouts),
        "pool": each("pool"),
        "versions": joined_versions([about["versions"] for about in abouts]),
    }


def joined_versions(told: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return package -> the versions of it that runs were made by."""
    names = sorted({name for versions in told for name in versions})
    each = {name: {one for versions in told for one in versions.get(name, "").split(", ")} - {""} for name in names}
    return {name: ", ".join(sorted(versions)) for name, versions in each.items()}


def is_here(folder: str) -> bool:
    """Tell whether a run's own folder is on this machine, not only its rows in a published table."""
    return Path(folder, "run.json").exists()


def kept_in(folder: str) -> Path:
    """Return the published folder that the rows of a run were read from, by what they say is the run's own."""
    return Path(folder).parents[len(RUN)]


def asked(run: Path) -> Iterable[list[int]]:
    """Yield the initial indices of a run, then those of each cycle."""
    for number, line in enumerate((run / "cycles.jsonl").read_text().splitlines()):
        record = json.loads(line)
        if number == 0:
            yield record["initial"]["indices"]
        if record["queried"]:
            yield record["queried"]["indices"]


def queried(folder: Path) -> dict[str, list[np.ndarray]]:
    """Read, for each run, the sorted indices of its initial pool and of each cycle's query."""
    with np.load(io.BytesIO(lzma.decompress((folder / QUERIED).read_bytes())), allow_pickle=False) as stored:
        runs = [name.removesuffix(":sizes") for name in stored if name.endswith(":sizes")]
        return {
            run: np.split(np.cumsum(stored[f"{run}:steps"]), np.cumsum(stored[f"{run}:sizes"])[:-1]) for run in runs
        }
