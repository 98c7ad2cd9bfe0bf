"""What wandb writes offline, read record by record."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

__all__ = ["Written", "written"]

START, BLOCK, HEADER = 7, 2**15, 7  # bytes of the file's, of a block, and of a chunk's own header
WHOLE, LAST = 1, 4  # kinds of chunks that end a record


class Axes(dict[str, str]):
    """Which metric another is drawn against: what the one pattern says that fits its name."""

    def __missing__(self, name: str) -> str:
        (against,) = [against for pattern, against in self.items() if fnmatch(name, pattern)]
        return against


@dataclass
class Written:
    """A file of wandb's: the run's id and tags, its rows, their axes, and whether it has ended, or failed."""

    id: str = ""
    tags: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    axis: Axes = field(default_factory=Axes)
    ended: bool = False
    failed: bool = False


def written(path: Path) -> Written:
    """Read all records of a file."""
    from wandb.proto.wandb_internal_pb2 import Record  # pyright: ignore[reportAttributeAccessIssue]

    read = Written()
    for message in _messages(path.read_bytes()):
        record = Record.FromString(message)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            read.id, read.tags = record.run.run_id, [*record.run.tags]
        elif kind == "metric":
            read.axis[record.metric.glob_name or record.metric.name] = record.metric.step_metric
        elif kind == "history":
            read.rows.append({"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item})
        elif kind == "exit":
            read.ended, read.failed = True, record.exit.exit_code != 0
    return read


def _messages(content: bytes) -> Iterator[bytes]:
    """Yield the records of a log of LevelDB's form, which splits them into chunks where a block ends."""
    at, message = START, b""
    while at + HEADER <= len(content):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, size, kind = struct.unpack("<IHB", content[at : at + HEADER])
        message += content[at + HEADER : at + HEADER + size]
        at += HEADER + size
        if kind in (WHOLE, LAST):
            yield message
            message = b""
