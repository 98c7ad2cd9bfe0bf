"""What a network is, without training it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from alsuite.nets.pretrained import EfficientNetLite0

Module = TypeVar("Module", bound=nn.Module)


def on_paper(net: Callable[..., Module], *args: object, **kwargs: object) -> Module:
    """Return the net without memory for its weights."""
    with torch.device("meta"):
        return net(*args, **kwargs)


def size(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def lite_weights(folder: Path) -> Path:
    """Save weights in place of ImageNet's, and a classifier behind them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lite.npz"
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        state = {name: value.numpy() for name, value in EfficientNetLite0().state_dict().items()}
    np.savez(path, allow_pickle=False, **state, **{"_fc.bias": np.zeros(1000, np.float32)})
    return path
