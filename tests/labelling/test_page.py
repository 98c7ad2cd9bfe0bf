"""The page where a person labels: what it shows, what it saves at once, and whom it refuses."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from alsuite.errors import UserError
from alsuite.labelling.page import Page
from alsuite.labelling.sheet import Sheet

NAMES = ["ant", "bee", "cat"]
GRACE = 0.3


def test_a_number_is_a_class_only_where_none_is_called_by_one(tmp_path: Path) -> None:
    assert Sheet(tmp_path / "labels.csv", ["cat", "dog"]).label("1", "here") == 0  # the key on the page
    digits = Sheet(tmp_path / "labels.csv", ["1", "2", "3"])
    assert digits.label("1", "here") == 0
    with pytest.raises(UserError, match="'0' is no class; write one of 1, 2, 3, or unsure"):
        digits.label("0", "here")


class Visit:
    """A sheet of three images that a page shows, and whoever looks at it."""

    def __init__(self, folder: Path) -> None:
        (folder / "images" / "deep").mkdir(parents=True)
        for name in ("7.png", "deep/b.bmp", "c.png"):
            Image.new("RGB", (4, 3), (200, 10, 10)).save(folder / "images" / name)
        self.sheet = Sheet(folder / "labels_000020.csv", NAMES)
        names = zip((7, 2, 11), ("7.png", "deep/b.bmp", "c.png"), strict=True)
        self.sheet.write([{"index": str(i), "image": f"images/{name}", "label": ""} for i, name in names])
        self.page = Page(folder, NAMES, GRACE)
        self.waiting = Thread(target=self.page.until_filled, args=(self.sheet,), daemon=True)

    def begin(self) -> None:
        self.waiting.start()
        while not self.page.rows:
            self.waiting.join(0.01)

    def ask(self, path: str, body: object = None, token: str | None = None, **headers: str) -> tuple[int, bytes]:
        address = urlsplit(self.page.url)
        given = parse_qs(address.query)["token"][0] if token is None else token
        connection = HTTPConnection(address.hostname or "", address.port, timeout=5)
        target = f"{path}{'&' if '?' in path else '?'}token={given}"
        content = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", target, content, headers)
        reply = connection.getresponse()
        found = reply.status, reply.read()
        connection.close()
        return found

    def say(self, index: int, label: str, sheet: str = "labels_000020") -> int:
        return self.ask("/answer", {"sheet": sheet, "index": str(index), "label": label})[0]

    def labels(self) -> list[str]:
        return [row["label"] for row in self.sheet.rows()]


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    visit = Visit(tmp_path)
    visit.begin()
    yield visit
    for index in (7, 2, 11):
        visit.say(index, "ant")
    visit.waiting.join(5)
    assert not visit.waiting.is_alive()


def test_it_shows_the_images_and_the_classes(visit: Visit) -> None:
    status, page = visit.ask("/")
    assert (status, b"<!doctype html>" in page) == (200, True)
    state = json.loads(visit.ask("/state")[1])
    assert (state["classes"], state["sheet"], state["rest"]) == (NAMES, "labels_000020", None)
    assert [(item["index"], item["image"], item["label"]) for item in state["items"]] == [
        ("7", "images/7.png", ""),
        ("2", "images/deep/b.bmp", ""),
        ("11", "images/c.png", ""),
    ]
    assert visit.ask("/image?index=7") == (200, (visit.page.folder / "images" / "7.png").read_bytes())
    assert visit.ask("/image?index=2")[1].startswith(b"\x89PNG")
    assert visit.ask("/image?index=3")[0] == 404


def test_each_answer_is_in_the_sheet_at_once_and_can_be_taken_back(visit: Visit) -> None:
    assert visit.say(2, "cat") == 200
    assert visit.labels() == ["", "cat", ""]
    assert visit.say(11, "unsure") == 200
    assert visit.say(2, "") == 200
    assert visit.labels() == ["", "", "unsure"]
    assert visit.sheet.answers([7, 2, 11]) == [None, None, -1]


def test_the_run_goes_on_some_moments_after_the_last_answer(tmp_path: Path) -> None:
    visit = Visit(tmp_path)
    visit.begin()
    for index in (7, 2, 11):
        assert visit.say(index, "unsure") == 200
    assert json.loads(visit.ask("/state")[1])["rest"] is None  # nothing is labelled
    visit.say(2, "bee")
    assert 0 < json.loads(visit.ask("/state")[1])["rest"] <= GRACE
    visit.say(2, "")
    visit.waiting.join(2 * GRACE)
    assert visit.waiting.is_alive()
    visit.say(2, "cat")
    visit.waiting.join(5)
    assert not visit.waiting.is_alive()
    assert visit.labels() == ["unsure", "cat", "unsure"]
    assert json.loads(visit.ask("/state")[1])["sheet"] is None
    assert visit.say(2, "bee") == 409
    assert visit.labels() == ["unsure", "cat", "unsure"]


def test_what_is_filled_in_beside_the_page_stays(visit: Visit) -> None:
    rows = visit.sheet.rows()
    visit.sheet.write([rows[1] | {"label": "cat"}, rows[0], rows[2]])
    assert visit.say(7, "bee") == 200
    assert visit.sheet.answers([7, 2, 11]) == [1, 2, None]
    labels = {item["index"]: item["label"] for item in json.loads(visit.ask("/state")[1])["items"]}
    assert labels == {"7": "bee", "2": "cat", "11": ""}


def test_a_sheet_that_is_filled_in_beside_the_page_ends_the_wait_or_is_refused(tmp_path: Path) -> None:
    for folder, labels in (("good", ["ant", "1", "cat"]), ("bad", ["ant", "dog", "cat"])):
        visit, caught = Visit(tmp_path / folder), []
        visit.waiting = Thread(target=waited, args=(visit, caught), daemon=True)
        visit.begin()
        visit.sheet.write([{**row, "label": label} for row, label in zip(visit.sheet.rows(), labels, strict=True)])
        visit.waiting.join(5)
        assert not visit.waiting.is_alive()
        told = [str(error) for error in caught]
        assert [f"{visit.sheet.path} (index 2): 'dog' is no class" in line for line in told] == [True] * len(told)
        assert len(told) == (folder == "bad")


def test_a_sheet_that_an_editor_is_saving_takes_no_answer_and_ends_no_wait(visit: Visit) -> None:
    whole = visit.sheet.path.read_bytes()
    for saved in (b"", whole[: whole.index(b"2,") or None]):
        visit.sheet.path.write_bytes(saved)
        assert visit.say(7, "bee") == 500
        assert visit.sheet.path.read_bytes() == saved
        visit.sheet.path.write_bytes(whole)
        assert visit.say(7, "bee") == 200
        whole = visit.sheet.path.read_bytes()
    with visit.page.changed:
        visit.sheet.path.write_bytes(b"")
        visit.page.changed.notify_all()
        visit.page.changed.wait(0.1)  # in which the run reads it
        visit.sheet.path.write_bytes(whole)
    assert visit.waiting.is_alive()
    assert visit.say(2, "cat") == 200
    assert visit.sheet.answers([7, 2, 11]) == [1, 2, None]


def test_nothing_need_be_sure_once_there_are_labels(tmp_path: Path) -> None:
    visit = Visit(tmp_path)
    visit.waiting = Thread(target=visit.page.until_filled, args=(visit.sheet, False), daemon=True)
    visit.begin()
    for index in (7, 2, 11):
        visit.say(index, "unsure")
    visit.waiting.join(5)
    assert not visit.waiting.is_alive()


def waited(visit: Visit, caught: list[UserError]) -> None:
    """Wait for a sheet, and keep what ends that."""
    try:
        visit.page.until_filled(visit.sheet)
    except UserError as error:
        caught.append(error)


@pytest.mark.parametrize(
    ("index", "label", "sheet"),
    [(3, "cat", "labels_000020"), (7, "dog", "labels_000020"), (7, "cat", "labels_000000")],
)
def test_what_was_not_asked_is_refused(visit: Visit, index: int, label: str, sheet: str) -> None:
    assert visit.say(index, label, sheet) == 409
    assert visit.labels() == ["", "", ""]


@pytest.mark.parametrize("body", [[], "x", {"label": 3, "index": "7", "sheet": "labels_000020"}, {"index": {}}])
def test_a_request_of_another_form_is_refused(visit: Visit, body: object) -> None:
    assert visit.ask("/answer", body)[0] == 409
    assert visit.labels() == ["", "", ""]


def test_a_large_request_is_refused(visit: Visit) -> None:
    assert visit.ask("/answer", {"label": "cat" * 10_000})[0] == 403


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("guess", {}),
        (None, {"Origin": "http://elsewhere.example"}),
        (None, {"Origin": "null"}),
        (None, {"Host": "elsewhere.example"}),
    ],
)
def test_strangers_and_other_pages_are_refused(visit: Visit, token: str | None, headers: dict[str, str]) -> None:
    said = {"sheet": "labels_000020", "index": "7", "label": "cat"}
    for path, body in (("/", None), ("/state", None), ("/image?index=7", None), ("/answer", said)):
        status, content = visit.ask(path, body, token, **headers)
        assert status == 403
        assert b"ant" not in content
    assert visit.labels() == ["", "", ""]


def test_its_address_stays_the_same_and_is_this_machines_own(visit: Visit) -> None:
    kept = visit.page.folder / "page.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert visit.page.url.startswith("http://127.0.0.1:")
    again = Page(visit.page.folder, NAMES)
    again._serve()  # while the first holds the port
    assert again.token != visit.page.token, "whoever has the port may have heard it"
    assert again.url != visit.page.url


def test_it_listens_on_no_address_but_its_own(visit: Visit) -> None:
    port = urlsplit(visit.page.url).port
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    with pytest.raises(OSError, match=r"refused|assign|unreachable|timed out"):
        socket.create_connection(("127.0.0.2", port), timeout=1)  # this machine, too, but another address


@pytest.mark.parametrize("kept", ["{", "[]", '{"port": 1}', '{"port": 0, "token": ""}', '{"port": 70000, "token": 1}'])
def test_a_damaged_address_is_made_anew(kept: str, tmp_path: Path) -> None:
    (tmp_path / "page.json").write_text(kept)
    page = Page(tmp_path, NAMES)
    page._serve()
    assert len(page.token) > 20
    assert json.loads((tmp_path / "page.json").read_text())["token"] == page.token


def test_a_port_that_cannot_be_is_replaced(visit: Visit) -> None:
    kept = visit.page.folder / "page.json"
    kept.write_text(json.dumps({"port": 70_000, "token": visit.page.token}))
    again = Page(visit.page.folder, NAMES)
    again._serve()
    assert (again.token != visit.page.token, 0 < int(urlsplit(again.url).port or 0) < 65_536) == (True, True)


def test_an_answer_that_the_disk_refuses_does_not_count(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(rows: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(visit.sheet, "write", full)
        status, said = visit.ask("/answer", {"sheet": "labels_000020", "index": "7", "label": "cat"})
    assert (status, said) == (500, b"the disk is full\n")
    assert [item["label"] for item in json.loads(visit.ask("/state")[1])["items"]] == ["", "", ""]


def test_nothing_is_printed_of_who_goes_away_or_asks_for_no_address(
    visit: Visit, capsys: pytest.CaptureFixture[str]
) -> None:
    for request in (b"GET //[ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"POST /answer HTTP/1.1\r\n"):
        with socket.create_connection(("127.0.0.1", urlsplit(visit.page.url).port or 0), timeout=5) as visitor:
            visitor.sendall(request)
            visitor.shutdown(socket.SHUT_WR)
            visitor.recv(1000)
    assert visit.say(7, "cat") == 200
    assert capsys.readouterr() == ("", "")


def test_a_sheet_half_filled_by_hand_is_shown_as_it_is(tmp_path: Path) -> None:
    visit = Visit(tmp_path)
    rows = visit.sheet.rows()
    rows[0]["label"], rows[1]["label"] = "3", "unsure"
    visit.sheet.write(rows)
    visit.begin()
    assert [item["label"] for item in json.loads(visit.ask("/state")[1])["items"]] == ["cat", "unsure", ""]
    visit.say(11, "ant")
    visit.waiting.join(5)
    assert visit.sheet.answers([7, 2, 11]) == [2, -1, 0]
