"""The pages of the report, and where each lies."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from alsuite import CONF
from alsuite.claims import measured_runs, read_claims, verdicts
from alsuite.claims.pages import count_of_each, counted, figures_of, paper_of
from alsuite.files import locked
from alsuite.recorded import Options
from alsuite.report import tables
from alsuite.report.charts import section_of
from alsuite.report.measured import Measured, own_experiment, published_figures
from alsuite.report.pictures import Strip, of_part, thumbnail
from alsuite.report.runs import RunNames, address_of, pages_of_runs, runs_of
from alsuite.report.site import Site
from alsuite.report.tables import Cell, Table
from alsuite.report.titles import natural, paper_name, title_of
from alsuite.report.traces import Section
from alsuite.results.statistics import RUN

__all__ = ["write_report"]


@dataclass(frozen=True)
class FigurePage:
    """The page of a published figure, or of an experiment of the user's own."""

    of: Measured

    @property
    def address(self) -> str:
        return f"{'figures' if self.of.folder else 'experiments'}/{self.of.name}/index.html"

    @cached_property
    def thumbnail(self) -> str:
        return self.address.replace("index.html", "small.png") if self.of.picture else ""

    @property
    def files(self) -> list[str]:
        """The names of the tables beside the page."""
        return [f"{name}.csv" for name in self.of.tables]

    @cached_property
    def counts(self) -> dict[str, int]:
        return count_of_each(self.of.verdicts)

    @cached_property
    def charts(self) -> Section:
        """What the panels show."""
        return section_of(self.of.parts)

    @cached_property
    def notes(self) -> list[str]:
        """Why a panel shows nothing."""
        return [f"{part.panel.title or part.panel.kind}: {part.note}" for part in self.of.parts if part.note]

    @cached_property
    def numbers(self) -> list[Table]:
        kinds = (("summary", tables.areas), ("values", tables.values))
        return [table for name, made in kinds if name in self.of.tables for table in made(self.of.tables[name])]

    @cached_property
    def tests(self) -> list[Table]:
        return tables.tests(self.of.tables["tests"]) if "tests" in self.of.tables else []

    @cached_property
    def penalties(self) -> list[Table]:
        return tables.penalties(self.of.tables["penalty"]) if "penalty" in self.of.tables else []

    @cached_property
    def classes(self) -> list[Table]:
        return [table for title, frame in self.of.groups for table in tables.classes(title, frame)]

    @cached_property
    def times(self) -> list[Table]:
        return [tables.times(title, frame) for title, frame in self.of.groups]

    @cached_property
    def pictures(self) -> list[tuple[str, list[Strip]]]:
        """The images that its panels show, by the panels' titles."""
        found = ((part.panel.title, of_part(part)) for part in self.of.stored if not part.note)
        return [(title, strips) for title, strips in found if strips]

    @cached_property
    def runs(self) -> Table | None:
        """Its runs, each with its last value, and a way to its page."""
        if self.of.runs.empty:
            return None
        of_its_data = self.of.runs["test"] == self.of.runs["dataset"]  # of several test sets its own counts
        last = self.of.runs.assign(own=of_its_data)[::-1].sort_values(["cycle", "own"], kind="stable")  # or the first
        last = last.drop_duplicates(RUN, keep="last")
        measure = "mean_iou" if "mean_iou" in last and last["mean_iou"].notna().all() else "accuracy"
        rows = [
            [
                Cell(str(row["run"]), link=address_of(row)),
                Cell(str(row["strategy"])),
                tables.number(row["seed"]),
                tables.number(row["labelled"]),
                tables.number(100 * row[measure], ".2f"),
            ]
            for _, row in last.sort_values(RUN).iterrows()
        ]
        heads = ["Run", "Strategy", "Seed", "Labelled at the end", f"Last {measure.replace('_', ' ')} (%)"]
        return Table("The runs", heads, rows)


@dataclass(frozen=True)
class PaperPage:
    """The page of a paper: what of it was measured, and what the runs say to its claims."""

    name: str
    verdicts: pd.DataFrame
    measured: Sequence[FigurePage]

    @property
    def address(self) -> str:
        return f"papers/{self.name}.html"

    @property
    def short(self) -> str:
        return paper_name(self.name)

    @cached_property
    def about(self) -> Options:
        return paper_of(self.name)

    @cached_property
    def figures(self) -> list[str]:
        """The figures and tables of the paper itself."""
        return counted(self.name)

    @property
    def done(self) -> int:
        """How many of these were measured."""
        return sum(page.of.name in self.figures for page in self.measured)

    @property
    def missing(self) -> list[tuple[str, str]]:
        """The figures that were not measured, each with its title."""
        done = {page.of.name for page in self.measured}
        return [(stem, title_of(stem)) for stem in sorted(figures_of(self.name), key=natural) if stem not in done]

    @property
    def counts(self) -> dict[str, int]:
        return count_of_each(self.verdicts)


def write_report(root: Path, out: Path, experiments: Sequence[str] = (), configuration: Path = CONF) -> Path:
    """Write the site of what is published below the root and of the named experiments; return its start page.

    Arguments:
        root: the folder of all runs, with what is published below it
        out: the folder of the site; pages of an earlier one are removed
        experiments: whose finished runs below the root get pages, too
        configuration: a folder with an experiment/NAME.yaml of the user's own
    """
    own = [FigurePage(own_experiment(name, root, configuration)) for name in experiments]
    judged = _verdicts(root)
    figures = [FigurePage(one) for one in published_figures(root / "published", judged)]
    figures.sort(key=lambda page: natural(page.of.name))
    out.mkdir(parents=True, exist_ok=True)
    with locked(out / ".lock"):  # another report would remove its pages
        site = Site(out)
        site.clear()
        addresses = {page.of.name: page.address for page in figures}
        made = [
            PaperPage(name, judged[judged["paper"] == name], _of_paper(figures, name))
            for name in dict.fromkeys(judged["paper"])
        ]
        for page in made:
            table = tables.claims(page.verdicts, lambda stem: addresses.get(stem, ""))
            site.write("paper.html", page.address, page=page, claims=table)
        papers = {paper.name: paper for paper in made}
        last = {run: page for page in (*figures, *own) for run in runs_of(page.of)}  # a run may be shown by several
        for page in (*figures, *own):
            _write_figure(site, page, papers, [run for run, its in last.items() if its is page])
        site.write("start.html", "index.html", papers=made, own=own, others=_of_paper(figures, ""))
    return out / "index.html"


def _verdicts(root: Path) -> pd.DataFrame:
    """Return the verdicts on all claims, as they were published, or judged by what is; none where nothing is."""
    path = root / "published" / "claims.csv"
    if not path.exists():
        return verdicts(read_claims() if path.parent.exists() else [], measured_runs(root))
    return pd.read_csv(path, dtype={"unit": str, "why": str}).fillna({"unit": "", "why": ""})


def _of_paper(figures: Sequence[FigurePage], paper: str) -> list[FigurePage]:
    return [page for page in figures if page.of.paper == paper]


def _write_figure(site: Site, page: FigurePage, papers: Mapping[str, PaperPage], runs: Collection[RunNames]) -> None:
    """Write a figure's page, the files beside it and the pages of these of its runs."""
    of = page.of
    folder = (site.out / page.address).parent
    folder.mkdir(parents=True)
    for name, table in of.tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    if of.picture:
        shutil.copyfile(of.picture, folder / "picture.png")
        thumbnail(of.picture, site.out / page.thumbnail)
    claims = tables.claims(of.verdicts) if len(of.verdicts) else None
    site.write("figure.html", page.address, page=page, of=of, paper=papers.get(of.paper), claims=claims)
    for run in pages_of_runs(of, runs):
        site.write("run.html", run.address, run=run, of=page)
