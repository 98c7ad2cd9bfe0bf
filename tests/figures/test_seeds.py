"""How few seeds are drawn, and what stands along the axes and in the legend."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from alsuite.figures.layout import compose
from alsuite.figures.parts import Part, parts_of
from alsuite.figures.spec import Panel
from alsuite.results import load_runs
from helpers.journals import write_run

HEAD = "figure,dataset,series,x_name,x,y_name,y,source\n"
SEVERAL = ["random", "entropy", "margin", "coreset", "badge", "vaal", "ensemble"]


def drawn(root: Path, kind: str = "accuracy", published: str = "") -> tuple[Axes, Figure]:
    table = root / "published.csv"
    table.write_text(HEAD + published)
    panel = Panel(kind, published=("a",) if published else ())
    parts: list[Part] = parts_of(panel, load_runs("toy", root=root), table)
    figure = compose(parts)
    return figure.axes[0], figure


def write_seeds(root: Path, seeds: int, curve: tuple[float, ...] = (0.02, 0.98), step: int = 10) -> None:
    for seed in range(seeds):
        write_run(root, "vaal", seed, [abs(value - 0.3 * (seed % 2)) for value in curve], step=step)


def band(axes: Axes) -> np.ndarray:
    """The heights of the band's outline."""
    outlines = [each.get_paths() for each in axes.collections if isinstance(each, PolyCollection)]
    heights = [np.asarray(path.vertices)[:, 1] for paths in outlines for path in paths]
    return np.concatenate(heights) if heights else np.array([])


def test_two_seeds_are_drawn_themselves_without_a_band(tmp_path: Path) -> None:
    write_seeds(tmp_path, 2)
    axes, figure = drawn(tmp_path)
    ends = sorted(round(float(np.asarray(line.get_ydata())[-1])) for line in axes.lines)
    assert ends == [68, 83, 98]
    assert band(axes).size == 0
    assert "single seeds" in figure.texts[0].get_text()
    assert "interval" not in figure.texts[0].get_text()


def test_three_seeds_have_a_band_within_what_an_accuracy_can_be(tmp_path: Path) -> None:
    write_seeds(tmp_path, 3)
    axes, figure = drawn(tmp_path)
    assert len(axes.lines) == 1
    assert 0 < band(axes).min() < 2
    assert 98 < band(axes).max() < 100
    assert "95 % interval of the mean over seeds" in " ".join(figure.texts[0].get_text().split())


def bars(axes: Axes) -> list[tuple[float, float]]:
    """The x and the height of each bar beside a last point."""
    lines = [line for each in axes.collections if isinstance(each, LineCollection) for line in each.get_segments()]
    return [(float(line[0, 0]), float(np.ptp(line[:, 1]))) for line in lines]


@pytest.mark.parametrize("names", [SEVERAL[:-1], SEVERAL])
def test_from_seven_curves_on_bars_side_by_side_stand_for_bands(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        for seed in range(3):
            write_run(tmp_path, name, seed, [0.5, 0.6 + 0.02 * seed])
    axes, figure = drawn(tmp_path)
    if len(names) < 7:
        assert band(axes).size
        assert bars(axes) == []
    else:
        assert band(axes).size == 0
        places, heights = zip(*bars(axes), strict=True)
        last = max(float(np.asarray(line.get_xdata())[-1]) for line in axes.lines if len(line.get_xdata()) == 2)  # type: ignore[arg-type]
        assert last < min(places)
        assert len({*places}) == 7
        assert heights == pytest.approx([100 * 2 * 4.303 * 0.02 / 3**0.5] * 7, rel=0.01)
    assert ("bars beside the last point" in " ".join(figure.texts[0].get_text().split())) == (len(names) == 7)


@pytest.mark.parametrize(
    ("panels", "told"),
    [
        (["seed < 3"], "3 seeds"),
        (["seed < 3", "strategy == 'a' and seed == 1"], "3 seeds (a 1 in part)"),
        (["seed < 3 or strategy == 'a'"], "3 seeds (a 5)"),
        (["seed == 0 or strategy == 'a' or strategy == 'b' and seed < 2"], "1 seed (a 5, b 2)"),
        (["seed == 0 or strategy < 'f'"], "1 to 5 seeds"),
    ],
)
def test_series_with_other_seeds_than_most_are_named_unless_they_are_many(
    tmp_path: Path, panels: list[str], told: str
) -> None:
    for name in "abcdefghijk":
        for seed in range(5):
            write_run(tmp_path, name, seed, [0.5, 0.6])
    runs, table = load_runs("toy", root=tmp_path), tmp_path / "published.csv"
    table.write_text(HEAD)
    parts = [part for some in panels for part in parts_of(Panel("accuracy"), runs.query(some), table)]
    assert f"; {told};" in compose(parts).texts[0].get_text().replace("\n", " ")


@pytest.mark.parametrize(("seeds", "whiskered"), [(2, False), (3, True)])
def test_bars_of_two_seeds_are_dots(tmp_path: Path, seeds: int, whiskered: bool) -> None:
    write_seeds(tmp_path, seeds)
    axes, _ = drawn(tmp_path, "bars")
    (whisker,) = axes.containers[0].lines[2]  # type: ignore[union-attr]
    (segment,) = whisker.get_segments()
    dots = [line for line in axes.lines if line.get_marker() == "."]
    assert (np.ptp(segment[:, 0]) > 1, len(dots)) == (whiskered, 0 if whiskered else 1)


@pytest.mark.parametrize("cycles", [1, 2, 3])
def test_ticks_are_whole_numbers_each_once(tmp_path: Path, cycles: int) -> None:
    write_seeds(tmp_path, 1, (0.5, 0.6, 0.7)[:cycles], step=1)
    axes, figure = drawn(tmp_path)
    figure.draw_without_rendering()
    shown = [text for label in axes.get_xticklabels() if (text := label.get_text())]
    assert len(shown) == len(set(shown)) > 0
    assert all(text.isdigit() for text in shown)


@pytest.mark.parametrize(
    ("series", "entries"), [("vaal", ["VAAL", "published"]), ("dbal", ["VAAL", "DBAL, published"])]
)
def test_the_legend_explains_only_what_is_shown(tmp_path: Path, series: str, entries: list[str]) -> None:
    write_seeds(tmp_path, 1)
    axes, _ = drawn(tmp_path, published=f"a,mnist57,{series},labelled,15,accuracy_percent,50,\n")
    assert sorted(axes.get_legend_handles_labels()[1]) == sorted(entries)
