"""The cycle with a label per pixel: what the journal keeps, and how a run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from alsuite.budget import Budget, stratified
from alsuite.errors import AwaitingLabels, UserError
from alsuite.journal import Journal
from alsuite.loop import Run
from alsuite.masks import HumanMasks
from alsuite.oracle import Ideal, Oracle
from alsuite.pool import VOID, Pool
from alsuite.scores import entropy
from alsuite.strategies.random import Random
from alsuite.strategies.uncertainty import Uncertainty
from helpers.commands import lasting
from helpers.masks import drawn, fast_segmentation, mask_pool, masks_of


def run(folder: Path, oracle: Oracle, cycles: int = 3) -> Run:
    images, targets = masks_of(40)
    pool = Pool(images, 3, [0.4] * 3, [0.25] * 3, label_shape=targets.shape[1:])
    tests = {"drawn": masks_of(10, seed=1)}
    budget, journal = Budget(initial=6, query=4, end=2 + 4 * cycles), Journal(folder)
    strategy = Uncertainty(entropy)
    return Run(pool, tests, lambda: fast_segmentation(epochs=3), strategy, oracle, budget, torch.arange(6), journal, 0)


class Counted(Ideal):
    """Counts how many labels it was asked for."""

    asked = 0

    def __call__(self, pool: Pool, indices: torch.Tensor) -> torch.Tensor:
        self.asked += len(indices)
        return super().__call__(pool, indices)


def test_a_run_keeps_indices_measures_and_pictures(tmp_path: Path) -> None:
    made = run(tmp_path, Ideal(masks_of(40)[1]))
    made.go()
    first, _, last = made.journal.records
    assert first["initial"] == {"indices": [*range(6)], "labels": None}
    assert first["queried"]["labels"] is None
    assert len(first["queried"]["indices"]) == 4
    assert 0 < first["queried"]["wrong"] < 1
    known = masks_of(40)[1][:6]
    assert first["label_counts"] == [int((known == label).sum()) for label in range(3)]
    assert last["metrics"]["drawn"].keys() >= {"accuracy", "mean_iou", "per_class_iou"}
    pictures = made.journal.images(0)
    assert {name: rows.shape[0] for name, rows in pictures.items()} == {
        "image": 4,
        "label": 4,
        "prediction": 4,
        "entropy": 4,
    }


def test_a_run_goes_on_by_asking_again(tmp_path: Path) -> None:
    targets = masks_of(40)[1]
    whole = run(tmp_path / "whole", Ideal(targets))
    whole.go()
    whole.journal.close()
    half = tmp_path / "half"
    half.mkdir()
    lines = (tmp_path / "whole" / "cycles.jsonl").read_text().splitlines(keepends=True)
    (half / "cycles.jsonl").write_text(lines[0] + lines[1][:50])
    again = run(half, oracle := Counted(targets))
    again.go()
    assert oracle.asked == 14
    assert lasting(half) == lasting(tmp_path / "whole")


def test_a_person_is_asked_and_the_run_goes_on(tmp_path: Path) -> None:
    targets = masks_of(40)[1]
    folder, asked = tmp_path / "run", HumanMasks(tmp_path / "queries", ["a", "b", "c"])
    with pytest.raises(AwaitingLabels, match="6 images"):
        run(folder, asked, cycles=2).go()
    for index in range(6):
        drawn(tmp_path / "queries", index, targets[index])
    waiting = run(tmp_path / "second", asked, cycles=2)
    with pytest.raises(AwaitingLabels, match=r"cycle 1: 4 images"):
        waiting.go()
    waiting.journal.close()
    for path in (tmp_path / "queries" / "images").glob("*.png"):
        drawn(tmp_path / "queries", int(path.stem), targets[int(path.stem)])
    last = run(tmp_path / "second", asked, cycles=2)
    last.go()
    assert [record["labelled"] for record in last.journal.records] == [6, 10]


def test_the_pool_takes_masks_of_its_own_size_and_classes_alone() -> None:
    pool, targets = mask_pool(labelled=0)
    with pytest.raises(UserError, match=r"n int64 numbers and torch\.uint8 of shape \(n, 16, 24\)"):
        pool.label(torch.tensor([0]), targets[:1, :8])
    with pytest.raises(UserError, match=r"a label lies outside 0\.\.2"):
        pool.label(torch.tensor([0]), targets[:1] + 3)
    pool.label(torch.tensor([3]), targets[3:4])
    assert torch.equal(pool.labels[3], targets[3])
    assert (pool.labels[4] == VOID).all()


def test_what_takes_one_label_an_image_is_refused() -> None:
    pool, targets = mask_pool()
    with pytest.raises(UserError, match="a strategy that makes images takes one label for each image"):
        pool.extend(pool.images[:1])
    with pytest.raises(UserError, match="take initial=uniform"):
        stratified(targets, 5, torch.Generator())
    assert Random().query(pool, fast_segmentation(), 3).indices.shape == (3,)
