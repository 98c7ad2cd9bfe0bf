"""Keep what was measured: `python scripts/publish.py STEM... --scale S` after `make STEM SCALE=S`.

Writes outputs/published/STEM/ (the picture, the tables of AUBC, penalties and tests, and the exact command, commit,
device and seeds), then renews the README's table of figures from all that lies there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from alsuite import CONF, figures, results
from alsuite.errors import UserError
from alsuite.figures.names import name_of
from alsuite.figures.parts import DERIVED, Part, part_named
from alsuite.figures.spec import METRICS, STORED, Panel, read_panels
from alsuite.results.report import report

PUBLISHED = Path(__file__).resolve().parent.parent / "outputs" / "published"
README = PUBLISHED.parent.parent / "README.md"
TABLES = ("summary", "aubc", "penalty", "tests")
MARK = "<!-- figures: written by scripts/publish.py -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stems", nargs="+", metavar="STEM")
    parser.add_argument("--scale", default="paper")
    parser.add_argument("--root", type=Path, default=Path("outputs"))
    options = parser.parse_args()
    for stem in options.stems:
        publish(stem, options.scale, options.root, PUBLISHED / stem)
        print(PUBLISHED / stem)
    renew_table(README, PUBLISHED)


def publish(stem: str, scale: str, root: Path, folder: Path) -> None:
    """Write the picture, the tables and what was measured into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    figures.draw(stem, scale, root, out=folder)
    texts, runs, measured, absent, tables = [], [], [], [], []
    for title, frame, panel in compared(stem, scale, root):
        if frame.empty:
            absent.append(panel.title)
            continue
        lacking = results.lacking(frame, panel.where)
        absent += lacking
        text, made = report(named(frame, panel).frame, ["series"])
        texts.append(f"## {title}\n\n```\n{text}\n```")
        runs.append(frame)
        if not lacking:
            measured.append(headline(frame, panel))
        tables.append({name: table.assign(panel=title) for name, table in made.items()})
    for name in TABLES:
        whole = pd.concat([made[name] for made in tables], ignore_index=True)
        whole.round(5).to_csv(folder / f"{name}.csv", index=False)
    facts = {**provenance(stem, scale, pd.concat(runs)), "measured": measured}
    if absent:
        facts["not measured"] = ", ".join(dict.fromkeys(absent))
    write_about(stem, facts, texts, folder)


def write_about(stem: str, facts: Mapping[str, object], texts: Sequence[str], folder: Path) -> None:
    """Write what the runs were, for machines and for readers."""
    (folder / "about.json").write_text(json.dumps(facts, indent=1) + "\n")
    head = "\n".join(f"- {name}: {value}" for name, value in facts.items() if name not in ("versions", "measured"))
    (folder / "README.md").write_text(f"# {stem}\n\n{head}\n\n![{stem}]({stem}.png)\n\n" + "\n\n".join(texts) + "\n")


def compared(stem: str, scale: str, root: Path) -> Iterator[tuple[str, pd.DataFrame, Panel]]:
    """Yield each selection of runs that a panel shows, once; empty where there are none."""
    panels = read_panels(stem, CONF)
    runs = figures.runs_of(panels, stem, scale, root)
    seen = set()
    for panel in panels:
        key = (panel.experiment, json.dumps(dict(panel.where), sort_keys=True))
        if key not in seen:
            seen.add(key)
            name = ", ".join(f"{column}={value}" for column, value in panel.where.items())
            yield name or panel.title, selected(runs[panel.experiment], panel), panel


def selected(runs: pd.DataFrame | str, panel: Panel) -> pd.DataFrame:
    """Return the runs that a panel shows; none where its picture says why there are none."""
    if isinstance(runs, str):
        return pd.DataFrame()
    try:
        return results.select(runs, panel.where)
    except UserError:
        return pd.DataFrame()


def named(frame: pd.DataFrame, panel: Panel) -> Part:
    """Call the series as the picture does, each value of its x axis a series of its own."""
    columns = panel.series if panel.x == "labelled" else (*panel.series, panel.x)
    return part_named(replace(panel, series=columns), frame)


def headline(frame: pd.DataFrame, panel: Panel) -> str:
    """Tell the panel in a line: the last value of a metric, the mean of anything else; mean and sd over seeds."""
    if panel.kind in ("labels", *STORED):
        return f"{panel.title}: drawn"
    frame = DERIVED[panel.kind](frame) if panel.kind in DERIVED else frame
    y = panel.y if panel.y in frame else "accuracy"
    part = named(frame, panel)
    series = part.frame.groupby("run")["series"].first()
    told = per_run(part.frame, y).groupby(series).agg(["mean", "std"]).reindex(part.order).dropna(subset=["mean"])
    shown = [cell(name, mean, sd, digits(y)) for name, mean, sd in told.itertuples()]
    return f"{panel.title}: {', '.join(shown)} {unit(y)}".rstrip()


def per_run(frame: pd.DataFrame, y: str) -> pd.Series:
    """Return the value of each run: its last of a metric, its mean of all else."""
    runs = frame.sort_values("cycle").groupby("run")[y]
    values = runs.last() if y in METRICS else runs.mean()
    return 100 * values if unit(y) == "%" else values


def cell(name: object, mean: float, sd: float, digits: str) -> str:
    return f"{name} {mean:{digits}}" + (f" ± {sd:{digits}}" if sd == sd else "")


def digits(y: str) -> str:
    return ".1f" if unit(y) == "%" else ".3f"


def unit(y: str) -> str:
    if y == "entropy":
        return "nats"
    return "%" if y in (*METRICS, "agreement", "wrong") else ""


def provenance(stem: str, scale: str, frame: pd.DataFrame) -> dict[str, Any]:
    abouts = [json.loads(Path(folder, "run.json").read_text()) for folder in frame["folder"].unique()]

    def each(name: str) -> list[Any]:
        return sorted({str(about[name]) for about in abouts})

    return {
        "command": f"make {stem} SCALE={scale}",
        "scale": scale,
        "commit": ", ".join(each("commit")),
        "device": ", ".join(each("device")),
        "seeds": ", ".join(map(str, sorted({about["config"]["seed"] for about in abouts}))),
        "runs": len(abouts),
        "pool": ", ".join(each("pool")),
        "versions": abouts[0]["versions"],
    }


def renew_table(readme: Path, published: Path) -> None:
    rows = ["| command | published | measured: mean ± sd over seeds | scale |", "|---|---|---|---|"]
    rows += [row(folder) for folder in sorted(published.iterdir()) if (folder / "about.json").exists()]
    before, _, rest = readme.read_text().partition(MARK)
    after = rest.partition(MARK)[2]
    readme.write_text(f"{before}{MARK}\n" + "\n".join(rows) + f"\n{MARK}{after}")


def row(folder: Path) -> str:
    about = json.loads((folder / "about.json").read_text())
    scale = f"{about['scale']}, {len(about['seeds'].split(','))} seeds, {about['device']}"
    link = f"[`make {folder.name}`](outputs/published/{folder.name}/README.md)"
    measured = [line for line in about["measured"] if not line.endswith(": drawn")] or ["drawn"]
    if len(measured) > 3:
        measured = [measured[0], f"(panels between: {len(measured) - 2})", measured[-1]]
    if absent := about.get("not measured"):
        measured.append(f"(not measured: {absent})")
    return f"| {link} | {claims(folder.name)} | {'<br>'.join(measured)} | {scale} |"


def claims(stem: str) -> str:
    """Say what the paper prints of this figure."""
    table = pd.read_csv(CONF / "published.csv", dtype=str).fillna("")
    if len(part := table[table["figure"] + "_" + table["dataset"] == stem]):  # of a table, one data set
        groups = part.groupby(["x_name", "x", "y_name"], sort=False)
        shown = [
            f"{x} {x_name}: {', '.join(named_value(row) for row in rows.itertuples())} {str(y_name).replace('_', ' ')}"
            for (x_name, x, y_name), rows in groups
        ]
        return "; ".join(shown)
    rows = table[(table["figure"] == stem) | table["figure"].str.fullmatch(rf"{stem}[a-z]")]
    shown = [f"{named_value(one)} {str(one.y_name).replace('_', ' ')}" for one in rows.head(4).itertuples()]
    return "; ".join(shown) or "curves without numbers"


def named_value(row: Any) -> str:
    return f"{name_of('strategy', row.series)} {row.y}"


if __name__ == "__main__":
    main()
