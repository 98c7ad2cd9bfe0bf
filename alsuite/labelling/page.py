"""A page on this machine alone where a person labels images; each answer is in the sheet before the next image comes.

It answers the loopback address alone, whoever knows the token, and no page of another origin. Its address stays the
same when a run is started again, so that an open page goes on by itself.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Thread
from time import monotonic
from urllib.parse import parse_qs, urlsplit

from alsuite.data.images import for_browsers
from alsuite.errors import UserError
from alsuite.labelling.sheet import UNSURE, ByHand, Sheet, enough
from alsuite.progress import say

__all__ = ["Page"]

HTML = Path(__file__).with_name("page.html")
GRACE = 4.0  # seconds after the last answer in which it can be taken back
MOST = 10_000  # bytes of a request
LOCAL = {"127.0.0.1", "localhost"}
TOKEN = 16  # bytes, all of them random


class Page(ByHand):
    """What the page shows: the images of one sheet, or that the run is busy.

    folder: where the sheets lie, and the page's address is kept
    names: of the classes
    url: where it is; "" before it is first needed
    """

    def __init__(self, folder: Path, names: Sequence[str], grace: float = GRACE) -> None:
        self.folder = folder
        self.names = list(names)
        self.grace = grace
        self.url = self.token = ""
        self.changed = Condition()
        self.sheet: Sheet | None = None
        self.one_at_least = True
        self.rows: list[dict[str, str]] = []
        self.answered = monotonic()

    def fill(self, sheet: Sheet, wanted: Sequence[int], one_at_least: bool) -> None:
        if not enough(sheet.answers(wanted), one_at_least):
            self.until_filled(sheet, one_at_least)

    def until_filled(self, sheet: Sheet, one_at_least: bool = True) -> None:
        """Show a sheet's images until each has an answer, and some seconds more in which the last can be undone.

        The sheet can be edited meanwhile: it is read again every second, and before an answer is written into it.

        Arguments:
            one_at_least: whether somebody must be sure of one image
        """
        self._serve()
        with self.changed:
            self.sheet, self.rows, self.one_at_least = sheet, sheet.rows(), one_at_least
            left = sum(not row["label"] for row in self.rows)
            say(f"label {left} images ({', '.join(self.names[:12])}) at {self.url} ; the run goes on by itself")
            refused, rest = None, self._rest()
            while refused or rest is None or rest > 0:
                self.changed.wait(1.0 if refused or rest is None else rest)
                before, refused = refused, self._read_again()
                if before and refused:  # once may be an editor that is saving it
                    raise refused
                rest = self._rest()
            self.sheet, self.rows = None, []

    def state(self) -> dict[str, object]:
        """Return what the page shows, as JSON has it."""
        with self.changed:
            items = [{"index": row["index"], "image": row["image"], "label": self._named(row)} for row in self.rows]
            sheet = self.sheet.path.stem if self.sheet else None
            return {"classes": self.names, "unsure": UNSURE, "sheet": sheet, "items": items, "rest": self._rest()}

    def answer(self, said: Mapping[str, object]) -> dict[str, object] | None:
        """Write an answer into the sheet, and return the seconds until the run goes on, as the page takes them.

        These are None while images are left; None alone is returned where nothing of the kind is asked.

        Arguments:
            said: `sheet` and `index`, which say what was asked, and `label`: a class, "unsure", or "" to take it back
        """
        with self.changed:
            index, label = said.get("index"), said.get("label")
            if self.sheet is None or said.get("sheet") != self.sheet.path.stem:
                return None
            if not isinstance(label, str) or label not in (*self.names, UNSURE, ""):
                return None
            if index not in [row["index"] for row in self.rows]:
                return None
            if refused := self._read_again():
                raise refused
            rows = [{**row, "label": label} if row["index"] == index else row for row in self.rows]
            self.sheet.write(rows)
            self.rows, self.answered = rows, monotonic()
            self.changed.notify_all()
            return {"rest": self._rest()}

    def image(self, index: str) -> tuple[bytes, str] | None:
        """Return an image that is asked about, as browsers show it, and its kind; None for any other."""
        with self.changed:
            names = [row["image"] for row in self.rows if row["index"] == index]
        path = self.folder / names[0] if names else None
        if path is None or not path.is_file() or not path.resolve().is_relative_to(self.folder.resolve()):
            return None
        try:
            return for_browsers(path)
        except UserError:
            return None

    def _read_again(self) -> UserError | None:
        """Take over what somebody has filled in beside the page, or return what is wrong with it."""
        assert self.sheet is not None
        try:
            self.rows = self.sheet.filled_in({row["index"] for row in self.rows})
        except UserError as error:
            return error
        return None

    def _named(self, row: Mapping[str, str]) -> str:
        """Return a row's label as the page has it, though it may be filled in as a number."""
        assert self.sheet is not None
        label = self.sheet.label(row["label"], str(self.sheet.path))
        return "" if label is None else (*self.names, UNSURE)[label]

    def _rest(self) -> float | None:
        """Return the seconds until the run goes on; None while images are left, or none is labelled and one must be."""
        labels = [row["label"] for row in self.rows]
        if not all(labels) or (self.one_at_least and all(label == UNSURE for label in labels)):
            return None
        return max(0.0, self.answered + self.grace - monotonic())

    def _serve(self) -> None:
        """Start to answer, at the address of an earlier start if that is free."""
        if self.url:
            return
        kept = self.folder / "page.json"
        port, self.token = _address(kept)
        try:
            server = _Server(self, port)
        except (OSError, OverflowError):  # whoever has the port may have heard the token
            self.token = secrets.token_urlsafe(TOKEN)
            server = _Server(self, 0)
        port = server.server_address[1]
        kept.unlink(missing_ok=True)
        with open(os.open(kept, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump({"port": port, "token": self.token}, file)
        self.url = f"http://127.0.0.1:{port}/?token={self.token}"
        Thread(target=server.serve_forever, daemon=True).start()


def _address(path: Path) -> tuple[int, str]:
    """Return the port and the token of an earlier start, or a free port and a new token."""
    fresh = secrets.token_urlsafe(TOKEN)
    try:
        kept = json.loads(path.read_text())
        port, token = int(kept["port"]), str(kept["token"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0, fresh
    return (port, token) if len(token) == len(fresh) else (0, fresh)


class _Server(ThreadingHTTPServer):
    """Listens on the loopback address alone."""

    daemon_threads = True

    def __init__(self, page: Page, port: int) -> None:
        self.page = page
        super().__init__(("127.0.0.1", port), _Requests)

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep silent about browsers that go away, and whoever asks for what is no address."""
        if not isinstance(sys.exception(), OSError | ValueError):
            super().handle_error(request, client_address)  # pyright: ignore[reportArgumentType]


class _Requests(BaseHTTPRequestHandler):
    """Answers those who know the token."""

    timeout = 10  # seconds for a request to come in

    @property
    def page(self) -> Page:
        assert isinstance(self.server, _Server)
        return self.server.page

    def do_GET(self) -> None:
        page, path, query = self.page, urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if not self._allowed(query.get("token", [""])[0]):
            self._send(403, b"start the run again, and open the whole address that it prints\n", "text/plain")
        elif path == "/":
            self._send(200, HTML.read_bytes(), "text/html; charset=utf-8")
        elif path == "/state":
            self._send(200, json.dumps(page.state()).encode(), "application/json")
        elif path == "/image" and (image := page.image(query.get("index", [""])[0])):
            self._send(200, *image)
        else:
            self._send(404, b"there is nothing here\n", "text/plain")

    def do_POST(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        length = self.headers.get("Content-Length", "")
        if not self._allowed(query.get("token", [""])[0]) or not length.isdecimal() or int(length) > MOST:
            self._send(403, b"this is not allowed\n", "text/plain")
            return
        try:
            said = json.loads(self.rfile.read(int(length)))
            left = self.page.answer(said if isinstance(said, dict) else {})
        except (ValueError, OSError, UserError) as error:
            self._send(500, f"{error}\n".encode(), "text/plain")
            return
        self._send(409 if left is None else 200, json.dumps(left).encode(), "application/json")

    def _allowed(self, token: str) -> bool:
        """Tell whether a request has the token, was meant for this machine, and is none of another page's."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        own = host.partition(":")[0] in LOCAL and origin in (None, f"http://{host}")
        return own and secrets.compare_digest(token.encode(), self.page.token.encode())

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        own = "default-src 'none'; img-src 'self' data:; connect-src 'self'"
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": f"{own}; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
            "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep silent."""
