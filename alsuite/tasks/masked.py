"""Networks under dropout masks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from alsuite.errors import UserError

__all__ = ["first_dropout", "mean", "under_a_mask"]


def first_dropout(net: nn.Sequential) -> int:
    """Return where the first dropout stands that does something."""
    for i, layer in enumerate(net):
        if isinstance(layer, nn.Dropout) and layer.p > 0:
            return i
    raise UserError("this strategy needs dropout: set task_model.net.dropout=0.5, or take task_model=vgg16")


def under_a_mask(rest: nn.Sequential, hidden: list[Any], device: torch.device) -> Tensor:
    """Return the mean of what layers with dropout make of several views of images, all under the same mask."""
    others = []
    for view in hidden[1:]:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            others.append(rest(view))
    return mean([rest(hidden[0]), *others])


def mean(parts: list[Tensor]) -> Tensor:
    """Return the mean of one tensor or several."""
    return sum(parts[1:], parts[0]) / len(parts) if len(parts) > 1 else parts[0]
