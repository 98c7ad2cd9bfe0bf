"""What is kept of a figure: tables, a line for each panel, and the README's table."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import lists
import numpy as np
import pandas as pd
import publish
import pytest

from alsuite import figures
from alsuite.claims import measured_runs, read_claims, verdicts
from alsuite.errors import UserError
from alsuite.figures.__main__ import main
from alsuite.figures.spec import Panel
from alsuite.results import load_runs
from alsuite.results.kept import kept_table, queried
from helpers.journals import synthetic_curve, write_run

SEEDS = range(3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The runs of figure 18 of ASAL with DCGAN alone."""
    for seed in SEEDS:
        for level, strategy, choices in (
            (0.8, "random", {}),
            (0.9, "asal", {"generator": "dcgan", "features": "gray"}),
            (0.85, "asal", {"generator": "dcgan", "features": "autoencoder"}),
        ):
            name, tests = f"{strategy}{choices.get('features', '')}{seed}", ("mnist", "usps")
            curve, chosen = synthetic_curve(level, seed), {"dataset": "mnist", **choices}
            write_run(tmp_path, strategy, seed, curve, experiment="asal_mnist", run=name, tests=tests, choices=chosen)
    return tmp_path


@pytest.mark.slow
def test_what_is_kept_calls_series_as_the_picture_does(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "values.csv").write_text("of an earlier measure")
    publish.publish("asal_fig18", "smoke", root, folder)
    assert {path.name for path in folder.iterdir()} == {
        *(f"{name}.csv" for name in ("summary", "aubc", "penalty", "tests")),
        *("asal_fig18.png", "asal_fig18.pdf", "about.json", "README.md", "runs.json.xz", "queried.npz.xz"),
    }
    series = {"ASAL gray", "ASAL auto-encoder", "random"}
    assert set(pd.read_csv(folder / "summary.csv")["series"]) == series
    assert set(pd.read_csv(folder / "penalty.csv")["series"]) == {*series, "mean"}
    tests = pd.read_csv(folder / "tests.csv")
    assert {*tests["first"], *tests["second"]} == series
    about = json.loads((folder / "about.json").read_text())
    last = 100 * (np.array([synthetic_curve(0.9, seed)[-1] for seed in SEEDS]) - 0.1)
    assert about["measured"][0].startswith(
        f"USPS: DCGAN: ASAL gray {last.mean():.1f} ± {last.std(ddof=1):.1f}, ASAL auto-"
    )
    assert about["runs"] == 9
    assert about["not measured"].startswith("USPS: WGAN-GP; strategy=full")
    assert "ASAL gray" in (folder / "README.md").read_text()


def test_a_line_of_means_for_what_is_no_metric(root: Path) -> None:
    frame = figures.runs_of([Panel("timing", experiment="asal_mnist")], "fig", "smoke", root)["asal_mnist"]
    assert isinstance(frame, pd.DataFrame)
    random = frame[(frame["strategy"] == "random") & (frame["test"] == "mnist")]
    panel = Panel("timing", title="Seconds", x="pool", y="query_seconds")
    assert publish.headline(random, panel) == "Seconds: random pool=1000 0.200 s"
    pools = pd.concat([random.assign(pool=pool, run=random["run"] + str(pool)) for pool in (1000, 5000, 9000)])
    assert publish.headline(pools, panel) == "Seconds: random pool=1000 0.200, random pool=9000 0.200 s"
    held = pools.assign(**{"notes.memory": 1e6 * pools["pool"]})
    told = publish.headline(held, replace(panel, title="Held", y="notes.memory"))
    assert told == "Held: random pool=1000 1.00, random pool=9000 9.00 GB"
    assert publish.headline(random, Panel("labels", title="Shares")) == "Shares: drawn"


def test_an_entropy_is_tabled_as_an_entropy(root: Path) -> None:
    frame = load_runs("asal_mnist", "smoke", root)
    text, made = publish.tabled(
        frame[frame["test"] == "mnist"], Panel("entropy", y="entropy", series=("strategy", "features"))
    )
    assert "entropy over seeds" in text
    assert "(%)" not in text
    assert {*made["summary"]["measure"]} == {"entropy", "aubc", "final"}


def test_a_timing_is_tabled_by_a_value_for_each_run(root: Path) -> None:
    frame = load_runs("asal_mnist", "smoke", root)
    panel = Panel("timing", y="query_seconds", at="mean", series=("strategy",))
    _, made = publish.tabled(frame[(frame["test"] == "mnist") & (frame["strategy"] == "random")], panel)
    assert [*made] == ["values"]
    assert made["values"]["mean"].tolist() == pytest.approx([0.2])


def test_a_table_of_values_tells_fractions_in_percent(root: Path) -> None:
    frame = load_runs("asal_mnist", "smoke", root)
    text, made = publish.tabled(frame[(frame["test"] == "mnist") & (frame["strategy"] == "random")], Panel("bars"))
    mean = made["values"]["mean"].item()
    assert 0 < mean < 1
    assert text.splitlines()[1].split()[:3] == ["random", "3", f"{100 * mean:.4g}"]


@pytest.mark.slow
def test_a_published_figure_is_drawn_again_without_its_runs(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "published" / "asal_fig18"
    publish.publish("asal_fig18", "smoke", root, folder)
    before = (folder / "asal_fig18.png").read_bytes()
    shutil.rmtree(root / "asal_mnist")
    main(["asal_fig18", "--published", "--root", str(tmp_path), "--out", str(tmp_path / "again")])
    assert (tmp_path / "again" / "asal_fig18.png").read_bytes() == before
    asked = queried(folder)
    assert len(asked) == 9
    cycles = [[*range(first, first + 10)] for first in range(0, 80, 10)]
    assert all([sorted(indices.tolist()) for indices in of_run] == cycles for of_run in asked.values())


@pytest.mark.slow
def test_published_runs_stay_where_others_are_added(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "published" / "asal_fig18"
    publish.publish("asal_fig18", "smoke", root, folder)
    about, asked = json.loads((folder / "about.json").read_text()), queried(folder)
    for run in (root / "asal_mnist").rglob("*strategy=random*"):
        shutil.rmtree(run)
    publish.publish("asal_fig18", "smoke", root, folder, add=True)
    assert json.loads((folder / "about.json").read_text()) == about
    assert {run: [*map(list, cycles)] for run, cycles in queried(folder).items()} == {
        run: [*map(list, cycles)] for run, cycles in asked.items()
    }
    shutil.rmtree(root / "asal_mnist")
    other = folder.with_name("again")
    publish.publish("asal_fig18", "smoke", root, other, add=True)
    assert queried(other).keys() == asked.keys()
    with pytest.raises(UserError, match="no finished runs"):
        publish.publish("asal_fig18", "smoke", root, folder)


def test_seeds_of_one_series_that_have_different_options_are_refused(tmp_path: Path) -> None:
    for seed, limit in enumerate((1000, 1000, 8000)):
        write_run(tmp_path, "vaal", seed, synthetic_curve(0.8, seed), config={"strategy": {"limit": limit}})
        write_run(tmp_path, "random", seed, synthetic_curve(0.8, seed))
    runs = load_runs("toy", "smoke", tmp_path)
    publish.refuse_mixed(runs[runs["seed"] < 2])
    told = "toy: strategy=vaal has strategy.limit 1000.* at seed 0, 1000.* at seed 1, 8000.* at seed 2: run its older"
    with pytest.raises(UserError, match=told):
        publish.refuse_mixed(runs)


@pytest.mark.slow
def test_the_seeds_of_each_published_series_have_the_same_options() -> None:
    for table in publish.PUBLISHED.glob("*/runs.json.xz"):
        publish.refuse_mixed(kept_table(table.parent))


@pytest.mark.slow
def test_a_damaged_table_is_named(root: Path, tmp_path: Path) -> None:
    publish.publish("asal_fig18", "smoke", root, tmp_path / "kept")
    table = tmp_path / "kept" / "runs.json.xz"
    table.write_bytes(table.read_bytes()[:-20])
    with pytest.raises(UserError, match="is damaged"):
        kept_table(tmp_path / "kept")


def test_images_that_joined_the_pool_are_not_published(tmp_path: Path) -> None:
    stored, shown = tmp_path / "images_cycle_0000.npz", np.ones((2, 1, 8, 8), np.uint8)
    np.savez(stored, synthetic=np.zeros((500, 1, 8, 8), np.uint8), generated_1=shown)
    slim = tmp_path / "slim.npz"
    slim.write_bytes(publish.drawable(stored))
    assert len(slim.read_bytes()) < 1000
    with np.load(slim) as file:
        assert [*file] == ["generated_1"]
        assert np.array_equal(file["generated_1"], shown)
    assert publish.drawable(slim) == slim.read_bytes()


def test_what_was_not_run_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished runs"):
        publish.publish("asal_fig18", "smoke", tmp_path, tmp_path / "kept")


@pytest.mark.slow
def test_the_lists_name_what_the_paper_prints_and_how_its_claims_came_out(root: Path, tmp_path: Path) -> None:
    kept, readme = tmp_path / "published", tmp_path / "README.md"
    publish.publish("asal_fig18", "smoke", root, kept / "asal_fig18")
    readme.write_text(f"above\n{lists.MARK}\nold\n{lists.MARK}\nbelow\n")
    lists.renew(kept, readme)
    text = readme.read_text()
    assert text.startswith("above\n")
    assert text.endswith("\nbelow\n")
    assert "old" not in text
    assert text.count("\n| ") == 5 + 2
    assert "1 of " in text
    assert "[asal_fig18](asal_fig18/README.md)" in (kept / "README.md").read_text()
    assert {*pd.read_csv(kept / "claims.csv")["paper"]} == {"vaal", "aalu", "m2vaal", "asal", "active_gan"}


def test_a_page_that_lost_its_marks_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    for text in ("", f"above\n{lists.MARK}\ntorn"):
        page.write_text(text)
        with pytest.raises(UserError, match="lacks its two lines"):
            lists.between(page, lists.MARK, "new")
        assert page.read_text() == text


def test_of_a_papers_table_is_printed_what_was_measured() -> None:
    def printed(stem: str, **begun: list[int]) -> str:
        rows = [(name, n) for name, counts in begun.items() for n in counts]
        return lists.printed(stem, pd.DataFrame(rows, columns=["dataset", "labelled"]))

    assert printed("active_gan_tab1_mnist", mnist=[500]).startswith("500 labelled: SVM 94.6, ")
    both = printed("active_gan_tab1", mnist=[500, 1000], tiny_imagenet=[10_000]).split("<br>")
    assert [line.partition(":")[0] for line in both] == [
        "MNIST, 500 labelled", "MNIST, 1,000 labelled", "Tiny-ImageNet, 10,000 labelled"
    ]  # fmt: skip
    assert "core-set 75.33" in printed("vaal_tab1", cifar10=[5000])
    assert "setup" not in (preparing := printed("asal_fig8", celeba_hat=[100]))
    assert "generator 90,000, " in preparing
    assert printed("asal_fig4", cifar10=[1000]) == (
        "50,000 labelled: fully supervised 88.2 % accuracy<br>"
        "30,000 labelled: max entropy reaches fully supervised quality"
    )
    assert printed("asal_fig18", usps57=[10]) == "curves without numbers"


def test_a_page_tells_where_the_other_claims_about_its_figure_are() -> None:
    places = {"figure 4b": "asal_fig22", "section 5.7, figures 4 and 27": "asal_fig24", "figure 14": "asal_fig14"}
    table = pd.DataFrame(places.items(), columns=["place", "experiment"]).assign(paper="asal")
    told = (
        "Of the paper's claims about it other pages judge 1 on [asal_fig22](../asal_fig22/README.md), 1 on [asal_fig24]"
    )
    assert lists.judged_elsewhere(table, "asal_fig4").startswith(told)
    assert lists.judged_elsewhere(table, "asal_fig24") == lists.judged_elsewhere(table, "asal_fig14") == ""


def test_figures_are_listed_by_their_numbers(tmp_path: Path) -> None:
    for name in ("vaal_tab1", "asal_fig10", "asal_fig2", "m2vaal_fig3", "aalu_tab2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "about.json").touch()
    names = [folder.name for folder in lists.figures_in(tmp_path)]
    assert names == ["aalu_tab2", "asal_fig2", "asal_fig10", "m2vaal_fig3", "vaal_tab1"]


@pytest.mark.parametrize(
    ("mean", "sd", "digits", "told"),
    [
        (10.03, 0.434, None, "10.0 ± 0.4"),
        (2.731, 0.0996, None, "2.73 ± 0.10"),
        (1632.0, 264.4, None, "1,630 ± 264"),
        (0.41, 0.0, None, "0.410"),
        (85.31, 0.0, ".1f", "85.3 ± 0.0"),
        (85.31, float("nan"), ".1f", "85.3"),
    ],
)
def test_a_deviation_has_no_more_decimals_than_its_mean(mean: float, sd: float, digits: str | None, told: str) -> None:
    assert publish.cell("VAAL", mean, sd, digits) == f"VAAL {told}"


def test_a_page_tells_which_runs_had_another_device() -> None:
    common = {"experiment": "one", "scale": "paper", "dataset": "mnist"}
    rows = [{**common, "run": f"{n}", "strategy": "vaal", "seed": n, "device": "cpu"} for n in range(5)]
    other = {**common, "strategy": "random", "device": "gpu"}
    rows += [{**other, "run": f"random {n}", "seed": n} for n in (1, 0)]

    def told(*parts: list[dict[str, Any]]) -> list[str]:
        titles = (Panel("accuracy", title) for title in ("First", "Second"))
        return [*publish.elsewhere([*zip(titles, map(pd.DataFrame, parts), strict=False)])]

    assert told(rows) == ["random at seed 0, 1 (gpu)"]
    assert told(rows + [{**row, "strategy": "full", "run": f"full {row['seed']}"} for row in rows[5:]]) == [
        "random, fully supervised at seed 0, 1 (gpu)"
    ]
    assert told(rows[:5]) == []
    here = [{**row, "run": f"more {row['run']}", "device": "cpu"} for row in rows]
    assert told(rows, here) == ["random in First at seed 0, 1 (gpu)"]
    rows[-1] |= {"dataset": "usps"}
    assert told(rows) == ["random on MNIST at seed 1 (gpu)", "random on USPS at seed 0 (gpu)"]


def test_no_two_parts_of_a_page_are_called_alike() -> None:
    for page in sorted(publish.PUBLISHED.glob("*/README.md")):
        heads = [line for line in page.read_text().splitlines() if line.startswith("## ")]
        assert len({*heads}) == len(heads), page


def test_each_cycle_that_a_figure_shows_is_kept(tmp_path: Path) -> None:
    shown = publish.compared("m2vaal_fig3", "smoke", tmp_path)
    assert [panel.cycle for _, _, panel in shown] == [0, -1]


def test_shares_of_all_labels_are_kept_beside_those_asked_for(tmp_path: Path) -> None:
    for strategy, generator in (("asal", "dcgan"), ("entropy", "none"), ("full", "none")):
        write_run(tmp_path, strategy, 0, [0.5, 0.6], choices={"generator": generator})
    runs = load_runs("toy", root=tmp_path)
    for kind, kept in (("labels", {"asal", "full"}), ("accuracy", {"asal"})):
        panel = Panel(kind, where={"strategy": "asal", "generator": "dcgan", "test": "mnist57"})
        assert {*publish.selected(runs, panel)["strategy"]} == kept


@pytest.mark.slow
def test_the_published_verdicts_are_those_of_the_published_runs() -> None:
    kept = pd.read_csv(publish.PUBLISHED / "claims.csv").fillna({"unit": ""})
    judged = verdicts(read_claims(), measured_runs(publish.PUBLISHED.parent, live=False))
    columns = ["claim", "says", "verdict", "published", "unit", "comparisons", "effect"]
    pd.testing.assert_frame_equal(kept[columns], judged[columns].round(5), check_dtype=False, rtol=1e-4)


def test_each_published_page_tells_what_its_strategies_noted() -> None:
    for folder in lists.figures_in(publish.PUBLISHED):
        assert lists.diagnosed(kept_table(folder)) in (folder / "README.md").read_text()
