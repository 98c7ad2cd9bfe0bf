"""Oracles that give a label per pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alsuite.errors import AwaitingLabels, UserError
from alsuite.masks import HumanMasks, NoisyMasks
from alsuite.oracle import Ideal
from alsuite.pool import VOID
from helpers.masks import drawn, mask_pool, masks_of

QUERY = torch.tensor([7, 2])
NAMES = ["sky", "road", "car"]


def test_ideal_gives_the_masks() -> None:
    pool, targets = mask_pool()
    oracle = Ideal(targets)
    assert torch.equal(oracle(pool, QUERY), targets[QUERY])


def test_noise_flips_the_given_share_of_classes_always_alike() -> None:
    _, targets = masks_of(300)
    pool, _ = mask_pool()
    found = NoisyMasks(targets, flip=0.3, classes=3, seed=1)(pool, torch.arange(300))
    wrong = [
        bool((found[i][targets[i] == k] != k).any()) for i in range(300) for k in targets[i].unique()[:-1].tolist()
    ]
    assert np.mean(wrong) == pytest.approx(0.3, abs=0.06)
    assert (found[targets == VOID] == VOID).all()
    again = NoisyMasks(targets, flip=0.3, classes=3, seed=1)
    assert torch.equal(again(pool, torch.tensor([250, 3])), found[[250, 3]])


def test_a_persons_masks_come_back_as_they_were_drawn(tmp_path: Path) -> None:
    pool, targets = mask_pool()
    oracle = HumanMasks(tmp_path, NAMES)
    with pytest.raises(AwaitingLabels, match=r"2 images in .*images await masks, the first .*7\.png"):
        oracle(pool, QUERY)
    assert (tmp_path / "classes.csv").read_text().splitlines()[1:] == ["0,sky", "1,road", "2,car", "255,void"]
    seen = np.asarray(Image.open(tmp_path / "images" / "7.png"))
    assert np.array_equal(seen, pool.images[7].permute(1, 2, 0).numpy())
    drawn(tmp_path, 7, targets[7], palette=True)
    with pytest.raises(AwaitingLabels, match=r"1 images in .* the first .*2\.png"):
        oracle(pool, QUERY)
    drawn(tmp_path, 2, targets[2])
    assert torch.equal(HumanMasks(tmp_path, NAMES)(pool, QUERY), targets[QUERY])


def test_a_wrong_mask_is_named(tmp_path: Path) -> None:
    pool, targets = mask_pool()
    oracle = HumanMasks(tmp_path, NAMES)
    drawn(tmp_path, 2, targets[2])
    drawn(tmp_path, 7, targets[7][:, :20])
    with pytest.raises(UserError, match=r"7\.png is 16 x 20 pixels large, its image 16 x 24: draw it again"):
        oracle(pool, QUERY)
    drawn(tmp_path, 7, targets[7] + 3)
    with pytest.raises(UserError, match=r"7\.png holds the number \d+: use those of .*classes\.csv"):
        oracle(pool, QUERY)
    Image.new("RGB", (24, 16)).save(tmp_path / "masks" / "7.png")
    with pytest.raises(UserError, match=r"7\.png is no mask"):
        oracle(pool, QUERY)


@pytest.mark.parametrize(("flip", "confusion"), [(1.5, None), (0.1, {3: [0]}), (0.1, {0: [7]}), (0.1, {})])
def test_noise_without_sense_is_refused(flip: float, confusion: dict[int, list[int]] | None) -> None:
    with pytest.raises(UserError, match=r"oracle\.(flip|confusion)"):
        NoisyMasks(masks_of(2)[1], flip=flip, classes=3, confusion=confusion)
