"""Figures from synthetic runs: what is drawn, where, and always the same bytes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from alsuite import CONF, figures
from alsuite.errors import UserError
from alsuite.figures import __main__ as command
from alsuite.figures import draw, draw_curves, layout
from alsuite.figures.__main__ import main
from alsuite.figures.layout import compose
from alsuite.figures.parts import BLANK, Part, parts_of
from alsuite.figures.spec import Panel, read_panels
from alsuite.figures.style import KNOWN, styles
from alsuite.results import lacking, load_runs, told_lacking
from helpers.journals import synthetic_curve, write_run

STRATEGIES = ("random", "entropy", "vaal")
PUBLISHED = """figure,dataset,series,x_name,x,y_name,y,source
a,mnist57,vaal,labelled_percent,3,accuracy_percent,88.5,
a,mnist57,full,labelled,all,accuracy_fraction,0.91,
a,mnist57,random,labelled,50,error_percent,25,
a,mnist57,random,labelled,>70,accuracy_percent,99,
a,mnist57,random,labelled,60,accuracy_percent,<70,
a,usps57,random,labelled,30,accuracy_percent,11,
b,mnist57,vaal,queried,one round,query_seconds,12.5,
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Three strategies and full supervision, three seeds each."""
    for seed in range(3):
        for k, strategy in enumerate(STRATEGIES):
            write_run(tmp_path, strategy, seed, synthetic_curve(0.8 + 0.04 * k, seed), query_seconds=0.1 * 10**k)
        write_run(tmp_path, "full", seed, [0.95], start=1000)
    return tmp_path


@pytest.fixture
def conf(tmp_path: Path) -> Callable[[Any], Path]:
    def write(figure: Any) -> Path:
        runs = tmp_path / "conf" / "experiment" / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        (runs / "toy.yaml").write_text("# @package _global_\nexperiment: toy\n")
        (runs.parent / "fig1.yaml").write_text(yaml.safe_dump({"defaults": ["runs/toy", "_self_"], "figure": figure}))
        (tmp_path / "conf" / "published.csv").write_text(PUBLISHED)
        return tmp_path / "conf"

    return write


def composed(root: Path, conf: Path) -> Figure:
    runs = load_runs("toy", "smoke", root)
    return compose(
        [part for panel in read_panels("fig1", conf) for part in parts_of(panel, runs, conf / "published.csv")]
    )


def drawn_lines(axes: Axes, label: str) -> list[Line2D]:
    return [line for line in axes.lines if line.get_label() == label]


def hollow(axes: Axes) -> list[tuple[float, float]]:
    """The published points, without the empty one that makes the legend's entry."""
    lines = [line for line in axes.lines if line.get_markerfacecolor() == "none" and len(np.asarray(line.get_xdata()))]
    return sorted((float(np.asarray(line.get_xdata())[0]), float(np.asarray(line.get_ydata())[0])) for line in lines)


def texts(axes: Axes) -> str:
    return " ".join(" ".join(text.get_text() for text in axes.texts).split())


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for each in figure.findobj(Legend) if isinstance(each, Legend) for text in each.get_texts()]


def test_runs_of_two_protocols_get_a_panel_each(toy: Path, conf: Callable[[Any], Path]) -> None:
    folder = conf([{"kind": "accuracy", "title": "VGG16"}, {"kind": "accuracy", "where": {"protocol": "fair"}}])
    runs = load_runs("toy", "smoke", toy)
    both = pd.concat([runs.assign(protocol="paper"), runs.assign(protocol="fair", run=runs["run"] + ",fair")])
    split, chosen = (parts_of(panel, both, folder / "published.csv") for panel in read_panels("fig1", folder))
    assert [part.panel.title for part in split] == ["VGG16\nprotocol: paper", "VGG16\nprotocol: fair"]
    assert [set(part.frame["protocol"]) for part in [*split, *chosen]] == [{"paper"}, {"fair"}, {"fair"}]


def test_curves_are_means_with_full_across(toy: Path, conf: Callable[[Any], Path]) -> None:
    figure = composed(toy, conf([{"kind": "accuracy", "names": {"vaal": "Our VAAL"}}]))
    axes = figure.axes[0]
    (line,) = drawn_lines(axes, "Our VAAL")
    expected = 100 * np.mean([synthetic_curve(0.88, seed) for seed in range(3)], axis=0)
    assert np.asarray(line.get_ydata()) == pytest.approx(expected)
    assert np.asarray(line.get_xdata()).tolist() == list(range(10, 90, 10))
    (full,) = drawn_lines(axes, "fully supervised")
    assert np.asarray(full.get_ydata()) == pytest.approx([95, 95])
    assert legend(figure) == ["Our VAAL", "max entropy", "random", "fully supervised"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Labelled samples", "Test accuracy (%)")
    assert "scale=smoke: MNIST 5 vs 7; 3 seeds; pool 1,000; cpu" in figure.texts[0].get_text()


def test_the_footer_names_what_a_panel_asks_for_but_was_not_run(toy: Path, conf: Callable[[Any], Path]) -> None:
    def footer(*strategies: str) -> str:
        where = {"strategy": list(strategies), "scale": "smoke"}
        footer = composed(toy, conf([{"kind": kind, "where": where} for kind in ("accuracy", "timing")])).texts[0]
        return " ".join(footer.get_text().split())

    assert footer("random", "coreset", "badge").endswith("Not measured: strategy=coreset, strategy=badge.")
    assert "Not measured" not in footer("random", "entropy", "full")


def test_the_footer_names_what_the_sweeps_make_that_was_not_run(toy: Path, conf: Callable[[Any], Path]) -> None:
    """Of series that differ in two columns, and of those sweeps alone that a panel shows."""
    series = {"series": ["strategy", "generator"]}
    folder = conf(
        [
            {"kind": "accuracy", "where": {"initial": "uniform"}, **series},
            {"kind": "bars", "where": {"initial": "biased"}},
        ]
    )
    runs = folder / "experiment" / "runs" / "toy.yaml"
    runs.write_text(
        "experiment: toy\nsweeps: [{strategy: 'random, badge'}, {strategy: vaal, generator: 'vae,none'}, "
        "{initial: biased, strategy: coreset}]\n"
    )
    uniform, biased = (panel.swept for panel in read_panels("fig1", folder))
    of_vaal = ({"strategy": "vaal", "generator": generator} for generator in ("vae", "none"))
    assert uniform == ({"strategy": "random"}, {"strategy": "badge"}, *of_vaal)
    assert biased == ({"strategy": "coreset"},)
    runs.write_text('experiment: toy\nsweeps: [{strategy: "random, badge"}, {strategy: vaal}, {}]\n')
    (folder / "experiment" / "fig1.yaml").write_text("defaults: [runs/toy]\nfigure: [{kind: accuracy}]\n")
    footer = " ".join(composed(toy, folder).texts[0].get_text().split())
    assert footer.endswith("Not measured: strategy=badge.")


def test_a_list_is_one_value_of_a_sweep_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    lists = {"sweeps": [{"initial.only": "[3,5],[cat, dog]", "strategy": "random"}], "experiment": "toy"}
    panel = {"kind": "accuracy", "series": ["initial.only"]}
    (tmp_path / "experiment" / "mine.yaml").write_text(yaml.safe_dump({**lists, "figure": [panel]}))
    (shown,) = read_panels("mine", tmp_path)
    write_run(tmp_path, "random", 0, [0.5], config={"initial": {"only": [3, 5]}})
    assert lacking(load_runs("toy", root=tmp_path), {}, shown.swept) == ["initial.only=[cat, dog]"]
    write_run(tmp_path, "random", 1, [0.5], config={"initial": {"only": ["cat", "dog"]}})
    assert lacking(load_runs("toy", root=tmp_path), {}, shown.swept) == []


def test_what_is_lacking_is_told_once_by_what_is_absent_of_it() -> None:
    rows = pd.DataFrame(
        {"strategy": ["asal", "asal", "random"], "features": ["rgb", "gray", None], "alpha": [0.5, 1.0, None]}
    )
    asked = [{"strategy": "asal", "features": "rgb"}, {"strategy": "gaal"}, {"strategy": "gaal", "features": "rgb"}]
    assert lacking(rows, {"features": [None, "rgb", "code"]}, asked) == ["features=code", "strategy=gaal"]
    assert lacking(rows, {}, [{"features": "gray", "alpha": "1.0"}]) == []
    assert lacking(rows, {}, [{"features": "rgb", "alpha": "1.0"}]) == ["features=rgb alpha=1.0"]


def test_what_only_some_panels_lack_is_told_with_their_titles() -> None:
    gan, code = "generator=gan", "features=code"
    assert told_lacking([("a", [gan, code]), ("b", [gan, code])]) == f"{gan}, {code}"
    assert told_lacking([("a", [gan, code]), ("b", [code])]) == f"{gan} (a); {code}"
    assert told_lacking([("a", []), ("b\nhinge", [gan, code])]) == f"{gan}, {code} (b hinge)"
    assert told_lacking([*((title, [gan]) for title in "abc"), ("d", [])]) == f"{gan} (3 of 4 panels)"
    assert told_lacking([("", [gan]), ("b", [])]) == f"{gan} (1 of 2 panels)"
    assert told_lacking([("a", [])]) == ""


def test_published_points_lie_over_the_curves(toy: Path, conf: Callable[[Any], Path]) -> None:
    figure = composed(toy, conf([{"kind": "accuracy", "published": "a"}]))
    assert hollow(figure.axes[0]) == [(1.0, 91.0), (30.0, 88.5), (50.0, 75.0)]
    assert "published" in legend(figure)
    figure = composed(toy, conf([{"kind": "accuracy", "published": [{"figure": "a", "series": "vaal"}]}]))
    assert hollow(figure.axes[0]) == [(30.0, 88.5)]


def test_bars_and_timing_set_the_published_value_beside(toy: Path, conf: Callable[[Any], Path]) -> None:
    panels = [{"kind": "bars", "published": ["a"], "at": 31}, {"kind": "timing", "published": ["b"]}]
    bars, timing = composed(toy, conf(panels)).axes
    assert hollow(bars) == [(75.0, 2.25), (88.5, 0.25), (91.0, 3.25)]
    expected = [100 * np.mean([synthetic_curve(0.8 + 0.04 * k, seed)[2] for seed in range(3)]) for k in (1, 0, 2)]
    assert sorted(texts(bars).split()) == sorted([*(f"{value:.1f}" for value in expected), "95.0"])
    assert bars.get_xlabel() == "Test accuracy (%)\nat 30 labelled samples"
    assert timing.get_xscale() == "log"
    assert sorted(texts(timing).split()) == ["0.1", "1", "10"]
    assert hollow(timing) == [(12.5, 0.25)]


def test_entropy_skips_the_last_cycle(toy: Path, conf: Callable[[Any], Path]) -> None:
    (line,) = drawn_lines(composed(toy, conf([{"kind": "entropy"}])).axes[0], "random")
    assert len(np.asarray(line.get_xdata())) == 7


def test_labels_make_a_panel_per_series_with_the_pool_beside(toy: Path, conf: Callable[[Any], Path]) -> None:
    write_run(toy, "skewed", 0, [0.5, 0.6], pool_counts=(100, 900))
    figure = composed(toy, conf([{"kind": "labels", "title": "Hinge"}]))
    names = zip("abcd", ("VAAL", "max entropy", "random", "skewed"), strict=True)
    assert [axes.get_title("left") for axes in figure.axes] == [f"$\\bf{{{a}}}$  Hinge\n{name}" for a, name in names]
    axes = figure.axes[0]
    first = [np.asarray(line.get_ydata())[0] for name in ("class 0", "class 1") for line in drawn_lines(axes, name)]
    ticks = [float(np.asarray(line.get_ydata())[0]) for line in axes.lines if not line.get_clip_on()]
    assert (first, ticks) == ([70, 30], [40, 60])
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_matrices_show_who_wins(tmp_path: Path, conf: Callable[[Any], Path]) -> None:
    for seed in range(3):
        for k, strategy in enumerate(STRATEGIES):
            write_run(tmp_path, strategy, seed, synthetic_curve(0.8 + 0.04 * k + (seed - 1) * k / 1000, seed))
    penalty, area = composed(tmp_path, conf([{"kind": "penalty"}, {"kind": "aubc"}])).axes
    assert [label.get_text() for label in penalty.get_yticklabels()] == ["VAAL", "max entropy", "random", "mean"]
    assert texts(penalty).split() == ["1", "1", "0", "1", "0", "0", "0", ".33", ".67"]
    assert texts(area).split() == ["4.0*", "8.0*", "-4.0*", "4.0*", "-8.0*", "-4.0*"]


def test_one_series_alone_is_compared_with_none(toy: Path, conf: Callable[[Any], Path]) -> None:
    alone = {"where": {"strategy": "vaal"}}
    figure = composed(toy, conf([{"kind": "penalty", **alone}, {"kind": "aubc", **alone}]))
    assert [texts(axes) for axes in figure.axes] == ["one series alone"] * 2


def test_a_value_may_be_drawn_against_an_option(tmp_path: Path, conf: Callable[[Any], Path]) -> None:
    for seed in range(2):
        for alpha in (0, 0.5, 10):
            config = {"strategy": {"alpha": alpha}}
            write_run(tmp_path, "gan", seed, [0.5, 0.6 + alpha / 100], run=f"{seed}{alpha}", config=config)
    panels = [{"kind": "accuracy", "x": "strategy.alpha"}, {"kind": "bars", "series": ["strategy.alpha"]}]
    against, bars = composed(tmp_path, conf([*panels])).axes
    (line,) = drawn_lines(against, "gan")
    assert np.asarray(line.get_xdata()).tolist() == [0, 0.5, 10]
    assert np.asarray(line.get_ydata()) == pytest.approx([60, 60.5, 70])
    assert [label.get_text() for label in bars.get_yticklabels()] == ["0", "0.5", "10"]


def test_images_come_from_the_run_folder(tmp_path: Path, conf: Callable[[Any], Path]) -> None:
    folder = write_run(tmp_path, "asal", 0, [0.5, 0.6])
    stack = np.arange(3 * 3 * 16, dtype=np.uint8).reshape(3, 3, 4, 4)
    captions = {"gray_captions": np.array(["7 / 1", "5 / 2", "7 / 3"])}
    np.savez(folder / "images_cycle_0000.npz", allow_pickle=False, generated=stack[:, :1], gray=stack, **captions)
    axes = composed(tmp_path, conf([{"kind": "images", "columns": 2}])).axes[0]
    assert len(axes.images) == 4
    assert texts(axes) == "generated gray 7 / 1 5 / 2"
    assert "stored no images of cycle 3" in texts(composed(tmp_path, conf([{"kind": "images", "cycle": 3}])).axes[0])


def test_a_negative_cycle_counts_from_the_last_with_images(tmp_path: Path, conf: Callable[[Any], Path]) -> None:
    folder = write_run(tmp_path, "m2_vaal", 0, [0.5, 0.6, 0.7, 0.8])
    for cycle, n in ((0, 3), (2, 2)):
        np.savez(folder / f"images_cycle_{cycle:04d}.npz", allow_pickle=False, seen=np.zeros((n, 1, 4, 4), np.uint8))
    figure = composed(tmp_path, conf([{"kind": "images", "cycle": cycle} for cycle in (0, -1, -2, -3)]))
    assert [len(axes.images) for axes in figure.axes] == [3, 2, 3, 0]
    assert "stored no images of cycle -3" in texts(figure.axes[3])


def test_captions_name_the_answers_and_the_classes(tmp_path: Path, conf: Callable[[Any], Path]) -> None:
    folder = write_run(tmp_path, "m2_vaal", 0, [0.5, 0.6, 0.7], step=3)
    answer(folder, ["coat", "sandal", "shirt"], [[0, 0, 0], [2, 0, 1]])
    stack = np.zeros((3, 1, 4, 4), np.uint8)
    guesses = np.array(["1", "?", "2"])
    path = folder / "images_cycle_0001.npz"
    np.savez(path, allow_pickle=False, original=stack, reconstructed=stack, reconstructed_captions=guesses)
    panel = {"kind": "images", "cycle": -1, "rows": ["original", "reconstructed"]}
    axes = composed(tmp_path, conf([panel])).axes[0]
    assert texts(axes) == "original shirt coat sandal reconstructed sandal ? shirt"
    np.savez(path, allow_pickle=False, original=stack, original_captions=np.array(["a", "b", "c"]))
    assert texts(composed(tmp_path, conf([{**panel, "rows": "original"}])).axes[0]) == "original a b c"
    assert "no images called reconstructed" in texts(composed(tmp_path, conf([panel])).axes[0])


def test_what_all_series_have_alike_stands_once(tmp_path: Path, conf: Callable[[Any], Path]) -> None:
    made, pool = np.arange(32, dtype=np.uint8).reshape(2, 1, 4, 4), np.zeros((2, 1, 4, 4), np.uint8)
    for features, picked in (("gray", [3, 4]), ("rgb", [5, 6])):
        folder = write_run(tmp_path, "asal", 0, [0.5, 0.6], run=features, step=2, choices={"features": features})
        answer(folder, ["cat", "dog"], [[1, 0]])
        captions = {"matched_captions": np.array([f"#{index}" for index in picked])}
        images = {"generated": made, "matched": pool + picked[0], **captions}
        np.savez(folder / "images_cycle_0000.npz", allow_pickle=False, **images)
    panel = {"kind": "images", "series": "features", "names": {"rgb": "RGB"}, "rows": ["generated", "matched"]}
    axes = composed(tmp_path, conf([panel])).axes[0]
    assert len(axes.images) == 6
    assert texts(axes) == "generated RGB dog #5 cat #6 gray dog #3 cat #4"
    np.savez(folder / "images_cycle_0000.npz", allow_pickle=False, **{**images, "generated": made + 1})
    assert texts(composed(tmp_path, conf([panel])).axes[0]).startswith("RGB: generated RGB: matched dog")


def answer(folder: Path, classes: list[str], answers: list[list[int]]) -> None:
    """The oracle's answers of the first cycles, and what their numbers stand for."""
    about, cycles = folder / "run.json", folder / "cycles.jsonl"
    about.write_text(json.dumps({**json.loads(about.read_text()), "classes": classes}))
    records = [json.loads(line) for line in cycles.read_text().splitlines()]
    for record, labels in zip(records, answers, strict=False):
        record["queried"]["labels"] = labels
    cycles.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_gains_are_those_of_each_class_since_the_first_cycle(tmp_path: Path, conf: Callable[[Any], Path]) -> None:
    for seed, last in enumerate((0.7, 0.8)):
        write_run(tmp_path, "active_gan", seed, [0.5, 0.9, last], pool_counts=(1, 1, 1))
    figure = composed(tmp_path, conf([{"kind": "gains"}]))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1", "2"]
    assert texts(axes) == "25 12.5 8.33"
    assert "cut at the axis" not in figure.texts[0].get_text()
    (panel,) = read_panels("fig1", conf([{"kind": "gains"}]))
    runs = load_runs("toy", root=tmp_path)
    runs = pd.concat([runs, runs.assign(test="another")], ignore_index=True)
    (part,) = parts_of(panel, runs, CONF / "published.csv")
    assert "mix several values of test" in part.note
    folder = write_run(tmp_path, "active_gan", 2, [0.5, 0.6], pool_counts=(1, 1, 1))
    path = folder / "cycles.jsonl"
    path.write_text(path.read_text().replace("per_class_f1", "per_class_f2"))
    with pytest.raises(UserError, match="before F-scores were kept"):
        draw("fig1", "smoke", tmp_path, configuration=conf([{"kind": "gains"}]))


def test_groups_of_samples_lie_on_a_plane(tmp_path: Path, conf: Callable[[Any], Path]) -> None:
    groups = {f"plane_{name}": np.ones((n, 2), np.float32) for name, n in (("training", 3), ("generated", 5))}
    folder = write_run(tmp_path, "active_gan", 0, [0.5, 0.6])
    np.savez(folder / "images_cycle_0000.npz", allow_pickle=False, **groups)
    write_run(tmp_path, "active_gan", 1, [0.5, 0.6])
    figure = composed(tmp_path, conf([{"kind": "plane", "names": {"generated": "made"}}]))
    shown = [len(np.asarray(dots.get_offsets())) for dots in figure.axes[0].collections]
    assert dict(zip(figure.axes[0].get_legend_handles_labels()[1], shown, strict=True)) == {"training": 3, "made": 5}
    np.savez(folder / "images_cycle_0000.npz", allow_pickle=False, other=np.ones(1))
    assert "strategy.embedded" in texts(composed(tmp_path, conf([{"kind": "plane"}])).axes[0])


def test_curves_may_begin_later(tmp_path: Path, conf: Callable[[Any], Path]) -> None:
    write_run(tmp_path, "random", 0, [0.5, 0.6, 0.7])
    late, whole = {"kind": "accuracy", "since": 15}, {"kind": "accuracy"}
    for panels, told in (
        ([late], "Curves are shown"),
        ([late, whole, late], "Curves of a, c are shown"),
        ([whole], ""),
    ):
        figure = composed(tmp_path, conf(panels))
        xs = [[np.asarray(line.get_xdata()).tolist() for line in axes.lines] for axes in figure.axes]
        assert xs == [[[20, 30] if panel is late else [10, 20, 30]] for panel in panels]
        footer = " ".join(figure.texts[0].get_text().split())
        assert footer.endswith(f"{told} from 15 labels on.") if told else "labels on" not in footer


def test_timing_draws_the_other_seconds_too(tmp_path: Path, conf: Callable[[Any], Path]) -> None:
    write_run(tmp_path, "vaal", 0, [0.5, 0.6], step=50, query_seconds=4.0, notes={"fit_seconds": 3.5})
    panels = [{"kind": "timing", "y": y} for y in ("select_seconds", "query_seconds_per_100")]
    select, each = composed(tmp_path, conf(panels)).axes
    assert (texts(select), texts(each)) == ("0.5", "8")
    assert (select.get_xlabel(), each.get_xlabel()) == (
        "Query time without\ntraining (s)",
        "Query time for\n100 samples (s)",
    )


def prepare(root: Path, pool: int, scan: float, select: float) -> None:
    """A run that scans a pool of this size, and one that prepares for 40 + 20 s in its first query."""
    counts = pool // 2, pool // 2
    notes = {"generator_seconds": 40.0, "autoencoder_seconds": 0.0, "extract_seconds": 15.0, "index_seconds": 5.0}
    first = {**notes, "fit_seconds": 60.0, "generator_iterations": 100}
    for name, seconds in (("entropy", scan), ("asal", select)):
        write_run(root, name, 0, [0.5] * 3, run=f"{name}{pool}", pool_counts=counts, query_seconds=seconds)
    cycles = root / "toy" / "smoke" / f"asal{pool}" / "cycles.jsonl"
    records = [json.loads(line) for line in cycles.read_text().splitlines()]
    records[0]["query_seconds"] += 60
    records[0]["queried"]["notes"] = first
    cycles.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_a_preparation_pays_after_as_many_cycles_as_it_lasts_savings(
    tmp_path: Path, conf: Callable[[Any], Path]
) -> None:
    for pool, scan in ((1000, 1.0), (4000, 7.0), (20000, 32.0)):
        prepare(tmp_path, pool, scan, 2.0)
    figure = composed(tmp_path, conf([{"kind": "transition"}, {"kind": "preparation"}]))
    transition, preparation = figure.axes
    (line,) = drawn_lines(transition, "ASAL")
    assert np.asarray(line.get_xdata()).tolist() == [4000, 20000]
    assert np.asarray(line.get_ydata()).tolist() == [12, 2]
    assert [(text.get_text(), text.get_position()[0]) for text in transition.texts] == [("never", 1000)]
    assert transition.get_xlabel() == "Pool size (samples)\n(the generator's training counted whole)"
    parts = {name: np.asarray(drawn_lines(preparation, name)[0].get_ydata()) for name in legend(figure)[1:]}
    assert {name: part.tolist() for name, part in parts.items()} == {
        "generator": [40, 40, 40],
        "features": [15, 15, 15],
        "index": [5, 5, 5],
    }
    scales = {axes.get_xscale() + axes.get_yscale() for axes in figure.axes}
    assert scales == {"loglog"}


def test_what_never_pays_is_told_without_any_point(tmp_path: Path, conf: Callable[[Any], Path]) -> None:
    prepare(tmp_path, 1000, 1.0, 2.0)
    assert "never" in texts(composed(tmp_path, conf([{"kind": "transition"}])).axes[0])


@pytest.mark.parametrize(
    ("kind", "strategies", "message"),
    [
        ("transition", ["entropy", "asal", "margin"], "several strategies scan the pool"),
        ("transition", ["asal"], "no run scans as large a pool"),
        ("transition", ["margin"], "no run here notes its preparation"),
        ("preparation", ["margin"], "no run here notes its preparation"),
    ],
)
def test_costs_that_cannot_be_compared_are_told(
    tmp_path: Path, conf: Callable[[Any], Path], kind: str, strategies: list[str], message: str
) -> None:
    prepare(tmp_path, 1000, 1.0, 2.0)
    write_run(tmp_path, "margin", 0, [0.5] * 3, pool_counts=(500, 500))
    (panel,) = read_panels("fig1", conf([{"kind": kind, "where": {"strategy": strategies}}]))
    (part,) = parts_of(panel, load_runs("toy", "smoke", tmp_path), tmp_path / "published.csv")
    assert message in part.note


@pytest.mark.slow
def test_draw_writes_the_same_bytes_twice(toy: Path, conf: Callable[[Any], Path]) -> None:
    kinds = ("accuracy", "entropy", "bars", "timing", "penalty", "aubc")
    where = conf([{"kind": kind, "title": kind, "published": ["a"]} for kind in kinds])
    first = draw("fig1", "smoke", toy, configuration=where)
    again = draw("fig1", "smoke", toy, out=toy / "again", configuration=where)
    assert first == [toy / "figures" / "smoke" / name for name in ("fig1.png", "fig1.pdf")]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    pixels = imread(first[0])[..., :3]
    assert pixels.shape[1] > 1000
    assert (pixels.min(axis=2) < 0.9).mean() > 0.02


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (6, (2, 3)), (12, (4, 3))])
def test_panels_are_laid_out_in_rows(
    toy: Path, conf: Callable[[Any], Path], count: int, shape: tuple[int, int]
) -> None:
    figure = composed(toy, conf([{"kind": "accuracy"}] * count))
    spec = figure.axes[0].get_subplotspec()
    assert spec is not None
    assert spec.get_gridspec().get_geometry() == shape
    letters = [f"$\\bf{{{letter}}}$  " for letter in "abcdefghijkl"[:count]]
    assert [axes.get_title("left") for axes in figure.axes] == (letters if count > 1 else [""])


def overlaps(figure: Figure) -> list[bool]:
    figure.draw_without_rendering()
    below = figure.findobj(Legend)[0].get_window_extent()
    boxes = [figure.texts[0].get_window_extent(), *(axes.get_tightbbox() for axes in figure.axes)]
    return [bool(box.overlaps(below)) for box in boxes if box]


@pytest.mark.slow
def test_the_legend_covers_nothing(toy: Path, conf: Callable[[Any], Path]) -> None:
    for kinds in (["accuracy"], ["accuracy", "labels", "bars", "penalty"]):
        figure = composed(toy, conf([{"kind": kind, "published": ["a"]} for kind in kinds]))
        assert not any(overlaps(figure))
        assert figure.findobj(Legend)[0].get_window_extent().y0 > 0


def test_styles_are_stable_and_apart() -> None:
    alone, among = styles(["zeta", "VAAL"]), styles(["VAAL", "core-set", "random", "zeta"])
    assert (alone["VAAL"], alone["zeta"]) == (among["VAAL"], among["zeta"])
    assert to_hex(among["random"].colour) == "#6f6f6f"
    many = styles([f"series {k}" for k in range(20)] + ["random", "max entropy"]).values()
    assert len({(to_hex(style.colour), str(style.dash)) for style in many}) == len(many)


def test_a_wide_band_leaves_the_lines_half_of_the_height(tmp_path: Path, conf: Callable[[Any], Path]) -> None:
    for seed, start in enumerate((0.1, 0.9, 0.95)):
        write_run(tmp_path, "random", seed, [start, 0.93, 0.96])
        write_run(tmp_path, "vaal", seed, [0.85, 0.93, 0.96])
    axes = composed(tmp_path, conf([{"kind": "accuracy"}])).axes[0]
    low, high = axes.get_ylim()
    lines = [value for line in axes.lines for value in np.asarray(line.get_ydata(), float)]
    assert low < min(lines) < max(lines) < high
    assert max(lines) - min(lines) > 0.4 * (high - low)


@pytest.mark.slow
def test_a_sentence_ends_the_footer_of_whoever_draws(
    toy: Path, conf: Callable[[Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    where, told = conf([{"kind": "accuracy"}]), []
    parts = parts_of(read_panels("fig1", where)[0], load_runs("toy", "smoke", toy), where / "published.csv")
    assert compose(parts, "It is so.").texts[0].get_text().endswith("It is so.")
    monkeypatch.setattr(figures, "save_figure", lambda parts, paths, beneath, _: told.append(beneath) or paths)
    draw("fig1", "smoke", toy, configuration=where, beneath="It is so.")
    monkeypatch.setattr(command, "_claims", lambda stem, root, scale: f"{stem} at {scale}.")
    main(["fig1", "--scale", "smoke", "--root", str(toy), "--config-dir", str(where)])
    assert told == ["It is so.", "fig1 at smoke."]


def test_a_way_looks_the_same_for_every_series() -> None:
    ways = [" 5 % a cycle", " 10 % a cycle", " 10 missing"]
    shown = [*(f"VAAL{way}" for way in ways), *(f"random{way}" for way in ways), f"ensemble{ways[0]}"]
    look = styles(shown)
    for way in ways:
        assert len({(look[name].marker, look[name].dash) for name in shown if name.endswith(way)}) == 1
    assert len({look[f"VAAL{way}"].dash for way in ways}) == 3


def test_a_series_shown_in_several_ways_keeps_its_colour() -> None:
    look = styles([f"{name} missing={k}" for name in ("VAAL", "random") for k in (10, 20)])
    assert look["VAAL missing=10"].colour == look["VAAL missing=20"].colour == KNOWN["VAAL"].colour
    assert look["random missing=10"].colour == KNOWN["random"].colour
    assert len({(style.colour, str(style.dash)) for style in look.values()}) == 4


@pytest.mark.slow
def test_a_panel_without_runs_says_so(toy: Path, conf: Callable[[Any], Path]) -> None:
    where = conf([{"kind": "accuracy"}, {"kind": "accuracy", "experiment": "other"}, {"kind": "bars", "y": "nothing"}])
    draw("fig1", "smoke", toy, configuration=where)
    empty = composed(toy, conf([{"kind": "accuracy"}, {"kind": "accuracy", "where": {"strategy": "asal"}}])).axes[1]
    assert "no runs where strategy=asal" in texts(empty)
    with pytest.raises(UserError, match="python -m alsuite experiment=fig1 scale=laptop"):
        draw("fig1", "laptop", toy, configuration=where)


def test_a_published_panel_without_runs_is_not_measured(
    toy: Path, conf: Callable[[Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Part] = []
    monkeypatch.setattr(figures, "save_figure", lambda parts, *_: drawn.extend(parts))
    monkeypatch.setattr(figures, "kept_table", lambda folder: load_runs("toy", "smoke", toy))
    panels = [{}, {"experiment": "other"}, {"where": {"strategy": "asal"}}]
    draw("fig1", "smoke", configuration=conf([{"kind": "accuracy", **panel} for panel in panels]), published=toy)
    assert [part.note for part in drawn] == ["", "not measured", "not measured"]


def test_a_blank_part_takes_no_letter(tmp_path: Path) -> None:
    write_run(tmp_path, "random", 0, [0.5, 0.6])
    (part,) = parts_of(Panel("accuracy"), load_runs("toy", root=tmp_path), tmp_path / "published.csv")
    drawn = compose([part, BLANK, part])
    assert [axes.get_title("left") for axes in drawn.axes] == ["$\\bf{a}$  ", "", "$\\bf{b}$  "]


@pytest.mark.parametrize(
    ("counts", "kind", "rows", "columns"),
    [
        ([3, 3, 3, 3, 3], "labels", ["aaa", "bbb", "ccc", "ddd", "eee"], 3),
        ([4, 4, 4], "labels", ["aaaa", "bbbb", "cccc"], 4),
        ([5, 2], "labels", ["aaaa", "a   ", "bb  "], 4),
        ([2, 2], "labels", ["aabb"], 2),
        ([3, 3], "accuracy", ["aaabbb"], 3),
    ],
)
def test_class_shares_of_each_panel_have_rows_of_their_own(
    monkeypatch: pytest.MonkeyPatch, counts: list[int], kind: str, rows: list[str], columns: int
) -> None:
    groups = [[replace(BLANK, panel=Panel(kind, title))] * count for title, count in zip("abcde", counts, strict=False)]
    parts, found = figures.in_rows(groups)
    assert "".join(part.panel.title or " " for part in parts) == "".join(rows)
    monkeypatch.setattr(layout, "footer", lambda parts: "")
    spec = compose(parts, columns=found).axes[0].get_subplotspec()
    assert spec is not None
    assert spec.get_gridspec().ncols == columns


def test_task_models_share_a_panel_that_asks_for_both(tmp_path: Path) -> None:
    for strategy, task_model in (("random", "convnet"), ("m2_vaal", "m2")):
        write_run(tmp_path, strategy, 0, [0.5, 0.6], choices={"task_model": task_model})
    frame = load_runs("toy", root=tmp_path)
    (both,) = parts_of(Panel("accuracy", where={"task_model": ["convnet", "m2"]}), frame, tmp_path / "published.csv")
    assert both.frame["series"].nunique() == 2
    (refused,) = parts_of(Panel("accuracy"), frame, tmp_path / "published.csv")
    assert "several values of task_model" in refused.note


@pytest.mark.parametrize(
    ("panel", "message"),
    [
        ({"kind": "pie"}, "no kind of panel is called pie"),
        ({"title": "x"}, "a panel needs a kind"),
        ({"kind": "accuracy", "colour": "red"}, "no field colour"),
    ],
)
def test_a_wrong_description_is_refused(
    toy: Path, conf: Callable[[Any], Path], panel: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        draw("fig1", "smoke", toy, configuration=conf([panel]))


def test_draw_curves_tells_apart_what_a_sweep_varied(tmp_path: Path) -> None:
    for rate in (0.1, 0.2):
        for seed in range(2):
            curve = synthetic_curve(0.7 + rate, seed)
            write_run(tmp_path, "vaal", seed, curve, run=f"{rate},{seed}", config={"strategy": {"rate": rate}})
    frame = load_runs("toy", root=tmp_path)
    swept, bare = draw_curves(frame, tmp_path), draw_curves(frame[frame["strategy.rate"] == 0.1], tmp_path)
    one = draw_curves(frame[frame["run"] == "0.1,0"], tmp_path)
    names = [path.relative_to(tmp_path).name for path in (swept, bare, one)]
    assert names == ["curves_strategy.rate-seed.png", "curves_seed.png", "curve.png"]
    assert imread(swept).std() > imread(bare).std() > 0.05


@pytest.mark.slow
def test_command_ends_with_the_path_or_one_line(
    toy: Path, conf: Callable[[Any], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    where = conf([{"kind": "accuracy"}])
    options = ["--scale", "smoke", "--root", str(toy), "--config-dir", str(where)]
    main(["fig1", *options])
    assert capsys.readouterr().out.splitlines()[-1] == str(toy / "figures" / "smoke" / "fig1.png")
    with pytest.raises(SystemExit, match="2"):
        main(["fig2", *options])
    assert capsys.readouterr().err == "alsuite: no experiment fig2: choose from fig1\n"


def test_the_panel_defaults_follow_the_kind(conf: Callable[[Any], Path]) -> None:
    entropy, timing = read_panels("fig1", conf([{"kind": "entropy"}, {"kind": "timing", "series": "strategy"}]))
    assert entropy == Panel("entropy", experiment="toy", y="entropy")
    assert timing == Panel("timing", experiment="toy", y="query_seconds", at="mean")


@pytest.mark.parametrize(
    ("column", "numbers"), [("generator", (13, 32, 33, 34, 35)), ("features", (2, 5, 13, 28, 29, 30, 31))]
)
def test_a_figure_asks_for_all_that_it_sweeps_so_that_it_names_what_is_missing(
    column: str, numbers: tuple[int, ...]
) -> None:
    for stem in (f"asal_fig{number}" for number in numbers):
        sweeps = yaml.safe_load((CONF / "experiment" / f"{stem}.yaml").read_text())["sweeps"]
        (panel,) = read_panels(stem)
        assert set(panel.where[column]) == {value for line in sweeps for value in line[column].split(",")}, stem
