"""Samples on a plane."""

import numpy as np
import torch

from alsuite.matching.embedding import plane


def test_groups_that_are_apart_stay_apart_and_in_order() -> None:
    near, far = torch.randn(40, 10, generator=torch.Generator().manual_seed(0)), torch.full((30, 10), 50.0)
    far += torch.randn(30, 10, generator=torch.Generator().manual_seed(1))
    found = plane({"near": near, "none": near[:0], "far": far})
    assert {name: len(places) for name, places in found.items()} == {"plane_near": 40, "plane_none": 0, "plane_far": 30}
    middles = [found[name].mean(0) for name in ("plane_near", "plane_far")]
    spread = max(float(found[name].std(0).max()) for name in ("plane_near", "plane_far"))
    assert np.linalg.norm(middles[0] - middles[1]) > 2 * spread
    assert all(
        np.array_equal(places, found[name])
        for name, places in plane({"near": near, "none": near[:0], "far": far}).items()
    )
