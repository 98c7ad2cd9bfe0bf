"""Claims are judged by paired differences over seeds, as one where they are of an order or of every budget."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from alsuite import CONF
from alsuite.claims import Claim, below_a_picture, judged, measured_runs, on_a_page, read_claims, verdicts
from alsuite.claims import __main__ as command
from alsuite.claims.__main__ import main
from alsuite.claims.curves import nearest
from alsuite.claims.judging import deciding
from alsuite.claims.pages import figures_of, of_papers
from alsuite.errors import UserError
from alsuite.figures.spec import Panel, read_panels
from alsuite.results import load_runs, paired_tests
from alsuite.results.kept import keep
from helpers.journals import write_run

NOISE = (0.004, -0.003, 0.001, -0.004, 0.002)


CLAIMS = read_claims()


def claim(**changes: Any) -> Claim:
    fields = {"key": "toy", "paper": "vaal", "place": "here", "claim": "It is so.", "experiment": "demo"}
    chosen = {"better": "vaal", "than": "random", **changes}
    return Claim(**{**fields, **{name: value for name, value in chosen.items() if value is not None}})


def runs(root: Path, curves: Mapping[str, Sequence[float]], seeds: int = 5, **options: Any) -> pd.DataFrame:
    for place, (strategy, curve) in enumerate(curves.items()):
        for seed in range(seeds):
            noise = NOISE[(seed + place) % 5]
            write_run(root, strategy, seed, [value + noise for value in curve], experiment="demo", **options)
    return load_runs("demo", root=root)


def test_an_effect_is_the_mean_paired_difference_with_its_interval(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.8, 0.9), "random": (0.5, 0.7, 0.8)})
    found = judged(claim(at="last"), frame)
    last = frame.sort_values("cycle").groupby(["strategy", "seed"])["accuracy"].last().unstack("strategy")
    gain = 100 * (last["vaal"] - last["random"]).to_numpy(float)
    low, high = stats.t.interval(0.95, 4, gain.mean(), stats.sem(gain))
    assert (found.effect, found.low, found.high) == pytest.approx((gain.mean(), low, high))
    assert found.p == pytest.approx(np.asarray(stats.ttest_1samp(gain, 0))[1])
    assert found.holds
    assert (found.seeds, found.comparisons) == (5, 1)


def test_series_of_unlike_task_models_are_told(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.8), "random": (0.5, 0.7), "margin": (0.5, 0.6)}, seeds=3)
    other = frame.assign(task_model=frame["task_model"].mask(frame["strategy"] == "random", "fastnet"))
    row = verdicts([claim(experiment="demo")], lambda _: other).iloc[0]
    assert row["why"] == "their task models differ: vaal has linear, random has fastnet"
    assert judged(claim(), frame).task_models == judged(claim(than="margin"), other).task_models == ()
    networks = [{"strategy": "random", "task_model": name} for name in ("fastnet", "linear")]
    told = pd.concat([frame, other], ignore_index=True).drop_duplicates(["strategy", "task_model", "seed", "cycle"])
    assert judged(claim(better=networks[0], than=networks[1]), told).task_models == ()


def test_pairs_of_several_devices_are_told(tmp_path: Path) -> None:
    curves = {"vaal": (0.5, 0.8), "random": (0.5, 0.7), "margin": (0.5, 0.6)}
    frame = runs(tmp_path, curves, seeds=3).assign(device="CPU")
    frame["device"] = frame["device"].mask((frame["strategy"] == "random") & (frame["seed"] > 0), "GPU")
    table = verdicts([claim(), claim(key="other", than="margin")], lambda _: frame)
    assert table["why"].fillna("").tolist() == ["on different devices at seed 1, 2", ""]
    assert judged(claim(than="margin", over="random"), frame).apart == (1, 2)


def test_seeds_that_were_added_to_those_planned_have_had_two_chances(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.73), "random": (0.5, 0.7)}, seeds=4)
    parts = [frame[frame["seed"] < seeds] for seeds in (3, 4)]
    planned, more = (verdicts([claim()], lambda _, part=part: part).iloc[0] for part in parts)
    assert [planned["p"], more["p"]] == pytest.approx([judged(claim(), parts[0]).p, 2 * judged(claim(), parts[1]).p])
    assert "p doubled, since 3 seeds were planned" in more["why"]
    assert planned["why"] is None


def test_what_the_paper_has_rounded_is_no_sharper_than_that(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.86)})
    value: Any = {"better": None, "than": None, "value": "vaal", "at": "last"}
    bounds = [claim(**value, least=86.4, published=86.4), claim(**value, least=86.4, published=90)]
    assert [one.bounds[0] for one in bounds] == pytest.approx([86.35, 86.4])
    assert claim(than="full", least=-9.26, published=-9.26).bounds[0] == pytest.approx(-9.265)
    assert claim(than="full", least=-9.26, published=-9.26, measure="query_seconds").bounds[0] == -9.26
    assert claim(**value, most=7651, published=7651).bounds[1] == 7651.5
    assert judged(claim(**value, least=86, published=86), frame).holds


def test_what_agrees_in_direction_alone_is_told(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.8), "random": (0.5, 0.7)})
    stated = [claim(key=str(effect), at="last", published=effect) for effect in (10, 2)]
    table = verdicts(stated, lambda _: frame)
    assert table["verdict"].tolist() == ["agrees", "agrees"]
    planned = "p doubled, since 3 seeds were planned"
    assert table["why"].tolist() == [planned, f"{planned}; the published effect lies outside this interval"]
    few = verdicts([*stated, claim(key="bound", at="last", least=2, published=2)], lambda _: frame[frame["seed"] < 3])
    assert few["why"].fillna("").tolist() == ["", "the published effect lies outside this interval", ""]


@pytest.mark.parametrize(
    ("changes", "holds", "effect"),
    [
        ({"at": "last"}, True, 10),
        ({"at": "last", "better": "random", "than": "vaal"}, False, -10),
        ({"at": "last", "lower": True}, False, -10),
        ({"at": 20}, True, 5),
        ({"at": "2%"}, True, 5),
        ({"at": "last", "least": 8}, True, 10),
        ({"at": "last", "least": 12}, False, 10),
        ({"at": "last", "effect": "ratio"}, True, 0.9 / 0.8),
        ({"at": "last", "effect": "ratio", "least": 1.2}, False, 0.9 / 0.8),
        ({"at": "last", "within": 12.0}, True, 10),
        ({"at": "last", "within": 8.0}, False, 10),
        ({"at": "each"}, True, 5),
    ],
)
def test_what_a_claim_says_is_what_is_tested(
    tmp_path: Path, changes: dict[str, Any], holds: bool, effect: float
) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.75, 0.9), "random": (0.5, 0.7, 0.8)})
    found = judged(claim(**changes), frame)
    assert found.holds is holds
    assert found.p < 0.01
    assert found.effect == pytest.approx(effect, abs=0.5 if effect > 2 or effect < 0 else 0.01)


def test_a_claim_of_order_needs_every_step_of_it(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.9), "coreset": (0.5, 0.85), "random": (0.5, 0.7)})
    right, wrong = (
        judged(claim(better=None, than=None, order=order, at="last"), frame)
        for order in (("vaal", "coreset", "random"), ("vaal", "random", "coreset"))
    )
    assert right.holds
    assert right.p < 0.01
    assert not wrong.holds
    assert wrong.effect == pytest.approx(-15, abs=0.5)


def test_a_claim_of_every_budget_fails_at_one(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.6, 0.9), "random": (0.5, 0.7, 0.8)})
    found = judged(claim(at="each"), frame)
    assert not found.holds
    assert found.p < 0.01
    assert found.effect == pytest.approx(-10, abs=0.5)


def test_a_few_seeds_and_a_small_effect_are_undecided_and_say_how_many_would_do(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.801), "random": (0.5, 0.8)})
    found = judged(claim(at="last"), frame)
    assert found.p > 0.2
    assert deciding(found.clear, 5, 1) > 20
    assert deciding(0.5, 5, 1) == deciding(-0.5, 5, 1) == 34  # by G*Power's two-sided t-test of matched pairs
    assert 34 < deciding(0.5, 5, 5) < math.inf == deciding(0.2, 5, 60)
    assert deciding(5, 2, 1) == 3  # and at once, where the effect is far above its spread
    alone = judged(claim(at="last"), frame[frame["seed"] == 0])
    assert alone.p == 1
    assert math.isnan(alone.low)


def test_undecided_claims_lean_to_the_side_that_they_alone_would_be_decided_for(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.73), "random": (0.5, 0.7), "margin": (0.5, 0.7)}, seeds=3)
    alone = judged(claim(), frame).p
    assert 0.001 < alone < 0.05
    many = [claim(key=f"again {place}") for place in range(math.ceil(0.05 / alone))]
    stated = [*many, claim(key="turned", better="random", than="vaal"), claim(key="alike", better="margin")]
    table = verdicts(stated, lambda _: frame).set_index("claim")
    assert {*table["verdict"]} == {"undecided"}
    assert table["leans"].fillna("").tolist() == ["for"] * len(many) + ["against", ""]
    assert f"(alone {alone:.2g}, against it)" in on_a_page(table.reset_index())
    assert f"({len(many)} for, 1 against)" in of_papers(table.reset_index(), tmp_path)
    assert verdicts(many[:1], lambda _: frame)["leans"].isna().all()


def test_what_contradicts_one_of_several_comparisons_has_had_as_many_chances(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.9), "random": (0.5, 0.905), "coreset": (0.5, 0.4)})
    one = judged(claim(at="last"), frame)
    both = judged(claim(at="last", than=["random", "coreset"]), frame)
    assert 0 < one.p_against < 0.5
    assert both.p_against == pytest.approx(2 * one.p_against)


@pytest.mark.parametrize(("name", "share"), [("cat", 10), ("dog", 30), ("cow", 60)])
def test_a_claim_of_a_class_is_of_that_class(tmp_path: Path, name: str, share: float) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.6)}, seeds=3, step=990)
    frame["classes"], frame["label_counts"] = [["cat", "dog", "cow"]] * 6, [[100, 300, 600]] * 6
    frame["per_class_f1"] = [[0.1, 0.3, 0.6]] * 6
    for measure in ("share", "per_class_f1"):
        stated = claim(better=None, than=None, value="vaal", measure=f"{measure}.{name}", at="last", least=0)
        assert judged(stated, frame).effect == pytest.approx(share)


@pytest.mark.parametrize("others", [{"protocol": "fair"}, {"test": "usps"}, {"protocol": "fair", "test": "usps"}])
def test_claims_are_of_the_papers_protocol_and_the_data_sets_own_test(tmp_path: Path, others: dict[str, str]) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.8), "random": (0.5, 0.7)}).assign(protocol="paper")
    changed = frame["accuracy"].where(frame["strategy"] == "random", 0.1)
    more = frame.assign(accuracy=changed, run=frame["run"] + "more", **others)
    assert judged(claim(), pd.concat([more, frame], ignore_index=True)).effect == judged(claim(), frame).effect
    turned = judged(claim(where=others), pd.concat([more, frame], ignore_index=True))
    assert turned.effect < 0


def test_two_runs_of_a_seed_are_no_two_seeds(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.8), "random": (0.5, 0.7)})
    doubled = pd.concat([frame, frame.assign(run=frame["run"] + "b", generator="vae")])
    with pytest.raises(UserError, match="runs of one series and seed differ in generator"):
        judged(claim(), doubled)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"better": "coreset"}, "no runs where strategy=coreset"),
        ({"where": {"test": "usps"}}, "no runs where test=usps"),
        ({"measure": "notes.agreement"}, "no notes.agreement of vaal"),
        ({"at": 500}, "a curve ends far from 500 labels"),
    ],
)
def test_what_was_not_measured_is_named(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.8), "random": (0.5, 0.7)})
    with pytest.raises(UserError, match=told):
        judged(claim(**changes), frame)


@pytest.mark.parametrize(
    ("changes", "holds", "effect"),
    [
        ({"value": "vaal", "least": 89, "at": "last"}, True, 90),
        ({"value": "vaal", "most": 89, "at": "last"}, False, 90),
        ({"value": "vaal", "least": 88, "most": 92, "at": "last"}, True, 90),
        ({"better": "vaal", "than": "random", "most": 11, "least": 9, "at": "last"}, True, 10),
        ({"better": "vaal", "than": "random", "since": 25}, True, 10),
        ({"better": "vaal", "than": "random", "to_reach": "last"}, True, 6.67),
        ({"value": "random", "to_reach": 75, "most": 30}, True, 25),
        ({"better": {"strategy": "vaal", "at": 30}, "than": {"strategy": "vaal", "at": 20}}, True, 15),
        ({"better": {"strategy": "vaal", "at": "area"}, "than": {"strategy": "random", "at": "area"}}, True, 5),
        ({"better": "vaal", "than": "coreset", "over": "random", "at": "last"}, True, 5),
        ({"value": "vaal", "measure": "share.0", "at": "last", "least": 30}, True, 50),
        ({"better": "vaal", "than": "random", "measure": ["accuracy", "macro_f1"], "at": "last"}, True, 10),
    ],
)
def test_claims_may_speak_of_more(tmp_path: Path, changes: dict[str, Any], holds: bool, effect: float) -> None:
    curves = {"vaal": (0.5, 0.75, 0.9), "random": (0.5, 0.7, 0.8), "coreset": (0.5, 0.72, 0.85)}
    found = judged(claim(**{"better": None, "than": None, **changes}), runs(tmp_path, curves, seeds=7))
    assert found.holds is holds
    assert found.p < 0.05
    assert found.effect == pytest.approx(effect, abs=0.6)


@pytest.mark.parametrize(
    ("better", "than", "height", "p_for", "p_against"),
    [
        ("vaal", "random", "last", 1, 0.5**5),  # vaal never gets as far as random does in the end
        ("random", "vaal", 0.75, 0.5**5, 1),  # vaal never gets there
        ("entropy", "vaal", 0.75, 0.5**5, 1),  # nor by a single label
    ],
)
def test_a_curve_that_never_reaches_a_height_is_worse_in_each_seed_and_nobody_knows_by_how_much(
    tmp_path: Path, better: str, than: str, height: str | float, p_for: float, p_against: float
) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.6, 0.7), "random": (0.5, 0.7, 0.8), "entropy": (0.5, 0.6, 0.76)})
    wanted = height if isinstance(height, str) else 100 * height
    stated = claim(better=better, than=than, to_reach=wanted)
    found = judged(stated, frame)
    assert (found.p_for, found.p_against) == pytest.approx((p_for, p_against))
    assert math.isnan(found.effect)
    few = verdicts([stated], lambda _: frame[frame["seed"] < 3])
    assert few["verdict"].tolist() == ["undecided"]
    assert "a curve does not reach that height; 3 seeds" in on_a_page(few)
    with pytest.raises(UserError, match="no curve reaches that height"):
        judged(claim(to_reach=99), frame)


def test_effects_that_are_all_alike_are_as_sure_as_their_number_allows(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.8), "random": (0.5, 0.7)}, seeds=3)
    frame["entropy"] = frame["strategy"].map({"vaal": 1.0, "random": 8.0})
    found = judged(claim(measure="entropy", lower=True, effect="ratio"), frame)
    assert (found.p_for, found.p_against) == pytest.approx((0.5**3, 1))
    assert found.effect == pytest.approx(8)
    assert math.isnan(found.low)


@pytest.mark.parametrize(("lower", "verdict"), [(True, "agrees"), (False, "disagrees")])
def test_bytes_are_sure_with_one_seed_since_none_changes_them(tmp_path: Path, lower: bool, verdict: str) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.8), "random": (0.5, 0.7)}, seeds=1)
    frame["notes.memory"] = frame["strategy"].map({"vaal": 1.0, "random": 8.0})
    stated = claim(measure="notes.memory", lower=lower, effect="ratio")
    found = verdicts([stated], lambda _: frame).iloc[0]
    assert (found["verdict"], found["p"], found["seeds"]) == (verdict, 0, 1)


def test_areas_are_compared_where_both_curves_have_values(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.6, 0.7, 0.9), "random": (0.5, 0.6, 0.7, 0.9)})
    early = (frame["strategy"] == "random") & (frame["labelled"] < 30)
    vaal = frame["strategy"] == "vaal"
    assert judged(claim(), frame[vaal | early]).effect == pytest.approx(0, abs=0.5)
    with pytest.raises(UserError, match="share no range of labelled counts"):
        judged(claim(), frame[early | (vaal & (frame["labelled"] > 20))])


def test_areas_of_curves_that_bend_are_compared_at_the_counts_that_both_have(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.2, 0.5, 0.6, 0.65, 0.68), "random": (0.2, 0.5, 0.6, 0.65, 0.68)})
    thinned = frame[(frame["strategy"] == "vaal") | frame["labelled"].isin([10, 30, 50])]
    assert judged(claim(), thinned).effect == pytest.approx(judged(claim(), frame).effect, abs=0.2)
    assert paired_tests(thinned)["difference"].iloc[0] == pytest.approx(
        paired_tests(frame)["difference"].iloc[0], abs=2e-3
    )


def test_a_run_with_one_count_has_its_value_there_alone() -> None:
    run = pd.DataFrame({"labelled": [20], "value": [0.5]})
    assert nearest(run, 20) == 0.5
    assert math.isnan(nearest(run, 30))


def test_values_of_several_series_are_each_within_the_bounds(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.8), "random": (0.5, 0.7)})
    for least, holds in ((65, True), (75, False)):
        found = judged(claim(better=None, than=None, value=["vaal", "random"], at="last", least=least), frame)
        assert (found.holds, found.comparisons) == (holds, 2)


def test_a_paper_has_as_many_figures_as_it_has(tmp_path: Path) -> None:
    table = verdicts(read_claims(), measured_runs(tmp_path, live=False))
    rows = dict(zip(table["paper"].unique(), of_papers(table, tmp_path).splitlines()[2:], strict=True))
    counts = {paper: re.findall(r"0 of (\d+) measured", row) for paper, row in rows.items()}
    assert counts == {"vaal": ["10"], "aalu": ["6"], "m2vaal": ["4"], "asal": ["34"], "active_gan": ["6"]}
    assert "active_gan_drawn" in figures_of("active_gan")


def test_seconds_are_averaged_and_not_measured_as_curves(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.6, 0.9)})
    frame["query_seconds"] = frame["labelled"].map({10: 1.0, 20: 2.0, 30: 6.0})
    found = judged(claim(better=None, than=None, value="vaal", most=9, measure="query_seconds"), frame)
    assert found.effect == pytest.approx(3)


def test_averages_are_of_what_every_seed_has_and_the_rest_is_named(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.8), "random": (0.5, 0.7)}, seeds=3).assign(features="rgb")
    more = frame[(frame["strategy"] == "vaal") & (frame["seed"] == 0)]
    more = more.assign(features="discriminator", accuracy=0.1, run="more")
    series = {"strategy": "vaal", "features": ["rgb", "autoencoder", "discriminator"]}
    stated = claim(better=series, at="last")
    found = judged(stated, both := pd.concat([frame, more]))
    assert found.effect == pytest.approx(10, abs=0.5)
    assert found.without == ("features=autoencoder", "features=discriminator")
    assert verdicts([stated], lambda _: both)["why"][0] == "without features=autoencoder, features=discriminator"
    apart = both[(both["features"] == "discriminator") | (both["seed"] > 0) | (both["strategy"] == "random")]
    with pytest.raises(UserError, match="no features was run with every seed"):
        judged(stated, apart)


def test_a_share_is_one_of_all_training_images_with_those_held_out(tmp_path: Path) -> None:
    curves = {"vaal": (0.5, 0.6, 0.7, 0.8)}  # 10 to 40 of 40 images, 10 of which more are held out
    frame = runs(tmp_path, curves).assign(pool=40, whole=40)
    found = judged(claim(better=None, than=None, value="vaal", least=0, at="60%"), frame)
    assert found.effect == pytest.approx(60, abs=0.5)
    frame["dataset.validation"] = 10
    found = judged(claim(better=None, than=None, value="vaal", least=0, at="60%"), frame)
    assert found.effect == pytest.approx(70, abs=0.5)


def test_runs_of_two_scales_are_not_compared(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.8), "random": (0.5, 0.7)})
    frame.loc[frame["strategy"] == "vaal", "scale"] = "paper"
    table = verdicts([claim()], lambda _: frame)
    assert table["verdict"].tolist() == ["not measured"]
    assert "of several scales (paper, smoke): judge those of one" in str(table["why"][0])


def test_the_exponent_of_a_time_is_told(tmp_path: Path) -> None:
    for size in (1_000, 10_000, 100_000):
        for seed in range(3):
            options: dict[str, Any] = {"pool_counts": (size // 2, size // 2), "query_seconds": size**0.5 / 100}
            write_run(tmp_path, "asal", seed, (0.5, 0.6), experiment="demo", run=f"{seed}{size}", **options)
    frame = load_runs("demo", root=tmp_path)
    found = judged(claim(better=None, than=None, value="asal", measure="query_seconds", exponent="pool", most=1), frame)
    assert found.effect == pytest.approx(0.5, abs=0.01)
    assert found.holds


@pytest.mark.parametrize(("cut", "verdict"), [(0, "agrees"), (900, "not tested")])
def test_an_end_beside_all_labels_is_decided_where_no_labels_were_cut(tmp_path: Path, cut: int, verdict: str) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.8), "full": (0.7, 0.7)}, seeds=3)
    frame = frame.assign(scale="laptop", pool=1000, whole=1000)
    frame["budget.end"] = frame["labelled"].max() + cut
    table = verdicts([claim(than="full", at="last")], lambda _: frame)
    assert table["verdict"].tolist() == [verdict]
    assert ("the scale has cut its labels" in on_a_page(table)) is bool(cut)
    ends = [claim(key=at, than="full", measure="share.1", at=at) for at in ("last", "area")]
    shares = verdicts(ends, lambda _: frame)["verdict"].eq("not tested")
    assert shares.tolist() == [bool(cut), False]


@pytest.mark.parametrize(("scale", "verdict"), [("paper", "agrees"), ("laptop", "not tested")])
def test_seconds_are_decided_where_nothing_was_reduced(tmp_path: Path, scale: str, verdict: str) -> None:
    for strategy, seconds in (("vaal", 0.5), ("random", 2.0)):
        for seed in range(3):
            write_run(tmp_path, strategy, seed, (0.5, 0.6), experiment="demo", query_seconds=seconds + NOISE[seed])
    frame = load_runs("demo", root=tmp_path).assign(scale=scale)
    alone: Any = {"better": None, "than": None, "value": "vaal", "most": 1}
    stated = [claim(**alone, measure="query_seconds"), claim(key="two", measure="query_seconds", effect="ratio")]
    table = verdicts([replace(one, lower=True) for one in stated], lambda _: frame)
    assert table["verdict"].tolist() == [verdict, verdict]
    assert table["effect"][0] == pytest.approx(0.5, abs=0.01)
    assert ("reduced scale decide nothing" in on_a_page(table)) is (scale == "laptop")


@pytest.mark.parametrize(
    ("options", "tested"),
    [
        ({"scale": "laptop"}, True),  # which has reduced nothing of the task
        ({"scale": "laptop", "strategy.limit": 3.0, "strategy.epochs": 5.0, "strategy.batch": 4.0}, True),
        ({"scale": "laptop", "task_model": "fastnet"}, False),
        ({"scale": "laptop", "task_model.limit": 3.0, "task_model.epochs": 5.0}, False),
        ({"scale": "laptop", "whole": 5000}, False),
        ({"scale": "paper", "task_model.net.width": 0.5}, True),
    ],
)
def test_how_accurate_a_network_is_says_nothing_of_one_in_its_place(
    tmp_path: Path, options: dict[str, Any], tested: bool
) -> None:
    """But how strategies compare does."""
    curves = {"vaal": (0.5, 0.8), "random": (0.5, 0.7)}
    frame = runs(tmp_path, curves).assign(whole=1000)
    every = runs(tmp_path / "full", {"badge": (0.9,), "full": (0.9,)}, start=1000).assign(whole=1000)
    frame = pd.concat([frame, every], ignore_index=True).assign(**options, wrong=lambda each: 1 - each["accuracy"])
    level: Any = {"better": None, "than": None, "value": "vaal", "least": 60}
    wrong = {**level, "measure": "wrong", "least": 10}
    levels = [claim(**level), claim(key="gap", than="full", at="last", least=-15), claim(key="wrong", **wrong)]
    table = verdicts([*levels, claim(key="order")], lambda _: frame)
    assert table["verdict"].tolist() == [*(["agrees" if tested else "not tested"] * 3), "agrees"]
    assert ("of a reduced task model" in on_a_page(table)) is not tested


@pytest.mark.parametrize(("limit", "verdict"), [(10, "not tested"), (None, "undecided")])
def test_what_a_generator_leads_to_is_tested_by_one_that_was_trained_whole(
    tmp_path: Path, limit: int | None, verdict: str
) -> None:
    frame = runs(tmp_path, {"asal": (0.5, 0.8)}, seeds=3).assign(generator="dcgan", scale="laptop")
    frame = frame.assign(**{"strategy.generator.iterations": 100.0, "strategy.generator.limit": limit})
    made: Any = {"better": None, "than": None, "value": {"strategy": "asal", "generator": "dcgan"}}
    ones = claim(**made, measure="share.1", at="last", least=1)
    assert verdicts([ones], lambda _: frame)["verdict"].tolist() == [verdict]
    other = frame.assign(generator="wgan_gp", run=frame["run"] + "_wgan_gp")
    both, pairs = (
        pd.concat([frame, other], ignore_index=True),
        [*({"strategy": "asal", "generator": one} for one in ("dcgan", "wgan_gp"))],
    )
    stated = [claim(better=pairs[0], than=pairs[1]), claim(better=pairs[0], than=pairs[0], measure="share.1")]
    assert [one.of_a_generator for one in stated] == [True, True]
    assert not claim(better=pairs[0], than=pairs[0]).of_a_generator
    told = verdicts(stated[:1], lambda _: both).iloc[0]["why"]
    assert (told is not None) is (limit is not None)


@pytest.mark.parametrize(
    ("bound", "told"),
    [
        ({"within": 1.0}, "It is so (within 1 point)."),
        ({"within": 0.1, "effect": "ratio", "measure": "query_seconds"}, "It is so (within 10 %)."),
        ({"least": 1.0}, "It is so (at least 1 point)."),
        ({"least": -0.5, "lower": True}, "It is so (at most 0.5 points below)."),
        ({"least": 2, "effect": "ratio"}, "It is so (at least 2 times)."),
        ({"most": 2400, "to_reach": 0.5}, "It is so (at most 2,400 labels)."),
        ({"most": 1, "exponent": "pool"}, "It is so (exponent at most 1)."),
        ({"better": None, "than": None, "value": "vaal", "least": 65, "most": 75}, "It is so (between 65 and 75 %)."),
        ({"least": -2.5, "claim": "It is at most 2.5 points below."}, "It is at most 2.5 points below."),
        (
            {"least": 2, "claim": "It is at least 2.5 points above."},
            "It is at least 2.5 points above (at least 2 points).",
        ),
    ],
)
def test_a_claim_says_what_its_words_leave_out(bound: dict[str, Any], told: str) -> None:
    assert claim(**bound).said == told
    low, high = claim(within=0.1, effect="ratio").bounds
    assert (low, high) == pytest.approx((math.log(0.9), math.log(1.1)))


def test_the_correction_is_for_what_is_tested(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.8), "random": (0.5, 0.7), "badge": (0.5, 0.6)})
    frame = frame[(frame["strategy"] != "badge") | (frame["seed"] == 0)].assign(scale="laptop", query_seconds=1.0)
    stated = [claim(), claim(key="one", than="badge"), claim(key="time", measure="query_seconds")]
    table = verdicts(stated, lambda _: frame)
    assert table["verdict"].tolist() == ["agrees", "not tested", "not tested"]
    assert table["holm_p"][0] == table["p"][0]
    assert table["holm_p"][1:].isna().all()
    assert "1 seed, scale=laptop, protocol=test." in on_a_page(table)


def test_a_contradiction_counts_beside_a_comparison_of_one_seed(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.7), "random": (0.5, 0.8), "badge": (0.5, 0.9)})
    frame = frame[(frame["strategy"] != "badge") | (frame["seed"] == 0)]
    table = verdicts([claim(than=["random", "badge"])], lambda _: frame)
    assert table["verdict"].tolist() == ["disagrees"]


def test_a_list_of_values_is_averaged_over(tmp_path: Path) -> None:
    for level, features in ((0.9, "gray"), (0.8, "autoencoder")):
        for seed in range(3):
            curve, chosen = (0.5, level + NOISE[seed]), {"features": features}
            write_run(tmp_path, "asal", seed, curve, experiment="demo", run=f"{seed}{features}", choices=chosen)
    frame = load_runs("demo", root=tmp_path)
    both = {"strategy": "asal", "features": ["gray", "autoencoder"]}
    found = judged(claim(better=None, than=None, value=both, at="last", least=80), frame)
    assert found.effect == pytest.approx(85, abs=0.5)
    assert found.seeds == 3


def test_each_claim_speaks_of_what_is_there() -> None:
    there = {
        group: {path.stem for path in (CONF / group).glob("*.yaml")} for group in ("strategy", "experiment", "paper")
    }
    for stated in CLAIMS:
        assert stated.experiment in there["experiment"], stated.key
        assert stated.paper in there["paper"], stated.key
        assert stated.claim.endswith("."), stated.key
        named = [one for pair in stated.pairs for one in pair if one is not None]
        assert {one if isinstance(one, str) else one["strategy"] for one in named} <= there["strategy"], stated.key
        assert stated.bounds[0] < stated.bounds[1], stated.key


def test_no_claim_is_stated_twice() -> None:
    stated = re.findall(r"^\w+:", (CONF / "claims.yaml").read_text(), re.M)
    assert len({*stated}) == len(stated) == len(CLAIMS)


@pytest.mark.slow
def test_all_papers_claims_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--root", str(tmp_path)])
    told = capsys.readouterr().out
    assert "no runs: make them with `python -m alsuite experiment=vaal_fig2_cifar10`" in told
    table = pd.read_csv(tmp_path / "claims.csv")
    assert len(table) == len(read_claims()) > 250
    assert {*table["verdict"]} == {"not measured"}


def test_a_paper_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["vaall"])
    assert "no claims of vaall: choose from vaal, aalu" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--scale", "laptp"], "--scale=laptp is unknown: choose one of laptop"),
        (["--root", "nowhere"], "no folder nowhere"),
    ],
)
def test_a_misspelt_place_is_not_taken_for_one_without_runs(
    wrong: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["vaal", *wrong])
    assert told in capsys.readouterr().err
    assert not Path("nowhere").exists()


def test_verdicts_are_corrected_over_the_claims_of_a_paper(tmp_path: Path) -> None:
    frame = runs(tmp_path, {"vaal": (0.5, 0.804), "random": (0.5, 0.8), "coreset": (0.5, 0.6)})
    stated = [
        claim(key="close", at="last"),
        claim(key="clear", at="last", than="coreset"),
        claim(key="turned", at="last", better="coreset"),
        claim(key="absent", better="badge"),
        claim(key="other", paper="asal", at="last"),
    ]
    table = verdicts(stated, lambda _: frame).set_index("claim")
    assert table["verdict"].to_dict() == {
        "close": "undecided",
        "clear": "agrees",
        "turned": "disagrees",
        "absent": "not measured",
        "other": "undecided",
    }
    p = table["p"]
    assert table.loc["close", "holm_p"] == pytest.approx(p["close"])
    turns = p[["clear", "turned"]].sort_values()
    first, second = 3 * turns.iloc[0], max(3 * turns.iloc[0], 2 * turns.iloc[1])
    assert table.loc[turns.index, "holm_p"].to_list() == pytest.approx([first, second], rel=1e-6)
    assert table["holm_p"].isna()["absent"]
    assert "badge" in str(table.loc["absent", "why"])
    assert (table["seeds_needed"] > table["seeds"])[["close", "other"]].all()
    assert table["seeds_needed"].isna()[["clear", "turned", "absent"]].all()
    told = below_a_picture(table.reset_index())
    assert told == (
        "Claims of the paper, tested on this figure alone: "
        "1 agreed, 1 disagreed, 2 undecided, 1 not measured at this scale."
    )
    page = on_a_page(table.reset_index())
    assert "- **agrees**: It is so. 20" in page
    assert "scale=smoke" in page
    assert "seeds would decide" in page


def test_smoke_runs_count_where_they_are_asked_for_alone(tmp_path: Path) -> None:
    runs(tmp_path, {"vaal": (0.5, 0.8), "random": (0.5, 0.7)})
    assert len(measured_runs(tmp_path, "smoke")("demo")) == 20
    with pytest.raises(UserError, match="no runs: make them with `python -m alsuite experiment=demo`"):
        measured_runs(tmp_path)("demo")


@pytest.mark.parametrize(("live", "told"), [(True, "no runs"), (False, "no published runs")])
def test_what_lacks_is_called_by_the_figure_that_makes_it(tmp_path: Path, live: bool, told: str) -> None:
    with pytest.raises(UserError, match=f"{told}: make them with `python -m alsuite experiment=aalu_fig2_caltech256`"):
        measured_runs(tmp_path, live=live)("aalu_caltech256")


def test_the_command_judges_a_scale_alone_and_then_keeps_the_table_of_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(tmp_path, {"vaal": (0.5, 0.8), "random": (0.5, 0.7)})
    monkeypatch.setattr(command, "read_claims", lambda paper: [claim(at="last")])
    main(["--root", str(tmp_path), "--scale", "smoke"])
    assert "scale=smoke" in capsys.readouterr().out
    assert not (tmp_path / "claims.csv").exists()
    main(["--root", str(tmp_path)])
    assert pd.read_csv(tmp_path / "claims.csv")["verdict"].tolist() == ["not measured"]


def test_the_runs_of_the_largest_scale_count_and_a_scale_of_ones_own_as_well(tmp_path: Path) -> None:
    write_run(tmp_path, "vaal", 0, [0.5, 0.6], experiment="demo", scale="smoke")
    for scale in ("mine", "laptop"):
        write_run(tmp_path, "vaal", 0, [0.5, 0.6], experiment="demo", scale=scale)
        assert {*measured_runs(tmp_path)("demo")["scale"]} == {scale}
    assert {*measured_runs(tmp_path, "mine")("demo")["scale"]} == {"mine"}


def test_a_folder_has_the_published_runs_of_all_its_figures(tmp_path: Path) -> None:
    for strategy in ("vaal", "random"):
        write_run(tmp_path / "runs", strategy, 0, [0.5, 0.6])
    frame = load_runs("toy", root=tmp_path / "runs")
    for figure, strategies in (("one", ["vaal"]), ("other", ["vaal", "random"])):
        (folder := tmp_path / "published" / figure).mkdir(parents=True)
        keep(frame[frame["strategy"].isin(strategies)], folder)
    assert measured_runs(tmp_path)("toy")["strategy"].value_counts().to_dict() == {"vaal": 2, "random": 2}


def test_no_claims_say_nothing() -> None:
    assert below_a_picture(verdicts([], lambda _: pd.DataFrame())) == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("toy: {paper: vaal, place: x, claim: y, experiment: z, better: a}", "give either"),
        ("toy: {paper: vaal, place: x, claim: y, experiment: z, order: [a, b], better: a, than: b}", "give either"),
        ("toy: {paper: vaal, place: x, claim: y, experiment: z, best: a}", "has no field best"),
        ("toy: {paper: vaal, claim: y, experiment: z, better: a, than: b}", "lacks place"),
        ("toy: {paper: vaal, place: x, claim: y, experiment: z, better: a, than: b, effect: e}", "effect=e is unknown"),
    ],
)
def test_a_claim_that_says_nothing_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=told):
        read_claims(path)


def test_each_claim_compares_what_its_figure_shows() -> None:
    figure = {experiment: read_panels(experiment) for experiment in {stated.experiment for stated in CLAIMS}}
    assert [stated.key for stated in CLAIMS if not shows(figure[stated.experiment], stated)] == []


def shows(panels: Sequence[Panel], stated: Claim) -> bool:
    """Tell whether panels show all series that a claim compares, but those of another experiment."""
    named = [one for pair in stated.pairs for one in pair if one is not None]
    own = [one for one in named if isinstance(one, str) or "experiment" not in one]
    strategies = [one if isinstance(one, str) else one.get("strategy") for one in own]
    shown = {one for panel in panels for one in listed(panel.where.get("strategy"))}
    shown |= {"full"} if any(panel.kind == "labels" for panel in panels) else set()
    wanted = {strategy for one in [*strategies, stated.over] for strategy in listed(one)}
    return wanted <= shown or any("strategy" not in panel.where for panel in panels)


def listed(value: object) -> list[object]:
    """Return what a column is to be: one value, several or none."""
    return value if isinstance(value, list) else [] if value is None else [value]
