"""On a GPU: what training reaches of its peak, a game's steps, a scan, and an exact match of 16 M samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from pictures import PilImages, cifar10
from race import Check, Row, Sizes, race, timed
from scoring import flops, plain, trained
from torch import Tensor
from torch.utils.data import DataLoader

from alsuite.matching.neighbours import Exact
from alsuite.nets.classifiers import vgg16
from alsuite.nets.vae import discriminator, image_vae
from alsuite.pool import Pool
from alsuite.scores import entropy
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.tasks.classification import Classification
from alsuite.training.fit import Stream
from alsuite.training.game import AdversarialGame, AdversarialRules, play

__all__ = ["on_gpu"]

QUERIES, COLUMNS = 10, 50
SHAPE = (3, 32, 32)


def on_gpu(sizes: Sizes) -> Iterator[Row]:
    """Yield the rows of what runs there; none without a GPU."""
    if not torch.cuda.is_available():
        yield Row("on a GPU", "", math.nan, "", verdict="no GPU", gate="torch sees none here")
        return
    name = torch.cuda.get_device_name()
    peak = half_product_speed()
    yield Row(f"an 8192^3 product of bfloat16, {name}", "", peak / 1e12, "TFLOP/s")
    for batch in (64, 512):
        yield vgg16_training(sizes, batch, "bf16-mixed", peak)
        yield vgg16_training(sizes, batch, "32-true", peak)
    yield game_step(sizes)
    yield scan_there(sizes)
    yield exact_match(sizes)


def waited(work: Callable[[], Any]) -> Any:
    """Return what the work gives, once the GPU has done all of it."""
    result = work()
    torch.cuda.synchronize()
    return result


def fastest(work: Callable[[], Any], turns: int) -> float:
    """Return the seconds of the fastest of some turns, after one that counts not."""
    waited(work)
    return min(timed(partial(waited, work))[1] for _ in range(turns))


def half_product_speed(size: int = 8192) -> float:
    """Return the FLOP/s of a bfloat16 product on random values."""
    a = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    return 2 * size**3 / fastest(lambda: a @ a, 10)


def there(pool: Pool) -> Pool:
    """Return a pool of the same images on the GPU, without a label."""
    return Pool(pool.images.to("cuda"), pool.classes, pool.normalise.mean, pool.normalise.std)


def vgg16_training(sizes: Sizes, batch: int, precision: str, peak: float) -> Row:
    """Return what a later epoch of VGG16 reaches of the bfloat16 product; the first one makes the network, too."""
    name, here, labels = cifar10(sizes.images)
    pool = there(here)
    pool.label(torch.arange(len(pool)), labels)
    some, more = (
        Classification(vgg16, epochs=epochs, batch=batch, precision=precision, augment="flip") for epochs in (1, 3)
    )
    seconds = (fastest(lambda: more.learn(pool), sizes.turns) - fastest(lambda: some.learn(pool), sizes.turns)) / 2
    forward = flops(lambda: plain(some.net)(torch.zeros(64, *SHAPE, device="cuda"))) / 64
    share = 3 * forward * len(pool) / seconds / peak
    return Row(
        *(f"VGG16, an epoch of {len(pool)} of {name}, batch {batch}, {precision}", "that product", share, "of it"),
        goal=">= 0.4",
        verdict="met" if share >= 0.4 else "missed",
        ours=seconds,
        turns=sizes.turns,
        gate=f"{len(pool) / seconds:,.0f} images/s",
    )


def game_step(sizes: Sizes) -> Row:
    """Return the milliseconds that a step of VAAL's game takes as table 3 has it."""
    _, here, labels = cifar10(sizes.images)
    pool, known = there(here), torch.arange(len(here) // 5)
    pool.label(known, labels[known])

    def played(steps: int) -> None:
        vae = image_vae(SHAPE, latent=32).to("cuda")
        rows = (
            Stream(pool.images, batch=64, indices=its, prepare=pool.normalise)
            for its in (pool.unlabelled, pool.labelled)
        )
        play(AdversarialGame(vae, discriminator(32, 5).to("cuda"), AdversarialRules(limit=steps)), *rows)

    some, more = (fastest(partial(played, steps), sizes.turns) for steps in (20, 120))
    return Row("VAAL's game at full width, 64 + 64 images", "", (more - some) / 100 * 1000, "ms a step")


def scan_there(sizes: Sizes) -> Row:
    """Race an entropy scan against images that processes bring from PIL."""
    name, here, labels = cifar10(sizes.scan)
    pool = there(here)
    task = trained(vgg16, pool, labels)
    loader = DataLoader(PilImages(here, labels), 512, num_workers=4, pin_memory=True)
    net = plain(task.net)

    def theirs() -> Tensor:
        with torch.no_grad():
            probs = torch.cat([net(images.to("cuda", non_blocking=True)).softmax(-1) for images, _ in loader])
        return (-probs * probs.log()).sum(-1).topk(sizes.top).indices

    def gate(mine: Tensor, other: Tensor) -> Check:
        common = len(set(mine.tolist()) & set(other.tolist()))
        return common >= 0.99 * sizes.top, f"top {sizes.top}: {common} in common"

    def ours() -> Tensor:
        return Uncertainty(entropy).query(pool, task, sizes.top).indices

    what = f"entropy scan, VGG16, {sizes.scan} of {name}"
    return race(what, "PIL DataLoader, 4 processes", ours, theirs, gate, goal=5, turns=sizes.turns)


def exact_match(sizes: Sizes) -> Row:
    """Race the nearest of all images to ten samples against reading them once."""
    features = torch.randn(320 * sizes.points, COLUMNS, device="cuda")
    queries = features[:QUERIES] + 0.01
    index = Exact(features)

    def gate(mine: Tensor, other: float) -> Check:
        found = int((mine[:, 0].cpu() == torch.arange(QUERIES)).sum())
        return found == QUERIES, f"{found} of {QUERIES} found"

    ours = partial(waited, partial(index.nearest, queries, 1))
    theirs = partial(waited, features.sum)
    for side in (ours, theirs):  # the first products choose their kernels
        waited(side)
    what = f"exact match of {QUERIES} in {len(features) / 1e6:g} M x {COLUMNS}"
    return race(what, "a sum of all", ours, theirs, gate, goal=5, turns=sizes.turns, unit="x the time")
