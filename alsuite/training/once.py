"""A training that is done once: kept as <folder>/<name>-<hash>, under a lock, and resumed to the same bits on a CPU.

The hash tells apart whatever the weights depend on: images, configuration, iterations. Every so many iterations all
generators of random numbers are seeded anew, so that a checkpoint needs none of their state, and the rest of the run
doesn't notice whether there was a training.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import torch
from filelock import FileLock, Timeout
from pytorch_lightning import LightningModule
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import Optimizer
from torchvision.utils import save_image
from tqdm import tqdm

from alsuite.command.tracking import log_training
from alsuite.errors import UserError
from alsuite.pool import Pool
from alsuite.tasks.classification import Classification
from alsuite.training.fit import Stream, check_finite, fit

__all__ = ["Game", "Kept", "chosen", "fingerprint", "learned_once", "originals", "trained_once"]

EVERY = 500  # iterations from a checkpoint to the next
WEIGHTS, CHECKPOINT = "weights.safetensors", "checkpoint.safetensors"
CURVES, PICTURE = "curves.csv", "samples.png"


class Game(Protocol):
    """What is trained: networks, their optimisers, and an iteration on a batch of prepared images."""

    batch: int
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

    def training_step(self, block: Any, _: int) -> None:
        losses = torch.zeros(len(self.losses), device=self.device)
        for ((images,),) in block:
            losses += self.game.step(images, self.done / self.iterations)
            self.done += 1
        check_finite(losses.sum(), "generator")
        self.losses += losses.cpu()


class Kept(NamedTuple):
    net: Any  # in eval mode and frozen; `seconds` is how long its training took
    home: Path


def trained_once(
    game: Callable[[], Game], pool: Pool, folder: str | Path, net: Callable[..., nn.Module], **config: Any
) -> Kept:
    """The game's network, trained for config["iterations"], and where it is kept."""
    images, folder = originals(pool), Path(folder)
    facts = about(images, net, **config)
    key = hashlib.sha256(facts.encode()).hexdigest()[:12]
    name = f"{config['name']}-{key}"
    with _alone(folder.parent / f".{name}.lock", folder / name), _own_randomness():
        _seed(config["seed"], -1)
        training = Training(game(), config["iterations"])
        same = (found.parent for found in sorted(folder.parent.glob(f"*/{name}/{WEIGHTS}")))
        home = next(same, folder / name)  # another data set may hold the same images
        if weights := _read(home / WEIGHTS, facts):
            _restore(training, weights, home)
        else:
            _train(training, images, pool.device, home, facts)
    kept: Any = training.net.eval().requires_grad_(False)
    kept.seconds = sum(row[1] for row in _curves(home, training.done))
    return Kept(kept, home)


def learned_once(task: Classification, pool: Pool, name: str, folder: Path | None, seed: int) -> Classification:
    """A task that all labels of a pool are taught, which the folder keeps, too."""
    if folder is None:
        return task.learn(pool)
    config = {"name": name, "seed": seed, "labels": fingerprint(pool.labels), **vars(task)}
    net = config.pop("make_net")
    facts = about(pool.images, net, **config)
    home = folder / f"{name}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"
    with _alone(folder.parent / f".{home.name}.lock", home):
        if state := _read(home / WEIGHTS, facts):
            return task.recalled(pool, state)
        task.learn(pool)
        home.mkdir(parents=True, exist_ok=True)
        state = {key: value.detach().cpu().contiguous() for key, value in task.net.state_dict().items()}
        _write(home / WEIGHTS, state, facts)
    return task


def originals(pool: Pool) -> Tensor:
    """The pool's images without those that a strategy has made, and without the copies that enlarge it."""
    return getattr(pool.images, "originals", pool.images[: pool.originals])


def about(images: Tensor, net: Callable[..., nn.Module], **config: Any) -> str:
    """All that the weights depend on, as JSON."""
    called, options = (net.func, net.keywords) if isinstance(net, partial) else (net, {})
    pictures = {"shape": [*images.shape[1:]], "images": len(images), "fingerprint": fingerprint(images)}
    told = {**config, **pictures, "net": {"name": called.__name__, **options}}
    return json.dumps(told, sort_keys=True, default=lambda function: function.__name__)


def fingerprint(images: Tensor) -> str:
    """Of all images, or of 64 MB of evenly spaced ones."""
    spaced = images[:: max(1, -(-images.nbytes // 2**26))].cpu().contiguous()
    return hashlib.sha256(spaced.numpy().tobytes()).hexdigest()[:16]


def chosen(option: str, values: Any, dataset: str) -> Any:
    """Of a mapping the value whose key is the longest that the data set's name begins with, else its default."""
    if not isinstance(values, Mapping):
        return values
    key = max((key for key in values if dataset.startswith(key)), key=len, default="default")
    if key not in values:
        raise UserError(f"generator.{option} has no value for {dataset}: set +generator.{option}.{dataset}=...")
    return values[key]


def _train(training: Training, images: Tensor, device: torch.device, home: Path, facts: str) -> None:
    """In parts that end with a checkpoint."""
    home.mkdir(parents=True, exist_ok=True)
    if checkpoint := _read(home / CHECKPOINT, facts):
        _restore(training, checkpoint, home)
    its, game = json.loads(facts), training.game
    what = f"{its['name']} on {home.parent.name}"
    after = f", going on after {training.done:,}" if training.done else ""
    print(
        f"training {what}: {training.iterations:,} iterations on {len(images):,} images{after}, kept in {home}",
        flush=True,
    )
    stream = Stream(images, batch=game.batch, indices=torch.arange(len(images), device=device), prepare=game.prepare)
    rows, names = _curves(home, training.done), ("iteration", "seconds", *game.curves)
    with tqdm(None, what, training.iterations, initial=training.done, leave=False, disable=None, unit=" its") as bar:
        while (left := training.iterations - training.done) > 0:
            _seed(its["seed"], training.done)
            part, start = min(EVERY, left), perf_counter()
            training.losses.zero_()
            fit(training, stream, steps=part)
            bar.update(part)
            rows.append((training.done, round(perf_counter() - start, 3), *(training.losses / part).tolist()))
            _write_curves(home, names, rows)
            _show(training, images[:50].to(device), home)
            log_training(its["name"], dict(zip(names, rows[-1], strict=True)), home / PICTURE)
            _write(home / CHECKPOINT, _state(training), facts)
    metadata = {"dataset": home.parent.name, **its}
    weights = {key: value for key, value in _state(training).items() if key.startswith("net.")}
    _write(home / WEIGHTS, weights, facts)
    (home / "metadata.json").write_text(json.dumps({**metadata, "checksum": _checksum(facts, weights)}, indent=2))
    (home / CHECKPOINT).unlink()


def _curves(home: Path, done: int) -> list[tuple[float, ...]]:
    """The rows of the losses up to an iteration; none where the file was lost."""
    path = home / CURVES
    with contextlib.suppress(OSError, ValueError):
        lines = list(csv.reader(path.read_text().splitlines()))[1:]
        rows = [(int(first), *map(float, rest)) for first, *rest in lines]
        return [row for row in rows if row[0] <= done]
    return []


def _write_curves(home: Path, names: Sequence[str], rows: Sequence[tuple[float, ...]]) -> None:
    with (home / CURVES).open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])


def _show(training: Training, images: Tensor, home: Path) -> None:
    training.net.eval()
    with torch.no_grad():
        save_image(training.game.pictures(images).cpu(), home / PICTURE, nrow=10)
    training.net.train()


def _state(training: Training) -> dict[str, Tensor]:
    state = {f"net.{key}": value for key, value in training.net.state_dict().items()}
    for i, optimiser in enumerate(training.game.optimisers):
        for j, moments in optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{i}.{j}.{name}": value for name, value in moments.items()}
    state["done"] = torch.tensor(training.done)
    return {key: value.detach().cpu().contiguous() for key, value in state.items()}


def _restore(training: Training, state: dict[str, Tensor], home: Path) -> None:
    weights = {key.removeprefix("net."): value for key, value in state.items() if key.startswith("net.")}
    try:
        training.net.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{home} holds other layers than this version builds: delete it to train again") from error
    for key in (key for key in state if key.startswith("optimiser.")):
        _, i, j, name = key.split(".")
        optimiser, value = training.game.optimisers[int(i)], state[key]
        parameter = [p for group in optimiser.param_groups for p in group["params"]][int(j)]
        like = parameter if value.shape == parameter.shape else value  # fused steps need the parameter's layout
        optimiser.state[parameter][name] = torch.empty_like(like, device=parameter.device).detach().copy_(value)
    training.done = int(state.get("done", training.iterations))


def _write(path: Path, state: dict[str, Tensor], facts: str) -> None:
    """Whole, or not at all."""
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        file.write(save(state, {"about": facts, "checksum": _checksum(facts, state)}))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _read(path: Path, facts: str) -> dict[str, Tensor]:
    """Nothing where there is no file, or a damaged one, which is said."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    try:
        state = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        if header["checksum"] != _checksum(header["about"], state):
            raise ValueError("the checksum is another")
    except (SafetensorError, ValueError, LookupError) as error:
        print(f"{path} is damaged ({error}): what it held is trained again", flush=True)
        return {}
    its, ours = json.loads(header["about"]), json.loads(facts)
    if differing := sorted(key for key in {*its, *ours} if its.get(key) != ours.get(key)):
        told = ", ".join(f"{key} {its.get(key)} instead of {ours.get(key)}" for key in differing)
        raise UserError(f"{path.parent} was trained for something else ({told}): move it back, or delete it")
    return state


def _checksum(facts: str, state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(facts.encode())
    for key in sorted(state):
        digest.update(f"{key} {state[key].dtype} {[*state[key].shape]}".encode())
        digest.update(state[key].numpy().tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _alone(path: Path, home: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process that trains {home}", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _own_randomness() -> Any:
    return torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else [])


def _seed(seed: int, done: int) -> None:
    torch.manual_seed(random.Random(f"{seed} {done}").getrandbits(63))
