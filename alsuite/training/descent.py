"""One step down a loss, and how the rate of learning changes from step to step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor
from torch.optim import Optimizer

__all__ = ["descend", "schedules"]

WARM_UP = 0.2  # of the training
schedules: dict[str, Callable[[float, Sequence[float]], float]] = {
    "constant": lambda done, milestones: 1.0,
    "steps": lambda done, milestones: 0.1 ** sum(done >= point for point in milestones),
    "cosine": lambda done, milestones: 0.5 * (1 + math.cos(math.pi * done)),
    "triangle": lambda done, milestones: min(done / WARM_UP, (1 - done) / (1 - WARM_UP)),
}  # shares of the rate, where a share of the training is done


def descend(loss: Tensor, *optimisers: Optimizer) -> Tensor:
    """Take a step of each optimiser on what it holds, and return the loss without its graph.

    No gradient is computed for any other parameter, such as another player's.
    """
    parameters = [p for optimiser in optimisers for group in optimiser.param_groups for p in group["params"]]
    for parameter in parameters:
        parameter.grad = None  # zero_grad() takes ten times as long
    loss.backward(inputs=parameters)
    for optimiser in optimisers:
        optimiser.step()
    return loss.detach()
