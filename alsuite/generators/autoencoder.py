"""ASAL's auto-encoders, trained to reconstruct the pool's images (appendix B)."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from alsuite.nets.autoencoders import AutoEncoderNet
from alsuite.pool import Pool
from alsuite.training.fit import channels_last
from alsuite.training.once import Kept, chosen, originals, trained_once

__all__ = ["AutoEncoder", "Reconstruction"]

Number = float | Mapping[str, float]


class AutoEncoder:
    """`net(shape, features)` builds it; what is no number may differ between data sets, told by their names."""

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
        self.net = net
        self.folder = folder
        self.limit: int | None = chosen("limit", limit, Path(folder).name)
        self.latest: tuple[Any, AutoEncoderNet] | None = None
        options = {"epochs": epochs, "batch": batch, "lr": lr, "features": features}
        own = {key: chosen(key, value, Path(folder).name) for key, value in options.items()}
        self.config = {"name": name, "seed": seed, **own}

    def trained(self, pool: Pool) -> AutoEncoderNet:
        if self.latest is None or self.latest[0]() is not pool.images:
            self.latest = weakref.ref(pool.images), self.kept(pool).net
        return self.latest[1]

    def kept(self, pool: Pool) -> Kept:
        """Also where it is kept, and read from there each time."""
        config, shape = self.config, pool.images.shape[1:]
        steps = max(1, round(config["epochs"] * len(originals(pool)) / config["batch"]))

        def reconstruction() -> Reconstruction:
            net = self.net(shape, features=config["features"]).to(pool.device)
            return Reconstruction(net, config["batch"], config["lr"])

        iterations = min(steps, self.limit or steps)
        return trained_once(reconstruction, pool, self.folder, self.net, iterations=iterations, **config)


class Reconstruction:
    curves: tuple[str, ...] = ("error",)

    def __init__(self, net: AutoEncoderNet, batch: int, lr: float) -> None:
        self.net = net.to(memory_format=torch.channels_last)
        self.batch = batch
        self.optimisers = (Adam(net.parameters(), lr, fused=True),)

    def prepare(self, images: Tensor) -> Tensor:
        return channels_last(self.net.ranged(images))

    def step(self, images: Tensor, progress: float) -> Tensor:
        loss = nn.functional.mse_loss(self.net.decode(self.net.encode(images)), images)
        (optimiser,) = self.optimisers
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.detach()[None]

    def pictures(self, images: Tensor) -> Tensor:
        """A row of images above a row of what comes back of them."""
        known = self.net.ranged(images)
        pairs = zip(known.split(10), self.net.decode(self.net.encode(known)).split(10), strict=True)
        rows = torch.cat([part for pair in pairs for part in pair])
        return (rows - self.net.low) / (1 - self.net.low)
