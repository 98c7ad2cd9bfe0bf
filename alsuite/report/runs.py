"""What the page of one run shows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from alsuite.figures.spec import METRICS
from alsuite.figures.style import LABELS
from alsuite.recorded import Options
from alsuite.report.charts import classes_chart, lines_chart
from alsuite.report.measured import Measured
from alsuite.report.pictures import Strip, of_run
from alsuite.report.tables import Cell, Table, cycles, number, settings
from alsuite.report.traces import Chart, Section
from alsuite.results.diagnostics import HEADINGS
from alsuite.results.kept import QUERIED, asked, place_of, queried
from alsuite.results.measures import factor
from alsuite.results.statistics import RUN

__all__ = ["RunNames", "RunPage", "address_of", "pages_of_runs", "runs_of"]

SHOWN = 12  # indices of a query
RunNames = tuple[object, ...]  # the experiment, the scale and the name of a run


@dataclass(frozen=True)
class RunPage:
    """One run: its rows, the figure that shows it, and the indices of each query where they are known."""

    rows: pd.DataFrame
    of: Measured
    indices: Sequence[Sequence[int]] = ()

    @property
    def name(self) -> str:
        return str(self.rows["run"].iloc[0])

    @property
    def address(self) -> str:
        return address_of(self.rows.iloc[0])

    @cached_property
    def about(self) -> Options:
        """What the run noted of itself, or else what was noted of all runs when they were published."""
        path = Path(self.rows["folder"].iloc[0], "run.json")
        return json.loads(path.read_text()) if path.exists() else self.of.about

    @property
    def facts(self) -> dict[str, object]:
        first, last = self.rows.iloc[0], self.rows.iloc[-1]
        named = ("scale", "seed", "strategy", "dataset", "task_model", "protocol", "device")
        facts = {name.replace("_", " "): first[name] for name in named if name in first and first[name] is not None}
        return {**facts, "pool": f"{first['pool']:,.0f}", "labelled at the end": f"{last['labelled']:,.0f}"}

    @property
    def measures(self) -> list[str]:
        return [name for name in METRICS if name in self.rows and self.rows[name].notna().any()]

    @cached_property
    def course(self) -> Section:
        """Its metrics on each test set, and the entropy of what it asked for."""
        tests = {name: name for name in self.rows["test"].unique()}
        charts = [
            lines_chart(LABELS[name], LABELS[name], self._by_test(name), tests, factor(name)) for name in self.measures
        ]
        entropy = lines_chart(
            "Entropy of the added samples", LABELS["entropy"], self._once, {"entropy": "added samples"}
        )
        return Section([chart for chart in (*charts, entropy) if chart.traces])

    @cached_property
    def labels(self) -> Section:
        """The class shares of what is labelled, where labels are one an image."""
        counted = self._once["label_counts"].map(lambda counts: isinstance(counts, list))
        return Section([classes_chart("Labels of each class", self._once)] if counted.all() else [])

    @cached_property
    def game(self) -> Section:
        """Each number that its queries noted, such as how well a discriminator tells."""
        return Section([*self._diagnostics()])

    def _diagnostics(self) -> Iterator[Chart]:
        for column in self._once:
            name = str(column).removeprefix("notes.")
            if name == column or name.endswith("_seconds") or not self._once[column].map(is_number).any():
                continue
            frame = self._once.assign(**{str(column): pd.to_numeric(self._once[column], errors="coerce")})
            title = HEADINGS.get(name, name.replace("_", " ").capitalize())
            yield lines_chart(title, name.replace("_", " "), frame, {str(column): name.replace("_", " ")})

    @cached_property
    def warnings(self) -> list[str]:
        """What its queries warned of, each once."""
        noted = self._once["notes.warning"].dropna() if "notes.warning" in self._once else []
        return [*dict.fromkeys(map(str, noted))]

    @cached_property
    def pictures(self) -> list[tuple[str, list[Strip]]]:
        return [*of_run(Path(self.rows["folder"].iloc[0]))]

    @property
    def tables(self) -> list[Table]:
        return [cycles(self.rows, [*self.measures, "entropy"])]

    @cached_property
    def queries(self) -> Table | None:
        """How many samples each cycle asked for, with the first of their indices in the pool."""
        if not self.indices:
            return None
        rows = [
            [Cell("initial" if place == 0 else f"{place}", float(place)), number(len(its)), Cell(first_of(its))]
            for place, its in enumerate(self.indices)
        ]
        return Table("What was labelled, by its index in the pool", ["Cycle", "Samples", "Indices, in order"], rows)

    @property
    def configuration(self) -> Table:
        first = self.rows.iloc[0]
        given = {name: first[name] for name in first["options"] if name in first and known(first[name])}
        return settings("Configuration", {name: value for name, value in given.items() if not name.endswith("_")})

    @property
    def versions(self) -> Table:
        return settings("Versions", {**self.about.get("versions", {}), "commit": self.about["commit"]})

    @cached_property
    def _once(self) -> pd.DataFrame:
        """A row for each cycle."""
        return self.rows.drop_duplicates("cycle").sort_values("cycle")

    def _by_test(self, measure: str) -> pd.DataFrame:
        """A row for each labelled count, with a column for each test set."""
        return self.rows.pivot_table(index="labelled", columns="test", values=measure).reset_index()


def runs_of(of: Measured) -> list[RunNames]:
    """List the experiment, scale and name of each run of a figure or an experiment."""
    return [] if of.runs.empty else [*of.runs[RUN].drop_duplicates().itertuples(index=False, name=None)]


def pages_of_runs(of: Measured, wanted: Collection[RunNames]) -> Iterator[RunPage]:
    """Yield a page for each of the runs of a figure or an experiment that are wanted."""
    if not wanted:
        return
    kept = queried(of.folder) if of.folder and (of.folder / QUERIED).exists() else {}
    for names, rows in of.runs.groupby(RUN, sort=False):
        if names not in wanted:
            continue
        place = place_of(*map(str, names))
        journal = Path(rows["folder"].iloc[0])
        indices = kept.get(place) or ([*asked(journal)] if of.folder is None else ())
        yield RunPage(rows.sort_values(["cycle", "test"]), of, [[*map(int, its)] for its in indices])


def address_of(row: pd.Series) -> str:
    """Return the place of a run's page on the site."""
    return f"runs/{place_of(row['experiment'], row['scale'], row['run'])}/index.html"


def first_of(indices: Sequence[int]) -> str:
    shown = ", ".join(map(str, sorted(indices)[:SHOWN]))
    return f"{shown}, …" if len(indices) > SHOWN else shown


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def known(value: object) -> bool:
    """Tell whether a cell of the table of runs holds something."""
    return value is not None and value == value
