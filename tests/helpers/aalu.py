"""Small games of AALU."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from alsuite.nets.vae import feature_vae
from alsuite.strategies.aalu import Assistance

FEATURES, CLASSES, LATENT = 6, 10, 3
SMALL = partial(feature_vae, latent=LATENT, hidden=16)


def informative(played: Assistance, features: Tensor, probs: Tensor) -> Tensor:
    """A(m), 1 for unlabelled: D is the chance of the opposite."""
    code = played.vae.encode(features)[0]
    assert played.discriminator is not None
    return 1 - torch.sigmoid(played.discriminator(torch.cat([code, probs], dim=1) if played.prediction else code))
