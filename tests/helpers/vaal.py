"""Small games of VAAL on the digits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from alsuite.nets.vae import image_vae
from alsuite.pool import Pool
from alsuite.strategies.vaal import VAAL
from alsuite.training.game import AdversarialGame
from helpers.pools import digit_pool
from helpers.tasks import FixedTask

VAE_OF_DIGITS = partial(image_vae, latent=8, width=1 / 16)
BLIND = FixedTask(torch.zeros(1437, 10))
FAST: dict[str, Any] = {"limit": 30, "batch": 32, "lr": 1e-3, "discriminator_lr": 1e-3, "discriminator_layers": 3}


def trained(strategy: VAAL) -> tuple[AdversarialGame, Pool, Tensor]:
    pool, _ = digit_pool(200)
    beside = strategy.conditioning(pool, BLIND)
    return strategy.trained(pool, beside), pool, beside


def spy(seen: list[int]) -> tuple[Callable[[Tensor], Tensor], ...]:
    """Return an augmentation that changes nothing and writes down the sizes of its batches."""
    return (lambda images: seen.append(len(images)) or images,)


def state(net: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in net.state_dict().items()}


def logits_by_hand(game: AdversarialGame, pool: Pool, indices: Tensor, beside: Tensor) -> Tensor:
    assert game.discriminator is not None
    with torch.no_grad():
        mu, _ = game.vae.eval().encode(pool.normalise(pool.images[indices]))
        return game.discriminator.eval()(torch.cat([mu, beside[indices]], dim=1))
