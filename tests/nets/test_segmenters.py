"""Networks of pixels: shapes, sizes and gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from alsuite.errors import UserError
from alsuite.nets.segmenters import drn, segnet_small
from helpers.nets import on_paper, size

NETS = {
    "drn": partial(drn, width=0.0625),
    "drn_54": partial(drn, depth=54, width=0.0625),
    "segnet_small": partial(segnet_small, channels=(4, 8, 16)),
}


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
@pytest.mark.parametrize("sides", [(32, 48), (21, 35)])
def test_each_pixel_has_an_output_and_each_parameter_a_gradient(
    net: Callable[..., nn.Sequential], sides: tuple[int, int]
) -> None:
    made = net((3, *sides), 5)
    outputs = made(torch.randn(2, 3, *sides))
    assert outputs.shape == (2, 5, *sides)
    outputs.square().mean().backward()
    for key, parameter in made.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.ndim == 1 or parameter.grad.any(), key
    assert len(made) == 3
    assert isinstance(made[1], nn.Dropout)


@pytest.mark.parametrize(("depth", "millions"), [(22, 15.9), (38, 26.0), (54, 35.3)])
def test_drn_is_as_large_as_its_authors_without_the_classes_of_imagenet(depth: int, millions: float) -> None:
    assert size(on_paper(drn, (3, 688, 688), 19, depth)) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_values_are_dropped_at_the_rate_that_was_given(net: Callable[..., nn.Sequential]) -> None:
    dropout = net((3, 32, 48), 5, dropout=0.35)[1]
    assert isinstance(dropout, nn.Dropout)
    assert dropout.p == 0.35


def test_drn_works_at_an_eighth_of_the_side() -> None:
    trunk = drn((3, 64, 64), 5, width=0.0625)[0]
    assert trunk(torch.zeros(1, 3, 64, 64)).shape[-2:] == (8, 8)


def test_an_unknown_depth_is_refused() -> None:
    with pytest.raises(UserError, match=r"task_model\.net\.depth=50 is unknown: choose 22, 38, 54"):
        drn((3, 32, 32), 5, depth=50)
