"""Two processes of a thread each against one with one thread: training, and the game of a VAE.

A batch is all the images there are, so that its order, which each side draws for itself, changes sums by rounding.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing.connection import Connection
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
from adversarial import LATENT, LAYERS, SHAPE, pool_of_vaal
from pictures import cifar10
from race import Check, Row, Scaled, Sizes, race
from torch import Tensor, nn

from alsuite.command.machine import keep_freed_memory
from alsuite.command.several import met
from alsuite.nets.classifiers import resnet18
from alsuite.nets.vae import discriminator, image_vae
from alsuite.tasks.classification import Classifier
from alsuite.training.fit import Stream, channels_last, fit
from alsuite.training.game import AdversarialGame, AdversarialRules, play
from alsuite.training.losses import cross_entropy

__all__ = ["same_weights", "several"]

STEPS = 5
Work = Callable[[], Scaled]
SGD: dict[str, Any] = {"name": "sgd", "lr": 0.01, "momentum": 0.9}


def several(sizes: Sizes) -> Iterator[Row]:
    batch, turns, width = max(8, sizes.masked // 2), min(3, sizes.turns), min(1.0, sizes.masked / 256)
    name = cifar10(1)[0]
    against = "one process of one thread"
    with processes() as (one, two):
        work = partial(trained, batch, width)
        what = f"training of ResNet-18 by 2 processes, batch {batch} of {name}"
        yield race(what, against, partial(two, work), partial(one, work), same_weights, goal=1.7, turns=turns)
        work = partial(played, batch // 2, width)
        what = f"game of VAAL by 2 processes, batch {batch // 2} + {batch // 2} of {name}"
        sides = partial(two, work), partial(one, work)
        yield race(what, against, *sides, same_weights, goal=1.7, turns=turns)


@contextmanager
def processes() -> Iterator[tuple[Callable[[Work], Scaled], Callable[[Work], Scaled]]]:
    """Start one process, and two that work together; yield what has work done by each side."""
    context = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder:
        starts = [(None, 0), (f"file://{folder}/meeting", 0), (f"file://{folder}/meeting", 1)]
        pipes = [context.Pipe() for _ in starts]
        for (_, theirs), start in zip(pipes, starts, strict=True):
            context.Process(target=working, args=(*start, theirs), daemon=True).start()
        alone, *together = (ours for ours, _ in pipes)
        yield partial(done, [alone]), partial(done, together)
        for ours, _ in pipes:
            ours.send(None)


def done(pipes: list[Connection], work: Work) -> Scaled:
    """Have work done; the slowest process counts."""
    for pipe in pipes:
        pipe.send(work)
    results = [pipe.recv() for pipe in pipes]
    return Scaled([each.result for each in results], max(each.seconds for each in results))


def working(address: str | None, rank: int, commands: Connection) -> None:
    torch.set_num_threads(1)
    keep_freed_memory()  # as runs do
    with met(address, rank, 2, None, here=True) if address else nullcontext():
        follow(commands)


def follow(commands: Connection) -> None:
    while work := commands.recv():
        commands.send(work())


def trained(batch: int, width: float) -> Scaled:
    torch.manual_seed(0)
    _, pool, labels = cifar10(batch)
    net = resnet18(SHAPE, 10, width).to(memory_format=torch.channels_last)
    stream = Stream(pool.images, labels, batch=batch, prepare=lambda x: channels_last(pool.normalise(x)))
    begun = perf_counter()
    fit(Classifier(net, cross_entropy, SGD), stream, steps=STEPS)
    return Scaled(weights_of(net), perf_counter() - begun)


def played(batch: int, width: float) -> Scaled:
    torch.manual_seed(0)
    _, pool, _ = pool_of_vaal(2 * batch)
    vae = image_vae(SHAPE, latent=LATENT, width=width).to(memory_format=torch.channels_last)
    game = AdversarialGame(vae, discriminator(LATENT, LAYERS), AdversarialRules(limit=STEPS, batch=batch))
    streams = (
        Stream(pool.images, batch=batch, indices=indices, prepare=lambda x: channels_last(pool.normalise(x)))
        for indices in torch.arange(len(pool)).chunk(2)
    )
    torch.randn_like = torch.zeros_like  # the noise of the codes, which each process draws for itself
    begun = perf_counter()
    play(game, *streams)
    return Scaled(weights_of(vae), perf_counter() - begun)


def weights_of(net: nn.Module) -> dict[str, Tensor]:
    return {name: values.detach() for name, values in net.named_parameters()}


def same_weights(ours: list[dict[str, Tensor]], theirs: list[dict[str, Tensor]]) -> Check:
    """All processes of both sides end with the same weights."""
    expected = flat(theirs[0])
    furthest = max(float((flat(each) - expected).norm() / expected.norm()) for each in ours)
    return furthest < 0.002, f"weights differ by {furthest:.0e} of their length"


def flat(weights: dict[str, Tensor]) -> Tensor:
    return torch.cat([values.flatten().float() for values in weights.values()])
