"""What is kept of a figure: tables, a line for each panel, and the README's table."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alsuite import figures
from alsuite.figures.spec import Panel
from helpers import REPOSITORY
from helpers.journals import synthetic_curve, write_run

SEEDS = range(3)


@pytest.fixture(scope="module")
def publish() -> ModuleType:
    spec = importlib.util.spec_from_file_location("publish", REPOSITORY / "scripts" / "publish.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The runs of figure 18 of ASAL with DCGAN alone."""
    for seed in SEEDS:
        for level, strategy, choices in (
            (0.8, "random", {}),
            (0.9, "asal", {"generator": "dcgan", "features": "gray"}),
            (0.85, "asal", {"generator": "dcgan", "features": "autoencoder"}),
        ):
            name, tests = f"{strategy}{choices.get('features', '')}{seed}", ("mnist", "usps")
            curve, chosen = synthetic_curve(level, seed), {"dataset": "mnist", **choices}
            write_run(tmp_path, strategy, seed, curve, experiment="asal_mnist", run=name, tests=tests, choices=chosen)
    return tmp_path


def test_what_is_kept_calls_series_as_the_picture_does(publish: ModuleType, root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    publish.publish("asal_fig18", "smoke", root, folder)
    assert {path.name for path in folder.iterdir()} == {
        *(f"{name}.csv" for name in publish.TABLES),
        *("asal_fig18.png", "asal_fig18.pdf", "about.json", "README.md"),
    }
    series = {"ASAL gray", "ASAL auto-encoder", "random"}
    assert set(pd.read_csv(folder / "summary.csv")["series"]) == series
    assert set(pd.read_csv(folder / "penalty.csv")["series"]) == {*series, "mean"}
    tests = pd.read_csv(folder / "tests.csv")
    assert {*tests["first"], *tests["second"]} == series
    about = json.loads((folder / "about.json").read_text())
    last = 100 * (np.array([synthetic_curve(0.9, seed)[-1] for seed in SEEDS]) - 0.1)
    assert about["measured"][0].startswith(f"DCGAN: ASAL gray {last.mean():.1f} ± {last.std(ddof=1):.1f}, ASAL auto-")
    assert about["runs"] == 9
    assert "generator=wgan_gp" in about["not measured"]
    assert "ASAL gray" in (folder / "README.md").read_text()


def test_a_line_of_means_for_what_is_no_metric(publish: ModuleType, root: Path) -> None:
    frame = figures.runs_of([Panel("timing", experiment="asal_mnist")], "fig", "smoke", root)["asal_mnist"]
    assert isinstance(frame, pd.DataFrame)
    random = frame[(frame["strategy"] == "random") & (frame["test"] == "mnist")]
    panel = Panel("timing", title="Seconds", x="pool", y="query_seconds")
    assert publish.headline(random, panel) == "Seconds: random pool=1000 0.200 ± 0.000"
    assert publish.headline(random, Panel("labels", title="Shares")) == "Shares: drawn"


def test_the_table_of_figures_names_what_the_paper_says(publish: ModuleType, root: Path, tmp_path: Path) -> None:
    kept, readme = tmp_path / "published", tmp_path / "README.md"
    publish.publish("asal_fig18", "smoke", root, kept / "asal_fig18")
    readme.write_text(f"above\n{publish.MARK}\nold\n{publish.MARK}\nbelow\n")
    publish.renew_table(readme, kept)
    text = readme.read_text()
    assert text.startswith("above\n")
    assert text.endswith("\nbelow\n")
    assert "old" not in text
    assert "`make asal_fig18`" in text
    claims: Any = publish.claims
    assert claims("active_gan_tab1_mnist").startswith("500 labelled: SVM ")
    assert "core-set 75.33" in claims("vaal_tab1")
    assert claims("asal_fig18") == "curves without numbers"
