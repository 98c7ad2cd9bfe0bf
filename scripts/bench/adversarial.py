"""VAAL's training and scoring against the public release of its authors, and AALU's query against VAAL's.

The release is the reader's own checkout of github.com/sinhasam/vaal, in the folder ALSUITE_VAAL_RELEASE. Its modules
run as they are but for two things: D's outputs are given to its loss as a vector, without which PyTorch refuses them,
and the flip of the images it scores is off, since it would change the scores from run to run.
"""

from __future__ import annotations

import contextlib
import copy
import io
import math
import os
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from pictures import PilImages, cifar10
from race import Check, Row, Scaled, Sizes, race
from scoring import flops, trained
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy
from torch.utils.data import DataLoader

from alsuite.nets.classifiers import resnet18
from alsuite.nets.vae import VAE, discriminator, feature_vae, image_vae
from alsuite.pool import Pool
from alsuite.scores import best
from alsuite.strategies.aalu import AALU
from alsuite.strategies.vaal import VAAL, encoded
from alsuite.training.fit import Stream, channels_last, infer
from alsuite.training.game import AdversarialGame, AdversarialRules, play
from alsuite.training.losses import bound

__all__ = ["query_times", "vaal_iteration", "vaal_scoring"]

LATENT, LAYERS, SHAPE = 32, 3, (3, 32, 32)
STEPS = 4  # the fewest that the release's schedule takes, one aside
RELEASE = "VAAL's release"
CLONE = "git clone https://github.com/sinhasam/vaal and set ALSUITE_VAAL_RELEASE to its folder"


class Nets(NamedTuple):
    vae: VAE
    discriminator: nn.Module


class Peer(NamedTuple):
    """The release's modules, and networks of it."""

    solver: Any
    sampler: Any
    data: Any
    vae: Any
    discriminator: Any


def release() -> Peer | None:
    folder = os.environ.get("ALSUITE_VAAL_RELEASE", "")
    if not folder or not Path(folder, "solver.py").exists():
        return None
    sys.path.insert(0, folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solver, sampler, data, model = map(import_module, ("solver", "sampler", "custom_datasets", "model"))
            return Peer(solver, sampler, data, model.VAE(LATENT), model.Discriminator(LATENT))
    finally:
        sys.path.remove(folder)


def missing(what: str) -> Row:
    return Row(what, RELEASE, math.nan, "", verdict="not installed", gate=CLONE)


def same_weights(peer: Peer) -> Nets:
    """Our networks with the release's weights, which fit one to one: its two heads are one layer of ours."""
    vae = peer.vae
    heads = (torch.cat([getattr(vae.fc_mu, name), getattr(vae.fc_logvar, name)]) for name in ("weight", "bias"))
    *decoder, last, bias = vae.decoder.state_dict().values()
    ours = Nets(image_vae(SHAPE, latent=LATENT), discriminator(LATENT, LAYERS))
    fill(ours.vae, [*vae.encoder.state_dict().values(), *heads, *decoder, last.transpose(0, 1), bias])
    fill(ours.discriminator, [*peer.discriminator.state_dict().values()])
    ours.vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Nets(ours.vae.eval(), ours.discriminator.eval())


def fill(net: nn.Module, values: list[Tensor]) -> None:
    net.load_state_dict(dict(zip(net.state_dict(), values, strict=True)))


def vaal_iteration(sizes: Sizes) -> Iterator[Row]:
    batch, peer = batch_size(sizes), release()
    what = f"iteration of VAAL, batch {batch} + {batch}"
    if peer is None:
        return (yield missing(what))
    name, pool, labels = pool_of_vaal(2 * batch)
    images, start = pool.normalise(pool.images), same_weights(peer)

    def gate(ours: Nets, theirs: Nets) -> Check:
        updated = [changed(start, nets) for nets in (ours, theirs)]
        before, *after = (energy(nets.vae, images) for nets in (start, ours, theirs))
        alike = abs(after[0] - after[1]) < 0.1 * min(after)  # False where one is no number
        text = (
            f"{updated[0]:,} and {updated[1]:,} values updated, bound {before:.4g} to {after[0]:.4g} and {after[1]:.4g}"
        )
        return alike and updated[0] == updated[1] == values(start), text

    ours = partial(play_ours, start, pool, batch)
    theirs = partial(play_theirs, peer, images, labels, batch)
    cost = flops(lambda: play_ours(start, pool, 2)) / STEPS / 2 * batch
    yield race(f"{what} of {name}", RELEASE, ours, theirs, gate, goal=1, turns=sizes.turns, flops=cost)


def batch_size(sizes: Sizes) -> int:
    return min(64, sizes.masked // 4)


def pool_of_vaal(n: int) -> tuple[str, Pool, Tensor]:
    name, pool, labels = cifar10(n)
    return name, Pool(pool.images, pool.classes, [0.5] * 3, [0.5] * 3), labels


def play_ours(start: Nets, pool: Pool, batch: int) -> Scaled:
    game = AdversarialGame(*copy.deepcopy(start), AdversarialRules(limit=STEPS, batch=batch, kl_reduction="sum"))
    empty = torch.empty(len(pool), 0)
    labelled, unlabelled = (
        Stream(pool.images, empty, batch=batch, indices=indices, prepare=lambda x: channels_last(pool.normalise(x)))
        for indices in torch.arange(len(pool)).chunk(2)
    )
    begun = perf_counter()
    play(game, unlabelled, labelled)
    assert game.discriminator is not None
    return Scaled(Nets(game.vae, game.discriminator), (perf_counter() - begun) / STEPS)


def play_theirs(peer: Peer, images: Tensor, labels: Tensor, batch: int) -> Scaled:
    """Its loop with a task model that costs next to nothing; of ten equal images that one is right about just one."""
    rows = torch.arange(len(images))
    labelled, unlabelled = ([(images[i], labels[i], i)] for i in rows.chunk(2))
    settings = {"num_images": STEPS * batch, "train_epochs": 1, "batch_size": batch, "budget": 1, "cuda": False}
    rules = {"num_vae_steps": 1, "num_adv_steps": 1, "beta": 1, "adversary_param": 1}
    tested = images[:1].expand(10, *SHAPE), torch.arange(10)
    solver = peer.solver.Solver(SimpleNamespace(**settings, **rules), [tested])
    solver.bce_loss = lambda found, wanted: binary_cross_entropy(found.squeeze(1), wanted)
    task = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10))
    nets = copy.deepcopy((peer.vae, peer.discriminator))
    begun = perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        solver.train(labelled, [(*tested, tested[1])], task, *nets, unlabelled)
    seconds = (perf_counter() - begun) / STEPS
    return Scaled(same_weights(peer._replace(vae=nets[0], discriminator=nets[1])), seconds)


def values(nets: Nets) -> int:
    return sum(values.numel() for net in nets for values in net.parameters())


def changed(start: Nets, nets: Nets) -> int:
    """How many values lie in tensors that differ from those at the start."""
    pairs = zip(nn.ModuleList(start).parameters(), nn.ModuleList(nets).parameters(), strict=True)
    return sum(b.numel() for a, b in pairs if not torch.equal(a, b))


def energy(vae: VAE, images: Tensor) -> float:
    """The negative bound of the release, of the means of the codes, with the batch's own statistics."""
    vae = copy.deepcopy(vae).train()
    with torch.no_grad():
        mu, logvar = vae.encode(channels_last(images))
        return float(bound(images, vae.decoder(mu), mu, logvar, reduction="sum").mean())


class Numbered(PilImages):
    """What the release's data sets give: an image, its label, its index."""

    def __getitem__(self, i: int) -> Any:
        return *super().__getitem__(i), i


def vaal_scoring(sizes: Sizes) -> Iterator[Row]:
    n, budget, peer = sizes.scan // 10, sizes.top // 10, release()
    what = f"scores of VAAL, {n} images"
    if peer is None:
        return (yield missing(what))
    name, pool, labels = pool_of_vaal(n)
    nets = same_weights(peer)
    dataset = Numbered(pool, labels)
    dataset.transform = peer.data.cifar10_transformer()
    dataset.transform.transforms[0].p = 0.0
    ready = [*zip(*(part.split(128) for part in (pool.normalise(pool.images), labels, torch.arange(n))), strict=True)]
    ours = partial(score_ours, nets, pool, budget)
    cost = flops(lambda: nets.vae.encode(pool.normalise(pool.images[:8]))) / 8 * n
    for title, data in (("its DataLoader", DataLoader(dataset, 128)), ("ready tensors", ready)):
        sides, shared = (ours, partial(score_theirs, peer, data, budget)), {"turns": min(2, sizes.turns), "flops": cost}
        yield race(f"{what} of {name}", f"{RELEASE}, {title}", *sides, same_scores, goal=3, **shared)


def score_ours(nets: Nets, pool: Pool, budget: int) -> tuple[Tensor, Tensor]:
    codes, _ = encoded(nets.vae, pool, pool.unlabelled)
    scores = -infer(nets.discriminator, codes)
    return torch.sigmoid(-scores), pool.unlabelled[best(scores, budget)]


def score_theirs(peer: Peer, data: Any, budget: int) -> tuple[Tensor, Tensor]:
    vae, finder, seen = peer.vae.eval(), peer.discriminator.eval(), []
    with finder.register_forward_hook(lambda *given: seen.append(given[-1].squeeze(1))):
        picks = peer.sampler.AdversarySampler(budget).sample(vae, finder, data, cuda=False)
    return torch.cat(seen), torch.from_numpy(picks)


def same_scores(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> Check:
    furthest = float(((ours[0] - theirs[0]).abs() / theirs[0]).max())
    same = set(ours[1].tolist()) == set(theirs[1].tolist())
    return furthest < 1e-4 and same, f"P(labelled) differs by {furthest:.0e} of itself, picks same: {same}"


def query_times(sizes: Sizes) -> Iterator[Row]:
    """AALU, table 2: whole queries of both, at the papers' widths; VAAL does a few of the steps, scaled up."""
    n, steps, batch = sizes.images // 5, 3 * sizes.images // 100, batch_size(sizes)
    name, pool, labels = pool_of_vaal(n)
    task = trained(resnet18, pool, labels, n // 10)
    pool.label(torch.arange(n // 10), labels[: n // 10])
    rules: dict[str, Any] = {"epochs": steps}
    aalu = AALU(partial(feature_vae, latent=LATENT), batch=2 * batch, limit=steps, **rules)
    vaal = VAAL(partial(image_vae, latent=LATENT), batch=batch, limit=min(STEPS, steps), **rules)
    ours = partial(query, aalu, pool, task, 1)
    theirs = partial(query, vaal, pool, task, steps / min(STEPS, steps))
    against, shared = f"VAAL ({STEPS} steps, scaled up)", {"goal": 5.4, "turns": min(2, sizes.turns)}
    yield race(f"query of AALU, {n} of {name}, {steps} steps", against, ours, theirs, asked, **shared)


def query(strategy: Any, pool: Pool, task: Any, scale: float) -> Scaled:
    begun = perf_counter()
    asked_for = strategy.query(pool, task, len(pool) // 20)
    seconds, fitting = perf_counter() - begun, asked_for.notes["fit_seconds"]
    return Scaled((asked_for.indices, pool), seconds + (scale - 1) * fitting)


def asked(ours: tuple[Tensor, Pool], theirs: tuple[Tensor, Pool]) -> Check:
    """Both asked for as many different images as they should, none of them known."""
    fresh = [int((~pool.known[picks.unique()]).sum()) for picks, pool in (ours, theirs)]
    return fresh == [len(ours[1]) // 20] * 2, f"{fresh[0]} and {fresh[1]} asked for of {len(ours[1])}"
