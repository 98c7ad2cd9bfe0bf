"""Who labels: a person that fills in the sheet or answers on the page, and notes each answer that was taken."""

from __future__ import annotations

import csv
import json
import time
from http.client import HTTPConnection
from pathlib import Path

from processes import POLL

from alsuite.labelling.sheet import Sheet

__all__ = ["answered", "filled", "forgotten"]


def filled(path: Path, targets: tuple[int, ...], root: Path) -> None:
    """Fill in a sheet, an answer at a time, and note each that has been kept."""
    sheet = Sheet(path, [str(i) for i in range(10)])
    rows = sheet.rows()
    for row in rows:
        if not row["label"]:
            row["label"] = str(targets[int(row["index"])])
            sheet.write(rows)
            noted(root, path.stem, row["index"])


def answered(port: int, token: str, targets: tuple[int, ...], root: Path) -> None:
    """Answer each image of the page's sheet that has no label."""
    state = json.loads(requested(port, token, "/state"))
    for item in state["items"]:
        if not item["label"]:
            said = {"sheet": state["sheet"], "index": item["index"], "label": str(targets[int(item["index"])])}
            json.loads(requested(port, token, "/answer", said))["rest"]
            noted(root, state["sheet"], item["index"])
    time.sleep(POLL)


def requested(port: int, token: str, path: str, said: object = None) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    body = None if said is None else json.dumps(said)
    connection.request("GET" if body is None else "POST", f"{path}?token={token}", body)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    if reply.status != 200:
        raise ValueError(content)
    return content


def noted(root: Path, sheet: str, index: str) -> None:
    with (root / "given.txt").open("a") as file:
        file.write(f"{sheet} {index}\n")


def forgotten(root: Path) -> list[str]:
    """Return the answers that a person was told are kept, and that stand in no sheet."""
    given = root / "given.txt"
    told = {*given.read_text().splitlines()} if given.exists() else set()
    kept = set()
    for sheet in root.rglob("labels_*.csv"):
        with sheet.open(newline="") as file:
            kept |= {f"{sheet.stem} {row['index']}" for row in csv.DictReader(file) if row["label"]}
    return sorted(told - kept)
