"""What strategies noted of themselves while they asked, as a table: whether their networks have learned."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from alsuite.notes import WARNING
from alsuite.results.report import markdown
from alsuite.results.statistics import RUN

__all__ = ["HEADINGS", "diagnostics"]

HEADINGS = {  # of what a strategy notes of its networks, as pages say it
    "d_ranking": "Chance that D ranks labelled above unlabelled",
    "d_accuracy": "Share that D gets right",
    "loss_ranking": "Chance that A ranks the larger of two losses higher",
    "adversary_share": "Adversary's share of the pull at the encoder",
    "reconstruction_error": "Squared error of the reconstructions",
    "mean_sample_error": "Squared error of the mean sample",
    "active_latents": "Dimensions of the code in use",
    "entropy_started": "Entropy where the ascent starts (nats)",
    "entropy_generated": "Entropy of what was generated (nats)",
    "entropy_matched": "Entropy of what was matched (nats)",
    "margin": "Margin of what was generated",
}
EXPLAINED = "explained"
ERRORS = ("reconstruction_error", "mean_sample_error")  # of which the share that is explained stands in the table
HEADS = {
    EXPLAINED: "Variance that the VAE explains",
    **{name: heading for name, heading in HEADINGS.items() if name not in ERRORS},
}


def diagnostics(runs: pd.DataFrame, settings: pd.Series) -> str:
    """Return a table in Markdown, a row for each setting, of means over seeds and queries; empty if nothing was noted.

    runs: rows of runs with their notes
    settings: what each row's run is called, whatever its seed
    """
    queries = runs.assign(setting=settings).drop_duplicates([*RUN, "cycle"])  # a cycle may have several tests
    queries = queries.rename(columns=lambda name: str(name).removeprefix("notes."))
    if {*ERRORS} <= {*queries}:
        error, of_mean = (queries[name] for name in ERRORS)
        queries[EXPLAINED] = 1 - error / of_mean
    noted = [name for name in HEADS if name in queries and queries[name].notna().any()]
    asked = queries.dropna(subset=noted, how="all")
    if not noted or asked.empty:
        return ""
    warnings = {str(name): "; ".join(_warnings(part)) for name, part in asked.groupby("setting", sort=False)}
    means = asked.groupby("setting", sort=False)[noted].mean()
    heads = ["Runs", *(HEADS[name] for name in noted), *(["Warnings"] if any(warnings.values()) else [])]
    rows = [[str(name), *map(_cell, means.loc[name]), warnings[str(name)]][: len(heads)] for name in means.index]
    return markdown(heads, rows)


def _warnings(queries: pd.DataFrame) -> Iterator[str]:
    """Tell each warning, and how many of the queries had it."""
    if WARNING in queries:
        for text, count in queries[WARNING].value_counts().items():
            yield f"{count} of {len(queries)} queries: {text}"


def _cell(value: float) -> str:
    return "" if value != value else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
