"""The lists that follow from what lies in the published folders: verdicts on all claims, pages, tables of figures."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from alsuite import CONF, claims
from alsuite.errors import UserError
from alsuite.figures.footer import seeds_counted
from alsuite.figures.names import name_of
from alsuite.figures.published import UNITS as PRINTED
from alsuite.figures.spec import own_folder, read_panels, seeds_of
from alsuite.files import write_text, written_whole
from alsuite.report.titles import natural
from alsuite.results.diagnostics import diagnostics
from alsuite.results.kept import kept_table
from alsuite.results.report import markdown
from alsuite.results.statistics import RUN

OF_LISTS = (
    "Each page has tables, claims, command, commit, device and seeds; of published curves the last point stands here."
)
LABELLED = ("labelled", "labelled_percent")  # the x of published curves
CORRECTED = (
    "Verdicts, but not intervals, are Holm-corrected over the paper's tested claims ([the list](../claims.csv)); "
    "strategies are judged as the scale reduced them ([how](../../../docs/figures.md))."
)
NOTED = "Means over seeds and queries of what strategies noted of themselves: have their networks learned?"
KINDS = {"figure": "fig", "table": "tab"}
SERIES = {
    "active_gan_minus_svm": "ActiveGAN - SVM",
    "asal_over_random": "ASAL over random",
    "initial": "first labels",
}
UNITS = {
    "accuracy_percent": "% accuracy",
    "cycles_until_cheaper_than_max_entropy": "cycles until cheaper than max entropy",
    "entropy_ratio": "times the entropy",
    "f1_points": "points of F1",
    "macro_f1_percent": "% macro F1",
    "mean_iou_percent": "% mean IoU",
    "memory_gigabytes": "GB",
    "percent": "%",
    "preparation_seconds": "s of preparation",
    "query_seconds_per_100": "s for 100",
    "reaches": "",
    "select_seconds": "s a selection",
}
MARK = "<!-- papers: written by scripts/publish.py -->"
CLAIMS = "<!-- claims -->"


def renew(published: Path, readme: Path) -> None:
    """Judge all claims anew, and write the lists that follow from what lies in the published folders."""
    read = cache(kept_table)
    table = claims.verdicts(claims.read_claims(), claims.measured_runs(published.parent, live=False, read=read))
    with written_whole(published / "claims.csv") as part:
        table.round(5).to_csv(part, index=False)
    between(readme, MARK, claims.of_papers(table, published))
    kept = {folder: read(folder) for folder in figures_in(published)}
    for folder, runs in kept.items():
        judged, learned = claims.on_a_page(table[table["experiment"] == folder.name]), diagnosed(runs)
        judged = "\n\n".join(filter(None, (judged, judged_elsewhere(table, folder.name))))
        parts = [told] if (told := lacking(runs, folder.name)) else []
        parts += [f"## Claims of the paper\n\n{CORRECTED}\n\n{judged}"] if judged else []
        parts += [f"## Diagnostics\n\n{NOTED}\n\n{learned}"] if learned else []
        between(folder / "README.md", CLAIMS, "\n\n".join(parts))
    heads = ("figure", "published", "measured: mean ± sd over seeds", "scale")
    rows = (row(folder, runs.drop_duplicates(RUN)) for folder, runs in kept.items())
    head = f"# What was measured\n\n{OF_LISTS}\n\n"
    write_text(published / "README.md", head + markdown(heads, rows) + "\n")


def lacking(runs: pd.DataFrame, stem: str) -> str:
    """Say how many series of the figure's own experiment have fewer seeds than are planned."""
    seeds, planned = seeds_of_series(runs[runs["experiment"] == own_folder(stem)]), seeds_of(stem)
    fewer = int((seeds < planned).sum())
    return f"{planned} seeds are planned; {fewer} of {len(seeds)} series have fewer." if fewer else ""


def judged_elsewhere(table: pd.DataFrame, stem: str) -> str:
    """Say on which pages the other claims are that stand at a figure or table of its paper."""
    counts = Counter(
        row.experiment
        for row in table.itertuples()
        if row.experiment != stem and stem in figures_at(str(row.paper), str(row.place))
    )
    told = ", ".join(f"{n} on [{other}](../{other}/README.md)" for other, n in counts.items())
    return f"Of the paper's claims about it other pages judge {told}." if told else ""


def figures_at(paper: str, place: str) -> list[str]:
    """List the figures and tables that a claim's place names, as in "section 5.7, figures 26 and 27"."""
    named = re.findall(r"(figure|table)s? (\d+[a-z]?(?:(?:, | and )\d+[a-z]?)*)", place)
    return [f"{paper}_{KINDS[kind]}{number}" for kind, numbers in named for number in re.findall(r"\d+", numbers)]


def diagnosed(runs: pd.DataFrame) -> str:
    """Return the table of what the runs' strategies noted of themselves, each called as it was run."""
    several = runs["experiment"].nunique() > 1
    named = without_seed(runs).str.removesuffix(",")
    return diagnostics(runs, runs["experiment"] + ": " + named if several else named)


def without_seed(runs: pd.DataFrame) -> pd.Series:
    """Return the names of runs that differ in nothing but their seeds as one."""
    return runs["run"].str.replace(r"seed=\d+,?", "", regex=True)


def seeds_of_series(runs: pd.DataFrame) -> pd.Series:
    """Return how many seeds each series of runs has."""
    return runs.groupby(["experiment", without_seed(runs)])["seed"].nunique()


def between(path: Path, mark: str, text: str) -> None:
    """Replace what stands in a page between two marks; a page without them is refused."""
    before, *within = path.read_text(encoding="utf-8").split(mark)
    if len(within) != 2:
        raise UserError(f"{path} lacks its two lines {mark}: take it from the repository again")
    write_text(path, f"{before}{mark}\n{text}\n{mark}{within[1]}")


def figures_in(published: Path) -> list[Path]:
    """List the folders of published figures, figure 2 before figure 10."""
    folders = [path.parent for path in published.glob("*/about.json")]
    return sorted(folders, key=lambda folder: natural(folder.name))


def row(folder: Path, runs: pd.DataFrame) -> tuple[str, ...]:
    """Return a figure's cells in the list of all that was measured; of each of its runs there is one row."""
    about = json.loads((folder / "about.json").read_text())
    seeds = seeds_of_series(runs)
    shown = ", one of them shown" if seeds.max() > 1 and pictures_alone(folder.name) else ""
    scale = f"{about['scale']}, {seeds_counted(seeds)}{shown}, {about['device']}"
    measured = [line for line in about["measured"] if not line.endswith(": drawn")] or ["drawn"]
    if len(measured) > 3:
        measured = [measured[0], f"(panels between: {len(measured) - 2})", measured[-1]]
    if absent := about.get("not measured"):
        measured.append(f"(not measured: {absent})")
    return f"[{folder.name}]({folder.name}/README.md)", printed(folder.name, runs), "<br>".join(measured), scale


def pictures_alone(stem: str) -> bool:
    """Tell whether a figure shows nothing but pictures, which are of one seed."""
    return all(panel.of.stored for panel in read_panels(stem))


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
    for name in ("accuracy_fraction", "error_percent"):
        _, offset, factor = PRINTED[name]
        turned = rows["y_name"] == name
        rows.loc[turned, "y"] = [f"{offset + factor * float(y):.10g}" for y in rows.loc[turned, "y"]]
        rows.loc[turned, "y_name"] = "accuracy_percent"
    points = rows["x_name"].isin(LABELLED) & ~rows["alone"]
    curves = rows[points].drop_duplicates(["dataset", "series", "x_name", "y_name"], keep="last")
    groups: Any = pd.concat([curves, rows[~points]]).groupby(["dataset", "x_name", "x", "y_name"], sort=False)
    several = rows["dataset"].nunique() > 1
    shown = [
        f"{name_of('dataset', dataset) + ', ' if several else ''}{counted(x)}"
        f"{' %' if x_name.endswith('_percent') else ''} {words(x_name.removesuffix('_percent'))}: "
        f"{', '.join(named_value(row) for row in found.itertuples())} {UNITS.get(y_name, words(y_name))}".rstrip()
        for (dataset, x_name, x, y_name), found in groups
    ]
    return "<br>".join(shown) or "curves without numbers"


def words(name: str) -> str:
    return name.replace("_", " ")


def counted(text: str) -> str:
    return f"{int(text):,}" if text.isdigit() else words(text)


def named_value(row: Any) -> str:
    name = SERIES.get(row.series) or words(name_of("strategy", row.series))
    return f"{name} {'reaches ' if row.y_name == 'reaches' else ''}{counted(row.y)}"
