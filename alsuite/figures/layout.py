"""Panels laid out on one sheet, with letters, one legend beside the data and a footer that says what was measured.

`compose` builds the sheet from parts, which hold data and no drawing; the kinds of panel draw themselves; all that
panels share, such as the style of a series, the legend and the ranges, is settled here, once for the sheet.
"""

import contextlib
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alsuite.errors import UserError
from alsuite.figures.curves import PUBLISHED
from alsuite.figures.footer import footer
from alsuite.figures.images import grid_height, picture_rows
from alsuite.figures.panels import DRAW
from alsuite.figures.parts import Part, letters
from alsuite.figures.style import FAINT, RC, Look, styles

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["WIDEST", "compose", "save_figure"]

WIDEST = 4  # columns of a sheet
COLUMNS = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3, 7: 4, 8: 4, 9: 3, 12: 3}
METADATA: dict[str, dict[str, None]] = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}


def save_figure(
    parts: Sequence[Part], paths: Sequence[Path], beneath: str = "", columns: int | None = None
) -> list[Path]:
    """Draw the parts once, store them under each path and return the paths; the same parts give the same bytes.

    paths: their suffixes tell the format; folders that lack are made
    beneath: a sentence at the end of the footer
    columns: how many parts stand in a row, by default as suits their number
    """
    import matplotlib as mpl

    with mpl.rc_context(RC):
        figure = compose(parts, beneath, columns)
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, metadata=METADATA.get(path.suffix))
    return list(paths)


def compose(parts: Sequence[Part], beneath: str = "", columns: int | None = None) -> "Figure":
    """Lay the parts out on one sheet, with a footer that ends in the sentence given.

    Without a number of columns there are as many as suit the parts, one alone where there are pictures. A series has
    the same style in all panels, and panels of class shares one range.
    """
    from matplotlib.figure import Figure

    pictures = any(part.panel.kind == "images" for part in parts)
    columns = columns or (1 if pictures else COLUMNS.get(len(parts), WIDEST))
    rows = math.ceil(len(parts) / columns)
    width = 7.0 if pictures else {1: 4.6, 2: 6.2}.get(columns, 2.65 * columns)
    heights = [max(_height(part, columns) for part in parts[r * columns : (r + 1) * columns]) for r in range(rows)]
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    grid = figure.add_gridspec(rows, columns, height_ratios=heights)
    look = styles(name for part in parts for name in _names(part))
    drawn = [figure.add_subplot(grid[divmod(place, columns)]) for place in range(len(parts))]
    for axes, part, letter in zip(drawn, parts, letters(parts), strict=True):
        _draw_panel(axes, part, look, letter, width / columns)
    _level([axes for axes, part in zip(drawn, parts, strict=True) if part.panel.kind == "labels" and not part.note])
    _margins(figure, _entries(drawn), textwrap.fill(f"{footer(parts)} {beneath}".rstrip(), int(width * 19)))
    return figure


def _margins(figure: "Figure", entries: dict[str, "Artist"], footer: str) -> None:
    """Write the legend and the footer into a strip added below the panels.

    entries: the name of a series -> what shows its style
    footer: broken into lines already

    The strip's height follows from the lines of both; the panels keep theirs.
    """
    width, height = figure.get_size_inches()
    fitting = max(1, int(width * 72 / (4.6 * max(map(len, entries), default=0) + 46)))
    lines = math.ceil(len(entries) / fitting)
    note, legend = 0.06 + 0.125 * (footer.count("\n") + 1), 0.17 * lines + 0.08 * bool(lines)
    total = height + note + legend
    figure.set_size_inches(width, total)
    figure.set_layout_engine(
        "constrained", h_pad=0.06, w_pad=0.06, rect=(0, (note + legend) / total, 1, height / total)
    )
    figure.text(0.05 / width, 0.04 / total, footer, size=6.5, color=FAINT, ha="left", va="bottom")
    if entries:
        place = {"loc": "center", "bbox_to_anchor": (0.5, (note + legend / 2) / total), "borderaxespad": 0}
        columns = math.ceil(len(entries) / lines)
        figure.legend(entries.values(), entries.keys(), ncols=columns, columnspacing=1.4, borderpad=0, **place)


def _entries(drawn: Sequence["Axes"]) -> dict[str, "Artist"]:
    """Collect what the legends of all panels hold, each name once, and "published" last.

    A series that is published only has an entry of its own; it is dropped where another panel shows it measured.
    """
    entries: dict[str, Artist] = {}
    for axes in drawn:
        handles, names = axes.get_legend_handles_labels()
        entries |= {name: handle for name, handle in zip(names, handles, strict=True) if name not in entries}
    entries = {name: entries[name] for name in sorted(entries, key=PUBLISHED.__eq__)}
    doubled = {f"{name}, {PUBLISHED}" for name in entries}
    return {name: handle for name, handle in entries.items() if name not in doubled}


def _height(part: Part, columns: int) -> float:
    """Return the inches of a part's panel, which for images follow from what is stored."""
    if part.panel.kind == "images" and not part.note:
        with contextlib.suppress(UserError):
            return grid_height(*picture_rows(part), 7.0) + 0.25
    if columns == 1:
        return 2.9
    return 2.6 if part.panel.of.shows == "matrix" else 2.2


def _names(part: Part) -> set[str]:
    """Return the series of a part that need a style; a part with a note draws none."""
    if part.note:
        return set()
    return {*part.frame["series"], *(point.series for point in part.points)}


def _draw_panel(axes: "Axes", part: Part, look: Look, letter: str, width: float) -> None:
    """Draw a part into its axes under a title with the panel's letter; where that is refused, write why in its place.

    letter: none where the sheet has one panel
    width: of the panel, in inches, at which texts are broken
    """
    try:
        if part.note:
            raise UserError(part.note)
        DRAW[part.panel.kind](axes, part, look)
    except UserError as error:
        axes.clear()
        axes.text(0.5, 0.5, textwrap.fill(str(error), int(width * 13)), ha="center", va="center", color=FAINT, size=7)
        axes.set_axis_off()
    title = "\n".join(
        textwrap.fill(line, int(width * 10), break_on_hyphens=False) for line in part.panel.title.splitlines()
    )
    axes.set_title(f"$\\bf{{{letter}}}$  {title}" if letter else title, loc="left")


def _level(panels: Sequence["Axes"]) -> None:
    """Give one range to panels that are read side by side, never below zero."""
    limits = [axes.get_ylim() for axes in panels]
    for axes in panels:
        axes.set_ylim(max(0, min(low for low, _ in limits)), max(high for _, high in limits))
