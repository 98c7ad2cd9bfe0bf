"""The list of faults stays true to the code: each names a text that stands once, and tests that are there."""

from __future__ import annotations

import yaml

from helpers import REPOSITORY

FAULTS = yaml.safe_load((REPOSITORY / "scripts" / "mutants.yaml").read_text())


def test_each_fault_can_be_made() -> None:
    counts = {fault["name"]: (REPOSITORY / fault["file"]).read_text().count(fault["old"]) for fault in FAULTS}
    assert {name: count for name, count in counts.items() if count != 1} == {}
    assert len(counts) == len(FAULTS) >= 40


def test_the_tests_that_must_notice_it_are_there() -> None:
    named = {part for fault in FAULTS for part in fault["tests"].split() if part.startswith("tests/")}
    assert [part for part in named if not (REPOSITORY / part.partition("::")[0]).exists()] == []
