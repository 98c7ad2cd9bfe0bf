"""The report in Debian's Chromium, from files alone and without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from alsuite.report.pages import write_report
from helpers.browser import CHROMIUM, Browser
from helpers.journals import synthetic_curve, write_run
from helpers.published import FIGURE, publish_some

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")]
CURVES = "document.querySelector('.js-plotly-plot').data.filter((one) => one.name === 'random')"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    publish_some(root)
    for seed in range(9):
        write_run(root, "random", seed, synthetic_curve(0.7, seed, 3))
    return write_report(root, root / "report", ["toy"]).parent


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_every_page_loads_without_an_error_and_fits_the_window(
    site: Path, browser: Browser, width: int, scheme: str
) -> None:
    browser.shape(width, scheme=scheme)
    pages = [*site.glob("*.html"), *site.glob("papers/*.html"), *site.glob("*/*/index.html")]
    for page in [*pages, *sorted(site.rglob("runs/*/*/*/index.html"))[:2]]:
        browser.open(page)
        if 'class="chart"' in page.read_text():
            browser.wait("document.querySelector('.js-plotly-plot .main-svg')")
        assert browser.value("document.documentElement.scrollWidth") <= width, page
    assert browser.errors == []


def test_a_name_of_the_legend_switches_its_curve_off_and_on(site: Path, browser: Browser) -> None:
    browser.shape(1280)
    browser.open(site / "figures" / FIGURE / "index.html")
    browser.wait("document.querySelector('.js-plotly-plot .scatterlayer .trace')")
    drawn = browser.value("document.querySelectorAll('.js-plotly-plot .scatterlayer .trace').length")
    click = "document.querySelector('[data-series=\"random\"]').click()"
    browser.value(click)
    assert browser.value(f"{CURVES}.every((one) => one.visible === false)")
    browser.wait(f"document.querySelectorAll('.js-plotly-plot .scatterlayer .trace').length < {drawn}")
    browser.value(click)
    assert browser.value(f"{CURVES}.every((one) => one.visible === true)")
    browser.wait(f"document.querySelectorAll('.js-plotly-plot .scatterlayer .trace').length === {drawn}")


def test_a_table_sorts_by_a_head_and_keeps_what_a_filter_names(site: Path, browser: Browser) -> None:
    browser.open(site / "experiments" / "toy" / "index.html")
    table = "document.querySelector('[data-filter=\"runs\"]')"
    seeds = (
        f"[...{table}.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[2].textContent).join(' ')"
    )
    head = f"{table}.tHead.rows[0].cells[2]"
    browser.value(f"{head}.querySelector('button').click()")
    assert browser.value(f"{head}.getAttribute('aria-sort')") == "ascending"
    assert browser.value(seeds) == "0 1 2 3 4 5 6 7 8"
    browser.value(f"{head}.querySelector('button').click()")
    assert browser.value(seeds) == "8 7 6 5 4 3 2 1 0"
    for words, left in (("seed=4", "4"), ("eed=4", ""), ("", "8 7 6 5 4 3 2 1 0")):
        write = f"const box = document.querySelector('#runs ~ .filter input'); box.value = '{words}'"
        browser.value(f"(() => {{ {write}; box.dispatchEvent(new Event('input')); }})()")
        assert browser.value(seeds) == left, words


def test_gaps_come_last_however_a_table_is_sorted(site: Path, browser: Browser) -> None:
    browser.open(site / "experiments" / "toy" / "index.html")
    table = "document.querySelector('[data-filter=\"runs\"]')"
    cell = f"{table}.tBodies[0].rows[3].cells[2]"
    browser.value(f"({cell}.textContent = '', delete {cell}.dataset.value)")
    for _ in range(2):
        browser.value(f"{table}.tHead.rows[0].cells[2].querySelector('button').click()")
        assert browser.value(f"[...{table}.tBodies[0].rows].findIndex((row) => !row.cells[2].textContent)") == 8


def test_a_part_that_is_zoomed_into_stays_when_a_series_is_switched(site: Path, browser: Browser) -> None:
    browser.open(site / "figures" / FIGURE / "index.html")
    browser.wait("document.querySelector('.js-plotly-plot')")
    chart = "document.querySelector('.js-plotly-plot')"
    zoomed = {"xaxis.range[0]": 12, "xaxis.range[1]": 14}
    browser.value(f"Plotly.relayout({chart}, {json.dumps(zoomed)}).then(() => true)")
    browser.value("document.querySelector('.legend [data-series=\"random\"]').click()")
    assert browser.value(f"{chart}.layout.xaxis.range") == [12, 14]


def test_all_charts_are_there_to_be_printed(site: Path, browser: Browser) -> None:
    browser.shape(1280, 200)
    browser.open(site / "figures" / FIGURE / "index.html")
    charts, drawn = (f"document.querySelectorAll('{one}').length" for one in (".chart", ".chart.js-plotly-plot"))
    assert browser.value(drawn) < browser.value(charts)
    browser.value("dispatchEvent(new Event('beforeprint'))")
    assert browser.value(drawn) == browser.value(charts)


def test_dark_and_light_can_be_chosen(site: Path, browser: Browser) -> None:
    browser.shape(1280, scheme="dark")
    browser.open(site / "index.html")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = browser.value(paper)
    browser.value("document.querySelector('.theme').click()")
    light = browser.value(paper)
    assert sum(map(int, light[4:-1].split(","))) > 600 > 150 > sum(map(int, dark[4:-1].split(",")))
    browser.value("document.querySelector('.theme').click()")
    assert browser.value(paper) == dark
