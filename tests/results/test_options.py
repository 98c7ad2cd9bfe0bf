"""Which columns tell runs apart, and what the commands refuse."""

from pathlib import Path

import pytest

from alsuite import results
from alsuite.errors import UserError
from alsuite.figures import draw_curves, parts_by_setting
from alsuite.recorded import INCIDENTAL
from alsuite.results.__main__ import _folder_of, main
from alsuite.results.report import report
from alsuite.results.statistics import differing, with_series
from alsuite.results.table import last_accuracies, telling
from helpers.journals import write_run


@pytest.mark.parametrize("option", [*INCIDENTAL, "at_scale.laptop"])
def test_what_changes_no_result_tells_no_runs_apart(tmp_path: Path, option: str) -> None:
    group, _, rest = option.partition(".")
    for value in ("1", "2"):
        write_run(tmp_path, "random", 0, [0.5], run=value, config={group: {rest: value} if rest else value})
    frame = with_series(results.load_runs("toy", root=tmp_path), "strategy")
    assert differing(frame) == ["run"]


def test_any_other_option_does_even_one_unheard_of(tmp_path: Path) -> None:
    for value in (1, 2):
        write_run(tmp_path, "random", 0, [0.5, 0.6], run=f"{value}", config={"mine": {"rate": value}})
    frame = results.load_runs("toy", root=tmp_path)
    assert differing(with_series(frame, "strategy")) == ["mine.rate"]
    assert telling(frame) == ["mine.rate"]
    assert last_accuracies(frame).split()[:2] == ["mine.rate", "labelled"]
    with pytest.raises(UserError, match=r"choose from .*strategy"):
        with_series(frame, "rate")


def test_a_seed_of_its_own_tells_no_seeds_apart(tmp_path: Path) -> None:
    """As that of the noisy oracle, which follows the run's."""
    for strategy, level in (("random", 0.5), ("margin", 0.6)):
        for seed in range(3):
            write_run(tmp_path, strategy, seed, [0.4, level + 0.01 * seed], config={"oracle": {"seed": seed}})
    frame = results.load_runs("toy", root=tmp_path)
    assert differing(with_series(frame, "strategy"), of_seeds=True) == []
    assert "margin" in report(frame, ["strategy"], "accuracy")[0]


def test_seeds_of_other_sizes_are_told_apart_though_of_one_scale(tmp_path: Path) -> None:
    for seed, side in enumerate((64, 32)):
        limits = {"name": "smoke", "side": side, "steps": side}
        write_run(tmp_path, "random", seed, [0.5], config={"scale": limits})
    frame = with_series(results.load_runs("toy", root=tmp_path), "strategy")
    assert differing(frame, of_seeds=True) == ["scale.side"]


@pytest.mark.parametrize(("group", "option", "other"), [("initial", "only", [0, 1]), ("scale", "side", 32)])
def test_a_null_is_a_value_beside_others(tmp_path: Path, group: str, option: str, other: object) -> None:
    for seed, value in enumerate((None, other)):
        write_run(tmp_path, "random", seed, [0.5], config={group: {"name": "smoke", option: value}})
    frame = with_series(results.load_runs("toy", root=tmp_path), "strategy")
    assert differing(frame, of_seeds=True) == [f"{group}.{option}"]


def test_a_null_and_a_list_are_two_series(tmp_path: Path) -> None:
    for value in (None, [0, 1]):
        for seed in range(2):
            write_run(tmp_path, "random", seed, [0.5], run=f"{seed}{value}", config={"initial": {"only": value}})
    (part,) = parts_by_setting(results.load_runs("toy", root=tmp_path))
    assert part.order == ("random", "random [0, 1]")


def test_two_options_of_one_value_are_two_series(tmp_path: Path) -> None:
    for task, strategy in (("none", "none"), ("none", "flip"), ("flip", "none"), ("flip", "flip")):
        chosen = {"strategy": {"augment": strategy}, "task_model": {"augment": task}}
        write_run(tmp_path, "vaal", 0, [0.5], run=task + strategy, config=chosen)
    (part,) = parts_by_setting(results.load_runs("toy", root=tmp_path))
    assert len({*part.order}) == part.frame["series"].nunique() == 4


def test_a_class_of_ones_own_is_not_called_as_a_strategy_here_is(tmp_path: Path) -> None:
    for strategy in ("bald", "BALD"):
        write_run(tmp_path, strategy, 0, [0.5])
    (part,) = parts_by_setting(results.load_runs("toy", root=tmp_path))
    assert {*part.order} == {"bald", "BALD"}


def test_a_choice_tells_runs_apart_before_what_follows_from_it(tmp_path: Path) -> None:
    for oracle in ("ideal", "noisy"):
        config = {"oracle": {"_target_": f"alsuite.oracle.{oracle}"}}
        write_run(tmp_path, "random", 0, [0.5], run=oracle, config=config, choices={"oracle": oracle})
    (part,) = parts_by_setting(results.load_runs("toy", root=tmp_path))
    assert not any("alsuite" in name for name in part.order)


def test_series_of_unlike_pools_are_paired_by_no_seed(tmp_path: Path) -> None:
    for strategy, pool in (("random", (40, 60)), ("vaal", (30, 60))):
        write_run(tmp_path, strategy, 0, [0.5, 0.6], pool_counts=pool)
    frame = results.load_runs("toy", root=tmp_path)
    with pytest.raises(UserError, match="runs of one seed chose among 90 and 100 images, so that no seed pairs them"):
        report(frame, ["strategy"], "accuracy")
    assert "vaal" in report(frame, ["strategy", "pool"], "accuracy")[0]


def test_lists_are_options_that_a_table_kept_before_may_lack(tmp_path: Path) -> None:
    for seed, only in enumerate(([0, 1], [2, 3])):
        write_run(tmp_path, "random", seed, [0.5], config={"initial": {"only": only}})
    frame = with_series(results.load_runs("toy", root=tmp_path), "strategy")
    assert differing(frame, of_seeds=True) == ["initial.only"]
    old = frame["seed"] == 0
    frame.loc[old, "initial.only"] = None
    frame["options"] = [
        tuple({*names} - {"initial.only"}) if was else names for names, was in zip(frame["options"], old, strict=True)
    ]
    assert differing(frame, of_seeds=True) == []


def test_a_figure_is_called_by_its_name_and_the_folder_of_its_runs_by_its_own(tmp_path: Path) -> None:
    assert _folder_of("vaal_fig2_cifar10", tmp_path) == "vaal_cifar10"
    assert _folder_of("mine", tmp_path) == "mine"
    with pytest.raises(UserError, match=r"active_gan_tab1 shows runs of .*, .*: name one of these"):
        _folder_of("active_gan_tab1", tmp_path)
    (tmp_path / "vaal_fig2_cifar10").mkdir()
    assert _folder_of("vaal_fig2_cifar10", tmp_path) == "vaal_fig2_cifar10"


def test_facts_about_a_run_are_no_options(tmp_path: Path) -> None:
    for pool in ((4, 6), (40, 60)):
        write_run(tmp_path, "random", 0, [0.5], run=str(pool[0]), pool_counts=pool)
    assert differing(with_series(results.load_runs("toy", root=tmp_path), "strategy")) == ["run"]


def test_the_choices_come_before_what_follows_from_them(tmp_path: Path) -> None:
    for strategy, rate in (("vaal", 1), ("aalu", 2)):
        for seed in range(2):
            write_run(tmp_path, strategy, seed, [0.5], config={"strategy": {"rate": rate}})
    frame = results.load_runs("toy", root=tmp_path)
    assert telling(frame) == ["strategy"]
    table = last_accuracies(frame).splitlines()
    assert table[0].split() == ["strategy", "labelled", "seeds", "accuracy", "sd"]
    assert table[1].split() == ["aalu", "10", "2", "0.5000", "0.0000"]


@pytest.mark.parametrize("path", ["toy/smoke", "outputs/toy"])
def test_a_path_in_place_of_an_experiment_is_told_in_one_line(
    tmp_path: Path, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, "random", 0, [0.5])
    with pytest.raises(SystemExit, match="2"):
        main([path, "--root", str(tmp_path)])
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path} is a path: name the experiment alone" in line
    assert "--scale" in line


def test_a_folder_completed_by_the_shell_is_an_experiment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(2):
        write_run(tmp_path, "random", seed, [0.5, 0.6])
    main(["toy/", "--root", str(tmp_path)])
    assert capsys.readouterr().out.endswith("toy/smoke/results\n")
    assert "options" not in (tmp_path / "toy" / "smoke" / "results" / "long.csv").read_text().splitlines()[0]


@pytest.mark.parametrize(("column", "names"), [("scale", ("smoke", "laptop")), ("experiment", ("toy", "game"))])
def test_runs_that_share_a_name_stay_apart(tmp_path: Path, column: str, names: tuple[str, str]) -> None:
    places = [{column: name} for name in names]
    folders = [write_run(tmp_path, "random", 0, [0.5 + i / 10], **place) for i, place in enumerate(places)]  # type: ignore[arg-type]
    frame = results.of_runs(folders)
    assert telling(frame) == [column]
    table = [line.split() for line in last_accuracies(frame).splitlines()]
    assert [row[0] for row in table] == [column, *sorted(names)]
    assert sorted(row[3] for row in table[1:]) == ["0.5000", "0.6000"]
    assert draw_curves(frame, tmp_path).name == f"curves_{column}.png"
