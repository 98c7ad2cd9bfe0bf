"""Keep what was measured: `python scripts/publish.py STEM... --scale S` after `make STEM SCALE=S`.

Writes outputs/published/STEM/: the picture; the tables of areas, penalties and tests, each by the figure's own measure;
the exact command, commit, device and seeds; the tidy table of all its runs, from which `python -m alsuite.figures STEM
--published` draws it again; and the indices that each run queried. Then it renews the verdicts on all claims, the list
of figures beside the folders and the README's table of papers. With --add the runs count as well that were published
before, by this figure or another, and are not below the root: a figure grows over several machines and days.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from lists import CLAIMS, renew, without_seed

from alsuite import CONF, claims, figures, results
from alsuite.claims.told import decimals, short
from alsuite.command.complaints import complaining
from alsuite.errors import UserError
from alsuite.figures.images import stored_in
from alsuite.figures.names import name_of
from alsuite.figures.parts import derived, heading, runs_shown, selection
from alsuite.figures.reduced import reductions
from alsuite.figures.spec import METRICS, Panel, description_of, read_panels
from alsuite.figures.tabled import named, tabled
from alsuite.files import locked, write_text
from alsuite.recorded import SYNTHETIC
from alsuite.results.kept import (
    PICTURED,
    TABLES,
    facts_of,
    is_here,
    joined_versions,
    keep,
    keep_queried,
    kept_in,
    pictured_in,
)
from alsuite.results.measures import BYTES, FRACTIONS, unit_of
from alsuite.results.statistics import FULL, RUN

PUBLISHED = Path(__file__).resolve().parent.parent / "outputs" / "published"
README = PUBLISHED.parent.parent / "README.md"
OPTIONS = ("budget", "dataset", "fair", "generator", "strategy", "task_model")  # what makes a series, beside its seeds
OF_A_STRATEGY = ("strategy", "generator", "features")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stems", nargs="*", metavar="STEM", help="none: only renew the verdicts and the lists")
    parser.add_argument("--scale", default="paper")
    parser.add_argument("--root", type=Path, default=Path("outputs"))
    parser.add_argument("--add", action="store_true", help="to the runs that were published before")
    options = parser.parse_args()
    with complaining(), locked(PUBLISHED / ".lock"):
        try:
            for stem in options.stems:
                publish(stem, options.scale, options.root, PUBLISHED / stem, options.add)
                print(PUBLISHED / stem)
        finally:  # so that the lists tell of each page that was written
            renew(PUBLISHED, README)


def publish(stem: str, scale: str, root: Path, folder: Path, add: bool = False) -> None:
    """Write the picture, the tables and what was measured into the folder; `add` to what is there."""
    texts, shown, measured, absent, lacked, tables = [], [], [], [], [], []
    for title, frame, panel in compared(stem, scale, root, folder.parent.parent if add else None):
        if frame.empty:
            absent.append(panel.title)
            continue
        lacked.append((panel.title, results.lacking(frame, panel.where, panel.swept)))
        shown.append((panel, frame))
        measured.append(headline(frame, panel))
        text, made = tabled(frame, panel)
        texts.append(f"## {title}\n\n```\n{text}\n```" if text else "")
        tables.append({name: table.assign(panel=title) for name, table in made.items()})
    if not shown:
        raise UserError(f"{stem}: no finished runs of scale={scale} below {root}: make {stem} SCALE={scale}")
    runs = pd.concat([frame for _, frame in shown]).drop_duplicates([*RUN, "cycle", "test"])
    refuse_mixed(runs)
    folder.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        (folder / f"{name}.csv").unlink(missing_ok=True)  # of an earlier measure
        if parts := [made[name] for made in tables if name in made]:
            pd.concat(parts, ignore_index=True).round(5).to_csv(folder / f"{name}.csv", index=False)
    record(runs, shown, folder)
    figures.draw(stem, scale, root, out=folder, published=folder)
    facts = {
        **facts_on_all(runs, stem, scale),
        "on another device": "; ".join(elsewhere(shown)),
        "reduced to": "; ".join(reductions(runs)),
        "measured": measured,
    }
    facts["not measured"] = "; ".join(filter(None, (*dict.fromkeys(absent), results.told_lacking(lacked))))
    write_about(stem, {name: fact for name, fact in facts.items() if fact}, texts, folder)


def refuse_mixed(runs: pd.DataFrame) -> None:
    """Refuse seeds of one series that have different options, as those have that were run before a change."""
    each = runs.drop_duplicates(RUN)
    options = each[[column for column in map(str, each) if column.partition(".")[0] in OPTIONS]]
    series = each["experiment"] + ": " + without_seed(each)
    counts = options.astype(str).where(options.notna()).groupby(series).nunique()
    for option in counts:
        for name in counts.index[counts[option] > 1]:
            found = zip(options[option][series == name], each["seed"][series == name], strict=True)
            told = ", ".join(f"{value} at seed {seed}" for value, seed in found)
            raise UserError(f"{name} has {option} {told}: run its older seeds again")


def facts_on_all(runs: pd.DataFrame, stem: str, scale: str) -> dict[str, object]:
    """Tell what the runs were: those on this machine themselves, of the published ones what their pages tell."""
    here = runs["folder"].map(is_here)
    told = [facts_of(runs[here], "", scale)] if here.any() else []
    pages = dict.fromkeys(map(kept_in, runs.loc[~here, "folder"]))
    told += [json.loads((page / "about.json").read_text()) for page in pages]

    def noted(name: str) -> set[str]:
        return {one for facts in told for one in str(facts.get(name, "")).split(", ") if one}

    own = runs[["device", "seed", "pool"]].dropna()  # a page may show more runs than are taken of it
    each = {
        "commit": noted("commit"),
        "device": {*own["device"]},
        "threads": noted("threads"),
        "seeds": {f"{seed:.0f}" for seed in own["seed"]},
        "pool": {f"{pool:.0f}" for pool in own["pool"]},
    }
    joined = {name: ", ".join(sorted(values, key=lambda text: (len(text), text))) for name, values in each.items()}
    made = {"command": f"make {stem} SCALE={scale}", "scale": scale, **joined}
    versions = joined_versions([one["versions"] for one in told if "versions" in one])
    return {**made, "runs": len(runs[RUN].drop_duplicates()), "versions": versions}


def elsewhere(shown: Sequence[tuple[Panel, pd.DataFrame]]) -> Iterator[str]:
    """Yield what ran on another device than most: a seed gives other numbers there, and its pairs are pairs in name.

    Of a series that ran on both, on one data set and at one seed, it is told in which panel it was elsewhere.
    """
    rows = pd.concat([named(frame, panel).frame.assign(panel=panel.title) for panel, frame in shown])
    rows = rows.drop_duplicates([*RUN, "panel"]).reset_index()
    other = rows["device"] != rows.drop_duplicates(RUN)["device"].mode()[0]
    keys = ["dataset", "series", "seed"]
    both = other.groupby([rows[key] for key in keys]).transform("nunique") > 1
    several = rows["dataset"].nunique() > 1
    on = rows["dataset"].map(lambda name: f" on {name_of('dataset', name)}" if several else "")
    places = on.mask(both, " in " + rows["panel"].str.replace("\n", " "))
    found: dict[tuple[str, str, str], list[str]] = {}
    for (device, place, series), part in rows[other].groupby(["device", places[other], "series"], sort=False):
        seeds = ", ".join(f"{seed:.0f}" for seed in sorted(part["seed"].unique()))
        found.setdefault((str(device), str(place), seeds), []).append(str(series))
    for (device, place, seeds), names in found.items():
        yield f"{', '.join(names)}{place} at seed {seeds} ({device})"


def record(runs: pd.DataFrame, shown: Sequence[tuple[Panel, pd.DataFrame]], folder: Path) -> None:
    """Keep what draws the figure again: the runs' table, what they queried, and the images that panels show."""
    keep_queried(runs, folder)
    keep(runs, folder)  # last, so that what each run of the table queried is there
    pictured: dict[Path, bytes] = {}
    for panel, frame in shown:
        if panel.of.stored:
            first = named(frame, panel).frame.sort_values("seed").drop_duplicates("series")
            for *names, source in first[[*RUN, "folder"]].itertuples(index=False):
                run, place = Path(source), pictured_in(folder, *names)
                pictured |= {place / name: (run / name).read_bytes() for name in ("run.json", "cycles.jsonl")}
                stored = stored_in(run, panel.cycle)
                pictured[place / stored.name] = drawable(stored)
    shutil.rmtree(folder / PICTURED, ignore_errors=True)  # only now: some of these may lie there
    for path, content in pictured.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def drawable(stored: Path) -> bytes:
    """Return a run's file of images without those that joined its pool: thousands, of which nothing is drawn."""
    with np.load(stored, allow_pickle=False) as file:
        if SYNTHETIC not in file:
            return stored.read_bytes()
        arrays = {name: file[name] for name in file if name != SYNTHETIC}
    np.savez_compressed(content := BytesIO(), **arrays)
    return content.getvalue()


def write_about(stem: str, facts: Mapping[str, object], texts: Sequence[str], folder: Path) -> None:
    """Write what the runs were, for machines and for readers; `renew` adds what became of the claims."""
    write_text(folder / "about.json", json.dumps(facts, indent=1) + "\n")
    head = "\n".join(f"- {name}: {value}" for name, value in facts.items() if name not in ("versions", "measured"))
    read = f"{description}\n\n" if (description := description_of(stem)) else ""
    body = "\n\n".join(filter(None, texts))
    page = f"# {stem}\n\n{head}\n\n![{stem}]({stem}.png)\n\n{read}{CLAIMS}\n{CLAIMS}\n\n{body}\n"
    write_text(folder / "README.md", page)


def compared(
    stem: str, scale: str, root: Path, others: Path | None = None
) -> Iterator[tuple[str, pd.DataFrame, Panel]]:
    """Yield each selection of runs that a panel shows by a measure, once; empty where there are none.

    others: the folder whose published runs of the same experiments count as well, where the root has not the same
    """
    panels = read_panels(stem, CONF)
    runs = figures.runs_of(panels, stem, scale, root)
    if others:
        runs = {name: with_published(found, stem, name, scale, others) for name, found in runs.items()}
    different: dict[tuple[object, ...], Panel] = {}
    for panel in panels:
        where = json.dumps(dict(panel.where), sort_keys=True, default=str)
        different.setdefault((panel.experiment, selection(panel)[0], panel.x, panel.cycle, where), panel)
    titles = Counter(panel.title for panel in different.values())
    for panel in different.values():
        title = panel.title.replace("\n", ", ") if panel.title and titles[panel.title] == 1 else heading(panel)
        yield title, selected(runs[panel.experiment], panel), panel


def with_published(runs: pd.DataFrame | str, stem: str, experiment: str, scale: str, root: Path) -> pd.DataFrame | str:
    """Add the published runs of an experiment that are not among these, those of the figure's own page first."""
    own = pd.DataFrame({"run": []}) if isinstance(runs, str) else runs
    found = claims.published_runs(experiment, root)
    kept = sorted(found, key=lambda frame: kept_in(frame["folder"].iloc[0]).name != stem)
    more = [frame[(frame["scale"] == scale) & ~frame["run"].isin(own["run"])] for frame in kept]
    joined = pd.concat([own, *more], ignore_index=True)
    return runs if joined.empty else joined.drop_duplicates([*RUN, "cycle", "test"], ignore_index=True)


def selected(runs: pd.DataFrame | str, panel: Panel) -> pd.DataFrame:
    """Return the runs that a panel shows; none where its picture says why there are none.

    Beside the classes that were asked for stand those of all labels, with which claims compare them.
    """
    if isinstance(runs, str):
        return pd.DataFrame()
    try:
        shown = runs_shown(panel, runs)
    except UserError:
        return pd.DataFrame()
    return pd.concat([shown, fully_labelled(runs, panel)]) if panel.kind == "labels" else shown


def fully_labelled(runs: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """Return the fully supervised runs of the task that a panel is about, if there are any."""
    task = {column: value for column, value in panel.where.items() if column not in OF_A_STRATEGY}
    try:
        return results.select(runs[runs["strategy"] == FULL], task)
    except UserError:
        return pd.DataFrame()


def headline(frame: pd.DataFrame, panel: Panel) -> str:
    """Tell the panel in a line: the last value of a metric, the mean of anything else; mean and sd over seeds."""
    if not panel.of.measures:
        return f"{panel.title}: drawn"
    frame = derived(frame, panel)
    if panel.x == "pool":
        frame = frame[frame["pool"].isin([frame["pool"].min(), frame["pool"].max()])]
    y = panel.y if panel.y in frame else "accuracy"
    part = named(frame, panel)
    series = part.frame.groupby("run")["series"].first()
    told = last_or_mean(part.frame, y).groupby(series).agg(["mean", "std"]).reindex(part.order).dropna(subset=["mean"])
    digits = ".1f" if y in FRACTIONS else ".3f" if y == "entropy" else None
    shown = [cell(name, mean, sd, digits) for name, mean, sd in told.itertuples()]
    unit = "%" if y in FRACTIONS else "GB" if y in BYTES else unit_of(y)
    return f"{panel.title}: {', '.join(shown)} {unit}".rstrip()


def last_or_mean(frame: pd.DataFrame, y: str) -> pd.Series:
    """Return the value of each run: its last of a metric, its mean of all else."""
    runs = frame.sort_values("cycle").groupby("run")[y]
    values = runs.last() if y in METRICS else runs.mean()
    return 100 * values if y in FRACTIONS else values / 1e9 if y in BYTES else values


def cell(name: object, mean: float, sd: float, digits: str | None) -> str:
    """Write a mean and its deviation, if there is one, with these digits, or with as many decimals as the mean has."""
    told = f"{mean:{digits}}" if digits else short(mean)
    if sd == sd and (digits or sd > 0):
        told += f" ± {sd:{digits or f',.{decimals(mean)}f'}}"
    return f"{name} {told}"


if __name__ == "__main__":
    main()
