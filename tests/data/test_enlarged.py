"""A pool enlarged by copies: what they are, what is never made of them, what a selection among them notes."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Generator, Tensor

from alsuite import scores
from alsuite.budget import Budget, uniform
from alsuite.data import Split
from alsuite.data.digits import digits
from alsuite.data.enlarged import Change, Enlarged, change, enlarged
from alsuite.errors import UserError
from alsuite.generators import Spent, Trained
from alsuite.mapped import parts
from alsuite.matching import projection
from alsuite.matching.features import Code, Pixels
from alsuite.matching.index import FeatureIndex
from alsuite.nets.classifiers import linear
from alsuite.oracle import ideal
from alsuite.pool import Pool
from alsuite.results import load_runs
from alsuite.strategies import asal as asal_module
from alsuite.strategies.asal import ASAL, GAAL
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.tasks.classification import Classification
from alsuite.training.once import originals
from helpers.configs import lines
from helpers.generators import Gaussian, Trainer
from helpers.runs import perform
from helpers.tasks import fast_task

PREPARATION = {"generator_seconds", "autoencoder_seconds", "extract_seconds", "index_seconds"}


def noise(n: int = 7, side: int = 16) -> Tensor:
    return torch.randint(0, 256, (n, 3, side, side), generator=Generator().manual_seed(0)).to(torch.uint8)


def large_pool(n: int = 5000, labelled: int = 100) -> Pool:
    data = digits()
    split = enlarged(data.train, n)
    pool = Pool(split.images, len(data.classes), data.mean, data.std)
    chosen = torch.randperm(n, generator=Generator().manual_seed(0))[:labelled]
    pool.label(chosen, split.targets[chosen])
    return pool


def test_a_copy_is_its_original_with_the_change_of_its_number() -> None:
    images = noise()
    made = Enlarged(images, 40)[torch.arange(40)]
    assert torch.equal(made[:7], images)
    for i, image in enumerate(made):
        assert torch.equal(image[None], change(i // 7, 16)(images[i % 7][None]))
    assert len({image.numpy().tobytes() for image in made}) == 40


def test_rows_in_any_order_and_of_any_pool_size_are_the_same_images() -> None:
    images, order = noise(), torch.randperm(40, generator=Generator().manual_seed(1))
    whole = Enlarged(images, 40)[torch.arange(40)]
    for n in (40, 1_000_000):
        assert torch.equal(Enlarged(images, n).index_select(0, order), whole[order])
    assert Enlarged(images, 40).index_select(0, order[:0]).shape == (0, 3, 16, 16)


def test_it_is_indexed_as_a_tensor_is() -> None:
    stack = Enlarged(noise(), 40)
    whole = stack[torch.arange(40)]
    for chosen in (5, -1, slice(3, 30, 4), torch.tensor([[8, 1], [39, 0]]), torch.arange(40) % 3 == 1):
        assert torch.equal(stack[chosen], whole[chosen])
    assert stack[:] is stack
    assert torch.equal(stack[:40], whole)
    assert torch.equal(torch.cat([*parts(cast(Tensor, stack), 64)]), whole)
    assert (stack.shape, len(stack), stack.nbytes, stack.dtype) == (whole.shape, 40, whole.nbytes, torch.uint8)


def test_changes_move_mirror_and_shade_alike() -> None:
    image = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4) * 10
    assert torch.equal(Change(False, 0, 0, 64, 0)(image), image)
    assert torch.equal(Change(True, 0, 0, 64, 0)(image), image.flip(-1))
    moved = Change(False, 1, -2, 64, 0)(image)
    assert torch.equal(moved[..., :2, 1:], image[..., 2:, :3])
    assert not moved[..., 2:, :].any()
    assert not moved[..., 0].any()
    shaded = Change(False, 0, 0, 32, 100)(image).flatten().tolist()
    assert shaded == [min(255, (value - 128) // 2 + 228) for value in range(0, 160, 10)]
    assert Change(False, 0, 0, 64, 200)(image).max() == 255


def test_changes_are_of_every_kind_and_leave_the_images_alike() -> None:
    found = [change(copy, 64) for copy in range(1, 200)]
    assert {each.mirrored for each in found} == {True, False}
    assert {each.right for each in found} == {each.down for each in found} == {*range(-4, 5)}
    gray = torch.full((1, 3, 64, 64), 128, dtype=torch.uint8)
    shades = {int(each(gray)[0, 0, 32, 32]) for each in found}
    assert min(shades) >= 128 - 24
    assert max(shades) <= 128 + 24
    assert len(shades) > 30


def test_targets_are_those_of_the_originals() -> None:
    split = Split(noise(), torch.arange(7))
    assert enlarged(split, 17).targets.tolist() == [*range(7), *range(7), 0, 1, 2]
    fewer = enlarged(split, 5)
    assert (len(fewer.images), fewer.targets.tolist()) == (5, [0, 1, 2, 3, 4])


@pytest.mark.parametrize("n", [0, -5, 2.5, True, "many"])
def test_what_is_no_number_of_images_is_refused(n: Any) -> None:
    with pytest.raises(UserError, match=f"enlarge={n} is no number of images"):
        enlarged(Split(noise(), torch.arange(7)), n)


def test_generators_learn_from_the_originals_alone() -> None:
    assert torch.equal(originals(large_pool()), digits().train.images)


def test_strategies_that_synthesise_refuse_it_in_one_line() -> None:
    pool = large_pool()
    task = fast_task(linear, epochs=1).learn(pool)
    with pytest.raises(UserError, match=r"^an enlarged pool takes no synthetic images: set enlarge=null") as error:
        GAAL(Trainer(), score=scores.entropy).query(pool, task, 5)
    assert "\n" not in str(error.value)
    assert len(pool) == 5000


class Slow(Gaussian):
    spent = Spent(whole_seconds=12.5)


def asal(features: Any = None, folder: Path | None = None, make: Any = FeatureIndex) -> ASAL:
    trainer = Trainer(cast(Any, Slow))
    if folder:
        trainer.folder = str(folder)  # type: ignore[attr-defined]
    return ASAL(trainer, features or Pixels(gray=True), make, score=scores.entropy, steps=5)


def test_asal_matches_copies_and_notes_its_preparation_once() -> None:
    pool, strategy = large_pool(), asal()
    task = fast_task(linear, epochs=3).learn(pool)
    first, second = (strategy.query(pool, task, 30) for _ in range(2))
    assert bool((first.indices >= 1437).any())
    assert first.notes.keys() - second.notes.keys() == {*PREPARATION, "fit_seconds"}
    assert first.notes["generator_iterations"] == second.notes["generator_iterations"]
    assert first.notes["generator_seconds"] == 12.5
    assert first.notes["autoencoder_seconds"] == 0
    within = first.notes["extract_seconds"] + first.notes["index_seconds"]
    assert 0 < within <= first.notes["fit_seconds"] + 1e-3
    assert first.notes["memory"] == second.notes["memory"] == 5000 * (50 + 1) * 4


def test_the_training_of_an_auto_encoder_is_told_and_a_discriminators_is_not_told_twice() -> None:
    pool = large_pool(1500)
    task = fast_task(linear, epochs=1).learn(pool)

    class OfTheGenerator:
        def of(self, pool: Pool, trained: Trained) -> Any:
            return trained.features

    told = [asal(each).query(pool, task, 3).notes for each in (Code(Trainer(cast(Any, Slow))), OfTheGenerator())]
    assert [notes["autoencoder_seconds"] for notes in told] == [12.5, 0]


@pytest.mark.parametrize("kind", ["exact", "ivf"])
def test_an_index_tells_what_it_holds(kind: str) -> None:
    held = FeatureIndex(torch.randn(2000, 8), kind=kind).nbytes
    assert 2000 * 8 * (2 if kind == "ivf" else 4) < held < 2 * 2000 * 8 * 4


def test_large_features_lie_in_a_file_that_is_gone_and_give_the_same_matches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = large_pool()
    task = fast_task(linear, epochs=3).learn(pool)
    monkeypatch.setattr(projection, "PCA_VALUES", 64 * 5000 // 3)
    torch.manual_seed(1)
    plain = asal(make=partial(FeatureIndex, kind="ivf")).query(pool, task, 20)
    tables: list[Tensor] = []

    def kept(*arguments: Any) -> Tensor:
        assert arguments == (5000, 50, tmp_path / "kept")
        tables.append(table(*arguments))
        return tables[0]

    table = projection.table
    monkeypatch.setattr(projection, "table", kept)
    monkeypatch.setattr(projection, "JOINED", 1024)
    for module in (projection, asal_module):
        monkeypatch.setattr(module, "LARGE", 1000)
    torch.manual_seed(1)
    strategy = asal(folder=tmp_path / "kept", make=partial(FeatureIndex, kind="ivf"))
    assert strategy.query(pool, task, 20).indices.tolist() == plain.indices.tolist()
    rows = torch.arange(0, 5000, 50)
    pixels = pool.images[rows].flatten(1).float() / 255
    assert torch.allclose(torch.pdist(tables[0][rows]), torch.pdist(pixels), rtol=0.1)
    assert [*(tmp_path / "kept").iterdir()] == []
    pool.label(plain.indices, torch.zeros_like(plain.indices))
    assert not torch.isin(strategy.query(pool, task, 20).indices, plain.indices).any()


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"features of 10,000,000,000,000 images .* take \d+\.\d GB, but .* left: free"):
        projection.table(10**13, 50, tmp_path)


def run(root: Path, name: str, strategy: Any) -> dict[str, Any]:
    folder = root / "sizes" / "smoke" / name
    perform(
        {"config": {"experiment": "sizes", "seed": 0}, "choices": {"strategy": name}},
        folder,
        dataset=digits(),
        task_model=partial(Classification, linear, epochs=2, batch=10),
        initial=uniform,
        budget=Budget(20, 10, 40),
        oracle=ideal,
        strategy=strategy,
        seed=0,
        scale={"pool": 300, "test": 50, "side": None, "cycles": None},
        enlarge=2000,
    )
    return json.loads((folder / "run.json").read_text())


def test_a_run_is_timed_without_its_preparation(tmp_path: Path) -> None:
    about = run(tmp_path, "entropy", Uncertainty(scores.entropy))
    assert (about["pool"], about["whole"], sum(about["pool_counts"])) == (2000, 2000, 2000)
    strategy = asal()
    run(tmp_path, "asal", strategy)
    assert cast(Trainer, strategy.generator).sizes == [300]
    frame = load_runs("sizes", "smoke", tmp_path).dropna(subset=["query_seconds"])
    scans, ours = (frame[frame["strategy"] == name] for name in ("entropy", "asal"))
    assert scans["notes.memory"].to_list() == [2000 * 64] * 2
    assert ours["labelled"].to_list() == [20, 30]
    left = (ours["query_seconds"] - ours["select_seconds"]).to_list()
    assert left == pytest.approx([ours["notes.fit_seconds"].iloc[0], 0])
    assert 0 < ours["select_seconds"].iloc[0] < ours["query_seconds"].iloc[0]


@pytest.mark.slow
def test_the_pools_of_the_timings_are_their_scales() -> None:
    for scale, sizes in (("smoke", "1000,3000"), ("paper", "160000,480000,1600000,4800000,16000000")):
        found = lines(["experiment=asal_fig7", f"scale={scale}"])
        assert [f"enlarge={sizes}" in line for line in found] == [True, True]
