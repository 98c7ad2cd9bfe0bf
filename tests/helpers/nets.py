"""What a network is, without training it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def on_paper(net: Callable[..., Module], *args: object, **kwargs: object) -> Module:
    """Return the net without memory for its weights."""
    with torch.device("meta"):
        return net(*args, **kwargs)


def size(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())
