"""Claims and verdicts as a figure, its page and the table of papers show them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from alsuite import CONF
from alsuite.claims.claim import read_claims
from alsuite.claims.told import what_was_measured
from alsuite.claims.verdicts import VERDICTS, Runs, verdicts
from alsuite.recorded import Options
from alsuite.results.report import markdown

__all__ = [
    "below_a_picture",
    "count_of_each",
    "counted",
    "figures_of",
    "of_papers",
    "on_a_page",
    "paper_of",
    "verdicts_on",
]

SHORT = {verdict: verdict for verdict in VERDICTS} | {"agrees": "agreed", "disagrees": "disagreed"}
LACKS = "not measured"  # in what was noted of a published figure


def verdicts_on(figure: str, runs: Runs) -> pd.DataFrame:
    """Judge the claims that a figure's runs measure; Holm's correction is over these."""
    return verdicts([claim for claim in read_claims() if claim.experiment == figure], runs)


def below_a_picture(table: pd.DataFrame) -> str:
    """Say in a line how the claims came out; nothing where there are none."""
    if table.empty:
        return ""
    counts = Counter(table["verdict"])
    told = ", ".join(f"{counts[verdict]} {SHORT[verdict]}" for verdict in VERDICTS if counts[verdict])
    return f"Claims of the paper, tested on this figure alone: {told} at this scale."


def on_a_page(table: pd.DataFrame) -> str:
    """List the claims with their verdicts, in Markdown."""
    return "\n".join(
        f"- **{row['verdict']}**: {row['says']} {what_was_measured(row)}." for row in table.to_dict("records")
    )


def of_papers(table: pd.DataFrame, published: Path) -> str:
    """Return a row for each paper, in Markdown: what of it was measured, and how its claims came out.

    Arguments:
        table: the verdicts on all claims
        published: the folder whose figures count as measured
    """
    heads = ["paper", "figures and tables", *(f"claims {SHORT[verdict]}" for verdict in VERDICTS)]
    rows = []
    for paper, part in table.groupby("paper", sort=False):
        counts = {verdict: str(count) for verdict, count in count_of_each(part).items()}
        counts["undecided"] += _leaning(part)
        rows.append([_linked(str(paper)), _share(str(paper), published), *counts.values()])
    return markdown(heads, rows)


def _leaning(table: pd.DataFrame) -> str:
    """Say to which sides undecided claims lean, if any do."""
    sides = Counter(table["leans"].dropna())
    return f" ({sides['for']} for, {sides['against']} against)" if sides else ""


def count_of_each(table: pd.DataFrame) -> dict[str, int]:
    """Count how often each verdict was given; none of them in a table without rows."""
    counts = Counter(table["verdict"] if len(table) else ())
    return {verdict: counts[verdict] for verdict in VERDICTS}


def _linked(paper: str) -> str:
    """Return a paper's title, as a link where it has an address in the web, with its authors and year."""
    about = paper_of(paper)
    title, place = about["title"], about["address"]
    named = f"[{title}]({place})" if place.startswith("http") else f"{title} ({place})"
    return f"{named}, {about['authors']} {about['year']}"


def paper_of(paper: str) -> Options:
    """Return what the configuration says of a paper: its title, authors, year and address."""
    about = OmegaConf.load(CONF / "paper" / f"{paper}.yaml")
    assert isinstance(about, DictConfig)
    return about


def figures_of(paper: str) -> list[str]:
    """List the names of a paper's figures and tables."""
    return sorted(path.stem for path in (CONF / "experiment").glob(f"{paper}_*.yaml"))


def counted(paper: str) -> list[str]:
    """List the figures and tables that a paper has itself; a part of a table is no table of its own."""
    named = [stem for stem in figures_of(paper) if re.match(rf"{paper}_(fig|tab)\d", stem)]
    return [stem for stem in named if not any(stem.startswith(f"{other}_") for other in named)]


def _share(paper: str, published: Path) -> str:
    """Tell how many of a paper's figures and tables were measured."""
    stems = counted(paper)
    done = [path for stem in stems if (path := published / stem / "about.json").exists()]
    part = sum(LACKS in json.loads(path.read_text()) for path in done)
    return f"{len(done)} of {len(stems)} measured" + (f", {part} of them in part" if part else "")
