"""Core-set selection, an entropy scan and MC-dropout against the ways they are usually done."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np
import torch
from pictures import PilImages, cifar10
from race import Check, Row, Scaled, Sizes, race, timed
from sklearn.metrics import pairwise_distances
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from alsuite.nets.classifiers import lenet, vgg16
from alsuite.pool import Pool
from alsuite.scores import entropy
from alsuite.strategies.coreset import k_center_greedy
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.tasks.classification import Classification

__all__ = ["core_set", "dropout", "scan"]

MASKS = 10


def core_set(sizes: Sizes) -> Iterator[Row]:
    points, centres = spectrum(sizes.points, 512), spectrum(sizes.centres, 512)
    what = f"core-set {sizes.points // 1000}k x 512, {sizes.centres} centres, {sizes.budget} picks"
    scaled = f"({sizes.picks} picks, scaled up)"
    ours = partial(k_center_greedy, points, centres, sizes.budget)
    loop = partial(loop_core_set, points.numpy(), centres.numpy(), sizes.picks, sizes.budget)
    shared: dict[str, Any] = {"goal": 50, "turns": sizes.turns, "flops": flops(ours)}
    yield race(what, f"pairwise_distances {scaled}", ours, loop, same_picks, **shared)
    peer = import_module("skactiveml.pool").CoreSet(random_state=0)
    known = np.concatenate([np.full(sizes.points, np.nan), np.zeros(sizes.centres)])
    query = partial(peer.query, np.concatenate([points, centres]), known)
    theirs = partial(peer_core_set, query, sizes.picks, sizes.budget)
    yield race(what, f"scikit-activeml {scaled}", ours, theirs, same_picks, **shared)


def spectrum(n: int, d: int) -> Tensor:
    """Gaussian features with falling variances."""
    return torch.randn(n, d) / torch.arange(1, d + 1).sqrt() + 1


def loop_core_set(points: np.ndarray, centres: np.ndarray, picks: int, budget: int) -> Scaled:
    start = perf_counter()
    nearest, chosen = pairwise_distances(points, centres).min(1), []
    begun = perf_counter()
    for _ in range(picks):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, pairwise_distances(points, points[chosen[-1:]])[:, 0])
    return Scaled(chosen, begun - start + (perf_counter() - begun) / picks * budget)


def peer_core_set(query: Callable[..., np.ndarray], picks: int, budget: int) -> Scaled:
    _, first = timed(partial(query, batch_size=1))
    chosen, seconds = timed(partial(query, batch_size=1 + picks))
    return Scaled(chosen.tolist(), first + (seconds - first) / picks * (budget - 1))


def same_picks(ours: tuple[Tensor, Tensor], theirs: list[int]) -> Check:
    """On the picks that the peer did, and on all of a small problem."""
    points, centres = spectrum(1_500, 32).double(), spectrum(50, 32).double()
    exact = loop_core_set(points.numpy(), centres.numpy(), 300, 300).result
    brute = k_center_greedy(points, centres, 300, candidates=64)[0].tolist() == exact
    same = ours[0][: len(theirs)].tolist() == theirs
    return same and brute, f"first {len(theirs)} picks same: {same}, all of a small problem: {brute}"


def scan(sizes: Sizes) -> Iterator[Row]:
    name, pool, labels = cifar10(sizes.scan)
    task = trained(lenet, pool, labels)
    pool = pool.emptied()
    dataset, net = PilImages(pool, labels), plain(task.net)

    def ours() -> Tensor:
        return Uncertainty(entropy).query(pool, task, sizes.top).indices

    def theirs() -> Tensor:
        with torch.no_grad():
            probs = torch.cat([net(images).softmax(-1) for images, _ in DataLoader(dataset, 512)])
        return (-probs * probs.log()).sum(-1).topk(sizes.top).indices

    def gate(mine: Tensor, other: Tensor) -> Check:
        common = len(set(mine.tolist()) & set(other.tolist()))
        return common == sizes.top, f"top {sizes.top}: {common} in common"

    what = f"entropy scan, lenet, {sizes.scan} of {name}"
    cost = flops(lambda: task.log_probs(pool.images[:64])) / 64 * sizes.scan
    yield race(what, "PIL DataLoader, eager float32", ours, theirs, gate, goal=4, turns=sizes.turns, flops=cost)


def dropout(sizes: Sizes) -> Iterator[Row]:
    small, half = partial(lenet, dropout=0.5), partial(vgg16, width=0.5)
    baal, layers, log = map(import_module, ("baal.modelwrapper", "baal.bayesian.dropout", "structlog"))
    log.configure(wrapper_class=log.make_filtering_bound_logger(logging.ERROR))
    for title, net, n in (("lenet", small, 8 * sizes.masked), ("vgg16 of half width", half, sizes.masked)):
        name, pool, labels = cifar10(n)
        task = trained(net, pool, labels)
        settings = baal.TrainingArgs(batch_size=32, workers=0)
        peer = baal.ModelWrapper(layers.MCDropoutModule(plain(task.net)), settings)
        dataset = TensorDataset(pool.normalise(pool.images), labels)
        ours = partial(task.scored, pool.images, chunks_last, MASKS)
        theirs = partial(peer.predict_on_dataset, dataset, MASKS, verbose=False)
        what = f"{MASKS} dropout masks, {title}, {n} of {name}"
        yield race(what, "baal", ours, theirs, same_means, goal=2.5, turns=sizes.turns, flops=flops(ours))


def chunks_last(log_probs_T_N_K: Tensor) -> Tensor:
    return log_probs_T_N_K.transpose(0, 1)


def same_means(log_probs_N_T_K: Tensor, logits_N_K_T: np.ndarray) -> Check:
    """The difference of mean probabilities in standard errors; its root mean square is about 1.1 for 10 masks."""
    mine, other = log_probs_N_T_K.exp().transpose(0, 1), torch.from_numpy(logits_N_K_T).permute(2, 0, 1).softmax(-1)
    error = ((mine.var(0) + other.var(0)) / MASKS + 1e-12).sqrt()
    z = float(((mine.mean(0) - other.mean(0)) / error).square().mean().sqrt())
    return math.isfinite(z) and 0.8 < z < 1.4, f"mean probabilities differ by {z:.2f} standard errors"


def trained(net: Callable[..., nn.Sequential], pool: Pool, labels: Tensor, n: int = 1_000) -> Classification:
    first = torch.arange(min(n, len(pool)))
    pool = pool.emptied()
    pool.label(first, labels[first])
    return Classification(net, epochs=2).learn(pool)


def plain(net: nn.Sequential) -> nn.Sequential:
    """A copy as one writes it without a thought for speed."""
    layers = (nn.MaxPool2d(2) if isinstance(layer, nn.MaxPool2d) else layer for layer in copy.deepcopy(net))
    return nn.Sequential(*layers).to(memory_format=torch.contiguous_format).eval()


def flops(work: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())
