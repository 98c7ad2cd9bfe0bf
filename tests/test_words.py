"""What the documents show can be run as it stands."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
from pathlib import Path

import pytest
import torch

from alsuite import CONF
from alsuite.budget import Budget
from alsuite.command.sweeps import jobs_of
from alsuite.journal import Journal
from alsuite.loop import Run
from alsuite.oracle import Ideal
from alsuite.strategies import Strategy
from helpers.configs import composer
from helpers.pools import digit_pool
from helpers.tasks import fast_task

README = Path(__file__).parents[1] / "README.md"
EXPLAINED = {
    "alsuite.budget": ["Budget"],
    "alsuite.loop": ["Run"],
    "alsuite.oracle": ["Oracle"],
    "alsuite.pool": ["Pool"],
    "alsuite.strategies": ["Once", "Query", "Strategy"],
    "alsuite.tasks": ["Task"],
}


@pytest.mark.parametrize("module", EXPLAINED)
def test_an_example_does_what_it_says(module: str) -> None:
    loaded = importlib.import_module(module)
    for name in EXPLAINED[module]:
        assert ">>>" in (getattr(loaded, name).__doc__ or ""), name
    assert doctest.testmod(loaded).failed == 0


def shown_strategy() -> Strategy:
    """Make the strategy that the README shows whole."""
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: dict[str, type[Strategy]] = {}
    exec(code, names)
    return names["Mine"]()


def test_the_strategy_in_the_readme_runs(tmp_path: Path) -> None:
    pool, targets = digit_pool(0)
    journal = Journal(tmp_path)
    tests = {"digits": (pool.images[:50], targets[:50])}
    task_model, first, sizes = lambda: fast_task(epochs=1), torch.arange(20), Budget(20, 10, 40)
    Run(pool, tests, task_model, shown_strategy(), Ideal(targets), sizes, first, journal, 0).go()
    journal.close()
    assert [record["labelled"] for record in journal.records] == [20, 30, 40]
    assert all(record["queried"]["scores"] for record in journal.records[:-1])


def test_the_readme_lists_all_there_is_to_choose() -> None:
    table = README.read_text().partition("## What there is\n")[2].partition("\n## ")[0]
    listed: dict[str, list[str]] = {}
    group = ""
    for row in re.findall(r"^\| (.*?) \| (.*) \|$", table, re.MULTILINE)[2:]:
        group = next(iter(re.findall(r"`(\w+)=`", row[0])), group)
        listed.setdefault(group, []).extend(re.findall(r"`(\w+)`", row[1]))
    del listed["budget"], listed["scale"]  # which say how, and name no file each
    there = {group: {path.stem for path in (CONF / group).glob("*.yaml")} for group in listed}
    there["generator"] -= {"none", "no_vae", "autoencoder"}  # which their strategies and features bring
    assert {*listed} == {"strategy", "dataset", "task_model", "generator", "features", "oracle", "initial"}
    assert {group: sorted(names) for group, names in listed.items()} == {g: sorted(names) for g, names in there.items()}


def test_the_commands_that_documents_show_compose() -> None:
    """But those of a folder of one's own, which isn't there, and what a launcher of Hydra's is told."""
    pages = [README, *sorted((README.parent / "docs").glob("*.md"))]
    text = "\n".join(page.read_text() for page in pages).replace("\\\n", " ")
    made, lines = composer(), [shlex.split(found) for found in re.findall(r"python -m alsuite ([^`\n#]+)", text)]
    complete = [options for options in lines if not {"-cd", "--help"} & {*options}]
    assert len(complete) > 5
    for options in complete:
        assert jobs_of([one for one in options if one != "-m" and not one.startswith("hydra")], made), options
