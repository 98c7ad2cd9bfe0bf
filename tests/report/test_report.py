"""What the pages of the report hold, and that they hold together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest
import yaml

from alsuite import results
from alsuite.errors import UserError
from alsuite.report import tables
from alsuite.report.__main__ import main
from alsuite.report.measured import own_experiment
from alsuite.report.pages import write_report
from alsuite.report.titles import natural
from alsuite.results.statistics import with_series
from helpers.journals import synthetic_curve, write_run
from helpers.pages import Page, broken_links
from helpers.published import FIGURE, NOTES, add_pictures, publish_some


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published figure of six runs, and an experiment of a user's own with pictures."""
    root = tmp_path_factory.mktemp("root")
    publish_some(root)
    for strategy, level in (("random", 0.7), ("<mine>", 0.8)):
        for seed in range(2):
            run = write_run(
                root, strategy, seed, synthetic_curve(level, seed, 4), run=f"{seed},{strategy[:2]}", notes=NOTES
            )
            add_pictures(run)
    return root


@pytest.fixture(scope="module")
def site(root: Path) -> Path:
    return write_report(root, root / "report", ["toy"]).parent


def run_pages(site: Path, experiment: str) -> list[Page]:
    return [Page(path) for path in sorted((site / "runs" / experiment).rglob("index.html"))]


def test_there_is_a_page_for_the_paper_the_figure_each_run_and_each_experiment(site: Path) -> None:
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html") if "runs" not in path.parts}
    assert pages == {"index.html", "papers/asal.html", f"figures/{FIGURE}/index.html", "experiments/toy/index.html"}
    assert len(run_pages(site, "asal_mnist")) == 6
    assert len(run_pages(site, "toy")) == 4


@pytest.mark.slow
def test_every_link_holds(site: Path) -> None:
    assert broken_links(site) == []


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = [Page(path) for path in site.rglob("*.html")]
    loaded = [
        link for page in pages for tag in ("script", "link", "img") for one in page.all(tag) for link in one.values()
    ]
    assert [link for link in loaded if link.startswith(("http", "//"))] == []
    assert (site / "assets" / "plotly.min.js").stat().st_size > 1_000_000


@pytest.mark.slow
def test_a_person_who_listens_is_told_what_tables_pictures_and_charts_are(site: Path) -> None:
    for path in site.rglob("*.html"):
        page = Page(path)
        assert len(page.all("h1")) == 1
        assert len(page.all("main")) == 1
        assert page.text.count("<caption") == len(page.all("table"))
        assert all("alt" in image for image in page.all("img"))
        assert all("scope" in head for head in page.all("th"))
        assert len(page.ids) == len(set(page.ids))
        charts = [one for one in page.all("div") if one.get("class") == "chart"]
        assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)


def test_plotly_takes_every_chart(site: Path) -> None:
    pages = [Page(path) for path in site.rglob("*.html")]
    charts = [chart for page in pages for chart in page.charts]
    assert len(charts) > 20
    for chart in charts:
        go.Figure(chart)
        assert all(trace["name"] for trace in chart["data"])


def test_texts_of_runs_are_shown_and_never_obeyed(site: Path) -> None:
    page = next(page for page in run_pages(site, "toy") if "<m" in page.path.parent.name)
    assert "&lt;mine&gt;" in page.text
    assert "<mine>" not in page.text
    assert "the &lt;game&gt; is &amp; stays dull" in page.text
    assert "<b>ahead" not in (site / "papers" / "asal.html").read_text()
    own = Page(site / "experiments" / "toy" / "index.html")
    assert {trace["name"] for chart in own.charts for trace in chart["data"]} == {"<mine>", "random"}


def test_a_figure_tells_the_numbers_that_were_published(site: Path, root: Path) -> None:
    summary = pd.read_csv(root / "published" / FIGURE / "summary.csv")
    last = summary[(summary["measure"] == "final") & (summary["series"] == "ASAL gray")].iloc[0]
    page = Page(site / "figures" / FIGURE / "index.html")
    assert f"{100 * last['mean']:.2f} ± {100 * last['sd']:.2f} [{100 * last['low']:.2f}" in page.text
    assert "make asal_fig18 SCALE=smoke" in page.text
    heads = [
        "Explore",
        "Picture",
        "Claims",
        "Numbers",
        "Paired tests",
        "Penalty matrix",
        "Label distribution",
        "Timing",
    ]
    assert all(f">{head}</h2>" in page.text for head in heads)


def test_a_claim_stands_with_its_verdict_on_its_paper_and_its_figure(site: Path) -> None:
    for page in (Page(site / "papers" / "asal.html"), Page(site / "figures" / FIGURE / "index.html")):
        assert '<span class="chip agrees">agrees</span>' in page.text
        assert "ASAL is &lt;b&gt;ahead&lt;/b&gt;." in page.text
    assert "1 agrees" in (site / "index.html").read_text()


def test_the_site_counts_figures_as_the_readme_does(site: Path) -> None:
    """Experiments beside a paper's own figures count nowhere."""
    for page in ("index.html", "papers/asal.html"):
        assert "1 of 34" in Page(site / page).text


def test_the_curves_of_a_figure_are_the_means_of_its_runs(site: Path) -> None:
    chart = Page(site / "figures" / FIGURE / "index.html").charts[0]
    (curve,) = [trace for trace in chart["data"] if trace["name"] == "random" and "markers" in trace["mode"]]
    means = [
        100 * sum(values) / 3 - 10 for values in zip(*(synthetic_curve(0.8, seed, 4) for seed in range(3)), strict=True)
    ]
    assert curve["x"] == [10, 20, 30, 40]
    assert curve["y"] == pytest.approx(means, rel=1e-5)


def test_a_run_tells_its_course_queries_pictures_configuration_and_versions(site: Path) -> None:
    page = next(page for page in run_pages(site, "toy") if "ra" in page.path.parent.name)
    titles = ("Test accuracy", "Entropy of the added samples", "Labels of each class", "Chance that D ranks")
    assert all(f"<figcaption>{title}" in page.text for title in titles)
    assert [image["alt"] for image in page.all("img")] == [f"original {k}: 0" for k in (1, 2, 3)]
    assert "task_model.loss" in page.text
    assert f"commit</th><td>{'0' * 40}" in page.text.replace("\n", "")
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in page.text
    published = run_pages(site, "asal_mnist")[0]
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in published.text


def test_pages_of_an_earlier_site_go(tmp_path: Path) -> None:
    old, other = tmp_path / "site" / "figures" / "gone.html", tmp_path / "site" / "notes.txt"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    other.write_text("mine")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match=r"site/figures is none of a report, and would be emptied"):
        write_report(tmp_path / "nothing", tmp_path / "site")
    assert old.exists()
    (tmp_path / "site" / "assets").mkdir()
    (tmp_path / "site" / "assets" / "site.css").touch()
    write_report(tmp_path / "nothing", tmp_path / "site")
    assert not old.exists()
    assert other.exists()


def test_a_site_that_leads_elsewhere_is_refused_and_nothing_there_is_removed(tmp_path: Path) -> None:
    (tmp_path / "mine" / "papers").mkdir(parents=True)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "site").symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match=r"site is a link, and folders in it would be emptied"):
        write_report(tmp_path / "nothing", tmp_path / "site")
    assert (tmp_path / "mine" / "papers").is_dir()


def test_the_command_says_where_the_site_starts_and_what_is_missing(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(root / "toy", tmp_path / "toy")
    main(["toy", "--root", str(tmp_path)])
    assert capsys.readouterr().out.strip() == str(tmp_path / "report" / "index.html")
    with pytest.raises(SystemExit, match="2"):
        main(["none", "--root", str(tmp_path)])
    assert "alsuite: none: no runs in" in capsys.readouterr().err


@pytest.mark.slow
def test_an_experiment_that_a_file_describes_is_told_as_its_panels_are(tmp_path: Path) -> None:
    for value, level in ((0.0, 0.5), (0.5, 0.7)):
        for seed in range(3):
            run, chosen = f"alpha={value},seed={seed}", {"strategy": {"alpha": value}}
            curve = [0.3, level + 0.01 * seed]
            write_run(tmp_path, "active_gan", seed, curve, experiment="tried", run=run, config=chosen)
    conf = tmp_path / "conf" / "experiment"
    conf.mkdir(parents=True)
    panels = [
        {"kind": "accuracy", "title": "By its end", "x": "strategy.alpha", "at": "final"},
        {"kind": "accuracy", "title": "Each alone", "series": ["strategy.alpha"]},
    ]
    described = {"experiment": "tried", "figure": panels, "description": "Of my own."}
    (conf / "mine.yaml").write_text(yaml.safe_dump(described))
    main(["mine", "--root", str(tmp_path), "--config-dir", str(tmp_path / "conf")])
    page = Page(tmp_path / "report" / "experiments" / "mine" / "index.html")
    assert "Of my own." in page.text
    assert len(page.charts) >= 2
    assert all(title in page.text for title in ("By its end", "Each alone"))


def test_runs_that_nothing_compares_have_charts_all_the_same(tmp_path: Path) -> None:
    for seed, rate in enumerate((0.1, 0.2)):
        write_run(tmp_path, "random", seed, [0.5, 0.6], run=str(seed), config={"task_model": {"lr": rate}})
    page = Page(write_report(tmp_path, tmp_path / "report", ["toy"]).parent / "experiments" / "toy" / "index.html")
    assert len(page.charts) >= 1


def test_each_setting_of_an_own_experiment_has_its_table(tmp_path: Path) -> None:
    for network in ("linear", "lenet"):
        for seed in range(2):
            chosen = {"task_model": network}
            write_run(tmp_path, "random", seed, [0.5, 0.6], run=f"{network} {seed}", choices=chosen)
    write_report(tmp_path, tmp_path / "report", ["toy"])
    stored = pd.read_csv(next((tmp_path / "report").rglob("summary.csv")))
    assert {*stored["task_model"]} == {"linear", "lenet"}


def test_the_last_accuracy_of_a_run_is_that_of_its_own_data(site: Path) -> None:
    page = Page(site / "figures" / FIGURE / "index.html")
    assert f"{100 * synthetic_curve(0.8, 0, 4)[-1]:.2f}" in page.text


def test_of_several_test_sets_the_first_is_the_runs_own_whatever_it_is_called(tmp_path: Path) -> None:
    write_run(tmp_path, "random", 0, [0.5, 0.9], tests=["photos", "usps"])
    write_report(tmp_path, tmp_path / "report", ["toy"])
    text = Page(tmp_path / "report" / "experiments" / "toy" / "index.html").text
    runs = text[text.index("The runs") :]
    assert "90.00" in runs
    assert "80.00" not in runs[: runs.index("</table>")]


def test_each_choice_of_classes_has_its_table_of_shares(tmp_path: Path) -> None:
    for pool_counts in ((40, 60), (20, 30, 50)):
        choices = {"dataset": f"of_{len(pool_counts)}"}
        write_run(tmp_path, "random", 0, [0.5, 0.9], run=f"{pool_counts}", pool_counts=pool_counts, choices=choices)
    frame = with_series(results.load_runs("toy", root=tmp_path), "strategy")
    made = tables.classes("Toy", frame)
    assert sorted(len(table.heads) for table in made) == [3, 4]
    assert all(len(row) == len(table.heads) for table in made for row in table.rows)
    assert [len(table.rows) for table in made] == [2, 2]  # the pool's, and that of random sampling


def test_an_own_figure_of_derived_rows_has_its_table(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    figure = [{"kind": "gains", "title": "Gains"}]
    (tmp_path / "experiment" / "mine.yaml").write_text(yaml.safe_dump({"experiment": "toy", "figure": figure}))
    for seed in range(2):
        write_run(tmp_path, "active_gan", seed, [0.5, 0.6])
    values = own_experiment("mine", tmp_path, tmp_path).tables["values"]
    assert values["measure"].unique().tolist() == ["f1_gain"]
    assert values["mean"].round(6).tolist() == [10, 5]


def test_an_experiment_without_runs_leaves_the_site_as_it_is(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "toy", tmp_path / "toy")
    page = write_report(tmp_path, tmp_path / "report", ["toy"])
    before = page.read_text()
    with pytest.raises(UserError):
        write_report(tmp_path, tmp_path / "report", ["none"])
    assert page.read_text() == before


def test_the_facts_of_an_own_experiment_are_those_of_its_runs(site: Path) -> None:
    page = Page(site / "experiments" / "toy" / "index.html")
    assert "python -m alsuite experiment=toy scale=smoke" in page.text
    assert "<dd>0, 1</dd>" in page.text
    assert json.dumps(page.charts[0]["layout"]["xaxis"]["title"]["text"]) == '"Labelled samples"'


def test_runs_without_an_experiment_are_made_by_their_parts(tmp_path: Path) -> None:
    write_run(tmp_path, "random", 0, [0.5, 0.6], experiment="adhoc")
    page = write_report(tmp_path, tmp_path / "report", ["adhoc"]).parent / "experiments" / "adhoc" / "index.html"
    assert "python -m alsuite strategy=... dataset=... scale=smoke" in Page(page).text


def test_figures_are_sorted_by_their_numbers() -> None:
    assert sorted(["asal_fig10", "asal_fig2", "asal_fig2b"], key=natural) == ["asal_fig2", "asal_fig2b", "asal_fig10"]
