"""What a run has written down, and whether it's what another has."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))
from same_results import first_difference

__all__ = ["labels_of", "records", "unlike"]


def records(root: Path) -> list[dict[str, Any]]:
    """Return what the run's journal holds, a torn last line apart."""
    path = next(root.rglob("cycles.jsonl"), None)
    lines = path.read_bytes().split(b"\n")[:-1] if path else []
    return [json.loads(line) for line in lines]


def unlike(whole: list[dict[str, Any]], found: list[dict[str, Any]]) -> str:
    """Tell the first way in which records differ; "" if they don't."""
    if len(whole) != len(found):
        return f"{len(whole)} records became {len(found)}"
    pairs = enumerate(zip(whole, found, strict=True))
    differing = ((cycle, first_difference(*pair)) for cycle, pair in pairs)
    return next((f"cycle {cycle}, {one[0]}: {one[1]} became {one[2]}"[:300] for cycle, one in differing if one), "")


def labels_of(record: dict[str, Any]) -> int:
    return sum(len(part["indices"]) for part in (record.get("initial"), record["queried"]) if part)
