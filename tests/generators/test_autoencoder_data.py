"""On real digits an auto-encoder gives back what it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.utils import instantiate

from alsuite.pool import Pool
from helpers.configs import composed
from helpers.pools import laid_out


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["mnist57", "mnist"])
def test_an_auto_encoder_of_digits_gives_them_back(dataset: str, tmp_path: Path) -> None:
    laid_out("mnist")
    options = [f"dataset={dataset}", "generator=autoencoder", "scale=laptop", "generator.limit=150", f"root={tmp_path}"]
    config = composed(*options)
    images = instantiate(config.dataset).train.images[:5000]
    net = instantiate(config.generator).trained(Pool(images, 10, (0.5,), (0.5,)))
    shown = net.ranged(images[:500])
    error = (net.decode(net.encode(shown)) - shown).square().mean()
    assert error < 0.5 * (shown - shown.mean(0)).square().mean()
