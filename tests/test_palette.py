"""The colours of classes in pictures of labels per pixel."""

from itertools import combinations
from math import dist

from alsuite.palette import colour


def test_classes_can_be_told_apart() -> None:
    """As many as Cityscapes has; black is void."""
    colours = [(0, 0, 0), *map(colour, range(19))]
    assert min(dist(*pair) for pair in combinations(colours, 2)) > 50
