"""Reading runs and comparing them: closed forms, and what must be refused."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from alsuite import results
from alsuite.errors import UserError
from alsuite.results.__main__ import main
from alsuite.results.diagnostics import diagnostics
from alsuite.results.intervals import interval
from alsuite.results.kept import place_of
from alsuite.results.measures import largest
from alsuite.results.report import report
from alsuite.results.statistics import holm, one_setting, parts_of_series
from helpers.journals import synthetic_curve, write_run


def two_strategies(root: Path, seeds: int = 5, gap: float = 0.05) -> pd.DataFrame:
    for seed in range(seeds):
        curve = synthetic_curve(0.9, seed)
        write_run(root, "random", seed, curve)
        write_run(root, "entropy", seed, [value + gap * (1 + seed / 50) for value in curve])
    return results.load_runs("toy", root=root)


def test_load_is_tidy(tmp_path: Path) -> None:
    write_run(
        tmp_path,
        "random",
        3,
        [0.5, 0.6],
        tests=("mnist57", "usps57"),
        notes={"agreement": 0.8, "list": [1]},
        choices={"experiment": "fig1", "scale": "mine"},
    )
    frame = results.load_runs("toy", "smoke", tmp_path)
    assert len(frame) == 4
    row = frame[(frame["cycle"] == 0) & (frame["test"] == "usps57")].iloc[0]
    told = {"run": "seed=3,strategy=random", "scale": "smoke", "strategy": "random", "seed": 3, "protocol": "test"}
    told |= {
        "experiment": "toy",
        "task_model.loss": "cross_entropy",
        "task_model": "linear",
        "labelled": 10,
        "pool": 1000,
    }
    assert {name: row[name] for name in told} == told
    assert row["accuracy"] == pytest.approx(0.4)
    assert row["label_counts"] == [7, 3]
    assert row["notes.agreement"] == 0.8
    assert math.isnan(frame["entropy"].iloc[-1])


def test_diagnostics_are_means_over_seeds_and_queries_and_count_each_warning(tmp_path: Path) -> None:
    """Each query counts once, however many tests there are; the last cycle asks nothing."""
    write_run(tmp_path, "random", 0, [0.5, 0.6, 0.7])
    for seed, error in ((0, 0.2), (1, 0.6)):
        notes = {"reconstruction_error": error, "mean_sample_error": 0.8, "d_ranking": 0.75}
        notes |= {"warning": "the VAE has collapsed"} if seed else {}
        write_run(tmp_path, "vaal", seed, [0.5, 0.6, 0.7], tests=("a", "b")[: 1 + seed], notes=notes)
    runs = results.load_runs("toy", root=tmp_path)
    head, _, row = diagnostics(runs, runs["strategy"]).splitlines()
    names = ("Runs", "Variance that the VAE explains", "Chance that D ranks labelled above unlabelled", "Warnings")
    assert head == f"| {' | '.join(names)} |"
    assert row == "| vaal | 0.50 | 0.75 | 2 of 4 queries: the VAE has collapsed |"
    alone = runs[runs["strategy"] == "random"]
    assert diagnostics(alone, alone["strategy"]) == ""


def test_seeds_that_were_run_otherwise_are_not_averaged(tmp_path: Path) -> None:
    for seed, epochs in ((0, 10), (1, 20)):
        write_run(tmp_path, "random", seed, [0.5, 0.6], choices={"task_model.epochs": epochs})
    with pytest.raises(UserError, match=r"the seeds of one series differ in task_model\.epochs: filter on"):
        report(results.load_runs("toy", root=tmp_path), ["strategy"])


def test_a_query_is_also_timed_without_training_and_for_100_samples(tmp_path: Path) -> None:
    write_run(tmp_path, "vaal", 0, [0.5, 0.6], step=40, query_seconds=8.0, notes={"fit_seconds": 6.5})
    write_run(tmp_path, "random", 0, [0.5, 0.6], step=40, query_seconds=8.0)
    frame = results.load_runs("toy", root=tmp_path).sort_values(["cycle", "strategy"])
    timed = frame[["query_seconds", "select_seconds", "query_seconds_per_100"]].to_numpy(float)
    assert timed[:2].tolist() == [[8, 8, 20], [8, 1.5, 20]]
    assert bool(np.isnan(timed[2:]).all())


def test_agreement_weighs_the_annotators_classes_alike(tmp_path: Path) -> None:
    path = write_run(tmp_path, "asal", 0, [0.5, 0.6, 0.7], step=4) / "cycles.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    records[0]["queried"] |= {"generated_labels": [0, 0, 0, 1], "labels": [0, 0, 1, 1]}
    records[1]["queried"] |= {"generated_labels": [0], "labels": [0, 1, 1, 1]}
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert results.load_runs("toy", root=tmp_path)["agreement"].tolist() == [pytest.approx((3 / 4 + 1) / 2)] * 3
    path.write_text(path.read_text().replace("generated_labels", "others"))
    assert bool(results.load_runs("toy", root=tmp_path)["agreement"].isna().all())


def test_timings_are_never_taken_for_settings(tmp_path: Path) -> None:
    for seconds in (1.0, 2.0):
        write_run(tmp_path, "random", 0, [0.5, 0.6], run=str(seconds), query_seconds=seconds)
    with pytest.raises(UserError, match="differ in run: filter on run"):
        results.summary(results.load_runs("toy", root=tmp_path))


def test_load_passes_over_torn_lines_and_unfinished_runs(tmp_path: Path) -> None:
    journal = write_run(tmp_path, "random", 0, [0.5, 0.6]) / "cycles.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"cycle": 2, "labelled": "\xc3')
    write_run(tmp_path, "random", 1, [0.5, 0.6], finished=False)
    (tmp_path / "toy" / "smoke" / "results").mkdir()
    assert set(results.load_runs("toy", root=tmp_path)["seed"]) == {0}
    assert set(results.of_runs([*tmp_path.glob("toy/smoke/seed*")])["seed"]) == {0, 1}


def test_a_damaged_journal_is_told(tmp_path: Path) -> None:
    journal = write_run(tmp_path, "random", 0, [0.5, 0.6]) / "cycles.jsonl"
    journal.write_bytes(b"{\n" + journal.read_bytes())
    with pytest.raises(UserError, match="line 1"):
        results.load_runs("toy", root=tmp_path)


def test_no_runs_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="python -m alsuite experiment=toy scale=laptop"):
        results.load_runs("toy", "laptop", tmp_path)


def test_a_run_that_nothing_measures_is_finished(tmp_path: Path) -> None:
    journal = write_run(tmp_path, "random", 0, [0.5, 0.6]) / "cycles.jsonl"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    journal.write_text("".join(f"{json.dumps({**record, 'metrics': {}})}\n" for record in records))
    with pytest.raises(UserError, match=r"toy: 1 finished, without test images to be measured on"):
        results.load_runs("toy", root=tmp_path)
    with pytest.raises(UserError, match=r"make them with `python -m alsuite strategy=\.\.\. dataset=\.\.\.`"):
        results.load_runs("adhoc", root=tmp_path)


def test_select_matches_across_spellings(tmp_path: Path) -> None:
    write_run(tmp_path, "asal", 0, [0.5], config={"strategy": {"features": "gray", "n": 1, "on": True}})
    write_run(tmp_path, "random", 0, [0.5])
    frame = results.load_runs("toy", root=tmp_path)
    assert set(results.select(frame, {"strategy.n": "1"})["strategy"]) == {"asal"}
    assert set(results.select(frame, {"strategy.on": "true"})["strategy"]) == {"asal"}
    assert set(results.select(frame, {"strategy.features": None})["strategy"]) == {"random"}
    assert set(results.select(frame, {"strategy.features": ["gray", None]})["strategy"]) == {"asal", "random"}
    with pytest.raises(UserError, match="no column strateg to"):
        results.select(frame, {"strateg": "asal"})
    with pytest.raises(UserError, match="there are asal, random"):
        results.select(frame, {"strategy": "vaal"})


def test_series_leave_out_what_is_empty(tmp_path: Path) -> None:
    write_run(tmp_path, "asal", 0, [0.5], config={"strategy": {"features": "gray", "n": 2}})
    write_run(tmp_path, "random", 0, [0.5])
    frame = results.load_runs("toy", root=tmp_path)
    named = results.with_series(frame, ["strategy", "generator", "strategy.features", "strategy.n"])
    assert set(named["series"]) == {"asal · gray · n=2", "random"}
    with pytest.raises(UserError, match=r"no column strategy\.m"):
        results.with_series(frame, "strategy.m")


def test_a_large_number_in_a_name_has_no_exponent() -> None:
    assert parts_of_series(["strategy", "pool"], ["asal", 1.6e7]) == [("strategy", "asal"), ("pool", "pool=16000000")]


def test_aubc_of_a_straight_line_is_its_middle(tmp_path: Path) -> None:
    write_run(tmp_path, "random", 0, [0.2, 0.4, 0.6, 0.8])
    write_run(tmp_path, "full", 0, [0.97], start=1000)
    areas = results.aubc(results.load_runs("toy", root=tmp_path)).set_index("series")
    assert areas.loc["random", "aubc"] == pytest.approx(0.5)
    assert areas.loc["random", "final"] == 0.8
    assert areas.loc["full", "aubc"] == 0.97


def test_summary_is_a_t_interval_of_the_logit(tmp_path: Path) -> None:
    frame = two_strategies(tmp_path, seeds=4)
    table = results.summary(frame)
    values = frame[(frame["strategy"] == "random") & (frame["labelled"] == 30)]["accuracy"]
    mean = values.mean()
    error = stats.sem(values) / (mean * (1 - mean))
    low, high = special.expit(stats.t.interval(0.95, 3, loc=special.logit(mean), scale=error))
    row = table[(table["series"] == "random") & (table["labelled"] == 30)].iloc[0]
    assert (row["n"], row["measure"]) == (4, "accuracy")
    assert (row["mean"], row["sd"]) == pytest.approx((values.mean(), values.std()))
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert set(table["measure"]) == {"accuracy", "aubc", "final"}


@pytest.mark.parametrize(
    ("measure", "values", "most"),
    [
        ("entropy", [0.01, 0.3, 0.68], math.log(2)),
        ("query_seconds", [0.1, 5, 0.1], math.inf),
        ("accuracy", [0, 1, 0.9], 1),
    ],
)
def test_an_interval_stays_within_what_the_measure_can_be(measure: str, values: list[float], most: float) -> None:
    runs = pd.DataFrame({"series": "a", measure: values, "classes": [["five", "seven"]] * 3})
    assert largest(measure, runs) == pytest.approx(most)
    row = interval(runs, ["series"], measure, most).iloc[0]
    assert 0 < row["low"] < row["mean"] < row["high"] <= most
    assert largest("strategy.alpha", runs) is None


def test_intervals_of_seconds_and_of_entropy_are_t_intervals_of_their_logarithm_and_of_their_share() -> None:
    values, most = np.array([0.2, 0.3, 0.45]), math.log(2)
    runs = pd.DataFrame({"series": "a", "query_seconds": values, "entropy": values})
    mean, half = values.mean(), stats.t.ppf(0.975, 2) * stats.sem(values)
    row = interval(runs, ["series"], "query_seconds", math.inf).iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((mean * math.exp(-half / mean), mean * math.exp(half / mean)))
    share, row = mean / most, interval(runs, ["series"], "entropy", most).iloc[0]
    wide = half / most / (share * (1 - share))
    ends = most * special.expit(special.logit(share) + np.array([-wide, wide]))
    assert (row["low"], row["high"]) == pytest.approx(tuple(ends))


def test_the_better_series_takes_every_penalty(tmp_path: Path) -> None:
    matrix = results.penalty_matrix(two_strategies(tmp_path))
    assert matrix.loc["entropy", "random"] == 1
    assert matrix.loc["random", "entropy"] == 0
    assert matrix.loc["mean"].to_dict() == {"entropy": 0, "random": 0.5}


def test_penalties_count_the_budgets_won(tmp_path: Path) -> None:
    for seed in range(5):
        curve = synthetic_curve(0.9, seed, cycles=4)
        gains = [0.05 + seed / 1000, seed / 1000 - 0.002, -0.05 - seed / 1000, 0.0]
        write_run(tmp_path, "random", seed, curve)
        write_run(tmp_path, "entropy", seed, [value + gain for value, gain in zip(curve, gains, strict=True)])
    matrix = results.penalty_matrix(results.load_runs("toy", root=tmp_path))
    assert matrix.loc["entropy", "random"] == 0.25
    assert matrix.loc["random", "entropy"] == 0.25


def test_paired_tests_agree_with_scipy(tmp_path: Path) -> None:
    for seed in range(6):
        curve = np.array(synthetic_curve(0.9, seed))
        write_run(tmp_path, "random", seed, list(curve))
        write_run(tmp_path, "entropy", seed, list(curve + 0.01 + 0.02 * (-1) ** seed / (seed + 1)))
        write_run(tmp_path, "twin", seed, list(curve))
    frame = results.load_runs("toy", root=tmp_path)
    tests = results.paired_tests(frame).set_index(["first", "second"]).to_dict("index")
    areas = results.aubc(frame).pivot(index="seed", columns="series", values="aubc")
    expected = np.asarray(stats.ttest_rel(areas["entropy"], areas["random"]))[1]
    row = tests["entropy", "random"]
    assert row["t_p"] == pytest.approx(expected)
    assert row["difference"] == pytest.approx((areas["entropy"] - areas["random"]).mean())
    assert row["wilcoxon_p"] == pytest.approx(np.asarray(stats.wilcoxon(areas["entropy"] - areas["random"]))[1])
    twins = {"seeds": 6, "difference": 0, "t_p": 1, "wilcoxon_p": 1, "holm_p": 1}
    assert tests["random", "twin"] == twins


def test_curves_are_compared_over_the_counts_that_both_have(tmp_path: Path) -> None:
    for seed in range(5):
        curve = synthetic_curve(0.9, seed, 10)
        write_run(tmp_path, "long", seed, curve)
        write_run(tmp_path, "short", seed, curve[:5])
        write_run(tmp_path, "late", seed, curve[2:], start=30)
        write_run(tmp_path, "coarse", seed, [0.1 + curve[k] for k in (0, 4, 8)], step=40)
        write_run(tmp_path, "apart", seed, curve, start=1000)
    frame = results.load_runs("toy", root=tmp_path)
    tests = results.paired_tests(frame).set_index(["first", "second"]).to_dict("index")
    for pair in (("long", "short"), ("late", "long"), ("late", "short")):
        assert [tests[pair][name] for name in ("seeds", "difference", "t_p")] == [5, 0, 1]
    assert {tests["apart", name]["seeds"] for name in ("coarse", "late", "long", "short")} == {0}
    gains = []
    for seed in range(5):
        curve = np.array(synthetic_curve(0.9, seed, 10))
        coarse = np.interp(np.arange(9), [0, 4, 8], 0.1 + curve[[0, 4, 8]])
        gains.append(np.trapezoid(coarse[2:] - curve[2:9]) / 6)
    assert tests["coarse", "late"]["difference"] == pytest.approx(np.mean(gains))


@pytest.mark.parametrize(("seeds", "p"), [(2, 0.5), (5, 0.0625), (6, 0.03125)])
def test_gains_that_are_all_the_same_are_tested_by_their_sign(tmp_path: Path, seeds: int, p: float) -> None:
    for seed in range(seeds):
        curve = synthetic_curve(0.9, seed)
        write_run(tmp_path, "random", seed, curve)
        write_run(tmp_path, "entropy", seed, [value + 0.05 for value in curve])
    frame = results.load_runs("toy", root=tmp_path)
    assert results.paired_tests(frame)["t_p"].tolist() == [p]
    assert results.penalty_matrix(frame).loc["entropy", "random"] == (p < 0.05)


def test_one_seed_gives_no_verdict(tmp_path: Path) -> None:
    frame = two_strategies(tmp_path, seeds=1)
    assert results.paired_tests(frame)[["t_p", "wilcoxon_p", "holm_p"]].isna().all(axis=None)
    assert bool(results.penalty_matrix(frame).tail(1).isna().all(axis=None))
    assert results.summary(frame)[["sd", "low", "high"]].isna().all(axis=None)


def test_holm_by_hand() -> None:
    adjusted = holm(np.array([0.04, 0.01, math.nan, 0.03, 0.9]))
    assert adjusted == pytest.approx([0.09, 0.04, math.nan, 0.09, 0.9], nan_ok=True)


def test_mixed_settings_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path, "random", 0, [0.5, 0.6], tests=("mnist57", "usps57"))
    frame = results.load_runs("toy", root=tmp_path)
    with pytest.raises(UserError, match="several values of test"):
        results.paired_tests(frame)
    with pytest.raises(UserError, match="filter on one, such as test=mnist57"):
        one_setting(frame)


def test_series_may_differ_in_their_task_model(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path, "random", seed, [0.5, 0.6 + seed / 100], choices={"task_model": "convnet"})
        write_run(tmp_path, "m2_vaal", seed, [0.5, 0.7 + seed / 90], choices={"task_model": "m2"})
    assert len(results.paired_tests(results.load_runs("toy", root=tmp_path))) == 1
    write_run(tmp_path, "vaal", 0, [0.5, 0.6], choices={"dataset": "digits"})
    with pytest.raises(UserError, match="several values of dataset"):
        results.paired_tests(results.load_runs("toy", root=tmp_path))


def test_runs_of_one_seed_are_not_averaged(tmp_path: Path) -> None:
    for loss in ("hinge", "cross_entropy"):
        write_run(tmp_path, "random", 0, [0.5, 0.6], run=loss, config={"task_model": {"loss": loss}})
    frame = results.load_runs("toy", root=tmp_path)
    for compare in (results.summary, results.penalty_matrix, results.paired_tests):
        with pytest.raises(UserError, match=r"differ in task_model\.loss"):
            compare(frame)
    assert len(results.paired_tests(frame, ["strategy", "task_model.loss"])) == 1


@pytest.mark.slow
def test_command_prints_and_stores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_strategies(tmp_path)
    for _ in range(2):
        main(["toy", "--root", str(tmp_path), "--where", "task_model.loss=cross_entropy"])
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("±", "penalty", "holm_p", "test=mnist57", "entropy"))
    folder = tmp_path / "toy" / "smoke" / "results"
    assert printed.splitlines()[-1] == str(folder)
    assert {path.stem for path in folder.iterdir()} == {"long", "summary", "aubc", "penalty", "tests", "labels"}
    assert pd.read_csv(folder / "penalty.csv").set_index("series").loc["entropy", "random"] == 1


@pytest.mark.slow
def test_the_command_compares_what_it_is_asked_to(tmp_path: Path) -> None:
    for strategy, loss, scale in (("entropy", "hinge", "smoke"), ("random", "hinge", "smoke"), ("margin", "x", "mine")):
        write_run(tmp_path, strategy, 0, [0.5, 0.6], scale=scale, config={"task_model": {"loss": loss}})
    stored = tmp_path / "out"
    main(["toy", "--root", str(tmp_path), "--out", str(stored), "--where", "strategy=entropy"])
    assert {*pd.read_csv(stored / "long.csv")["series"]} == {"entropy"}
    main(["toy", "--root", str(tmp_path), "--out", str(stored), "--where", "strategy=entropy", "strategy=random"])
    assert {*pd.read_csv(stored / "long.csv")["series"]} == {"entropy", "random"}
    chosen = ["--scale", "smoke", "--series", "strategy", "task_model.loss"]
    main(["toy", "--root", str(tmp_path), "--out", str(stored), *chosen])
    assert {*pd.read_csv(stored / "long.csv")["series"]} == {"entropy · hinge", "random · hinge"}


@pytest.mark.parametrize("wrong", [["nothing"], ["toy", "--where", "strategy"], ["toy", "--out", "/dev/null"]])
def test_command_says_what_is_wrong_in_one_line(
    tmp_path: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    two_strategies(tmp_path, seeds=1)
    with pytest.raises(SystemExit, match="2"):
        main([*wrong, "--root", str(tmp_path)])
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_measure_that_there_is_not_is_told_with_those_that_resemble_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_strategies(tmp_path, seeds=1)
    for metric, told in (("acuracy", "choose accuracy\n"), ("strategy", "choose accuracy or macro_f1\n")):
        with pytest.raises(SystemExit, match="2"):
            main(["toy", "--root", str(tmp_path), "--metric", metric])
        assert capsys.readouterr().err == f"alsuite: the runs have no measure {metric}: {told}"


def test_what_only_a_query_has_is_compared_as_it_is(tmp_path: Path) -> None:
    text, made = report(two_strategies(tmp_path), ["strategy"], "entropy")
    assert "entropy over seeds" in text
    assert not {"%", "points"} & {*text.split("penalty")[0].replace("95 %", "").split(), *text.split("area")[1].split()}
    areas = made["aubc"].set_index(["series", "seed"])["aubc"]
    heights = [0.69 * (1.05 - value) for value in synthetic_curve(0.9, 0)[:-1]]
    assert areas["random", 0] == pytest.approx(np.trapezoid(heights) / 6)
    assert made["tests"]["difference"].notna().all()


def test_full_supervision_alone_is_summarised(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path, "full", seed, [0.9 + seed / 100])
    text, made = report(results.load_runs("toy", root=tmp_path), ["strategy"])
    assert "91.00 ± 1.00" in text
    assert made["tests"].empty


@pytest.mark.slow
def test_reading_needs_no_network_library() -> None:
    heavy = "{'torch', 'pytorch_lightning', 'lightning', 'wandb', 'hydra'}"
    code = f"import sys, alsuite.results, alsuite.figures; print({heavy} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


def test_a_published_run_leads_nowhere_else() -> None:
    assert place_of("toy", "smoke", "seed=0") == "toy/smoke/seed=0"
    for run in ("../../seed=0", "a/../b", "", "/tmp"):
        with pytest.raises(UserError, match="which leads elsewhere"):
            place_of("toy", "smoke", run)


def test_pools_of_unlike_imbalance_are_not_paired(tmp_path: Path) -> None:
    frame = two_strategies(tmp_path, seeds=2)
    frame["imbalance.ratio"] = frame["strategy"].map({"random": math.nan, "entropy": 0.1})
    with pytest.raises(UserError, match=r"unlike imbalance, so that no seed pairs them: filter on imbalance\.ratio"):
        results.paired_tests(frame)
