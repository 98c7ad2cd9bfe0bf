"""Adversarial and generative active learning for images: five papers reproduced, figure by figure.

A `Run` (`alsuite.loop`) trains a task (`alsuite.tasks`) on the labels of a `Pool`, measures it, lets a strategy
(`alsuite.strategies`) choose what an oracle (`alsuite.oracle`) labels next, and writes each cycle into a `Journal`.
`alsuite.command` makes runs of a command line, `alsuite.results` tables of their journals, `alsuite.figures` pictures
of the tables, and `alsuite.claims` verdicts on what the papers claim. `query` picks what is best labelled next, without
a run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alsuite.errors import UserError

if TYPE_CHECKING:
    from alsuite.pick import query

__all__ = ["CONF", "UserError", "query"]

_PACKAGE = Path(__file__).resolve().parent

CONF: Path = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"
"""Where the configuration lies: inside an installed wheel, or beside the package in a checkout."""


def __getattr__(name: str) -> object:
    """Import what is asked for only now: torch takes seconds."""
    if name != "query":
        raise AttributeError(f"alsuite has no {name}")
    from alsuite.pick import query

    return query


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
