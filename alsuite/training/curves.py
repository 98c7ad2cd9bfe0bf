"""The losses of a training, told as it goes on to whoever follows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from alsuite.training import rehearsal

__all__ = ["followers", "following", "tell_losses"]

Follower = Callable[[str, float, Mapping[str, float]], None]  # told whose, the share of the training, and losses
followers: list[Follower] = []
One = TypeVar("One")
POINTS = 50  # of a whole training, at the least one for each block of its steps


@contextmanager
def following(followers: list[One], one: One) -> Iterator[None]:
    """Have one more among the followers of something within the block."""
    followers.append(one)
    try:
        yield
    finally:
        followers.remove(one)


def tell_losses(name: str, steps: tuple[int, int], total: int, losses: Mapping[str, Sequence[Tensor]]) -> None:
    """Tell the losses of a block of steps, each point a mean over some of them.

    Arguments:
        name: what is trained
        steps: how many were done before the block, and after it
        total: steps of the whole training
        losses: what they are called -> their values in the block, in order; a player may have fewer than another
    """
    if not followers or rehearsal.under_way():
        return
    first, last = steps
    points = max(1, round(POINTS * (last - first) / total))
    for told, values in losses.items():
        parts = torch.stack([*values]).tensor_split(min(points, len(values))) if values else ()
        for number, part in enumerate(parts, start=1):
            share = (first + (last - first) * number / len(parts)) / total
            for follow in followers:
                follow(name, share, {told: float(part.mean())})
