"""One step down a loss."""

from __future__ import annotations

from torch import Tensor
from torch.optim import Optimizer

__all__ = ["descend"]


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
