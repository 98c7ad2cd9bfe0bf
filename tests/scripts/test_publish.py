"""What is kept of a figure: tables, a line for each panel, and the README's table."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

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
    assert publish.headline(random, panel) == "Seconds: random pool=1000 0.2 s"
    pools = pd.concat([random.assign(pool=pool, run=random["run"] + str(pool)) for pool in (1000, 5000, 9000)])
    assert publish.headline(pools, panel) == "Seconds: random pool=1000 0.2, random pool=9000 0.2 s"
    held = pools.assign(**{"notes.memory": 1e6 * pools["pool"]})
    told = publish.headline(held, replace(panel, title="Held", y="notes.memory"))
    assert told == "Held: random pool=1000 1, random pool=9000 9 GB"
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
    assert "setup" not in printed("asal_fig8", celeba_hat=[100])
    assert printed("asal_fig18", usps57=[10]) == "curves without numbers"


def test_a_page_tells_which_runs_had_another_device() -> None:
    common = {"experiment": "one", "scale": "paper", "dataset": "mnist"}
    rows = [{**common, "run": f"{n}", "strategy": "vaal", "seed": n, "device": "cpu"} for n in range(3)]
    other = {**common, "strategy": "random", "device": "gpu"}
    rows += [{**other, "run": f"random {n}", "seed": n} for n in (1, 0)]
    assert [*publish.elsewhere(pd.DataFrame(rows))] == ["random at seed 0, 1 (gpu)"]
    assert [*publish.elsewhere(pd.DataFrame(rows[:3]))] == []
    rows[-1] |= {"dataset": "usps"}
    told = ["random on MNIST at seed 1 (gpu)", "random on USPS at seed 0 (gpu)"]
    assert [*publish.elsewhere(pd.DataFrame(rows))] == told


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
