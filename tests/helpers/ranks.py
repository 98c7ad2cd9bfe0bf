"""What several processes do together, for tests of it; each function here runs in a process of its own."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from unittest.mock import patch

import torch
from torch import Tensor, nn

from alsuite import ranks
from alsuite.budget import Budget, uniform
from alsuite.command.processes import server
from alsuite.command.several import met
from alsuite.data.digits import digits
from alsuite.errors import UserError
from alsuite.generators.autoencoder import AutoEncoder
from alsuite.generators.gan import GAN, GANGame, GANRules
from alsuite.loop import seed_all
from alsuite.nets.autoencoders import autoencoder
from alsuite.nets.classifiers import linear
from alsuite.nets.gans import dcgan, wgan_gp
from alsuite.nets.segmenters import segnet_small
from alsuite.nets.vae import discriminator, feature_vae, image_vae, small_vae
from alsuite.oracle import ideal
from alsuite.pool import VOID, Pool
from alsuite.scores import entropy, variation_ratio
from alsuite.strategies import Query, Strategy, aalu
from alsuite.strategies.aalu import AALU, Assistance
from alsuite.strategies.badge import Badge
from alsuite.strategies.committee import Committee
from alsuite.strategies.coreset import CoreSet
from alsuite.strategies.dal import Discrimination
from alsuite.strategies.random import Random
from alsuite.strategies.suggestive import Suggestive
from alsuite.strategies.typiclust import TypiClust
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.strategies.vaal import VAAL
from alsuite.tasks import Task
from alsuite.tasks.classification import Classification, Classifier
from alsuite.tasks.m2 import M2
from alsuite.training import fit as fitting
from alsuite.training import together
from alsuite.training.fit import Stream, fit, infer
from alsuite.training.game import AdversarialGame, AdversarialRules, play
from alsuite.training.losses import cross_entropy
from helpers.masks import fast_segmentation, mask_pool
from helpers.pools import digit_pool
from helpers.runs import perform

__all__ = ["KilledOnce", "on_ranks"]

Result = TypeVar("Result")
SHAPE = (1, 8, 8)


def on_ranks(work: Callable[[], Result], count: int = 2) -> list[Result]:
    """Return what the work gives on each of as many ranks."""
    context, pipes = server(), []
    with TemporaryDirectory() as folder:
        for rank in range(count):
            ours, theirs = context.Pipe(duplex=False)
            its = (work, f"file://{folder}/meeting", rank, count, theirs)
            context.Process(target=_rank, args=its, daemon=True).start()  # one that waits for a dead one must not stay
            theirs.close()
            pipes.append(ours)
        return [pickle.loads(ours.recv_bytes()) for ours in pipes]


def _rank(work: Callable[[], Any], address: str, rank: int, count: int, parent: Connection) -> None:
    torch.set_num_threads(1)
    together.LARGE = 50  # so that tests have gradients of both kinds
    seed_all(0, 0)
    with met(address, rank, count, None, here=True):
        parent.send_bytes(pickle.dumps(work()))  # `send` would leave tensors behind, for a process that is gone


@contextmanager
def nothing_drawn() -> Iterator[None]:
    """Let batches come in the order of their indices, and noise be none, so that trainings can be compared."""
    shuffled, noise = fitting.permutation, torch.randn_like
    fitting.permutation, torch.randn_like = torch.arange, torch.zeros_like  # type: ignore[assignment]
    try:
        yield
    finally:
        fitting.permutation, torch.randn_like = shuffled, noise


def normed(shape: Any = SHAPE, outputs: int = 10) -> nn.Sequential:
    convolution = nn.Conv2d(shape[0], 6, 3, padding=1, bias=False)
    flat = [nn.Flatten(), nn.Linear(6 * shape[1] * shape[2], 8), nn.BatchNorm1d(8, affine=False), nn.ReLU()]
    return nn.Sequential(convolution, nn.BatchNorm2d(6), nn.ReLU(), *flat, nn.Linear(8, outputs))


def state(module: nn.Module) -> dict[str, list[float]]:
    return {name: value.flatten().tolist() for name, value in module.state_dict().items()}


def pool_with(labels: int) -> Pool:
    pool, targets = digit_pool(0)
    pool.label(torch.arange(labels), targets[:labels])
    return pool


def classified(batch: int, steps: int = 8) -> dict[str, list[float]]:
    """Return the weights of a classifier with batch norm after some steps."""
    seed_all(0, 0)
    pool, net = pool_with(60), nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), *normed())
    stream = Stream(pool.images, pool.labels, batch=batch, indices=pool.labelled, prepare=pool.normalise)
    with nothing_drawn():
        fit(Classifier(net, cross_entropy, {"name": "sgd", "lr": 0.05}), stream, steps=steps)
    return state(net)


def penalised() -> str:
    """Return what a gradient of a gradient through batch norm ends in."""
    net, images = normed(outputs=1), torch.rand(6, *SHAPE, requires_grad=True)
    try:
        with together.together(net):
            torch.autograd.grad(net(images).sum(), images, create_graph=True)
    except UserError as error:
        return str(error)
    return ""


def dice() -> tuple[list[int], list[int]]:
    """Return an order of a training in which something was drawn, and one that is drawn after it."""
    with ranks.training():
        torch.rand(1)
        order = torch.randperm(9, generator=ranks.order()).tolist()
    return order, torch.randperm(9).tolist()


def served(batch: int, within: int | None = None) -> list[list[int]]:
    """Return what a rank is served of batches of 20 numbers."""
    numbers = torch.arange(20).view(20, 1)
    with nothing_drawn(), ranks.training():
        return [part.flatten().tolist() for (part,) in Stream(numbers, batch=batch, within=within)]


def played(reduction: str) -> dict[str, list[float]]:
    """Return the weights of the VAE and of D after some steps of their game."""
    seed_all(0, 0)
    pool = pool_with(40)
    nets = image_vae(SHAPE, latent=4, width=1 / 16), discriminator(4, 2)
    rules = AdversarialRules(limit=4, batch=10, lr=1e-3, discriminator_lr=1e-3, kl_reduction=reduction)
    streams = (
        Stream(pool.images, batch=10, indices=indices, prepare=pool.normalise)
        for indices in (pool.unlabelled[:80], pool.labelled)
    )
    with nothing_drawn():
        game = play(AdversarialGame(*nets, rules), *streams)
    return state(game)


def discriminated() -> tuple[dict[str, list[float]], int]:
    """Return the weights of DAL's discriminator, and after how many of its steps it was right often enough."""
    seed_all(0, 0)
    features = torch.randn(60, 5)
    features[20:, 0] += 3
    learning = Discrimination(discriminator(5, 2, 16), 0.01, 0.9, 4)
    with nothing_drawn():
        pools = (Stream(features, batch=10, indices=indices) for indices in (torch.arange(20, 60), torch.arange(20)))
        fit(learning, *pools, steps=600)
    return state(learning.net), learning.done


def made(root: Path, kind: str) -> dict[str, list[float]]:
    """Return the weights of a generator, or an auto-encoder, that is trained once, or read."""
    folder, pool = f"{root}/pretrained/digits", digit_pool()[0]
    if kind == "autoencoder":
        net = partial(autoencoder, width=1 / 16)
        return state(AutoEncoder(net, name=kind, folder=folder, epochs=1, batch=50, features=8).trained(pool))
    losses = {"dcgan": (dcgan, "cross_entropy"), "wgan_gp": (wgan_gp, "wasserstein")}
    small, loss = partial(losses[kind][0], latent=4, width=1 / 16), losses[kind][1]
    gan = GAN(small, name=kind, folder=folder, iterations=4, batch=5, critic_steps=3, loss=loss)
    return state(gan.trained(pool))


def gan_steps(batch: int, generator_batch: int, critic_steps: int) -> tuple[list[int], list[int]]:
    """Return how many real images each of a critic's steps in an iteration has on this rank, and the samples made."""
    net, pool = wgan_gp(SHAPE, latent=4, width=1 / 16), digit_pool()[0]
    game = GANGame(net, GANRules(batch=batch, generator_batch=generator_batch, critic_steps=critic_steps))
    real, made, loss, samples = [], [], game.discriminator_loss, game.generator_loss
    game.discriminator_loss = lambda images: real.append(len(images)) or loss(images)  # type: ignore[method-assign]
    game.generator_loss = lambda n: made.append(n) or samples(n)  # type: ignore[method-assign]
    with ranks.training():
        (images,) = next(iter(Stream(pool.images, batch=game.batch, within=game.within, prepare=game.prepare)))
        game.step(images, 0.0)
    return real, made


def epoch(images: int, batch: int) -> list[int]:
    """Return the images that a rank is served in an epoch, in an order that is drawn."""
    with ranks.training():
        return [int(i) for (part,) in Stream(torch.arange(images).view(-1, 1), batch=batch) for i in part.flatten()]


def scanned(images: int, size: int) -> tuple[Tensor, Tensor, float]:
    """Return two outputs of a scan, and what is drawn after it."""
    seed_all(0, 0)
    net, pool = normed().eval(), digit_pool()[0]

    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        outputs = net(x)
        return outputs, outputs.argmax(1) > 4

    outputs, large = infer(both, pool.images[:images], pool.normalise, size)
    return outputs, large, float(torch.rand(()))


def placed(n: int, size: int) -> list[int]:
    """Return where a scan says that each image stands."""
    return infer(
        lambda x, at: torch.arange(n)[at] + x, torch.zeros(n, dtype=torch.int64), size=size, placed=True
    ).tolist()


def drawn(n: int) -> tuple[list[float], float]:
    """Return what a scan draws for each image, and what is drawn after it."""
    found = infer(lambda x: torch.rand(len(x)), torch.zeros(n, 1), size=10)
    return found.tolist(), float(torch.rand(()))


def nested(n: int) -> list[float]:
    """Return what a scan of scans finds."""
    return infer(lambda x: infer(lambda part: part + 1, x, size=3), torch.arange(float(n)), size=10).tolist()


def told(folder: Path) -> tuple[int, int]:
    """Return this rank, and what the first one has drawn, which alone writes a file."""

    def work() -> int:
        (folder / f"written by {os.getpid()}").touch()
        return int(torch.randint(1000, ()))

    return ranks.place(), ranks.told(work)


def segmented(batch: int, weighted: bool) -> dict[str, list[float]]:
    """Return the weights of a segmenter after some steps on masks, of which half of some is void."""
    seed_all(0, 0)
    (pool, targets), net = mask_pool(labelled=0), partial(segnet_small, channels=(8, 16))
    targets[::3, :8] = VOID
    pool.label(torch.arange(16), targets[:16])
    with nothing_drawn():
        return state(
            fast_segmentation(net=net, batch=batch, weighted=weighted, optimiser="sgd", epochs=3).learn(pool).net
        )


def semi_supervised(detached: bool) -> dict[str, list[float]]:
    """Return the weights of M2's networks after some steps."""
    seed_all(0, 0)
    vae = partial(small_vae, latent=4, width=0.25)
    kind = "detached" if detached else "adversarial"
    task = M2(normed, vae, discriminator=kind, discriminator_layers=2, steps=4, batch=10, optimiser="sgd", lr=0.05)
    with nothing_drawn():
        return state(task.learn(pool_with(40)).game)


class Members:
    """Makes tasks that learn nothing more: of these weights, then of ones that are a little different each time."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.weights, self.made = weights, 0

    def __call__(self) -> Members:
        self.made += 1
        return self

    def learn(self, pool: Pool) -> Classification:
        its = {name: value * (1 + 0.1 * self.made) for name, value in self.weights.items()}
        return Classification(normed).recalled(pool, its)


class Unplayed(AALU):
    """Has networks that were never trained, and so are the same on any ranks."""

    def trained(self, pool: Pool, features: Tensor, probs: Tensor, losses: Tensor) -> Assistance:
        with patch.object(aalu, "play", lambda game, *_: game.eval()):
            return super().trained(pool, features, probs, losses)


STRATEGIES: dict[str, Callable[[dict[str, Tensor]], Strategy]] = {
    "random": lambda weights: Random(),
    "entropy": lambda weights: Uncertainty(entropy),
    "coreset": lambda weights: CoreSet(),
    "badge": lambda weights: Badge(),
    "typiclust": lambda weights: TypiClust(),
    "committee": lambda weights: Committee(Members(weights), variation_ratio, 3),  # type: ignore[arg-type]
    "suggestive": lambda weights: Suggestive(Members(weights)),  # type: ignore[arg-type]
    "aalu": lambda weights: Unplayed(partial(feature_vae, latent=4, hidden=16), assistant_layers=2),
}


def picked(name: str, weights: dict[str, Tensor]) -> list[int]:
    """Return what a strategy asks for by a task of these weights."""
    pool = pool_with(40)
    seed_all(3, 1, part=1)
    task = Classification(normed).recalled(pool, weights)
    return STRATEGIES[name](weights).query(pool, task, 30).indices.tolist()


def judged(weights: dict[str, Tensor]) -> list[int]:
    """Return what VAAL asks for by a game of these weights."""
    pool = pool_with(40)
    strategy = VAAL(partial(image_vae, latent=4, width=1 / 16), discriminator_layers=2)
    nets = image_vae(SHAPE, latent=4, width=1 / 16), discriminator(4, 2)
    game = AdversarialGame(*nets, AdversarialRules(batch=10))
    game.load_state_dict(weights)
    scores, _ = strategy.scored(game.eval(), pool, torch.empty(len(pool), 0))
    return Query.best(pool.unlabelled, scores, 30).indices.tolist()


def brightest(targets: Tensor, n: int, generator: torch.Generator, *, images: Tensor) -> Tensor:
    """Choose the first labels by a scan of the images."""
    return infer(lambda some: some.float().mean((1, 2, 3)), images).topk(n).indices


class KilledOnce:
    """Asks at random, but kills the second rank in the second cycle, unless a file says that it has done so."""

    def __init__(self, file: str) -> None:
        self.file = file

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        if ranks.place() == 1 and len(pool.labelled) > 10 and not Path(self.file).exists():
            Path(self.file).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Random().query(pool, task, n)


POOLS: list[Pool] = []


class OwnPicks:
    """Picks other images on each rank, as rounding may make a strategy do."""

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        POOLS[:] = [pool]
        return Query(pool.unlabelled[0 if ranks.first() else 7 :][:n])


def own_picks(folder: str) -> tuple[list[int], bool]:
    """Return what a run has labelled in the end, and whether all labels are those of their images."""
    data = digits()
    parts: dict[str, Any] = {"initial": uniform, "budget": Budget(20, 10, 40), "oracle": ideal, "strategy": OwnPicks()}
    about = {"config": {"experiment": "test", "seed": 0}}
    model = partial(Classification, linear, epochs=1, batch=10)
    perform(about, Path(folder), dataset=data, seed=0, task_model=model, **parts)
    (pool,) = POOLS
    return pool.labelled.tolist(), torch.equal(pool.labels[pool.labelled], data.train.targets[pool.labelled])
