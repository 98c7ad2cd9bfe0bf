"""An epoch, a step and a small cycle of training against plain PyTorch."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from pictures import PilImages, mnist
from race import Check, Row, Sizes, race
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from alsuite.nets.classifiers import lenet, linear
from alsuite.pool import Pool
from alsuite.tasks.classification import Classifier
from alsuite.training.descent import optimiser
from alsuite.training.fit import Stream, channels_last, fit
from alsuite.training.losses import cross_entropy

__all__ = ["epoch", "seeds", "small_cycle", "step"]

ADAM: dict[str, Any] = {"name": "adam", "lr": 1e-3}
Outcome = tuple[nn.Module, int]


@dataclass(frozen=True)
class Training:
    """The same training by `fit` and by loops in plain PyTorch, from the same weights."""

    net: Callable[..., nn.Sequential]
    pool: Pool
    labels: Tensor
    batch: int
    steps: int
    seed: int = 0

    def ours(self) -> Outcome:
        module = Classifier(self._seeded(), cross_entropy, ADAM)
        fit(module, self._stream(), steps=self.steps)
        return module.net, module.step

    def bare(self) -> Outcome:
        return loop(self._seeded(), islice(self._stream().endless(), self.steps))

    def from_pil(self) -> Outcome:
        net, dataset = self._seeded(torch.contiguous_format), PilImages(self.pool, self.labels)
        order = torch.randperm(len(dataset)).tolist()  # the stream's first epoch
        return loop(net, DataLoader(dataset, self.batch, sampler=order))

    def accuracy(self, net: nn.Module) -> float:
        with torch.inference_mode():
            guesses = net(self.pool.normalise(self.pool.images)).argmax(1)
        return float((guesses == self.labels).float().mean())

    def flops(self) -> float:
        net, batches = self._seeded(), islice(self._stream(), 1)
        with FlopCounterMode(display=False) as counter:
            loop(net, batches)
        return float(counter.get_total_flops()) * self.steps

    def _seeded(self, memory_format: torch.memory_format = torch.channels_last) -> nn.Sequential:
        torch.manual_seed(self.seed)
        shape = tuple(self.pool.images.shape[1:])
        return self.net(shape, self.pool.classes).to(memory_format=memory_format)

    def _stream(self) -> Stream:
        def prepare(images: Tensor) -> Tensor:
            return channels_last(self.pool.normalise(images))

        return Stream(self.pool.images, self.labels, batch=self.batch, prepare=prepare)


def loop(net: nn.Sequential, batches: Iterable[Any]) -> Outcome:
    steps, count = optimiser(net.parameters(), **ADAM), 0
    for images, labels in batches:
        loss = cross_entropy(net(images), labels)
        steps.zero_grad()
        loss.backward()
        steps.step()
        count += 1
    return net.eval(), count


def epoch(sizes: Sizes) -> Iterator[Row]:
    for net, batch, goal in ((linear, 10, 5), (linear, 64, 10), (lenet, 50, 1.5)):
        training, what = of_mnist(net, batch, sizes.images)

        def gate(ours: Outcome, theirs: Outcome, training: Training = training) -> Check:
            scores, steps = [training.accuracy(net) for net, _ in (ours, theirs)], (ours[1], theirs[1])
            text = f"accuracy {scores[0]:.3f} and {scores[1]:.3f}, steps {steps[0]} and {steps[1]}"
            return abs(scores[0] - scores[1]) < 0.005 and steps[0] == steps[1], text

        sides = (training.ours, training.from_pil)
        yield race(
            f"epoch of {what}", "PIL DataLoader", *sides, gate, goal=goal, turns=sizes.turns, flops=training.flops()
        )


def step(sizes: Sizes) -> Iterator[Row]:
    for net, batch in ((linear, 10), (lenet, 50)):
        training, what = of_mnist(net, batch, sizes.images)
        yield against_loop(f"Lightning's steps of {what}", training, sizes, goal=1.25)


def small_cycle(sizes: Sizes) -> Iterator[Row]:
    training, what = of_mnist(linear, 10, 500, epochs=10)
    yield against_loop(f"10 epochs of {what}", training, sizes, goal=1.3)
    once = replace(training, steps=1)
    yield against_loop("a fit of one step", once, replace(sizes, turns=4 * sizes.turns), goal=10, unit="ms more")


def against_loop(what: str, training: Training, sizes: Sizes, goal: float, unit: str = "x the time") -> Row:
    sides, flops = (training.ours, training.bare), training.flops()
    return race(what, "bare loop", *sides, same_weights, goal=goal, unit=unit, turns=sizes.turns, flops=flops)


def same_weights(ours: Outcome, theirs: Outcome) -> Check:
    pairs = zip(ours[0].parameters(), theirs[0].parameters(), strict=True)
    furthest = max(float((a - b).detach().abs().max()) for a, b in pairs)
    return furthest < 1e-5 and ours[1] == theirs[
        1
    ], f"weights differ by {furthest:.0e}, steps {ours[1]} and {theirs[1]}"


def seeds(sizes: Sizes) -> Iterator[Row]:
    training, what = of_mnist(lenet, 50, sizes.images)
    pair = [training, replace(training, seed=1)]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, spawn, initializer=torch.set_num_threads, initargs=(1,)) as processes:
        list(processes.map(final_accuracy, [replace(training, steps=1)] * 4))

        def gate(ours: list[float], theirs: list[float]) -> Check:
            text = ", ".join(f"{a:.3f} and {b:.3f}" for a, b in zip(ours, theirs, strict=True))
            return max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 0.02, f"accuracies {text}"

        def side_by_side() -> list[float]:
            return list(processes.map(final_accuracy, pair))

        def one_by_one() -> list[float]:
            return [final_accuracy(training) for training in pair]

        what = f"2 seeds side by side, {what}"
        yield race(what, "one after another", side_by_side, one_by_one, gate, goal=1.8, turns=sizes.turns)


def final_accuracy(training: Training) -> float:
    return training.accuracy(training.ours()[0])


def of_mnist(net: Callable[..., nn.Sequential], batch: int, n: int, epochs: int = 1) -> tuple[Training, str]:
    name, pool, labels = mnist(n)
    training = Training(net, pool, labels, batch, epochs * math.ceil(n / batch))
    return training, f"{net.__name__}, batch {batch}, {n} of {name}"
