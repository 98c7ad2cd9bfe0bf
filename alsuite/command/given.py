"""Options that are refused as they stand on the command line, before anything is composed of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from alsuite.command.papers import key_of, parsed
from alsuite.errors import UserError

__all__ = ["check_given", "check_unswept"]

SWITCHES = ("task_model.", "strategy.", "generator.", "features.", "fair.", "deterministic")  # where words mean nothing
WORD = re.compile(r"\s*(yes|no|on|off)\s*", re.IGNORECASE)


def check_given(overrides: Sequence[str]) -> None:
    """Refuse an option with two values, of which the last would win silently, several experiments, a group that is left
    out, an empty root, another name for a scale, and a word that only looks like true or false."""
    given = parsed(overrides)
    keys = [key_of(one) for one in given]
    if whole := next((key for one, key in zip(given, keys, strict=True) if one.is_delete() and "." not in key), None):
        raise UserError(f"~{whole} would leave out what each run needs: choose another {whole}, or leave ~{whole} out")
    experiments = [one for one in given if one.key_or_group == "experiment"]
    if len(experiments) > 1 or any(one.is_sweep_override() for one in experiments):
        raise UserError("experiment takes one value: run each experiment by a command of its own")
    if any(key == "root" and one.value() in ("", None) for one, key in zip(given, keys, strict=True)):
        raise UserError("root is empty: name the folder of all runs, such as root=outputs")
    if any(key == "scale.name" for key in keys):
        raise UserError("scale.name only says which scale it is: choose one by scale=paper, laptop or smoke")
    if {"seed", "seeds"} <= {*keys}:
        raise UserError("seed says which seeds, seeds how many: give one of them")
    for one, key in zip(given, keys, strict=True):
        words = re.split(r"[,()]", str(one.input_line).partition("=")[2])
        if key.startswith(SWITCHES) and (word := next(filter(WORD.fullmatch, words), None)):
            raise UserError(f"{key}={word} is a word here: write true or false")
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise UserError(f"{twice} is given twice: give it once, or list its values after -m as {twice}=a,b")


def check_unswept(overrides: Sequence[str]) -> None:
    """Refuse a number of seeds where there are no sweeps to run with each."""
    if any(key_of(one) == "seeds" for one in parsed(overrides)):
        raise UserError("seeds is for an experiment that has sweeps: list them after -m, as in seed=0,1,2")
