"""The page as a person uses it, in a browser: keys alone, from the first image to the next query."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest
from PIL import Image

from alsuite.labelling.page import Page
from alsuite.labelling.sheet import Sheet
from helpers.browser import CHROMIUM, Browser

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]

NAMES = ["ant", "bee", "cat"]


def sheet_of(folder: Path, number: int, n: int, names: list[str] = NAMES) -> Sheet:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for i in range(n):
        Image.new("RGB", (40, 30), (40 * i, 90, 160)).save(folder / "images" / f"{number}_{i}.png")
    sheet = Sheet(folder / f"labels_{number:06d}.csv", names)
    sheet.write([{"index": str(i), "image": f"images/{number}_{i}.png", "label": ""} for i in range(n)])
    return sheet


def labels(sheet: Sheet) -> list[str]:
    return [row["label"] for row in sheet.rows()]


def test_a_query_is_labelled_by_keys_and_the_next_one_comes_by_itself(tmp_path: Path) -> None:
    first, second = sheet_of(tmp_path, 0, 4), sheet_of(tmp_path, 4, 2)
    page = Page(tmp_path, NAMES, grace=1.5)
    waiting = Thread(target=lambda: [page.until_filled(sheet) for sheet in (first, second)], daemon=True)
    waiting.start()
    while not page.url:
        waiting.join(0.01)
    with Browser(tmp_path / "profile", network=True) as browser:
        browser.open(page.url)
        browser.wait("!document.getElementById('footer').hidden")
        browser.wait("document.getElementById('image').naturalWidth === 40")
        assert browser.value("document.querySelectorAll('#classes button').length") == 3
        browser.press("2")
        browser.wait("document.getElementById('name').textContent === '0_1.png'")
        browser.press("9")  # there is no ninth class
        browser.press("s")
        browser.press("u")
        browser.wait("document.getElementById('name').textContent === '0_1.png'")
        browser.press("ArrowRight")
        browser.press("3")
        browser.wait("document.getElementById('count').textContent === '2 of 4'")
        assert labels(first) == ["bee", "", "cat", ""]
        browser.press("1")
        browser.press("1")
        browser.wait("document.getElementById('message').textContent.includes('All 4 are answered')")
        browser.press("u")
        browser.wait("document.getElementById('count').textContent === '3 of 4'")
        browser.press("s")
        browser.wait("document.getElementById('name').textContent === '4_0.png'")
        assert sorted(labels(first)) == ["ant", "bee", "cat", "unsure"]
        browser.press("1")
        browser.press("2")
        waiting.join(20)
        assert not waiting.is_alive()
        browser.wait("document.getElementById('message').textContent.includes('next images come')")
        assert browser.errors == []
    assert labels(second) == ["ant", "bee"]


def test_many_classes_are_found_by_their_names(tmp_path: Path) -> None:
    names = [f"kind {i:02}" for i in range(30)]
    sheet = sheet_of(tmp_path, 0, 2, names)
    page = Page(tmp_path, names, grace=0.2)
    waiting = Thread(target=page.until_filled, args=(sheet,), daemon=True)
    waiting.start()
    while not page.url:
        waiting.join(0.01)
    with Browser(tmp_path / "profile", network=True) as browser:
        browser.shape(390, 800)
        browser.open(page.url)
        browser.wait("!document.getElementById('footer').hidden")
        assert browser.value("document.documentElement.scrollWidth <= innerWidth")
        browser.press("/")
        browser.press(*"17")
        browser.wait("document.querySelectorAll('#classes button:not([hidden])').length === 1")
        browser.press("Enter")
        browser.wait("document.getElementById('count').textContent === '1 of 2'")
        browser.press("5")
        waiting.join(20)
    assert labels(sheet) == ["kind 17", "kind 04"]
