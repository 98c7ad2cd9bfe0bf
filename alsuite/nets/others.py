"""Other networks as classifiers: torchvision's, or the user's own, cut where their features are."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module

import torch
from torch import Tensor, nn

from alsuite.errors import UserError, reason
from alsuite.nets.layers import Shape
from alsuite.nets.layers import dropout as dropped
from alsuite.nets.pretrained import IMAGENET, read_weights
from alsuite.pool import Normalise

__all__ = ["network"]

GRAY = Normalise((0.449,), (0.226,))  # the means of these
OPTION = "task_model.net"


def network(shape: Shape, outputs: int, name: str, weights: str | None = None, dropout: float = 0.0) -> nn.Sequential:
    """Build a network by its name; what its last linear layer sees are the features.

    Gray images are repeated where it sees three channels.

    Arguments:
        shape: of an image, (C, H, W)
        outputs: what the last layer gives
        name: torchvision's, as resnet50, or the dotted path of a class or function that takes `num_classes` and makes
            a module (B, C, H, W) -> (B, num_classes)
        weights: a file of its weights, .safetensors, .npz or .pth; a last layer for other classes starts anew
        dropout: before the last layer
    """
    made = _made(name, outputs)
    place, head = _last_linear(made, name)
    if weights is not None:
        _load(made, weights, place)
    trunk = _Trunk(made)
    with torch.no_grad():  # what a module keeps from here on must be fit to learn with
        expected = _tried(trunk.eval(), torch.zeros(1, *shape), name)
        if expected.shape != (1, outputs):
            given = "x".join(map(str, expected.shape[1:]))
            raise UserError(f"{OPTION}.name={name} gives {given} logits for {outputs} classes: have it use num_classes")
        made.set_submodule(place, nn.Identity())
        features = trunk(torch.zeros(1, *shape))
        same = features.shape == (1, head.in_features) and torch.allclose(head(features), expected, atol=1e-4)
    if not same:
        raise UserError(f"{OPTION}.name={name} does more behind its last linear layer: have it return the logits")
    if weights is not None and "." not in name:
        trunk.normalise = GRAY if shape[0] == 1 else IMAGENET
    return nn.Sequential(trunk.train(), *dropped(dropout), head)


class _Trunk(nn.Module):
    """Gives a network's features of images: (B, C, H, W) -> (B, D)."""

    normalise: Normalise

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        convolutions = (layer for layer in module.modules() if isinstance(layer, nn.Conv2d))
        self.channels = next((layer.in_channels for layer in convolutions), 0)

    def forward(self, x: Tensor) -> Tensor:
        given = self.module(x.expand(-1, 3, -1, -1) if self.channels == 3 and x.shape[1] == 1 else x)
        return given if isinstance(given, Tensor) else given[0]  # some give more outputs while they are trained


def _made(name: str, outputs: int) -> nn.Module:
    """Make a network, and refuse what makes none of so many classes."""
    try:
        made = _maker(name)(num_classes=outputs)
    except TypeError as error:
        raise UserError(f"{OPTION}.name={name} can't be made ({reason(error)}): have it take num_classes") from None
    if not isinstance(made, nn.Module):
        raise UserError(
            f"{OPTION}.name={name} makes no network ({type(made).__name__}): name what makes a torch.nn.Module"
        )
    return made


def _maker(name: str) -> Callable[..., nn.Module]:
    """Return what makes a network, of torchvision's or of the user's own."""
    if "." in name:
        module, _, called = name.rpartition(".")
        try:
            return getattr(import_module(module), called)
        except (ImportError, AttributeError, ValueError):
            raise UserError(
                f"{OPTION}.name={name} can't be imported: check the name, and that its folder is on PYTHONPATH"
            ) from None
    from torchvision import models

    there = models.list_models(module=models)
    if name not in there:
        near = get_close_matches(name, there, 3) or ["resnet18", "resnet50", "vgg16_bn"]
        advice = "write a network of your own as module.name"
        raise UserError(
            f"{OPTION}.name={name} is none of torchvision's: choose one such as {', '.join(near)}; {advice}"
        )
    return models.get_model_builder(name)


def _last_linear(net: nn.Module, name: str) -> tuple[str, nn.Linear]:
    """Return the last linear layer and its place."""
    found = [(place, layer) for place, layer in net.named_modules() if isinstance(layer, nn.Linear) and place]
    if not found:
        raise UserError(f"{OPTION}.name={name} has no linear layer to give logits: choose another network")
    return found[-1]


def _load(net: nn.Module, path: str, head: str) -> None:
    """Load weights from a file, but for a head of another size."""
    own = net.state_dict()
    try:
        held = read_weights(path)
        counts = {key: own[key] for key in own if key.endswith("num_batches_tracked")}  # older files lack them
        others = {key: own[key] for key in (f"{head}.weight", f"{head}.bias") if _size(own, key) != _size(held, key)}
        held = {**counts, **held, **others}
        if wrong := sorted(key for key in {*own, *held} if _size(own, key) != _size(held, key)):
            raise ValueError(f"{wrong[0]} is missing or of another size in one of them")
    except Exception as error:
        raise UserError(
            f"{OPTION}.weights={path} does not hold the weights of this network ({reason(error)}): give a file that "
            "was saved from the same one, or null"
        ) from None
    net.load_state_dict(held)


def _size(state: dict[str, Tensor], key: str) -> tuple[int, ...] | None:
    return tuple(state[key].shape) if key in state else None


def _tried(net: nn.Module, images: Tensor, name: str) -> Tensor:
    """Return what a network says of images, and refuse one that can't see them."""
    try:
        return net(images)
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        size = " x ".join(map(str, images.shape[1:]))
        raise UserError(
            f"{OPTION}.name={name} can't see images of {size} ({reason(error)}): choose another network"
        ) from None
