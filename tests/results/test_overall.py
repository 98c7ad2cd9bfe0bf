"""What a comparison comes to: labels saved, and ranks over several settings."""

import math
from pathlib import Path

import pandas as pd
import pytest

from alsuite import results
from alsuite.results.__main__ import main
from alsuite.results.overall import labels_needed, over_settings, overall
from helpers.journals import write_run

CURVES = {"random": (0.5, 0.7, 0.8, 0.9), "margin": (0.5, 0.8, 1.0, 1.0), "vaal": (0.5, 0.6, 0.7, 0.8)}


def runs(root: Path, seeds: int = 3, dataset: str = "mnist57") -> pd.DataFrame:
    for strategy, curve in CURVES.items():
        for seed in range(seeds):
            choices = {"dataset": dataset}
            curve = curve[:3] if strategy == "vaal" and dataset != "mnist57" else curve
            heights, run = [value - seed / 100 for value in curve], f"dataset={dataset},seed={seed},strategy={strategy}"
            write_run(root / dataset, strategy, seed, heights, choices=choices, run=run)
    return results.load_runs("toy", root=root / dataset)


def test_labels_are_those_at_which_a_curve_first_is_where_random_sampling_ends(tmp_path: Path) -> None:
    table = labels_needed(runs(tmp_path), ["strategy"]).set_index("series")
    assert table["mean"].to_dict() == pytest.approx({"margin": 25, "random": 40, "vaal": math.nan}, nan_ok=True)
    assert table["saved"].to_dict() == pytest.approx({"margin": 0.375, "random": 0, "vaal": math.nan}, nan_ok=True)
    assert table["reach"].to_dict() == {"margin": 3, "random": 3, "vaal": 0}
    assert {*table["seeds"]} == {3}


def test_a_curve_that_gets_there_at_some_seeds_has_the_labels_of_these_alone(tmp_path: Path) -> None:
    frame = runs(tmp_path)
    late = (frame["strategy"] == "margin") & (frame["seed"] == 2)
    frame.loc[late, "accuracy"] = 0.5
    row = labels_needed(frame, ["strategy"]).set_index("series").loc["margin"]
    assert (row["mean"], row["reach"], row["seeds"]) == (pytest.approx(25), 2, 3)
    text, _ = overall(frame, ["strategy"], "accuracy")
    assert "2 of 3 seeds" in text


def test_without_random_sampling_no_labels_are_told(tmp_path: Path) -> None:
    frame = runs(tmp_path)
    assert labels_needed(frame[frame["strategy"] != "random"], ["strategy"]).empty
    assert overall(frame, ["strategy"], "query_seconds") == ("", {})


def test_series_are_ranked_over_the_settings_that_all_of_them_have(tmp_path: Path) -> None:
    several = pd.concat([runs(tmp_path), runs(tmp_path, dataset="usps")], ignore_index=True)
    table = over_settings(several, ["strategy"])
    assert table["series"].tolist() == ["margin", "random", "vaal"]
    assert table["rank"].tolist() == [1, 2, 3]
    assert table["penalties"].is_monotonic_increasing
    assert table.attrs["settings"] == 2
    without = several[(several["strategy"] != "margin") | (several["dataset"] != "usps")]
    assert over_settings(without, ["strategy"])["series"].tolist() == ["random", "vaal"]
    assert over_settings(several[several["dataset"] == "usps"], ["strategy"]).empty


def test_ranks_are_over_the_labels_that_all_series_have_and_no_untested_penalty_is_none(tmp_path: Path) -> None:
    several = pd.concat([runs(tmp_path), runs(tmp_path, dataset="usps")], ignore_index=True)
    begun = several[(several["strategy"] != "margin") | (several["labelled"] <= 20)]
    assert over_settings(begun, ["strategy"])["series"].tolist() == ["margin", "random", "vaal"]
    alone = over_settings(several[several["seed"] == 0], ["strategy"])
    assert alone["penalties"].isna().all()
    assert alone["rank"].tolist() == [1, 2, 3]
    mixed = several.assign(scale=several["scale"].mask(several["dataset"] == "usps", "laptop"))
    assert over_settings(mixed, ["strategy"]).empty


def test_the_command_tells_and_stores_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs(tmp_path)
    main(["toy", "--root", str(tmp_path / "mnist57")])
    assert "labels to be where random sampling ends" in capsys.readouterr().out
    stored = pd.read_csv(tmp_path / "mnist57" / "toy" / "smoke" / "results" / "labels.csv")
    assert stored["series"].tolist() == ["margin", "random", "vaal"]
