"""A label per pixel: training, scans, scores and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from alsuite.errors import UserError
from alsuite.mapped import Mapped
from alsuite.metrics import confusion, counted, measured
from alsuite.nets.classifiers import linear
from alsuite.pool import VOID, Pool
from alsuite.scores import bald, entropy, margin
from alsuite.tasks.classification import Classification
from alsuite.tasks.segmentation import Segmentation, coloured, mask_pictures, of_pixels, pairs
from alsuite.training.augment import flip_together
from alsuite.training.losses import pixel_cross_entropy
from helpers.masks import fast_segmentation, mask_pool, masks_of
from helpers.pools import digit_pool
from helpers.tasks import fast_task


@pytest.fixture(scope="module")
def learned() -> tuple[Segmentation, Pool, Tensor]:
    pool, targets = mask_pool()
    return fast_segmentation().learn(pool), pool, targets


def test_it_learns_the_classes_of_pixels(learned: tuple[Segmentation, Pool, Tensor]) -> None:
    task, pool, targets = learned
    found = measured(task.confusion(pool.rows(pool.unlabelled), targets[pool.unlabelled]), pixels=True)
    mean_iou = found["mean_iou"]
    assert isinstance(mean_iou, float)
    assert mean_iou > 0.8


def test_the_confusion_is_that_of_all_predictions_without_void(learned: tuple[Segmentation, Pool, Tensor]) -> None:
    task, pool, targets = learned
    predicted, known = task.predicted(pool.images), targets != VOID
    expected = confusion(predicted[known].long(), targets[known].long(), classes=3)
    assert torch.equal(task.confusion(pool.images, targets), expected)
    assert int(expected.sum()) == int(known.sum())


def test_images_in_a_file_are_measured_as_those_in_memory_are(
    learned: tuple[Segmentation, Pool, Tensor], tmp_path: Path
) -> None:
    task, pool, targets = learned
    np.save(tmp_path / "images.npy", pool.images[:9].numpy())
    held: Any = Mapped(np.load(tmp_path / "images.npy", mmap_mode="r"), most=0)
    assert torch.equal(task.confusion(held, targets[:9]), task.confusion(pool.images[:9], targets[:9]))


def test_pairs_of_each_image_stand_apart() -> None:
    predicted, targets = torch.tensor([[[0, 1]], [[2, 2]]]), torch.tensor([[[0, 2]], [[2, VOID]]])
    found = pairs(predicted.to(torch.uint8), targets.to(torch.uint8), classes=3)
    assert found[0].nonzero().tolist() == [[0, 0], [2, 1]]
    assert found[1].nonzero().tolist() == [[2, 2]]


@pytest.mark.parametrize("score", [entropy, margin])
def test_a_score_is_the_mean_over_an_images_pixels(
    learned: tuple[Segmentation, Pool, Tensor], score: Callable[[Tensor], Tensor]
) -> None:
    task, pool, _ = learned
    expected = score(task.log_probs(pool.images)).mean((1, 2))
    torch.testing.assert_close(task.scored(pool.images, score), expected)


def test_under_masks_an_image_has_one_score_and_the_task_is_as_before(
    learned: tuple[Segmentation, Pool, Tensor],
) -> None:
    task, pool, _ = learned
    before = task.log_probs(pool.images[:4])
    scores = task.scored(pool.images, bald, masks=5)
    assert scores.shape == (len(pool),)
    assert (scores > 0).all()
    assert torch.equal(task.log_probs(pool.images[:4]), before)


def test_outputs_are_pooled_over_pixels(learned: tuple[Segmentation, Pool, Tensor]) -> None:
    task, pool, _ = learned
    features, log_probs = task.outputs(pool.images)
    assert features.shape == (len(pool), 16)
    torch.testing.assert_close(log_probs.exp(), task.log_probs(pool.images).exp().mean((1, 2)))


def test_losses_are_those_of_the_labelled_pixels(learned: tuple[Segmentation, Pool, Tensor]) -> None:
    task, pool, targets = learned
    log_probs = task.log_probs(pool.images)[3, 1:]
    expected = -log_probs.gather(-1, targets[3, 1:].long()[..., None]).mean()
    torch.testing.assert_close(task.losses(pool.images, targets)[3], expected)


def test_void_pixels_teach_nothing() -> None:
    outputs, labels = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randint(0, 3, (2, 4, 4)).to(torch.uint8)
    labels[0, :2] = VOID
    pixel_cross_entropy(outputs, labels, torch.tensor([1.0, 2.0, 3.0])).backward()
    assert outputs.grad is not None
    assert not outputs.grad[0, :, :2].any()
    assert outputs.grad[1].any()


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 3.0])])
def test_classes_weigh_as_much_as_they_are_told(weights: Tensor | None) -> None:
    outputs, labels = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4)).to(torch.uint8)
    labels[0, :2] = VOID
    expected = functional.cross_entropy(outputs, labels.long(), weights, ignore_index=VOID)
    torch.testing.assert_close(pixel_cross_entropy(outputs, labels, weights), expected)


def test_a_batch_of_void_alone_changes_nothing() -> None:
    outputs = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = pixel_cross_entropy(outputs, torch.full((1, 2, 2), VOID, dtype=torch.uint8))
    loss.backward()
    assert float(loss.detach()) == 0
    assert outputs.grad is not None
    assert not outputs.grad.any()


def test_rare_classes_weigh_more_by_the_root_of_their_frequency() -> None:
    task = fast_segmentation(weighted=True, epochs=1)
    pool, targets = mask_pool()
    task.learn(pool)
    counts = counted(targets[:12], 3)
    weights = task.loss.keywords["weights"]  # type: ignore[attr-defined]
    torch.testing.assert_close(weights[0] / weights[1], (counts[1] / counts[0]).sqrt())


def test_images_and_masks_are_mirrored_together() -> None:
    images, targets = masks_of(64)
    flipped, turned = flip_together(images.clone(), targets.clone())
    mirrored = torch.tensor([torch.equal(a, b.flip(-1)) for a, b in zip(flipped, images, strict=True)])
    assert 10 < int(mirrored.sum()) < 54
    assert torch.equal(flipped[~mirrored], images[~mirrored])
    assert torch.equal(turned[mirrored], targets[mirrored].flip(-1))
    assert torch.equal(turned[~mirrored], targets[~mirrored])


def test_training_serves_masks_with_their_images() -> None:
    pool, _ = mask_pool()
    stream = fast_segmentation(augment="flip")
    for images, labels in stream._begin(pool):
        brightness = (images.mean(1) * 0.25 + 0.4) * 255
        sure = labels != VOID
        assert ((brightness - 80 * labels.float() - 20).abs() < 22)[sure].all()


def test_training_serves_masks_as_they_are_and_mirrored() -> None:
    pool, targets = mask_pool(labelled=4)
    stream = fast_segmentation(augment="flip")._begin(pool)
    served = torch.cat([labels for _ in range(20) for _, labels in stream])
    for target in targets[:4]:
        for mask in (target, target.flip(-1)):
            assert (served == mask).flatten(1).all(1).any()


def test_pictures_have_a_row_each(learned: tuple[Segmentation, Pool, Tensor]) -> None:
    task, pool, _ = learned
    rows = mask_pictures(pool, task, torch.tensor([2, 5]))
    assert {name: row.shape for name, row in rows.items()} == {
        "image": (2, 3, 16, 24),
        "prediction": (2, 3, 16, 24),
        "entropy": (2, 1, 16, 24),
    }
    assert not coloured(torch.full((1, 1, 1), VOID, dtype=torch.uint8), 3).any()


def test_a_task_of_whole_images_refuses_masks_and_the_other_way_round() -> None:
    with pytest.raises(UserError, match="take task_model=segnet_small"):
        Classification(linear).learn(mask_pool()[0])
    with pytest.raises(UserError, match="learns from a label per pixel"):
        fast_segmentation().learn(digit_pool()[0])
    with pytest.raises(UserError, match="take task_model=segnet_small"):
        of_pixels(fast_task(linear))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augment": "crop_flip"}, r"task_model\.augment=crop_flip .* choose none or flip"),
        ({"loss": "hinge"}, "take cross_entropy"),
        ({"smoothing": 0.1}, "task_model.smoothing is for one label per image"),
        ({"mirrored": True}, "task_model.mirrored is for one label per image"),
    ],
)
def test_options_without_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Segmentation(nn.Sequential, **options)
