"""Where ASAL compares images (section 4.2): raw pixels, an auto-encoder's code, what a discriminator makes of them, or
what the ImageNet VGG-16 does, which the paper names as future work.

Each gives a function of images, uint8 or floats in 0..1, (B, C, H, W) -> (B, D).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.generators import Trained
from alsuite.nets.gans import unit
from alsuite.pool import Normalise, Pool

__all__ = ["VGG16", "Code", "Discriminator", "Features", "Pixels"]

LUMA = (0.299, 0.587, 0.114)
IMAGENET = Normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Features(Protocol):
    def of(self, pool: Pool, trained: Trained) -> Callable[[Tensor], Tensor]:
        """`trained` is the model that makes the images to be compared with the pool's."""
        ...


class Pixels:
    """As they are, or as gray values."""

    def __init__(self, gray: bool) -> None:
        self.gray = gray

    def of(self, pool: Pool, trained: Trained) -> Callable[[Tensor], Tensor]:
        def pixels(images: Tensor) -> Tensor:
            values = unit(images)
            if self.gray and values.shape[1] == 3:
                values = (values * values.new_tensor(LUMA).view(-1, 1, 1)).sum(1)
            return values.flatten(1)

        return pixels


class Code:
    """Of an auto-encoder, which is trained on the pool once."""

    def __init__(self, autoencoder: Any) -> None:
        self.autoencoder = autoencoder

    def of(self, pool: Pool, trained: Trained) -> Callable[[Tensor], Tensor]:
        return self.autoencoder.trained(pool).features


class Discriminator:
    """Of the generative model: what it tells real from synthetic images by."""

    def of(self, pool: Pool, trained: Trained) -> Callable[[Tensor], Tensor]:
        return trained.features


class VGG16:
    """The means of the last convolutions (512), of images scaled to `side` pixels; `weights` is a file with
    torchvision's, or None to download it."""

    def __init__(self, weights: str | None = None, side: int = 64) -> None:
        if side < 32:
            raise UserError(f"features.side={side} is too small for VGG-16: take 32 at the least")
        self.weights = weights
        self.side = side

    def of(self, pool: Pool, trained: Trained) -> Callable[[Tensor], Tensor]:
        from torchvision.models.vgg import cfgs, make_layers

        net = make_layers(cfgs["D"])
        net.load_state_dict(convolutions(self.weights))
        net = net.to(pool.device).eval().requires_grad_(False)

        def means(images: Tensor) -> Tensor:
            values = nn.functional.interpolate(unit(images), (self.side, self.side), mode="bilinear", antialias=True)
            return net(IMAGENET(values.expand(-1, 3, -1, -1))).mean((2, 3))

        return means


def convolutions(path: str | None) -> dict[str, Tensor]:
    """Of the weights of torchvision's VGG-16 those before the classifier."""
    from torchvision.models import VGG16_Weights

    url = VGG16_Weights.IMAGENET1K_V1.url
    try:
        if path is None:
            state = torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'unreadable'}"
        raise UserError(
            f"the ImageNet weights of VGG-16 cannot be read ({reason}): "
            f"fetch {url} and set features.weights to where it lies"
        ) from None
    return {name.removeprefix("features."): value for name, value in state.items() if name.startswith("features.")}
