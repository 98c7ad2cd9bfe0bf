"""The lists that follow from what lies in the published folders: verdicts on all claims, pages, tables of figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from alsuite import CONF, claims
from alsuite.figures.footer import seeds_counted
from alsuite.figures.names import name_of
from alsuite.results.diagnostics import diagnostics
from alsuite.results.kept import kept_table
from alsuite.results.report import markdown
from alsuite.results.statistics import RUN

OF_LISTS = "Each page has its tables, claims, command, commit, device, seeds; of published curves the ends stand here."
LABELLED = ("labelled", "labelled_percent")  # the x of published curves
CORRECTED = (
    "Verdicts are corrected after Holm for all claims of the paper ([the list](../claims.csv)), intervals are not."
)
NOTED = "Means over seeds and queries of what strategies noted of themselves: have their networks learned?"
MARK = "<!-- papers: written by scripts/publish.py -->"
CLAIMS = "<!-- claims -->"


def renew(published: Path, readme: Path) -> None:
    """Judge all claims anew, and write the lists that follow from what lies in the published folders."""
    table = claims.verdicts(claims.read_claims(), claims.measured_runs(published.parent, live=False))
    table.round(5).to_csv(published / "claims.csv", index=False)
    between(readme, MARK, claims.of_papers(table, published))
    kept = {folder: kept_table(folder) for folder in figures_in(published)}
    for folder, runs in kept.items():
        judged, learned = claims.on_a_page(table[table["experiment"] == folder.name]), diagnosed(runs)
        parts = [f"## Claims of the paper\n\n{CORRECTED}\n\n{judged}"] if judged else []
        parts += [f"## Diagnostics\n\n{NOTED}\n\n{learned}"] if learned else []
        between(folder / "README.md", CLAIMS, "\n\n".join(parts))
    heads = ("figure", "published", "measured: mean ± sd over seeds", "scale")
    rows = (row(folder, runs.drop_duplicates(RUN)) for folder, runs in kept.items())
    head = f"# What was measured\n\n{OF_LISTS}\n\n"
    (published / "README.md").write_text(head + markdown(heads, rows) + "\n")


def diagnosed(runs: pd.DataFrame) -> str:
    """Return the table of what the runs' strategies noted of themselves, each called as it was run."""
    several = runs["experiment"].nunique() > 1
    named = without_seed(runs).str.removesuffix(",")
    return diagnostics(runs, runs["experiment"] + ": " + named if several else named)


def without_seed(runs: pd.DataFrame) -> pd.Series:
    """Return the names of runs that differ in nothing but their seeds as one."""
    return runs["run"].str.replace(r"seed=\d+,?", "", regex=True)


def between(path: Path, mark: str, text: str) -> None:
    """Replace what stands in a page between two marks."""
    before, _, rest = path.read_text().partition(mark)
    path.write_text(f"{before}{mark}\n{text}\n{mark}{rest.partition(mark)[2]}")


def figures_in(published: Path) -> list[Path]:
    """List the folders of published figures."""
    return sorted(path.parent for path in published.glob("*/about.json"))


def row(folder: Path, runs: pd.DataFrame) -> tuple[str, ...]:
    """Return a figure's cells in the list of all that was measured; of each of its runs there is one row."""
    about = json.loads((folder / "about.json").read_text())
    seeds = runs.groupby(["experiment", without_seed(runs)])["seed"].nunique()
    scale = f"{about['scale']}, {seeds_counted(seeds)}, {about['device']}"
    measured = [line for line in about["measured"] if not line.endswith(": drawn")] or ["drawn"]
    if len(measured) > 3:
        measured = [measured[0], f"(panels between: {len(measured) - 2})", measured[-1]]
    if absent := about.get("not measured"):
        measured.append(f"(not measured: {absent})")
    return f"[{folder.name}]({folder.name}/README.md)", printed(folder.name, runs), "<br>".join(measured), scale


def printed(stem: str, runs: pd.DataFrame) -> str:
    """Say what the paper prints of this figure: of a curve where it ends, of a table what was measured, too.

    runs: the first row of each
    """
    table = pd.read_csv(CONF / "published.csv", dtype=str).fillna("")
    rows = table[table["figure"] + "_" + table["dataset"] == stem]  # of a table, one data set
    if rows.empty:
        rows = table[(table["figure"] == stem) | table["figure"].str.fullmatch(rf"{stem}[a-z]")]
    begun = {*runs["dataset"] + runs["labelled"].map(" {:.0f}".format)}
    rows = rows[rows["x_name"] != "setup"].assign(alone=rows["source"].eq("table") & rows["x_name"].eq("labelled"))
    rows = rows[~rows["alone"] | (rows["dataset"] + " " + rows["x"]).isin(begun)]
    points = rows["x_name"].isin(LABELLED) & ~rows["alone"]
    curves = rows[points].drop_duplicates(["dataset", "series", "x_name", "y_name"], keep="last")
    groups: Any = pd.concat([curves, rows[~points]]).groupby(["dataset", "x_name", "x", "y_name"], sort=False)
    several = rows["dataset"].nunique() > 1
    shown = [
        f"{name_of('dataset', dataset) + ', ' if several else ''}{f'{int(x):,}' if x.isdigit() else words(x)} "
        f"{words(x_name)}: "
        f"{', '.join(named_value(row) for row in found.itertuples())} {words(y_name)}"
        for (dataset, x_name, x, y_name), found in groups
    ]
    return "<br>".join(shown) or "curves without numbers"


def words(name: str) -> str:
    return name.replace("_", " ")


def named_value(row: Any) -> str:
    return f"{words(name_of('strategy', row.series))} {row.y}"
