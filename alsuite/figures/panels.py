"""The kinds of panel. Each draws one prepared table, whose `series` column names what is compared, into its axes.

A kind takes the axes, the part with its runs, and the look of each series; it may refuse with a UserError, which then
stands in its place. DRAW has one for each of `alsuite.figures.kinds`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alsuite.figures.curves import curves
from alsuite.figures.dots import draw_values
from alsuite.figures.images import draw_rows, groups_of, picture_rows
from alsuite.figures.masks import masks
from alsuite.figures.parts import Part
from alsuite.figures.ranges import whole_ticks
from alsuite.figures.style import BLACK, CLASS_COLOURS, GREEN, LABELS, SKY, VERMILLION, Look
from alsuite.palette import shade
from alsuite.results.intervals import SIGNIFICANT
from alsuite.results.statistics import paired_tests, penalty_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DRAW", "class_name", "class_shares", "shares"]

CROWDED = 8  # from so many columns of a matrix on their slanted names would overlap


def labels(axes: "Axes", part: Part, _: Look) -> None:
    """Draw the share of each class in the labelled set of one series; ticks at the right: its share in the pool, black
    where several classes have the same.

    Shares are means over seeds. Where there are more classes than colours, lines are thin and have no entry; theirs are
    the colours of masks then.
    """
    table, pool = class_shares(part.frame)
    classes = part.frame["classes"].iloc[0]
    thin = len(table.columns) > len(CLASS_COLOURS)
    edge, ticks = axes.get_yaxis_transform(), Counter(round(share, 1) for share in pool)
    for k, column in enumerate(table):
        colour, label = (shade(k), "") if thin else (CLASS_COLOURS[k], class_name(classes, k))
        axes.plot(table.index, table[column], color=colour, linewidth=0.6 if thin else 1.4, label=label)
        for share in pool[k : k + 1]:
            own = colour if ticks[round(share, 1)] == 1 else BLACK
            axes.plot([1.01, 1.05], [share, share], color=own, linewidth=2, transform=edge, clip_on=False)
    axes.set(xlabel=LABELS["labelled"], ylabel="Share of labels (%)")
    whole_ticks(axes)


def class_shares(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[float]]:
    """Return the mean share of each class at each labelled count, in percent, and that in the pool; none if unknown."""
    each = frame[["labelled"]].join(pd.DataFrame([shares(c) for c in frame["label_counts"]], index=frame.index))
    counts = frame["pool_counts"].iloc[0]
    return each.groupby("labelled").mean(), shares(counts).tolist() if isinstance(counts, list) else []


def shares(counts: list[int]) -> np.ndarray:
    """Return the percentages that counts make of their sum."""
    values = np.array(counts, float)
    return 100 * values / values.sum()


def class_name(classes: object, k: int) -> str:
    """Name class k; numbers get the word "class" before them, so that they are not read as shares.

    classes: the names that the runs noted, or a gap where they noted none
    """
    name = str(classes[k]) if isinstance(classes, list) else str(k)
    return f"class {name}" if name.isdigit() else name


def penalties(axes: "Axes", part: Part, _: Look) -> None:
    """Show at how many budgets the row beats the column, and the column's mean, the lower the better."""
    matrix = penalty_matrix(part.frame, "series", part.panel.y)
    order = [name for name in part.order if name in matrix.columns]
    matrix = matrix.loc[[*order, "mean"], order]
    _heat(axes, matrix, matrix.map(_share), ("Blues", 0, 1))
    axes.axhline(len(order) - 0.5, color="white", linewidth=3)
    axes.set_xlabel("share of budgets at which\nthe row beats the column")


def _share(value: float) -> str:
    """Write a share as shortly as its cell needs, since as many series as ten share the panel's width.

    >>> _share(0.0), _share(0.075), _share(1.0), _share(float("nan"))
    ('0', '.08', '1', 'nan')
    """
    return f"{value:.0f}" if value in (0, 1) else f"{np.round(value, 2):.2f}".lstrip("0")


def area(axes: "Axes", part: Part, _: Look) -> None:
    """Show the mean differences of the areas of each two series, in points; a star marks what the paired test finds."""
    tests = paired_tests(part.frame, "series", part.panel.y)
    names = [name for name in part.order if name in {*tests["first"], *tests["second"]}]
    matrix, texts = pd.DataFrame(0.0, names, names), pd.DataFrame("", names, names)
    for row, column, gain, p in tests[["first", "second", "difference", "holm_p"]].itertuples(index=False):
        star = "*" if p < SIGNIFICANT else ""
        matrix.loc[row, column], texts.loc[row, column] = 100 * gain, f"{100 * gain:.1f}{star}"
        matrix.loc[column, row], texts.loc[column, row] = -100 * gain, f"{-100 * gain:.1f}{star}"
    span = float(np.nanmax(matrix.to_numpy(), initial=0.1))
    _heat(axes, matrix, texts, ("RdBu", -span, span))
    axes.set_xlabel(f"area, row minus column (points)\n* p < {SIGNIFICANT} after Holm")


def _heat(axes: "Axes", matrix: pd.DataFrame, texts: pd.DataFrame, scale: tuple[str, float, float]) -> None:
    """Draw a matrix as colours with a text in each cell but those of the diagonal.

    texts: what is written, in the shape of the matrix
    scale: the name of the colours, and the values at their two ends
    """
    if matrix.shape[1] < 2:
        axes.text(0.5, 0.5, "one series alone", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    colours, low, high = scale
    axes.imshow(matrix, cmap=colours, vmin=low, vmax=high, aspect="auto")
    size = max(4, 7 - max(0, len(matrix.columns) - 4) // 2)
    for (i, j), value in np.ndenumerate(matrix.to_numpy()):
        shown = "" if i == j else str(texts.iloc[i, j]).replace("nan", "n/a")
        colour = "white" if abs(value) > 0.6 * high else "#222222"
        axes.text(j, i, shown, ha="center", va="center", size=size, color=colour)
    rows, columns = [str(name) for name in matrix.index], [str(name) for name in matrix.columns]
    if len(columns) < CROWDED:
        axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    else:  # each column is called by the number of its row
        axes.set_xticks(range(len(columns)), map(str, range(1, len(columns) + 1)))
        rows = [f"{name}  {i + 1}" if i < len(columns) else name for i, name in enumerate(rows)]
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def images(axes: "Axes", part: Part, _: Look) -> None:
    """Draw the stored images of each series' run, row below row."""
    draw_rows(axes, *picture_rows(part))


def preparations(axes: "Axes", part: Part, look: Look) -> None:
    """Draw the seconds of each part against the size of the pool, both on logarithmic axes."""
    curves(axes, part, look)
    axes.set(xscale="log", yscale="log")


def transition(axes: "Axes", part: Part, look: Look) -> None:
    """Draw the cycles until a scan costs more; where it never does, "never" stands in place of a point.

    The axis says that the training of a generator counts as whole, on which the preparation depends most, however much
    of it a reduced scale has left.
    """
    from matplotlib.ticker import LogFormatter

    never = part.frame[np.isinf(part.frame[part.panel.y])]
    curves(axes, replace(part, frame=part.frame.drop(never.index)), look)
    axes.set(xscale="log", yscale="log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.4)))
    edge = axes.get_xaxis_transform()
    for name, x in sorted({*zip(never["series"], never[part.panel.x], strict=True)}):
        axes.axvline(x, color=look[name].colour, linestyle=":", linewidth=0.8)
        axes.text(x, 0.97, "never", color=look[name].colour, rotation=90, ha="right", va="top", transform=edge)
    if part.frame["notes.generator_iterations"].max():
        axes.set_xlabel(f"{axes.get_xlabel()}\n(the generator's training counted whole)")


def placed_groups(axes: "Axes", part: Part, _: Look) -> None:
    """Draw where one run has placed its groups of samples; the axes have no meaning of their own, and so no ticks."""
    for place, (name, places) in enumerate(groups_of(part).items()):
        colour, label = (SKY, GREEN, VERMILLION)[place % 3], part.panel.names.get(name, name.replace("_", " "))
        axes.scatter(*places.T, s=5, color=colour, alpha=0.7, linewidths=0, zorder=2 + place)
        axes.plot([], [], color=colour, marker="o", linestyle="none", label=label)  # dots of the legend, to be seen
    axes.set(xticks=[], yticks=[])


DRAW: dict[str, Callable[["Axes", Part, Look], None]] = {
    "accuracy": curves,
    "entropy": curves,
    "labels": labels,
    "bars": draw_values,
    "timing": draw_values,
    "preparation": preparations,
    "transition": transition,
    "gains": draw_values,
    "images": images,
    "masks": masks,
    "plane": placed_groups,
    "aubc": area,
    "penalty": penalties,
}
