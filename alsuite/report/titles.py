"""What papers and figures are called, and in which order they stand."""

from __future__ import annotations

import re

from alsuite import CONF
from alsuite.figures.names import NAMES, name_of

__all__ = ["natural", "paper_name", "paper_of_figure", "title_of"]


def paper_name(paper: str) -> str:
    """Return a paper's short name, which is that of its strategy."""
    names = {value.replace("_", ""): name for value, name in NAMES["strategy"].items()}
    return names.get(paper.replace("_", ""), paper)


def paper_of_figure(stem: str) -> str:
    """Return whose figure it is; nothing of a comparison that no paper has."""
    papers = (path.stem for path in (CONF / "paper").glob("*.yaml"))
    return next((paper for paper in papers if stem.startswith(f"{paper}_")), "")


def title_of(stem: str) -> str:
    """Name a figure: "ASAL, figure 3" of asal_fig3, and what belongs to no paper by the words of its file."""
    paper = paper_of_figure(stem)
    what, _, dataset = stem.removeprefix(f"{paper}_").partition("_")
    named = name_of("dataset", dataset)
    what = re.sub("^fig", "figure ", re.sub("^tab", "table ", what))
    about = f", {named}" if named != dataset else f" {dataset}".replace("_", " ").rstrip()
    title = f"{paper_name(paper)}, {what}" if paper else what.capitalize()
    return f"{title}{about}"


def natural(stem: str) -> list[tuple[int, str]]:
    """Return what sorts names by the numbers in them: figure 3 before figure 10."""
    words = "".join(letter if letter.isdigit() else f" {letter} " for letter in stem).split()
    return [(int(word), "") if word.isdigit() else (-1, word) for word in words]
