"""One step down a loss, what takes it, and how the rate of learning changes from step to step."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from alsuite.errors import UserError, one_of, reason

__all__ = ["descend", "optimiser", "schedules"]

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


def optimiser(
    parameters: ParamsT,
    name: str | Callable[..., Optimizer],
    lr: float,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> Optimizer:
    """Return `adam`, `adamw` or `sgd`, fused; `sgd` alone takes a momentum, which may be Nesterov's.

    Another optimiser is given as what makes it of the parameters and `lr`. It gets the weight decay, too, unless that
    is 0 or it has one of its own; one that takes none is refused where there is some.
    """
    if not isinstance(name, str):
        return _made(name, parameters, lr, weight_decay)
    one_of("task_model.optimiser", name, ("adam", "adamw", "sgd"))
    if name == "sgd":
        ahead = nesterov and momentum > 0
        return torch.optim.SGD(parameters, lr, momentum, weight_decay=weight_decay, nesterov=ahead, fused=True)
    kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return kind(parameters, lr, weight_decay=weight_decay, fused=True)


def _made(maker: Callable[..., object], parameters: ParamsT, lr: float, weight_decay: float) -> Optimizer:
    """Make an optimiser, and refuse what is none, or asks for more than a gradient."""
    called, own = getattr(maker, "func", maker).__name__, getattr(maker, "keywords", {})
    if "lr" in own:
        raise UserError("task_model.optimiser has a rate of its own: give task_model.lr in its place")
    try:
        decay = {"weight_decay": weight_decay} if weight_decay and "weight_decay" not in own else {}
        if not {*decay} <= {*inspect.signature(maker).parameters}:
            raise UserError(f"task_model.optimiser: {called} takes no weight decay: give task_model.weight_decay=0")
        made = maker(parameters, lr=lr, **decay)
    except (TypeError, ValueError) as error:
        raise UserError(f"task_model.optimiser: {called} can't be made ({reason(error)}): mend its options") from None
    if not isinstance(made, Optimizer) or isinstance(made, torch.optim.LBFGS):
        raise UserError(f"task_model.optimiser: {called} takes no plain step: choose one such as torch.optim.AdamW")
    return made
