"""The SVM: its decisions, its search, its probabilities; every label situation, every kind of image."""

from __future__ import annotations

import math
from copy import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from sklearn.svm import SVC
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, one_hot

from alsuite.data.store import opened
from alsuite.errors import UserError
from alsuite.loop import seed_all
from alsuite.metrics import metrics
from alsuite.nets.ranges import unit
from alsuite.pool import Pool
from alsuite.tasks.machine import Machine, Settings, coupled, fitted
from alsuite.tasks.svm import SVM, Prepared, folds_of, left_out, searched, tempered
from alsuite.tasks.vgg import VGG16
from helpers.configs import composed
from helpers.features import svm
from helpers.pools import digit_pool, laid_out, synthetic_pool


def blobs(n: int, classes: int = 4, seed: int = 0, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = Generator().manual_seed(seed)
    centres = torch.randn(classes, 20, generator=Generator().manual_seed(99))
    y = torch.arange(n) % classes
    return 0.2 * (centres[y] + spread * torch.randn(n, 20, generator=generator)), y


def accuracy(log_probs: Tensor, targets: Tensor) -> float:
    return float((log_probs.argmax(1) == targets).float().mean())


def predicted(machine: Machine, x: Tensor) -> Tensor:
    return machine.classes[coupled(machine(x), 1.0).argmax(1)]


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_decisions_are_those_of_sklearn(classes: int) -> None:
    x, y = blobs(90, classes)
    other, targets = blobs(50, classes, seed=1)
    machine = fitted(x, 2 * y, Settings(2.0, 0.5))
    theirs = SVC(C=2.0, decision_function_shape="ovo").set_params(gamma=0.5).fit(x.numpy(), 2 * y.numpy())
    decisions, votes = machine(other), torch.from_numpy(theirs.predict(other.numpy()))
    torch.testing.assert_close(decisions, -decisions.transpose(1, 2))
    first, second = torch.triu_indices(classes, classes, 1)
    expected = torch.from_numpy(theirs.decision_function(other.numpy())).reshape(len(other), -1)
    expected = expected if classes > 2 else -expected  # of two classes it is for the second
    torch.testing.assert_close(decisions[:, first, second], expected.float(), atol=1e-3, rtol=1e-2)
    won = (decisions > 0).sum(2)
    assert (won.gather(1, votes[:, None] // 2)[:, 0] == won.amax(1)).all()
    assert (predicted(machine, other) == votes).float().mean() > 0.95
    assert accuracy(coupled(decisions, 1.0), targets) > 0.8


def test_the_coupling_is_that_of_price_and_of_two_classes_the_sigmoid() -> None:
    d = torch.tensor([[0.0, 1.0, -2.0], [-1.0, 0.0, 3.0], [2.0, -3.0, 0.0]])
    unlike = [1 / (1 + sum(math.exp(-0.5 * v) for v in row if v)) for row in d.tolist()]
    torch.testing.assert_close(coupled(d[None], 0.5).exp()[0], torch.tensor(unlike))
    pair = coupled(torch.tensor([[[0.0, 0.7], [-0.7, 0.0]]]), 2.0).exp()
    torch.testing.assert_close(pair, torch.sigmoid(torch.tensor([[1.4, -1.4]])))


@pytest.mark.parametrize("grid", [[Settings(1.0, 1e4), Settings(1.0, 0.5)], [Settings(1.0, 0.5), Settings(1.0, 1e4)]])
def test_the_search_takes_the_clearly_better_setting(grid: list[Settings]) -> None:
    x, y = blobs(120)
    assert searched(x, y, grid, 3)[0] == Settings(1.0, 0.5)


def test_each_setting_predicts_what_its_own_machines_have_not_seen() -> None:
    x, y = blobs(90, spread=2.0)
    grid, fold = [Settings(C, gamma) for C in (0.3, 10.0) for gamma in (0.5, 2.0)], folds_of(y, 3)
    found = left_out(x, y, grid, fold)
    for settings in grid:
        for out in (fold == i for i in range(3)):
            assert torch.equal(found[settings][out], predicted(fitted(x[~out], y[~out], settings), x[out]))
    assert len({tuple(each.tolist()) for each in found.values()}) == 4


def test_the_search_weighs_rare_classes_as_it_does_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """One setting never tells the rare class and is right more often than one that does."""
    x, y = blobs(100)
    y = (torch.arange(100) < 10).long()
    grid = [Settings(1.0, 0.5), Settings(2.0, 0.5)]
    told = {grid[0]: torch.zeros_like(y), grid[1]: (torch.arange(100) < 30).long()}
    monkeypatch.setattr("alsuite.tasks.svm.left_out", lambda *_: told)
    assert searched(x, y, grid, 3)[0] == grid[1]


def test_folds_are_drawn() -> None:
    _, y = blobs(60)
    assert not torch.equal(folds_of(y, 3), folds_of(y, 3))


def test_folds_share_every_class() -> None:
    y = torch.arange(5).repeat_interleave(torch.tensor([30, 3, 2, 1, 6]))
    y = y[torch.randperm(len(y))]
    counts = torch.stack([torch.bincount(y[folds_of(y, 3) == i], minlength=5) for i in range(3)])
    assert counts.sum(0).tolist() == [30, 3, 2, 1, 6]
    assert (counts.amax(0) - counts.amin(0)).max() <= 1


def test_the_temperature_calibrates() -> None:
    x, y = blobs(300, spread=2.0)
    other, targets = blobs(600, seed=1, spread=2.0)
    settings, factor = searched(x, y, [Settings(1.0, 0.5)], 3)
    decisions = fitted(x, y, settings)(other)
    plain, warm = coupled(decisions, 1.0), coupled(decisions, factor)
    assert cross_entropy(warm, targets) < cross_entropy(plain, targets) - 0.1
    assert miscalibration(warm, targets) < 0.5 * miscalibration(plain, targets)
    assert tempered(factor * decisions, targets) == pytest.approx(1, abs=0.4)


def test_the_temperature_is_that_of_samples_that_were_not_learned_from() -> None:
    """Of what it has learned by heart a machine is sure, whether the labels mean something or not."""
    x, y = blobs(120, spread=20.0)
    settings, factor = searched(x, y, [Settings(1000.0, 5.0)], 3)
    by_heart = tempered(fitted(x, y, settings)(x), y)
    assert factor < 0.5 * by_heart


def test_the_temperature_is_moderate_where_no_prediction_is_wrong() -> None:
    y = torch.arange(20) % 2
    for_first = 1.0 - 2 * y
    rows = [torch.zeros(20), for_first], [-for_first, torch.zeros(20)]
    factor = tempered(torch.stack([torch.stack(row, 1) for row in rows], 1), y)
    sure = 1 / (1 + np.exp(-factor))
    assert 0.95 < sure < 0.99


def miscalibration(logits: Tensor, targets: Tensor) -> float:
    """Between how sure the predictions are and how often they are right, over ten equal bins."""
    sure, predicted = logits.softmax(1).max(1)
    right, order = (predicted == targets).float(), sure.argsort()
    return float(np.mean([abs(float(sure[part].mean() - right[part].mean())) for part in order.chunk(10)]))


def test_it_learns_from_a_pool_and_its_probabilities_are_its_decisions(tmp_path: Path) -> None:
    pool, targets = digit_pool(200)
    task = svm(tmp_path).learn(pool)
    features, log_probs = task.outputs(pool.rows(pool.unlabelled))
    assert (features.shape, log_probs.shape) == ((len(pool) - 200, 64), (len(pool) - 200, 10))
    assert accuracy(log_probs, targets[pool.unlabelled]) > 0.9
    assert torch.equal(log_probs.argmax(1), coupled(task.machine(features), task.temperature).argmax(1))
    assert torch.allclose(log_probs.exp().sum(1), torch.ones(len(log_probs)), atol=1e-5)
    assert torch.equal(task.log_probs(pool.rows(pool.unlabelled)), log_probs)
    assert log_probs.dtype == torch.float32


def test_generated_floats_are_seen_as_the_same_pictures_and_their_rewards_take_gradients(tmp_path: Path) -> None:
    pool, _ = digit_pool(100)
    task = svm(tmp_path).learn(pool)
    log_probs = task.log_probs(pool.images[:40].float() / 255)
    assert torch.allclose(log_probs, task.log_probs(pool.images[:40]), atol=1e-3)
    likelihood = torch.ones(40, requires_grad=True)
    (likelihood * log_probs.exp().max(1).values).sum().backward()
    assert likelihood.grad is not None


def test_generated_floats_are_not_kept(tmp_path: Path) -> None:
    pool, _ = digit_pool(100)
    task = svm(tmp_path).learn(pool)
    task.log_probs(torch.rand(8, 1, 8, 8))
    assert len(task.store.table) == 100


def test_rows_of_what_was_made_are_computed_and_not_kept(tmp_path: Path) -> None:
    """Whether the pool has just taken them in or they are learned from, alone or among others."""
    pool, targets = digit_pool(100)
    task = svm(tmp_path).learn(pool)
    made = pool.extend(255 - pool.images[:20], targets[:20])
    there = torch.cat([made[:10], torch.arange(5), made[10:]])
    for rows in (made, there):
        expected = task.log_probs(unit(pool.images[rows]))
        assert torch.allclose(task.log_probs(pool.rows(rows)), expected, atol=1e-5)
    kept = {*pool.labelled_originals.tolist(), *range(5)}
    assert len(svm(tmp_path).learn(pool).store.table) == len(kept)


@pytest.mark.parametrize(
    "counts", [{3: 20}, {3: 1}, {2: 20, 7: 20}, {2: 1, 7: 1}, {0: 1, 4: 30, 9: 2}, dict.fromkeys(range(10), 1)]
)
def test_classes_without_a_label_are_next_to_impossible(tmp_path: Path, counts: dict[int, int]) -> None:
    pool, targets = digit_pool(0)
    for label, count in counts.items():
        pool.label(chosen := torch.nonzero(targets == label)[:count, 0], targets[chosen])
    log_probs = svm(tmp_path).learn(pool).log_probs(pool.images)
    probs, absent = log_probs.exp(), [label for label in range(10) if label not in counts]
    assert torch.isfinite(log_probs).all()
    assert probs[:, absent].sum() < 1e-10
    assert torch.allclose(probs.sum(1), torch.ones(len(pool)), atol=1e-5)


@pytest.mark.parametrize(("counts", "least"), [({3: 20}, 0.99), ({2: 1, 7: 1}, 0.5), ({0: 6, 4: 30, 9: 9}, 0.7)])
def test_few_labels_tell_others_of_their_classes(tmp_path: Path, counts: dict[int, int], least: float) -> None:
    pool, targets = digit_pool(0)
    for label, count in counts.items():
        pool.label(chosen := torch.nonzero(targets == label)[:count, 0], targets[chosen])
    predictions = svm(tmp_path).learn(pool).log_probs(pool.images).argmax(1)
    hits = torch.cat([predictions[targets == label] == label for label in counts]).float().mean()
    assert hits > least


def test_a_seed_repeats_itself(tmp_path: Path) -> None:
    pool, _ = digit_pool(150)

    def learned(seed: int) -> Tensor:
        seed_all(seed, 0)
        return svm(tmp_path).learn(pool).log_probs(pool.images[:100])

    assert torch.equal(learned(0), learned(0))


def test_synthetic_images_are_learned_like_others(tmp_path: Path) -> None:
    """Black ones of class 0: a black image is one from then on."""
    pool, _ = digit_pool(60)
    before = svm(tmp_path).learn(pool)
    pool.extend(torch.zeros(20, 1, 8, 8, dtype=torch.uint8), torch.full((20,), 5))
    after = svm(tmp_path).learn(pool)
    black = torch.zeros(1, 1, 8, 8)
    assert after.log_probs(black)[0, 5] > max(-0.2, float(before.log_probs(black)[0, 5]))


def labelled(pool: Pool, targets: Tensor, n: int) -> Pool:
    """The pool with its first n labelled alone."""
    found = Pool(pool.images, pool.classes, pool.normalise.mean, pool.normalise.std)
    found.label(torch.arange(n), targets[:n])
    return found


def test_a_copy_learns_without_changing_its_original(tmp_path: Path) -> None:
    pool, targets = digit_pool(100)
    task = svm(tmp_path).learn(pool)
    before = task.log_probs(pool.images[:50])
    other = copy(task).learn(labelled(pool, targets, 10))
    assert torch.equal(task.log_probs(pool.images[:50]), before)
    assert not torch.equal(other.log_probs(pool.images[:50]), before)


def test_without_a_search_the_settings_and_the_temperature_stay(tmp_path: Path) -> None:
    pool, targets = digit_pool(100)
    task = svm(tmp_path).learn(pool)
    task.settings, task.temperature = Settings(0.7, 0.3), 2.5
    before = task.log_probs(pool.images[:50])
    task.learn(labelled(pool, targets, 200), search=False)
    assert (task.settings, task.temperature, task.machine.gamma) == (Settings(0.7, 0.3), 2.5, 0.3)
    assert not torch.equal(task.log_probs(pool.images[:50]), before)


def test_prepared_features_have_a_mean_square_norm_of_one() -> None:
    features = 7 + 3 * torch.randn(200, 12)
    assert float(Prepared.like(features)(features).square().sum(1).mean()) == pytest.approx(1, abs=1e-4)
    assert torch.isfinite(Prepared.like(torch.zeros(3, 4))(torch.zeros(3, 4))).all()


@pytest.mark.parametrize("changes", [{"C": []}, {"C": [0]}, {"gamma": ["1"]}, {"folds": 1}, {"folds": 2.5}])
def test_an_option_out_of_range_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(UserError, match=rf"^task_model\.{next(iter(changes))}="):
        svm(tmp_path, **changes)


def test_the_configuration_builds_it_below_the_root() -> None:
    config = composed("task_model=svm_vgg", "dataset=mnist", "root=elsewhere").task_model
    task = instantiate(config)()
    assert isinstance(task, SVM)
    assert task.folder == "elsewhere/features/mnist"
    assert isinstance(task.extractor, VGG16)
    assert len(task.grid) == 8
    assert (task.extractor.side, task.extractor.block) == (64, 4)


@pytest.mark.data
def test_real_digits_and_weights(tmp_path: Path) -> None:
    """On training images that were left out, not on the test set."""
    root = laid_out("vgg16", "mnist")
    images: NDArray[np.uint8] = opened(root / "mnist" / "train_images.npy")[:700]
    targets = torch.from_numpy(opened(root / "mnist" / "train_targets.npy")[:700].copy())
    pool = Pool(torch.from_numpy(images.copy()), 10, [0.13], [0.31])
    pool.label(torch.arange(300), targets[:300])
    config = composed("task_model=svm_vgg", "scale=laptop", f"root={tmp_path}").task_model
    predicted = instantiate(config)().learn(pool).log_probs(pool.rows(pool.unlabelled)).argmax(1)
    macro_f1 = metrics(predicted, targets[300:], 10)["macro_f1"]
    assert isinstance(macro_f1, float)
    assert macro_f1 > 0.9


def test_brightness_in_color_is_told_apart(tmp_path: Path) -> None:
    pool, targets = synthetic_pool(200, labelled=100)
    log_probs = svm(tmp_path).learn(pool).log_probs(pool.rows(pool.unlabelled))
    assert accuracy(log_probs, targets[pool.unlabelled]) > 0.9
    assert cross_entropy(log_probs, targets[pool.unlabelled]) < cross_entropy(
        torch.log(0.5 * one_hot(log_probs.argmax(1), 10) + 0.05), targets[pool.unlabelled]
    )
