"""What chooses a recipe or a game looks at held-out training images alone, and measures nothing twice."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
import tune_fair
import tune_game
import tune_steps as steps
import tuning
from hydra.utils import instantiate
from torch import nn

from alsuite.errors import UserError
from alsuite.loop import seed_all
from alsuite.pool import Pool


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
    assert tuning.configured(*options).task_model.net._target_.rpartition(".")[2] == network


def test_held_out_images_are_no_part_of_the_pool_and_none_is_of_the_test_set(tune_steps: Any) -> None:
    dataset = instantiate(tuning.configured("dataset=digits").dataset)
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
        tuning.fill(table, choices, "smoke", measured, tune_steps.page)
    assert [seed for seed, *_ in asked] == [0, 1, 2]
    assert pd.read_csv(table)["seed"].tolist() == [0, 1, 2]
    assert "| digits | strategy=random | smoke | 3 | 60.00% ± 5.77% | 1 |" in table.with_suffix(".md").read_text()


def test_a_recipe_is_judged_by_held_out_images_and_more_labels_teach_more() -> None:
    dataset, task_model = tune_fair.composed("dataset=digits", "task_model=linear", "fair.epochs=10")
    dataset = replace(dataset, tests={})
    few, many = (tune_fair.tried(dataset, task_model, labelled, 400, 0) for labelled in (20, 800))
    assert 0.1 < few[0] < many[0] - 0.05 < 1
    assert min(few[1], many[1]) > 0


def test_a_grid_has_each_value_of_each_option() -> None:
    assert tuning.listed("fair.lr=0.1,0.2") == ["fair.lr=0.1", "fair.lr=0.2"]
    config = tuning.configured("protocol=fair", "fair.lr=0.2")
    assert config.task_model.lr == 0.2


@pytest.fixture
def small_game(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, count in {"LABELLED": 100, "UNLABELLED": 900, "HELD_OUT": 300}.items():
        monkeypatch.setattr(tune_game, name, count)
    return tune_game


def test_a_game_is_played_without_labels_of_some_classes_and_without_the_held_out_images(small_game: Any) -> None:
    dataset = replace(instantiate(tuning.configured("dataset=digits").dataset), tests={})
    seed_all(0, -1)
    pool, held_out, missing = small_game.divided(dataset)
    assert (len(pool), len(pool.labelled), len(held_out)) == (700, 100, 300)
    ours = {tuple(image.flatten().tolist()) for image in dataset.train.images}
    played, kept = ({tuple(image.flatten().tolist()) for image in images} for images in (pool.images, held_out))
    assert played | kept <= ours
    twice = len(dataset.train.images) - len(ours)  # which the data set has
    assert len(played | kept) >= 1000 - twice
    known = pool.labels[pool.labelled].unique()
    assert len(known) == 7
    by_image = {
        tuple(image.flatten().tolist()): int(c)
        for image, c in zip(dataset.train.images, dataset.train.targets, strict=True)
    }
    expected = [by_image[tuple(image.flatten().tolist())] not in known for image in held_out]
    assert missing.tolist() == expected


class Sees(nn.Module):
    """A discriminator that takes dark images for unlabelled, as its logits say; `sign=-1` is the other way round."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.sign = sign

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return self.sign * codes.mean(1)


@pytest.mark.parametrize(("sign", "ranking", "found"), [(1, 1.0, 10 / 3), (-1, 0.0, 0.0)])
def test_what_d_takes_for_unlabelled_is_compared_with_what_is_missing(
    sign: float, ranking: float, found: float
) -> None:
    missing = torch.arange(100) % 10 < 3
    images = torch.where(missing[:, None, None, None], 0, 255).to(torch.uint8).expand(100, 1, 4, 4)
    pool = Pool(images, 10, [0.5], [0.25])

    vae = SimpleNamespace(encode=lambda x: (x.flatten(1), x.flatten(1)), decoder=lambda codes: codes.view(-1, 1, 4, 4))
    game: Any = SimpleNamespace(vae=vae, discriminator=Sees(sign))
    told = tune_game.judged(game, pool, images, missing)
    assert told["ranking"] == ranking
    assert told["found"] == pytest.approx(found)
    assert told["explained"] == pytest.approx(1)


def test_a_game_tells_its_steps_and_what_became_of_it(small_game: Any) -> None:
    row = small_game.played(0, "dataset=digits", "scale=smoke", "strategy.limit=3")
    assert row["steps"] == 3
    assert 0 <= row["ranking"] <= 1
    assert 0 <= row["adversary_share"] <= 1
    page = "\n".join(small_game.page(pd.DataFrame([{"dataset": "digits", "options": "", "scale": "smoke", **row}])))
    assert "| digits | smoke | 3 |" in page


@pytest.mark.parametrize(
    ("script", "options", "told"),
    [
        ("tune_fair", ["--seeds", "0"], "--seeds=0 must be a whole number from 1"),
        ("tune_fair", ["--dataset", "digits", "--labelled", "1430"], "1,437 training images"),
        ("tune_game", ["strategy.adversarial=1"], "no data set is named"),
    ],
)
def test_a_grid_that_cannot_be_measured_is_refused(
    monkeypatch: pytest.MonkeyPatch, script: str, options: list[str], told: str
) -> None:
    monkeypatch.setattr("sys.argv", [script, *options])
    with pytest.raises(UserError, match=told):
        importlib.import_module(script).main()
