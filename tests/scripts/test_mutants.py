"""The list of faults stays true to the code: each names a text that stands once, and tests that are there."""

from __future__ import annotations

import re

import yaml

from helpers import REPOSITORY

FAULTS = yaml.safe_load((REPOSITORY / "scripts" / "mutants.yaml").read_text())


def test_each_fault_can_be_made() -> None:
    counts = {fault["name"]: (REPOSITORY / fault["file"]).read_text().count(fault["old"]) for fault in FAULTS}
    assert {name: count for name, count in counts.items() if count != 1} == {}
    assert len(counts) == len(FAULTS)  # no name stands twice


def test_the_tests_that_must_notice_it_are_there() -> None:
    named = {part for fault in FAULTS for part in fault["tests"].split() if part.startswith("tests/")}
    assert [part for part in named if not (REPOSITORY / part.partition("::")[0]).exists()] == []


def test_the_words_that_choose_among_these_tests_are_in_a_name_or_a_parameter() -> None:
    settings, unknown = [*(REPOSITORY / "tests" / "helpers" / "settings").glob("*.py")], []  # whose names are ids
    for fault in FAULTS:
        files, _, words = fault["tests"].partition(" -k ")
        places = [REPOSITORY / part.partition("::")[0] for part in files.split() if "/" in part]
        read = [path for place in places for path in (place.rglob("*.py") if place.is_dir() else [place])]
        text = "".join(path.read_text() for path in (*settings, *read))
        unknown += [word for word in re.findall(r"\w+", words) if word not in ("and", "or", "not") and word not in text]
    assert unknown == []
