"""The page as a person uses it, in a browser, from the first image to the next query."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import sleep

import pytest
from PIL import Image

from alsuite.labelling.page import Page
from alsuite.labelling.sheet import Sheet
from helpers.browser import CHROMIUM, Browser

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]

NAMES = ["ant", "bee", "cat"]
SEEN = "document.getElementById('figure').ariaBusy === 'false'"


def sheet_of(folder: Path, number: int, n: int, names: list[str] = NAMES) -> Sheet:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for i in range(n):
        Image.new("RGB", (40, 30), (40 * i, 90, 160)).save(folder / "images" / f"{number}_{i}.png")
    sheet = Sheet(folder / f"labels_{number:06d}.csv", names)
    sheet.write([{"index": str(i), "image": f"images/{number}_{i}.png", "label": ""} for i in range(n)])
    return sheet


def labels(sheet: Sheet) -> list[str]:
    return [row["label"] for row in sheet.rows()]


@contextmanager
def shown(*sheets: Sheet, grace: float = 60.0, images: object = None) -> Iterator[tuple[Browser, Thread]]:
    """Open the page of sheets, one after the other, with what waits for their answers, once the first image is there.

    images: what answers for the page's images in its place
    """
    page = Page(sheets[0].path.parent, sheets[0].names, grace)
    if images:
        vars(page)["image"] = images
    waiting = Thread(target=lambda: [page.until_filled(sheet) for sheet in sheets], daemon=True)
    waiting.start()
    while not page.url:
        sleep(0.01)
    with Browser(page.folder / "profile", network=True) as browser:
        browser.open(page.url)
        browser.wait(SEEN)
        yield browser, waiting


def answer(browser: Browser, *keys: str) -> None:
    """Press each key once the image is there that it answers."""
    for key in keys:
        browser.wait(SEEN)
        browser.press(key)


def until(browser: Browser, name: str, told: str) -> None:
    """Wait until an element tells this."""
    browser.wait(f"document.getElementById('{name}').textContent.includes('{told}')")


def saved(browser: Browser, count: str) -> None:
    """Wait until so many are labelled, and in the sheet."""
    browser.wait(f"document.getElementById('count').textContent === '{count}'")


def test_a_query_is_labelled_by_keys_and_the_next_one_comes_by_itself(tmp_path: Path) -> None:
    first, second = sheet_of(tmp_path, 0, 4), sheet_of(tmp_path, 4, 2)
    with shown(first, second, grace=1.5) as (browser, waiting):
        browser.wait("document.getElementById('image').naturalWidth === 40")
        assert browser.value("document.querySelectorAll('#classes button').length") == 3
        answer(browser, "2")
        until(browser, "name", "0_1.png")
        answer(browser, "9")  # there is no ninth class
        answer(browser, "s")
        answer(browser, "u")
        until(browser, "name", "0_1.png")
        answer(browser, "ArrowRight", "3")
        saved(browser, "2 of 4")
        assert labels(first) == ["bee", "", "cat", ""]
        answer(browser, "1", "1")
        until(browser, "message", "All 4 are answered")
        browser.press("u")
        saved(browser, "3 of 4")
        answer(browser, "s")
        until(browser, "name", "4_0.png")
        assert sorted(labels(first)) == ["ant", "bee", "cat", "unsure"]
        answer(browser, "1", "2")
        waiting.join(20)
        assert not waiting.is_alive()
        until(browser, "message", "next images come")
        assert browser.errors == []
    assert labels(second) == ["ant", "bee"]


def test_many_classes_are_found_by_their_names_the_whole_name_first(tmp_path: Path) -> None:
    names = ["bobcat", "cat", *(f"kind {i:02}" for i in range(30))]
    sheet = sheet_of(tmp_path, 0, 3, names)
    with shown(sheet, grace=0.2) as (browser, waiting):
        browser.shape(390, 800)
        assert browser.value("document.documentElement.scrollWidth <= innerWidth")
        for word, left in (("17", 1), ("cat", 2)):
            browser.wait(SEEN)
            browser.press("/", *word)
            browser.wait(f"document.querySelectorAll('#classes button:not([hidden])').length === {left}")
            browser.press("Enter")
        saved(browser, "2 of 3")
        browser.press("/", "Enter")  # which names none
        answer(browser, "5")
        waiting.join(20)
    assert labels(sheet) == ["kind 17", "cat", "kind 02"]


def test_what_is_held_or_clicked_twice_answers_one_image(tmp_path: Path) -> None:
    sheet = sheet_of(tmp_path, 0, 5)
    with shown(sheet) as (browser, _):
        browser.press("s", held=5)
        browser.wait(SEEN)
        browser.value("document.querySelector('#classes button').focus()")
        browser.press("Enter", held=5)
        saved(browser, "2 of 5")
        sleep(0.5)
        browser.click("#classes button:nth-child(2)", times=2)
        saved(browser, "3 of 5")
        sleep(0.5)
        browser.click("#classes button:nth-child(3)")
        saved(browser, "4 of 5")
    assert labels(sheet) == ["unsure", "ant", "bee", "cat", ""]


def test_no_image_is_answered_before_it_is_seen(tmp_path: Path) -> None:
    sheet, come = sheet_of(tmp_path, 0, 2), Event()
    whole = Page(tmp_path, NAMES)
    whole.sheet, whole.rows = sheet, sheet.rows()

    def image(index: str) -> tuple[bytes, str] | None:
        if index == "1":
            come.wait(60)
        return whole.image(index)

    with shown(sheet, images=image) as (browser, _):
        browser.press("1", "2")
        saved(browser, "1 of 2")
        browser.press("2")
        come.set()
        browser.wait(SEEN)
        assert labels(sheet) == ["ant", ""]
        answer(browser, "3")
        saved(browser, "2 of 2")
    assert labels(sheet) == ["ant", "cat"]


def test_what_is_filled_in_beside_the_page_is_shown_and_taken_back_to(tmp_path: Path) -> None:
    sheet = sheet_of(tmp_path, 0, 3)
    with shown(sheet) as (browser, _):
        sheet.write([{**row, "label": "bee" if row["index"] == "0" else ""} for row in sheet.rows()])
        saved(browser, "1 of 3")
        assert browser.value("document.querySelector('[aria-pressed=true]').textContent") == "2bee"
        answer(browser, "1", "u")
        until(browser, "told", "Taken back")
        saved(browser, "1 of 3")
    assert labels(sheet) == ["bee", "", ""]


def test_what_goes_wrong_is_told_until_it_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheet, image = sheet_of(tmp_path, 0, 2), tmp_path / "images" / "0_0.png"
    content = image.read_bytes()
    image.write_bytes(content[:20])
    with shown(sheet) as (browser, _):
        until(browser, "trouble", "cannot be shown")
        image.write_bytes(content)
        browser.wait("document.getElementById('trouble').hidden")
        with monkeypatch.context() as patched:
            patched.setattr(Sheet, "write", full)
            answer(browser, "s")
            until(browser, "trouble", "Not saved: no space left")
        browser.wait("document.getElementById('trouble').hidden")
        saved(browser, "1 of 2")
        answer(browser, "s")
        until(browser, "trouble", "needs a class of one image")
        answer(browser, "1")
        until(browser, "message", "All 2 are answered")
    assert labels(sheet) == ["unsure", "ant"]


def full(sheet: Sheet, rows: object) -> None:
    raise OSError("no space left")


def test_an_image_is_seen_at_its_own_size(tmp_path: Path) -> None:
    sheet = sheet_of(tmp_path, 0, 2)
    Image.new("RGB", (3000, 200), "teal").save(tmp_path / "images" / "0_0.png")
    with shown(sheet) as (browser, _):
        width = "document.getElementById('image').clientWidth"
        browser.press("f")
        assert browser.value(width) == 3000
        browser.press("f")
        assert browser.value(width) < 1000
        answer(browser, "f", "1")  # the next one is small
        browser.wait(SEEN)
        browser.press("f")
        assert browser.value(width) < 1000
