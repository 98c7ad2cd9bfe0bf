"""What a picture shows of an image, and the colours of classes in pictures of labels per pixel."""

from itertools import combinations
from math import dist

import pytest
import torch

from alsuite.palette import colour, picture


def test_classes_can_be_told_apart() -> None:
    """As many as Cityscapes has; black is void."""
    colours = [(0, 0, 0), *map(colour, range(19))]
    assert min(dist(*pair) for pair in combinations(colours, 2)) > 50


@pytest.mark.parametrize(("channels", "shape"), [(1, (4, 5)), (2, (4, 5)), (3, (4, 5, 3)), (4, (4, 5, 3))])
def test_a_picture_is_gray_or_red_green_and_blue(channels: int, shape: tuple[int, ...]) -> None:
    image = torch.arange(channels * 20, dtype=torch.uint8).reshape(channels, 4, 5)
    found = picture(image)
    assert found.shape == shape
    assert found[2, 3].tolist() == (image[0, 2, 3].item() if len(shape) == 2 else image[:3, 2, 3].tolist())
