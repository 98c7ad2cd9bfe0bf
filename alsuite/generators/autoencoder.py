"""ASAL's auto-encoders, trained to reconstruct the pool's images.

"Adversarial Sampling for Active Learning", Christoph Mayer and Radu Timofte, 2018, https://arxiv.org/abs/1808.06671,
appendix B
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Adam

from alsuite.errors import positive, whole_if_given, whole_number
from alsuite.generators.latest import Latest
from alsuite.nets.autoencoders import AutoEncoderNet
from alsuite.nets.ranges import from_range
from alsuite.pool import Pool
from alsuite.training.descent import descend
from alsuite.training.fit import channels_last
from alsuite.training.once import Kept, chosen, originals, trained_once

__all__ = ["AutoEncoder", "Reconstruction"]

Number = float | Mapping[str, float]
OF = "features.autoencoder."  # the options here


class AutoEncoder:
    """What trains an auto-encoder on a pool; `net(shape, features)` builds it.

    `epochs`, `batch`, `lr`, `features` and `limit`, the most steps, may differ between data sets, told by their names.
    """

    def __init__(
        self,
        net: Callable[..., AutoEncoderNet],
        *,
        name: str,
        folder: str,
        epochs: Number,
        batch: int | Mapping[str, int] = 100,
        lr: Number = 1e-3,
        features: int | Mapping[str, int | None] | None = None,
        limit: int | Mapping[str, int] | None = None,
        seed: int = 0,
    ) -> None:
        options = {"epochs": epochs, "batch": batch, "lr": lr, "features": features, "limit": limit}
        own = {key: chosen(key, value, Path(folder).name, OF) for key, value in options.items()}
        self.net = net
        self.folder = folder
        self.limit: int | None = own.pop("limit")
        positive(OF, epochs=own["epochs"], lr=own["lr"])
        whole_number(OF, batch=own["batch"])
        whole_if_given(OF, features=own["features"], limit=self.limit)
        self.config = {"name": name, "seed": seed, **own}
        self.latest = Latest(self._trained)

    def trained(self, pool: Pool) -> AutoEncoderNet:
        """Return the network that was trained on the pool's images."""
        return self.latest(pool)

    def kept(self, pool: Pool) -> Kept:
        """Train the network, or read it from where it is kept, and say where that is."""
        config, shape = self.config, pool.images.shape[1:]
        steps = max(1, round(config["epochs"] * len(originals(pool)) / config["batch"]))

        def reconstruction() -> Reconstruction:
            net = self.net(shape, features=config["features"]).to(pool.device)
            return Reconstruction(net, config["batch"], config["lr"])

        iterations = min(steps, self.limit or steps)
        return trained_once(reconstruction, pool, self.folder, self.net, steps, iterations=iterations, **config)

    def _trained(self, pool: Pool) -> AutoEncoderNet:
        return self.kept(pool).net


class Reconstruction:
    """The training of an auto-encoder: each iteration is a step down the squared error of a batch."""

    curves: tuple[str, ...] = ("error",)

    def __init__(self, net: AutoEncoderNet, batch: int, lr: float) -> None:
        self.net = net.to(memory_format=torch.channels_last)
        self.batch = self.within = batch
        self.optimisers = (Adam(net.parameters(), lr, fused=True),)

    def prepare(self, images: Tensor) -> Tensor:
        return channels_last(self.net.ranged(images))

    def step(self, images: Tensor, progress: float) -> Tensor:
        loss = nn.functional.mse_loss(self.net.decode(self.net.encode(images)), images)
        return descend(loss, *self.optimisers)[None]

    def pictures(self, images: Tensor) -> Tensor:
        """Show a row of images above a row of what comes back of them."""
        known = self.net.ranged(images)
        pairs = zip(known.split(10), self.net.decode(self.net.encode(known)).split(10), strict=True)
        return from_range(torch.cat([part for pair in pairs for part in pair]), self.net.low)
