"""What chooses a recipe or a game looks at held-out training images alone, and measures nothing twice."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import tune_steps as steps
from hydra.utils import instantiate


@pytest.fixture
def tune_steps(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(steps, "HELD_OUT", 300)
    return steps


@pytest.mark.parametrize(
    ("options", "network"),
    [
        (("dataset=cifar10", "scale=laptop"), "fastnet"),
        (("dataset=cifar10", "scale=laptop", "task_model=vgg16"), "vgg16"),
        (("dataset=cifar10", "scale=paper"), "vgg16"),
    ],
)
def test_the_task_model_is_what_a_run_at_the_scale_would_have(
    tune_steps: Any, options: tuple[str, ...], network: str
) -> None:
    assert tune_steps.configured(*options).task_model.net._target_.rpartition(".")[2] == network


def test_held_out_images_are_no_part_of_the_pool_and_none_is_of_the_test_set(tune_steps: Any) -> None:
    dataset = instantiate(tune_steps.configured("dataset=digits").dataset)
    pool, targets, held_out = tune_steps.divided(dataset, 3)
    assert len(held_out) == 300
    assert torch.equal(pool.labels[pool.labelled], targets[pool.labelled])
    theirs, ours = (
        sorted((*image.flatten().tolist(), int(label)) for image, label in zip(images, labels, strict=True))
        for images, labels in (
            (dataset.train.images, dataset.train.targets),
            (torch.cat([pool.images, held_out]), targets),
        )
    )
    assert ours == theirs


def test_a_query_is_judged_by_what_is_learned_from_it_after_first_labels_that_are_learned_once(
    tune_steps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("dataset=digits", "scale=laptop", "task_model=linear")
    accuracy: dict[tuple[float, str], float] = {}
    for labelled in (0.02, 0.2):
        monkeypatch.setattr(tune_steps, "LABELLED", labelled)
        learned: dict[Any, Any] = {}
        for strategy in ("margin", "random"):
            accuracy[labelled, strategy] = tune_steps.asked(learned, 0, *options, f"strategy={strategy}")["accuracy"]
        assert len(learned) == 1
    assert accuracy[0.2, "random"] > accuracy[0.02, "random"] + 0.05
    assert accuracy[0.2, "margin"] > accuracy[0.02, "margin"] + 0.05


def test_several_queries_share_the_labels(tune_steps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, taught = [], tune_steps.taught

    def counted(pool: Any, *rest: Any) -> Any:
        counts.append(len(pool.labelled))
        return taught(pool, *rest)

    monkeypatch.setattr(tune_steps, "taught", counted)
    tune_steps.asked({}, 0, "dataset=digits", "scale=smoke", "task_model=linear", "strategy=margin", "+queries=2")
    n = counts[0]
    assert counts == [n, n + n // 2, n + 2 * (n // 2)]


def test_a_row_tells_what_the_game_s_discriminator_ranks(tune_steps: Any) -> None:
    options = ("dataset=digits", "scale=smoke", "task_model=linear")
    assert 0 < tune_steps.asked({}, 0, *options, "strategy=aalu")["ranking"] < 1
    assert math.isnan(tune_steps.asked({}, 0, *options, "strategy=random")["ranking"])


def test_a_row_that_the_table_holds_is_not_measured_again(tune_steps: Any, tmp_path: Path) -> None:
    asked, table = [], tmp_path / "steps.csv"

    def measured(seed: int, *options: str) -> dict[str, float]:
        asked.append((seed, *options))
        return {"accuracy": 0.5 + seed / 10, "seconds": 1, "ranking": 0.7}

    for seeds in ((0, 1), (0, 1, 2)):
        choices = [("digits", ("strategy=random",), seed) for seed in seeds]
        tune_steps.fill(table, choices, "smoke", measured, tune_steps.page)
    assert [seed for seed, *_ in asked] == [0, 1, 2]
    assert pd.read_csv(table)["seed"].tolist() == [0, 1, 2]
    assert "| digits | strategy=random | smoke | 3 | 60.00% ± 5.77% | 1 |" in table.with_suffix(".md").read_text()
