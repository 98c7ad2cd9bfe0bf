"""A training that is done once: kept as <folder>/<name>-<hash>, under a lock, and resumed to the same bits on a CPU.

The hash tells apart whatever the weights depend on: images (of more than 64 MB evenly spaced parts), configuration,
iterations, and the code that trains them.
Every so many iterations all generators of random numbers are seeded anew, so that a checkpoint needs none of their
state, and the rest of the run doesn't notice whether there was a training. It computes in float32, whatever precision
the run's other networks take.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torchvision.utils import save_image

from alsuite import ranks
from alsuite.errors import UserError
from alsuite.generators import Spent
from alsuite.palette import seen
from alsuite.pool import Pool
from alsuite.progress import say, watched
from alsuite.training import rehearsal, shipped, weights
from alsuite.training.fit import Batch, Stream, check_finite, fit
from alsuite.training.weights import Checkpoint

__all__ = ["Game", "Kept", "chosen", "makers", "originals", "trained_once"]

EVERY = 500  # iterations from a checkpoint to the next
WEIGHTS, CHECKPOINT, CURVES, PICTURE = "weights.safetensors", "checkpoint.pt", "curves.csv", "samples.png"

Follower = Callable[[str, Mapping[str, float], Path], None]  # told a training's name, its latest losses and a picture
followers: list[Follower] = []


class Game(Protocol):
    """What is trained: networks, their optimisers, and an iteration on a batch of prepared images."""

    batch: int
    within: int  # images of a batch that are one step's
    curves: tuple[str, ...]  # what a step's losses are called

    @property
    def net(self) -> nn.Module: ...

    @property
    def optimisers(self) -> Sequence[Optimizer]: ...

    def prepare(self, images: Tensor) -> Tensor: ...

    def step(self, images: Tensor, progress: float) -> Tensor:
        """The losses, after the optimisers' steps; `progress` is in 0..1."""
        ...

    def pictures(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in 0..1 that show how good the networks are, of images or of none."""
        ...


class Training(LightningModule):
    def __init__(self, game: Game, iterations: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = game.net
        self.game = game
        self.iterations = iterations
        self.done = 0
        self.losses = torch.zeros(len(game.curves))  # summed since the last checkpoint

    def configure_optimizers(self) -> list[Optimizer]:
        return [*self.game.optimisers]

    def training_step(self, block: Iterable[tuple[Batch]], _: int) -> None:
        losses = torch.zeros(len(self.losses), device=self.device)
        for ((images,),) in block:
            losses += self.game.step(images, self.done / self.iterations)
            self.done += 1
        check_finite(losses.sum(), "generator")
        self.losses += losses.cpu()

    def checkpoint(self) -> Checkpoint:
        optimisers = [each.state_dict() for each in self.game.optimisers]
        return {"weights": self.state_dict(), "optimisers": optimisers, "done": self.done}

    def resume(self, checkpoint: Checkpoint, home: Path) -> None:
        self.restore(checkpoint["weights"], home)
        for optimiser, state in zip(self.game.optimisers, checkpoint["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        self.done = checkpoint["done"]

    def restore(self, state: dict[str, Tensor], home: Path) -> None:
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise UserError(f"{home} holds other layers than this version builds: delete it to train again") from error


class Kept(NamedTuple):
    net: Any  # in eval mode and frozen; `spent` is what its training took
    home: Path


def trained_once(
    game: Callable[[], Game], pool: Pool, folder: str | Path, net: Callable[..., nn.Module], whole: int, **config: Any
) -> Kept:
    """Return the game's network, trained for config["iterations"] of the whole, and where it is kept."""
    images, folder = originals(pool), Path(folder)
    facts = weights.about(images, net, game.__module__, **config)
    name = f"{config['name']}-{weights.key(facts)}"
    with rehearsal.lasting(), weights.one_trainer(folder.parent / f".{name}.lock", folder / name), _own_randomness():
        _seed(config["seed"], -1)
        training = Training(game(), config["iterations"])
        same = (found.parent for found in sorted(folder.parent.glob(f"*/{name}/{WEIGHTS}")))
        home = next(same, folder / name)  # another data set may hold the same images
        if state := ranks.told(lambda: weights.read(home / WEIGHTS, facts)):
            training.restore(state, home)
            if ranks.first() and not rehearsal.under_way():
                (home / CHECKPOINT).unlink(missing_ok=True)  # of a process that was killed before it did so
        elif came := ranks.told(lambda: shipped.found(shipped.about(facts, makers(net, game)))):
            training.restore(came.state, home)
            _keep(training, home, facts, came.row)
        elif rehearsal.under_way():
            done = weights.read_checkpoint(home / CHECKPOINT, facts).get("done", 0)
            fit(training, _stream(training.game, images, pool.device), steps=max(1, training.iterations - done))
        else:
            _train(training, images, pool.device, home, facts)
    kept: Any = training.net.eval().requires_grad_(False)
    seconds = sum(row[1] for row in _curves(home, training.iterations))
    kept.spent = Spent(training.iterations, seconds, seconds * whole / training.iterations)
    return Kept(kept, home)


def makers(net: Callable[..., nn.Module], trainer: object) -> tuple[str, str]:
    """Return the modules that build a network and that train it."""
    return getattr(net, "func", net).__module__, trainer.__module__


def originals(pool: Pool) -> Tensor:
    """The pool's images without those that a strategy has made, and without the copies that enlarge it."""
    return getattr(pool.images, "originals", pool.original_images)


def chosen(option: str, values: object, dataset: str, of: str = "generator.") -> Any:
    """Return the value whose key is the longest that the data set's name begins with, else the default.

    of: whose option it is
    """
    if not isinstance(values, Mapping):
        return values
    key = max((key for key in values if dataset.startswith(key)), key=len, default="default")
    if key not in values:
        raise UserError(f"{of}{option} has no value for {dataset}: set +{of}{option}.{dataset}=...")
    return values[key]


def _train(training: Training, images: Tensor, device: torch.device, home: Path, facts: str) -> None:
    """Train in parts that end with a checkpoint."""
    home.mkdir(parents=True, exist_ok=True)
    if checkpoint := ranks.told(lambda: weights.read_checkpoint(home / CHECKPOINT, facts)):
        training.resume(checkpoint, home)
    its = json.loads(facts)
    what = f"{its['name']} on {home.parent.name}"
    after = f", going on after {training.done:,}" if training.done else ""
    say(f"training {what}: {training.iterations:,} iterations on {len(images):,} images{after}, kept in {home}")
    stream = _stream(training.game, images, device)
    firsts, total = range(training.done, training.iterations, EVERY), math.ceil(training.iterations / EVERY)
    for first in watched(firsts, what, total, training.done // EVERY):
        _seed(its["seed"], first)
        losses = _part(training, stream, home)
        if ranks.first():
            _show(training, images[:50].to(device), home)
            for follow in followers:
                follow(its["name"], losses, home / PICTURE)
            weights.write_checkpoint(home / CHECKPOINT, training.checkpoint(), facts)
    _keep(training, home, facts)
    if ranks.first():
        (home / CHECKPOINT).unlink()


def _keep(training: Training, home: Path, facts: str, row: Sequence[float] = ()) -> None:
    """Write down what was trained here, or elsewhere for the row's iterations and seconds."""
    if rehearsal.under_way() or not ranks.first():
        return
    home.mkdir(parents=True, exist_ok=True)
    if row:
        _write_curves(training, home, [row])
    checksum = weights.write(home / WEIGHTS, training, facts)
    metadata = {"dataset": home.parent.name, **json.loads(facts), "checksum": checksum}
    (home / "metadata.json").write_text(json.dumps(metadata, indent=2))


def _stream(game: Game, images: Tensor, device: torch.device) -> Stream:
    indices = torch.arange(len(images), device=device)
    if len(images) < game.batch:
        indices = indices.repeat(game.batch)  # a few images are repeated until they fill a batch
    return Stream(images, batch=game.batch, indices=indices, prepare=game.prepare, within=game.within)


def _part(training: Training, stream: Stream, home: Path) -> dict[str, float]:
    """Train up to the next checkpoint, and return the losses, which join those in the folder."""
    rows, start = _curves(home, training.done), perf_counter()
    steps = min(EVERY, training.iterations - training.done)
    training.losses.zero_()
    fit(training, stream, steps=steps)
    rows.append((training.done, round(perf_counter() - start, 3), *(training.losses / steps).tolist()))
    if ranks.first():
        _write_curves(training, home, rows)
    return dict(zip(("iteration", "seconds", *training.game.curves), rows[-1], strict=True))


def _write_curves(training: Training, home: Path, rows: Sequence[Sequence[float]]) -> None:
    with (home / CURVES).open("w", newline="") as file:
        csv.writer(file).writerows([("iteration", "seconds", *training.game.curves), *rows])


def _curves(home: Path, done: int) -> list[tuple[float, ...]]:
    """Return the losses up to an iteration; none where the file was lost."""
    path = home / CURVES
    with contextlib.suppress(OSError, ValueError):
        lines = list(csv.reader(path.read_text().splitlines()))[1:]
        rows = [(int(first), *map(float, rest)) for first, *rest in lines]
        return [row for row in rows if row[0] <= done]
    return []


def _show(training: Training, images: Tensor, home: Path) -> None:
    """Store a picture of what the networks make."""
    training.net.eval()
    with torch.no_grad():
        save_image(seen(training.game.pictures(images)).cpu(), home / PICTURE, nrow=10)
    training.net.train()


def _own_randomness() -> contextlib.AbstractContextManager[None]:
    return torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else [])


def _seed(seed: int, done: int) -> None:
    torch.manual_seed(random.Random(f"{seed} {done}").getrandbits(63))
