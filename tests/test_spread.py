"""First labels that are spread over the pool."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Generator

from alsuite.budget import first_labels
from alsuite.data.dataset import Split
from alsuite.spread import coreset
from helpers.features import Convolutions
from helpers.pools import digit_pool


def test_images_beside_known_ones_lie_farthest_from_those(tmp_path: Path) -> None:
    images = digit_pool(0)[0].images[:200]
    draw = partial(coreset, features=Convolutions(), folder=str(tmp_path))
    targets = torch.full((200,), -1)
    targets[50:53] = torch.tensor([1, 0, 1])
    found = first_labels(draw, Split(images, targets, told=True), 9, seed=3)
    assert found[:3].tolist() == [50, 51, 52]
    features = Convolutions().on(torch.device("cpu"))(images)
    distances = torch.cdist(features, features)
    for i in range(3, 9):
        nearest = distances[:, found[:i]].min(1).values
        assert float(nearest[found[i]]) >= float(nearest.max()) - 1e-4
    assert len({*found.tolist()}) == 9


def test_each_image_lies_farthest_from_all_before(tmp_path: Path) -> None:
    images = digit_pool(0)[0].images[:200]
    draw = partial(coreset, torch.zeros(200), images=images, features=Convolutions(), folder=str(tmp_path))
    picks = draw(8, Generator().manual_seed(3)).tolist()
    features = Convolutions().on(torch.device("cpu"))(images)
    distances = torch.cdist(features, features)
    for i in range(1, 8):
        nearest = distances[:, picks[:i]].min(1).values
        assert float(nearest[picks[i]]) >= float(nearest.max()) - 1e-4
    assert len({*picks}) == 8
    assert draw(1, Generator().manual_seed(3)).tolist() == picks[:1]
    assert draw(1, Generator().manual_seed(4)).tolist() != picks[:1]
