"""What series, panels and pictures are called, and the panels that a configuration lists."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from alsuite import CONF, figures
from alsuite.errors import UserError
from alsuite.figures.layout import compose
from alsuite.figures.names import NAMES, name_of
from alsuite.figures.parts import Part, part_named, parts_of, runs_shown
from alsuite.figures.published import Point
from alsuite.figures.spec import Panel, panels_of, read_panels
from alsuite.figures.style import KNOWN, styles
from alsuite.results import load_runs
from alsuite.results.table import last_accuracies
from helpers.journals import synthetic_curve, write_run

COLUMNS = ["strategy", "features", "strategy.steps"]


def part(rows: list[tuple[Any, ...]], names: dict[str, str] | None = None, points: tuple[Point, ...] = ()) -> Part:
    frame = pd.DataFrame(rows, columns=COLUMNS, dtype=object)
    return part_named(Panel("accuracy", series=tuple(COLUMNS), names=names or {}), frame, points)


def test_a_joined_series_is_called_by_its_parts_in_the_order_of_the_papers() -> None:
    rows = [("full", None, None), ("random", None, None), ("asal", "rgb", 100.0), ("asal", "gray", 100.0)]
    assert part(rows).order == ("ASAL gray steps=100", "ASAL RGB steps=100", "random", "fully supervised")
    own = {"steps=100": "uncertain", "random": "chance", "rgb": "colours"}
    assert part(rows, own).order[0] == "chance"
    assert part(rows, own).frame["series"].tolist() == [
        "fully supervised",
        "chance",
        "ASAL colours uncertain",
        "ASAL gray uncertain",
    ]


def test_a_rule_is_named_where_only_it_tells_two_series_apart() -> None:
    both, one = ("asal", "gray", None), ("asal_min_distance", "gray", None)
    assert part([one]).order == ("ASAL gray",)
    assert part([both, one]).order == ("ASAL gray", "ASAL (minimum distance) gray")
    published = part([one], points=(Point("asal · gray", 1, 2),))
    assert published.points[0].series not in published.frame["series"].tolist()


def test_numbers_are_sorted_as_numbers() -> None:
    rows = [("vaal", None, float(steps)) for steps in (100, 5, 20)]
    assert part(rows).order == ("VAAL steps=5", "VAAL steps=20", "VAAL steps=100")


def test_what_has_no_name_is_called_as_it_is() -> None:
    assert part([("My_Rule", None, None), ("vaal", None, None)]).order == ("VAAL", "My_Rule")
    assert name_of("budget", "vaal") != name_of("strategy", "vaal") == "VAAL"


@pytest.mark.parametrize("group", ["strategy", "task_model", "generator", "features", "dataset"])
def test_every_choice_has_a_name(group: str) -> None:
    choices = {path.stem for path in (CONF / group).glob("*.yaml")} - {"none", "folder", "made_up"}
    assert choices <= {*NAMES[group]}


def test_every_known_style_belongs_to_a_name() -> None:
    names = {*NAMES["strategy"].values()}
    joined = {
        f"{one} {other}" for one in ("ASAL", "GAAL") for other in ("gray", "RGB", "auto-encoder", "discriminator")
    }
    joined |= {f"{one} {other}" for one in ("ASAL", "GAAL") for other in ("WGAN-GP", "DCGAN")}
    assert {*KNOWN} <= names | joined


def test_own_strategies_are_drawn_and_listed(tmp_path: Path) -> None:
    for strategy in ("Mine", "random"):
        for seed in range(3):
            write_run(tmp_path, strategy, seed, synthetic_curve(0.8, seed))
    runs = load_runs("toy", "smoke", tmp_path)
    drawn = compose(parts_of(Panel("accuracy"), runs, CONF / "published.csv"))
    assert {"Mine", "random"} <= {str(line.get_label()) for line in drawn.axes[0].lines}
    assert "Mine" in last_accuracies(runs)
    assert figures.draw_curves(runs, tmp_path).name == "curves_strategy-seed.png"


def panels(**entry: Any) -> list[Panel]:
    return panels_of([{"kind": "accuracy", **entry}], "fig1", "toy")


def test_a_panel_for_each_combination_of_values() -> None:
    made = panels(
        title="{task_model.loss}, {generator}",
        where={"generator": ["none"], "test": "mnist"},
        names={"hinge": "The hinge"},
        for_each={"generator": ["dcgan", "wgan_gp"], "task_model.loss": ["hinge", "cross_entropy"]},
    )
    assert [panel.title for panel in made] == [
        "The hinge, DCGAN",
        "Cross entropy, DCGAN",
        "The hinge, WGAN-GP",
        "Cross entropy, WGAN-GP",
    ]
    assert made[2].where == {"generator": ["none", "wgan_gp"], "test": "mnist", "task_model.loss": "hinge"}


def test_a_panel_that_lacks_all_that_is_its_own_says_what() -> None:
    """Baselines, which all panels share, do not make one."""
    rows = [("dcgan", "cross_entropy"), ("none", "cross_entropy"), ("none", "hinge")]
    runs = pd.DataFrame(rows, columns=["generator", "task_model.loss"])
    where = {"generator": ["none"]}
    both = panels(where=where, for_each={"generator": ["dcgan"], "task_model.loss": ["cross_entropy", "hinge"]})
    assert len(runs_shown(both[0], runs)) == 2
    with pytest.raises(UserError, match=r"^no runs where generator=dcgan, task_model.loss=hinge$"):
        runs_shown(both[1], runs)
    (one,) = panels(where=where, for_each={"generator": ["wgan_gp"]})
    with pytest.raises(UserError, match=r"^no runs where generator=wgan_gp: there are dcgan$"):
        runs_shown(one, runs)


def test_a_panel_for_each_of_some_mappings_whose_fields_take_the_panels_place() -> None:
    listed = [{"strategy": "vaal", "since": 5}, {"strategy": "aalu", "title": "second", "experiment": "other"}]
    first, second = panels(title="of {strategy}", where={"strategy": "random"}, for_each=listed)
    assert (first.title, first.where, first.since, first.experiment) == ("Of VAAL", {"strategy": "vaal"}, 5, "toy")
    assert (second.title, second.where, second.since, second.experiment) == ("Second", {"strategy": "aalu"}, 0, "other")


@pytest.mark.parametrize("wrong", [{"generator": "dcgan"}, ["dcgan"], "dcgan", 3])
def test_a_wrong_for_each_is_refused_in_one_line(wrong: object) -> None:
    with pytest.raises(UserError, match="fig1: for_each takes lists"):
        panels(for_each=wrong)


def test_the_title_of_a_lone_panel_is_left_as_it_is() -> None:
    assert panels(title="a {generator}")[0].title == "a {generator}"


def test_an_own_experiment_may_build_on_those_here_and_is_drawn_from_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "experiment").mkdir(parents=True)
    figure = [{"kind": "accuracy"}]
    (folder / "experiment" / "own.yaml").write_text(yaml.safe_dump({"defaults": ["runs/asal_mnist"], "figure": figure}))
    assert [panel.experiment for panel in read_panels("own", folder)] == ["asal_mnist"]
    (folder / "experiment" / "alone.yaml").write_text(yaml.safe_dump({"figure": figure}))
    write_run(tmp_path, "random", 0, [0.5, 0.6], experiment="alone")
    assert figures.draw("alone", "smoke", tmp_path, configuration=folder)[0].exists()


@pytest.mark.slow
def test_given_panels_are_drawn_without_any_file(tmp_path: Path) -> None:
    write_run(tmp_path, "random", 0, [0.5, 0.6])
    given = panels_of([{"kind": "accuracy"}, {"kind": "bars"}], "anything", "toy")
    assert [path.name for path in figures.draw("anything", "smoke", tmp_path, panels=given)] == [
        "anything.png",
        "anything.pdf",
    ]


@pytest.mark.slow
def test_the_runs_of_an_experiment_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path, "random", 0, [0.5, 0.6])
    read: list[str] = []

    def counted(experiment: str, scale: str, root: Path) -> pd.DataFrame:
        read.append(experiment)
        return load_runs(experiment, scale, root)

    monkeypatch.setattr(figures, "load_runs", counted)
    figures.draw("fig1", "smoke", tmp_path, panels=panels() * 3)
    assert read == ["toy"]


@pytest.mark.parametrize("runs", ["segmentation_camvid", "vaal_cityscapes"])
def test_series_of_labels_per_pixel_look_different(runs: str) -> None:
    sweeps = yaml.safe_load((CONF / "experiment" / "runs" / f"{runs}.yaml").read_text())["sweeps"]
    names = [name_of("strategy", name) for sweep in sweeps for name in sweep["strategy"].split(",")]
    looks = {(style.colour, str(style.dash)) for style in styles(names).values()}
    assert len(looks) == len(names) >= 7
