"""Streams of batches from tensors on the device, one fit, one inference loop: alone imports Trainer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from alsuite import ranks
from alsuite.errors import UserError
from alsuite.mapped import Mapped, in_windows, parts, pieces, windows
from alsuite.pool import Images, Rows, gather
from alsuite.progress import watched
from alsuite.tables import room
from alsuite.training import rehearsal
from alsuite.training.tamed import tamed
from alsuite.training.together import completed, enough, part_of_batch, part_of_scan, permutation, together

__all__ = ["Stream", "check_finite", "chunk_size", "fit", "infer"]

Batch = tuple[Tensor, ...]
Change = Callable[[Tensor], Tensor]
Block = tuple[Tensor, Tensor, list[int]]  # indices, what they are of, and the samples of each batch
PRECISIONS = ("32-true", "bf16-mixed")  # 16-mixed would need its gradients scaled, which no step here does
Module = TypeVar("Module", bound=LightningModule)
BLOCK_STEPS = 256  # the loop's fixed costs are paid once a block
LAYERS = 256  # bytes that a network holds at once for each value of an image, such as three maps of 64 channels
BLOCK_VALUES = {"cpu": 2**18, "cuda": 2**23}  # and a block's images fit into the cache, or 32 MB, as floats


class Stream:
    """Tensors that belong together, served in shuffled batches, a block of them at a time.

    tensors: with the samples first, on any device
    batch: samples a step
    indices: the samples that are served, by default all; batches go to the device of these
    prepare: changes what was gathered of the first tensor alone
    joint: changes what was gathered of all tensors, such as images and their masks
    within: samples of each step of an optimiser, where a batch is several; by default all of it

    Where several ranks train together each is served its part.
    """

    def __init__(
        self,
        *tensors: Tensor,
        batch: int,
        indices: Tensor | None = None,
        prepare: Change | None = None,
        joint: Callable[..., Sequence[Tensor]] | None = None,
        within: int | None = None,
    ) -> None:
        self.tensors = tensors
        self.batch = batch
        chosen = torch.arange(len(tensors[0]), device=tensors[0].device) if indices is None else indices
        self.indices = chosen.repeat(2) if len(chosen) == 1 < batch else chosen  # batch norm takes no batch of one
        self.in_windows = in_windows(tensors[0], len(self.indices))
        self.first: Images = self._held()
        self.prepare = prepare
        self.joint = joint
        self.within = within
        most = BLOCK_VALUES[self.indices.device.type] // (math.prod(tensors[0].shape[1:]) * batch)
        self.block = batch * max(1, min(BLOCK_STEPS, most))

    def __len__(self) -> int:
        """Return the steps of an epoch; a last batch of one sample joins the one before, for batch norm's sake."""
        n = len(self.indices)
        return n // self.batch if n % self.batch == 1 else math.ceil(n / self.batch)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch, in an order drawn from torch's generator on the CPU."""
        enough(self.within or self.batch)
        for chosen, images, sizes in self._windows() if self.in_windows else self._shuffled():
            gathered = [images, *(gather(tensor, chosen) for tensor in self.tensors[1:])]
            first, *others = gathered if self.joint is None else self.joint(*gathered)
            prepared = first if self.prepare is None else self.prepare(first)
            yield from zip(*(tensor.split(sizes) for tensor in (prepared, *others)), strict=True)

    def _held(self) -> Images:
        """Return what the first tensor's rows are taken from: those in a file are read once, if they are few enough."""
        first = self.tensors[0]
        if isinstance(first, Mapped) and not self.in_windows:
            return first.served(self.indices)
        return Rows(first, self.indices)

    def _shuffled(self) -> Iterator[Block]:
        """Yield indices and rows of the first tensor, a block at a time, in random order."""
        order = permutation(len(self.indices)).to(self.indices.device)
        for places in pieces(order, self.block):
            own, sizes = self._own(places)
            yield self.indices[own], self.first[own], sizes

    def _windows(self) -> Iterator[Block]:
        """Yield the same of images in a file that are too many to be held, in the order in which they are read."""
        assert isinstance(self.tensors[0], Mapped)
        for chosen, images in windows(self.tensors[0], self.indices, self.block):
            for places in pieces(torch.arange(len(chosen), device=chosen.device), self.block):
                own, sizes = self._own(places)
                yield chosen[own], images[own], sizes
            del images  # before the next ones come

    def _own(self, places: Tensor) -> tuple[Tensor, list[int]]:
        """Return this rank's part of the batches of a block, and how many samples each has."""
        own = [part_of_batch(batch, self.within or len(batch)) for batch in pieces(places, self.batch)]
        return torch.cat(own), [len(part) for part in own]

    def endless(self) -> Iterator[Batch]:
        """Yield the batches of one epoch after another, each in an order of its own."""
        while True:
            yield from self


class _Blocks:
    """All steps of a fit: each item is an iterator over a few of them, a step one batch of every stream."""

    def __init__(self, streams: Sequence[Stream], steps: int, name: str) -> None:
        self.streams = streams
        self.steps = steps
        self.name = name
        self.block = steps if rehearsal.under_way() else BLOCK_STEPS  # a rehearsal ends early, within its first block

    def __len__(self) -> int:
        return math.ceil(self.steps / self.block)

    def __iter__(self) -> Iterator[Iterator[tuple[Batch, ...]]]:
        batches = zip(*(stream.endless() for stream in self.streams), strict=True)
        shown = watched(rehearsal.few(batches, self.steps), self.name, self.steps)
        for first in range(0, self.steps, self.block):
            yield islice(shown, min(self.block, self.steps - first))
        shown.close()


def fit(
    module: Module, *streams: Stream, epochs: float | None = None, steps: int | None = None, precision: str = "32-true"
) -> Module:
    """Train for `epochs` of the first stream, or for `steps`; return the module on its device, in eval mode.

    streams: a step gets a batch of each; the device is that of the first one's indices
    precision: 32-true or bf16-mixed

    The module optimises by itself, and is given blocks of steps. It finds their whole number in `total_steps`.
    """
    if precision not in PRECISIONS:
        raise UserError(f"precision={precision} is not trained in here: choose {' or '.join(PRECISIONS)}")
    device = streams[0].indices.device
    total = steps if steps is not None else max(1, round((epochs or 1) * len(streams[0])))
    module.total_steps = total  # type: ignore[assignment]
    module.train()
    with together(module), tamed() as callback:
        trainer = Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices=1,
            max_epochs=1,
            precision=precision,  # type: ignore[arg-type]
            barebones=True,
            callbacks=callback,
            plugins=[LightningEnvironment()],  # else it looks for other processes itself, as those of Slurm's tasks
        )
        trainer.fit(module, train_dataloaders=_Blocks(streams, total, type(module).__name__))
    return module.to(device).eval()


def infer(
    function: Callable[..., Any], images: Any, prepare: Change | None = None, size: int = 0, placed: bool = False
) -> Any:
    """Return what `function` gives for chunks of images, joined along the samples: the one inference loop.

    function: returns a tensor, or a tuple of tensors, with the samples first
    prepare: changes each chunk before the function sees it
    size: images in a chunk, by default what `chunk_size` says
    placed: whether the function gets the slice of all images that a chunk is, too
    """
    size = ranks.least(size or chunk_size(images))
    joined: list[Tensor] = []  # as large as it gets at once: many small parts would leave holes between all else
    several, done, starts = False, 0, range(0, len(images), size)
    own = part_of_scan(starts)
    with torch.inference_mode(), ranks.apart():
        for first, chunk in rehearsal.few(zip(own, parts(images, size, own), strict=True), len(own)):
            ready = chunk if prepare is None else prepare(chunk)
            found = function(ready, slice(first, first + size)) if placed else function(ready)
            several = isinstance(found, tuple)
            made = found if several else (found,)
            _check_rows(made, min(size, len(images) - first))
            joined = joined or [_for_all(part, len(images)) for part in made]
            for whole, part in zip(joined, made, strict=True):
                whole[first : first + len(part)] = part
            done = min(first + size, len(images))
        for whole in joined:
            rehearsal.filled(whole, done)
    if not joined:
        raise UserError("there is no image to compute anything of: in a run, lower budget.end")
    joined = [completed(whole, starts) for whole in joined]
    return tuple(joined) if several else joined[0]


def _check_rows(made: Sequence[Tensor], n: int) -> None:
    """Refuse what isn't a row for each of n images, as a network or score gives it that is meant for other ones."""
    for part in made:
        if not part.ndim or len(part) != n:
            wrong = f"what is computed of {n} images has the shape {(*part.shape,)}"
            raise UserError(f"{wrong}: a score, or a network, must give each a row")


def chunk_size(images: Images, device: torch.device | None = None, steady: bool = False) -> int:
    """Return how many images an inference takes at a time.

    A CPU's caches hold no more than 64 small ones. A GPU takes a power of two of them, 512 at the most, whose layers
    half of the memory that is free there holds.

    device: where they are computed, by default where they are served
    steady: whether it must be the same however much is free, as random numbers are drawn a chunk at a time
    """
    shape = getattr(getattr(images, "images", images), "shape", (0,))
    values = max(1, math.prod(shape[1:]))
    served = images.indices if isinstance(images, Rows) else images  # a tensor has a method of that name
    where: torch.device = device or getattr(served, "device", torch.device("cpu"))
    if where.type == "cpu":
        return max(1, min(64, 2**24 // values))
    held = 2**27 // values if steady else _free(where) // (2 * LAYERS * values)
    return min(512, 1 << max(0, held.bit_length() - 1))


def _free(device: torch.device) -> int:
    """Return how many bytes of a GPU's memory are free, with those that torch keeps for later."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept


def _for_all(part: Tensor, n: int) -> Tensor:
    """Room for the parts of n images."""
    with torch.inference_mode(mode=False):
        return room((n, *part.shape[1:]), part.dtype, part.device)


def channels_last(images: Tensor) -> Tensor:
    """Return images of several channels in the order of memory that convolutions take fastest, all else as it is."""
    return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 and images.shape[1] > 1 else images


def check_finite(loss: Tensor, culprit: str) -> None:
    """Refuse a loss that is not a number, and say whose it is."""
    if not torch.isfinite(loss):
        raise UserError(f"the loss of the {culprit} is not a number: lower its learning rate")
