"""What strategies noted of themselves while they asked, as a table: whether their networks have learned."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from alsuite.notes import WARNING
from alsuite.results.report import markdown
from alsuite.results.statistics import RUN

__all__ = ["diagnostics"]

HEADS = {
    "explained": "variance that the VAE explains",
    "active_latents": "dimensions of its code in use",
    "d_ranking": "D ranks labelled above unlabelled",
    "d_accuracy": "D is right",
    "adversary_share": "adversary's share of the pull at the encoder",
    "entropy_started": "entropy where the ascent starts (nats)",
    "entropy_generated": "entropy of what was made (nats)",
    "entropy_matched": "entropy of what was matched (nats)",
    "margin": "margin of what was made",
}


def diagnostics(runs: pd.DataFrame, settings: pd.Series) -> str:
    """Return a table in Markdown, a row for each setting, of means over seeds and queries; empty if nothing was noted.

    runs: rows of runs with their notes
    settings: what each row's run is called, whatever its seed
    """
    queries = runs.assign(setting=settings).drop_duplicates([*RUN, "cycle"])  # a cycle may have several tests
    queries = queries.rename(columns=lambda name: str(name).removeprefix("notes."))
    if {"reconstruction_error", "mean_sample_error"} <= {*queries}:
        queries["explained"] = 1 - queries["reconstruction_error"] / queries["mean_sample_error"]
    noted = [name for name in HEADS if name in queries and queries[name].notna().any()]
    asked = queries.dropna(subset=noted, how="all")
    if not noted or asked.empty:
        return ""
    warnings = {str(name): "; ".join(_warnings(part)) for name, part in asked.groupby("setting", sort=False)}
    means = asked.groupby("setting", sort=False)[noted].mean()
    heads = ["runs", *(HEADS[name] for name in noted), *(["warnings"] if any(warnings.values()) else [])]
    rows = [[str(name), *map(_cell, means.loc[name]), warnings[str(name)]][: len(heads)] for name in means.index]
    return markdown(heads, rows)


def _warnings(queries: pd.DataFrame) -> Iterator[str]:
    """Tell each warning, and how many of the queries had it."""
    if WARNING in queries:
        for text, count in queries[WARNING].value_counts().items():
            yield f"{count} of {len(queries)} queries: {text}"


def _cell(value: float) -> str:
    return "" if value != value else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
