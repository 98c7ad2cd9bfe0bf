"""GANs on real digits, 8 x 8: what they make has the digits' mean and covariance."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from alsuite.generators.gan import GAN
from alsuite.nets.gans import res_wgan_gp, wgan_gp
from helpers.pools import digit_pool


def apart(made: Tensor, real: Tensor) -> float:
    """Return by how much the second moments of pixels and a one differ, in units of the real pixels' covariance."""

    def moments(images: Tensor) -> Tensor:
        rows = torch.cat([images.flatten(1), torch.ones(len(images), 1)], 1)
        return rows.T @ rows / len(rows)

    return float((moments(made) - moments(real)).norm() / real.flatten(1).T.cov().norm())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("net", "width", "rules"),
    [
        (wgan_gp, 1 / 4, {}),
        (res_wgan_gp, 1 / 8, {"betas": [0.0, 0.9], "decay": True}),
        (partial(res_wgan_gp, dropout=True), 1 / 8, {"betas": [0.0, 0.9], "decay": True, "consistency": 2.0}),
    ],
)
def test_a_critic_teaches_the_generator_what_digits_look_like(
    net: Callable[..., Any], width: float, rules: dict[str, Any], tmp_path: Path
) -> None:
    """Measured: 1.6 and 2.1, where untrained ones are 9.7 and 11 apart; 42 with the generator's loss turned round."""
    pool, _ = digit_pool(0)
    torch.manual_seed(0)
    found = {}
    for iterations in (1, 100):
        options = {"name": "gan", "folder": str(tmp_path / "pretrained" / "digits"), "batch": 32, "lr": 1e-3, **rules}
        gan = GAN(partial(net, latent=16, width=width), iterations=iterations, **options)
        with torch.no_grad():
            found[iterations] = apart(gan.trained(pool).images(torch.randn(1000, 16)), pool.images.float() / 255)
    assert found[100] < 0.3 * found[1], found
