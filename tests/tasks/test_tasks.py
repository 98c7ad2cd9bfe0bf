"""Classification: what it predicts, and that nothing but the images decides it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.nets.classifiers import allcnn, linear, resnet18, vgg16
from alsuite.nets.fastnet import fastnet
from alsuite.pool import Normalise, Pool
from alsuite.scores import entropy
from alsuite.tasks.classification import Classification
from alsuite.training.descent import optimiser
from helpers.pools import digit_pool, synthetic_pool
from helpers.tasks import dropout_net, fast_task
from helpers.vaal import spy

NETS = {
    "linear": linear,
    "dropout": dropout_net,
    "allcnn": partial(allcnn, width=0.1),
    "vgg16": partial(vgg16, width=0.1),
    "resnet18": partial(resnet18, width=0.1),
    "fastnet": partial(fastnet, channels=(8, 16), dropout=0.1),
}


def learned(name: str, **changes: Any) -> tuple[Classification, Pool]:
    pool, _ = synthetic_pool()
    return fast_task(NETS[name], **{"epochs": 2, "lr": 1e-3, **changes}).learn(pool), pool


@pytest.fixture(scope="module")
def digit_task() -> tuple[Classification, Pool]:
    pool, _ = digit_pool(150)
    return fast_task().learn(pool), pool


@pytest.mark.parametrize("name", NETS)
def test_predictions_are_normalised_and_never_augmented(name: str) -> None:
    task, pool = learned(name, augment="crop_flip")
    predicted = task.log_probs(pool.images)
    assert predicted.shape == (len(pool), 10)
    torch.testing.assert_close(predicted.exp().sum(1), torch.ones(len(pool)))
    assert torch.equal(task.log_probs(pool.images), predicted)
    with torch.no_grad():
        by_hand = task.net.eval()(pool.normalise(pool.images)).log_softmax(-1)
    torch.testing.assert_close(predicted, by_hand, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_a_sample_is_scored_alike_alone_and_in_any_batch(name: str) -> None:
    task, pool = learned(name, augment="crop_flip")
    predicted = task.log_probs(pool.images)
    for chosen in ([17], [17, 3], [99, 17, *range(40)]):
        alone = task.log_probs(pool.rows(torch.tensor(chosen)))
        torch.testing.assert_close(alone, predicted[chosen], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_outputs_are_the_features_behind_the_predictions(name: str) -> None:
    task, pool = learned(name)
    features, predicted = task.outputs(pool.images)
    torch.testing.assert_close(predicted, task.log_probs(pool.images))
    assert features.shape == (len(pool), task.net[-1].in_features)
    with torch.no_grad():
        torch.testing.assert_close(task.net[-1](features).log_softmax(-1), predicted)


@pytest.mark.parametrize("loss", ["cross_entropy", "hinge"])
def test_two_classes_take_one_output(loss: str) -> None:
    pool, _ = digit_pool(40, classes=[5, 7])
    task = fast_task(linear, loss=loss).learn(pool)
    with torch.no_grad():
        f = task.net(pool.normalise(pool.images))
    expected = nn.functional.logsigmoid(torch.cat([-f, f], 1))
    torch.testing.assert_close(task.log_probs(pool.images), expected)


def test_smoothed_labels_keep_predictions_from_being_sure() -> None:
    pool, _ = digit_pool(100)
    sure, unsure = (fast_task(epochs=40, smoothing=share).learn(pool).log_probs(pool.images) for share in (0, 0.5))
    assert sure.exp().amax(1).mean() > 0.8 > unsure.exp().amax(1).mean() + 0.1
    with pytest.raises(UserError, match=r"smoothing is for task_model.loss=cross_entropy"):
        fast_task(loss="hinge", smoothing=0.1)


def test_a_mirrored_task_sees_no_difference_between_an_image_and_its_mirror_image() -> None:
    for mirrored in (True, False):
        task, pool = learned("fastnet", mirrored=mirrored)
        (features, predicted), (theirs, same) = task.outputs(pool.images), task.outputs(pool.images.flip(-1))
        assert torch.allclose(features, theirs, atol=1e-6) == torch.allclose(predicted, same, atol=1e-5) == mirrored
        torch.testing.assert_close(task.log_probs(pool.images), predicted)


@pytest.mark.parametrize("option", ["limit", "epochs_at"])
def test_nothing_to_learn_from_is_no_reduction(option: str) -> None:
    for value in (0, -3):
        with pytest.raises(UserError, match=rf"task_model\.{option}={value} must be a number above 0"):
            fast_task(dropout_net, **{option: value})


@pytest.mark.parametrize("whole", [True, False])
def test_masks_are_of_the_mirrored_task_and_one_is_the_same_for_both_views(whole: bool) -> None:
    task, pool = learned("fastnet", mirrored=True)
    images = []
    for views in (pool.images, pool.images.flip(-1)):
        torch.manual_seed(0)
        images.append(sampled_log_probs(task, views, 3, whole))
    torch.testing.assert_close(*images)
    next(layer for layer in task.net if isinstance(layer, torch.nn.Dropout)).p = 1e-9
    masked = sampled_log_probs(task, pool.images, 2, whole)
    torch.testing.assert_close(masked, task.log_probs(pool.images).expand_as(masked))


def test_a_network_is_recalled_with_its_whitening() -> None:
    task, pool = learned("fastnet")
    again = fast_task(NETS["fastnet"]).recalled(pool, task.net.state_dict())
    assert torch.equal(again.log_probs(pool.images), task.log_probs(pool.images))


def test_it_learns_from_known_labels_alone() -> None:
    """All labels swapped with the next class's: so are the predictions."""
    pool, targets = digit_pool(0)
    pool.label(torch.arange(300), (targets[:300] + 1) % 10)
    predicted = fast_task().learn(pool).log_probs(pool.images[300:]).argmax(1)
    assert (predicted == (targets[300:] + 1) % 10).float().mean() > 0.8


def test_each_learning_starts_afresh(digit_task: tuple[Classification, Pool]) -> None:
    task, pool = fast_task(epochs=1, lr=1e-9), digit_task[1]
    first = task.learn(pool).log_probs(pool.images)
    assert not torch.allclose(task.learn(pool).log_probs(pool.images), first)


def calls(layer: nn.Module) -> list[int]:
    """The sizes of the batches that go through a layer."""
    sizes: list[int] = []
    layer.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    return sizes


def sampled_log_probs(task: Classification, images: Tensor, masks: int, whole: bool = False) -> Tensor:
    """Return the (T, N, K) log-probabilities that a score gets to see."""
    return task.scored(images, lambda log_probs_T_N_K: log_probs_T_N_K.transpose(0, 1), masks, whole).transpose(0, 1)


def test_a_score_sees_the_log_probabilities(digit_task: tuple[Classification, Pool]) -> None:
    task, pool = digit_task
    assert torch.equal(task.scored(pool.images, entropy), entropy(task.log_probs(pool.images)))


def test_dropout_masks_differ_and_the_trunk_runs_once(digit_task: tuple[Classification, Pool]) -> None:
    task, pool = digit_task
    trunk, head = calls(task.net[1]), calls(task.net[-1])
    sampled = sampled_log_probs(task, pool.images, 4)
    assert sum(trunk) == len(pool)
    assert head == [size for size in trunk for _ in range(4)]
    assert sampled.shape == (4, len(pool), 10)
    torch.testing.assert_close(sampled.exp().sum(-1), torch.ones(4, len(pool)))
    assert all(not torch.allclose(sampled[i], sampled[j]) for i in range(4) for j in range(i))


def test_whole_passes_draw_the_same_masks_and_the_trunk_runs_for_each(digit_task: tuple[Classification, Pool]) -> None:
    task, pool = digit_task
    torch.manual_seed(1)
    once = sampled_log_probs(task, pool.images, 3)
    trunk = calls(task.net[1])
    torch.manual_seed(1)
    torch.testing.assert_close(sampled_log_probs(task, pool.images, 3, whole=True), once)
    assert sum(trunk) == 3 * len(pool)


def test_the_mean_over_masks_is_near_the_prediction(digit_task: tuple[Classification, Pool]) -> None:
    """Samples stay with their masks: rows in another order would not agree."""
    task, pool = digit_task
    sure = task.log_probs(pool.images).exp().amax(1) > 0.95
    agree = sampled_log_probs(task, pool.images, 20).exp().mean(0).argmax(1) == task.log_probs(pool.images).argmax(1)
    assert agree[sure].float().mean() > 0.97


@pytest.mark.parametrize("name", ["dropout", "allcnn", "vgg16"])
def test_nothing_is_in_training_mode_after_dropout(name: str) -> None:
    task, pool = learned(name)
    before = task.log_probs(pool.images)
    buffers = [buffer.clone() for buffer in task.net.buffers()]
    masked = sampled_log_probs(task, pool.images, 2)
    assert not any(module.training for module in task.net.modules())
    assert not torch.allclose(masked[0], masked[1])
    assert torch.equal(task.log_probs(pool.images), before)
    assert all(torch.equal(a, b) for a, b in zip(buffers, task.net.buffers(), strict=True))


def test_dropout_is_off_again_after_an_error(digit_task: tuple[Classification, Pool]) -> None:
    task, _ = digit_task
    with pytest.raises(RuntimeError):
        sampled_log_probs(task, torch.zeros(1, 1, 9, 9, dtype=torch.uint8), 2)
    assert not any(module.training for module in task.net.modules())


@pytest.mark.parametrize("net", [linear, partial(dropout_net, dropout=0.0)])
def test_without_dropout_there_are_no_masks(net: Any) -> None:
    pool, _ = digit_pool(30)
    with pytest.raises(UserError, match=r"needs dropout: set task_model\.net\.dropout"):
        sampled_log_probs(fast_task(net, epochs=1).learn(pool), pool.images, 2)


@pytest.mark.parametrize("option", ["loss", "schedule", "augment"])
def test_an_unknown_choice_is_refused_by_name(option: str) -> None:
    with pytest.raises(UserError, match=rf"task_model\.{option}=nonsense is unknown: choose one of \w+"):
        Classification(linear, **{option: "nonsense"})  # type: ignore[arg-type]


def test_training_images_are_normalised_after_augmentation() -> None:
    """What moves in from outside the image is black, not grey."""
    pool, _ = synthetic_pool()
    task = fast_task(augment="crop").learn(pool)
    seen: Tensor = task._prepare_training(torch.full((400, 3, 16, 16), 255, dtype=torch.uint8))
    assert set(seen.unique().tolist()) == {-2.0, 2.0}


def test_each_image_that_is_learned_from_is_augmented() -> None:
    augmented: list[int] = []
    task = fast_task(epochs=3)
    task.augment = spy(augmented)
    task.learn(digit_pool(100)[0])
    assert sum(augmented) >= 3 * 100


def test_an_optimiser_has_the_momentum_that_the_task_was_given() -> None:
    task = fast_task(optimiser="sgd", lr=0.5, momentum=0.85, nesterov=True, weight_decay=0.02)
    defaults = optimiser([nn.Parameter(torch.zeros(2))], **task.settings).defaults
    found = [defaults[name] for name in ("lr", "momentum", "nesterov", "weight_decay")]
    assert found == [0.5, 0.85, True, 0.02]


class OwnRange(nn.Flatten):
    normalise = Normalise((0.9,), (0.1,))


def test_a_network_sees_images_as_it_normalises_them() -> None:
    pool, _ = digit_pool(40)
    task = fast_task(lambda shape, outputs: nn.Sequential(OwnRange(), nn.Linear(64, outputs)), epochs=1).learn(pool)
    with torch.no_grad():
        expected = task.net(OwnRange.normalise(pool.images)).log_softmax(1)
    torch.testing.assert_close(task.log_probs(pool.images), expected)
