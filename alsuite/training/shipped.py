"""Networks that come with alsuite, so that nobody has to train them again.

Each file holds weights in half precision and, beside them, all that they depend on. Of the code that is what builds and
trains the network: where one of these modules changes, the network is trained anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from alsuite.code import code_behind, digest
from alsuite.training.weights import contents

__all__ = ["FOLDER", "Shipped", "about", "about_of", "found", "read", "ship"]

FOLDER = Path(__file__).parents[1] / "generators" / "trained"


class Shipped(NamedTuple):
    """What a file holds.

    state: the weights, in full precision
    row: iterations, the seconds that they took, and the losses at their end
    told: what else was written down, as its scores
    """

    state: dict[str, Tensor]
    row: Sequence[float]
    told: dict[str, Any]


def about(facts: str, modules: Sequence[str]) -> str:
    """Return the facts that weights.about tells, with the code of these modules in the place of all that runs."""
    known = code_behind(modules)
    code = digest(*(known[module].encode() for module in modules))
    return json.dumps({**json.loads(facts), "code": code}, sort_keys=True)


def ship(path: Path, state: Mapping[str, Tensor], its: str, row: Sequence[float], **told: object) -> None:
    """Write weights for others: `its` is what `about` returned, `told` whatever a reader may want to know."""
    state = {name: _of(value, torch.half) for name, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path, {"about": its, "row": json.dumps([*row]), "told": json.dumps(told)})


def found(its: str) -> Shipped | None:
    """Return what was shipped of just this, if anything was."""
    return next((read(path) for path in sorted(FOLDER.glob("*.safetensors")) if about_of(path) == its), None)


def about_of(path: Path) -> str:
    with safe_open(path, "pt") as file:
        return file.metadata()["about"]


def read(path: Path) -> Shipped:
    state, told = contents(path)
    state = {name: _of(value, torch.float) for name, value in state.items()}
    return Shipped(state, json.loads(told["row"]), json.loads(told["told"]))


def _of(value: Tensor, kind: torch.dtype) -> Tensor:
    return value.to(kind) if value.is_floating_point() else value
