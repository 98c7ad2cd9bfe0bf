"""Trainings and scans that several ranks share: to rounding they are those of one process.

Each step has the mean of all ranks' gradients, summed after the backward pass: Lightning's own strategy wraps one step
a call, and here a call is a block of steps, of several players. Batch norm takes the mean and the variance of the whole
batch, on CPUs as well, which torch's SyncBatchNorm refuses. Losses that compare the images of a batch with one another,
such as rankings and ActiveGAN's standardised rewards, compare those of a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from alsuite import ranks
from alsuite.errors import UserError

__all__ = ["completed", "enough", "part", "part_of_batch", "part_of_scan", "permutation", "together"]

BatchNorm = nn.modules.batchnorm._BatchNorm
LARGE = 2**16  # numbers that are exchanged by themselves: to copy them would take as long as to ask once more


@contextmanager
def together(module: nn.Module) -> Iterator[None]:
    """Have all ranks train a module within the block; in a process by itself nothing is changed."""
    if not ranks.alike():
        yield
        return
    _same(module)
    layers = [layer for layer in module.modules() if isinstance(layer, BatchNorm)]
    hook = register_optimizer_step_pre_hook(lambda optimiser, *_: _average(optimiser))
    for layer in layers:
        layer.__dict__["forward"] = partial(_normalised, layer)
    try:
        with ranks.training():
            yield
    finally:
        hook.remove()
        for layer in layers:
            del layer.__dict__["forward"]
    _same(module)


def permutation(n: int) -> Tensor:
    """Draw an order of n things, in a training the same on all ranks."""
    return torch.randperm(n, generator=ranks.order())


def enough(images: int, each: int = 1) -> None:
    """Refuse a batch of which each rank would have fewer images than it needs."""
    if (most := max(1, images // each)) < (count := ranks.count()):
        raise UserError(f"{count} processes share batches of {images} images: take devices={most} at the most")


def part(n: int) -> int:
    """Return how many of n images a rank gets in a training."""
    return n if ranks.order() is None else -(-n // ranks.count())


def part_of_batch(indices: Tensor, within: int) -> Tensor:
    """Return this rank's part of a batch, of which every `within` indices are one step.

    All parts of a step are equal, so that a mean over all ranks weighs each image alike. Where they wouldn't be, the
    first images of the step are taken twice.
    """
    return indices if ranks.order() is None else torch.cat([_own(step) for step in indices.split(within)])


def _own(step: Tensor) -> Tensor:
    size = part(len(step))
    places = torch.arange(ranks.place() * size, (ranks.place() + 1) * size, device=step.device)
    return step[places % len(step)]


def part_of_scan(chunks: range) -> range:
    """Return this rank's part of a scan, or its first chunk where there are fewer chunks than ranks."""
    if not ranks.alike():
        return chunks
    bounds, place = _bounds(len(chunks)), ranks.place()
    return chunks[bounds[place] : bounds[place + 1]] or chunks[:1]


def completed(whole: Tensor, chunks: range) -> Tensor:
    """Fill in the rows of a scan that the other ranks have computed, a chunk's where the scan has them."""
    if not ranks.alike():
        return whole
    for rank, (start, end) in enumerate(pairwise(_bounds(len(chunks)))):
        rows = whole[start * chunks.step : end * chunks.step]
        if rows.numel():
            ranks.send(rows.view(-1).view(torch.uint8), rank)  # gloo knows not every kind of number
    return whole


def _bounds(n: int) -> list[int]:
    return [n * rank // ranks.count() for rank in range(ranks.count() + 1)]


def _same(module: nn.Module) -> None:
    """Give all ranks the weights of the first."""
    values = sorted(module.state_dict().values(), key=_kind)
    for _, alike in groupby(values, key=_kind):
        _as_one([*alike], ranks.send)


def _kind(tensor: Tensor) -> str:
    return f"{tensor.dtype} {tensor.device}"


@torch.no_grad()
def _average(optimiser: Optimizer) -> None:
    """Give all ranks the mean of their gradients of what an optimiser holds: large ones where they lie, the rest as one
    vector.
    """
    weights = (weight for group in optimiser.param_groups for weight in group["params"])
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    for gradient in filter(_large, gradients):
        ranks.average(gradient.as_strided((gradient.numel(),), (1,)))
    if small := [gradient for gradient in gradients if not _large(gradient)]:
        _as_one(small, ranks.average)


def _large(tensor: Tensor) -> bool:
    """Tell whether a tensor is worth an exchange of its own, and lies in one piece."""
    whole = tensor.is_contiguous() or tensor.is_contiguous(memory_format=torch.channels_last)
    return tensor.numel() >= LARGE and whole


@torch.no_grad()
def _as_one(tensors: Sequence[Tensor], change: Callable[[Tensor], object]) -> None:
    """Change tensors as one long vector, since each exchange takes a time of its own."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    change(flat)
    for tensor, values in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(values.view_as(tensor))


def _normalised(layer: Any, x: Tensor) -> Tensor:
    """Do what a layer of batch norm does, by the statistics of all ranks."""
    if not layer.training:
        return type(layer).forward(layer, x)
    ones = torch.ones(x.shape[1], device=x.device)
    weight, bias = (layer.weight, layer.bias) if layer.affine else (ones, torch.zeros_like(ones))
    y, mean, variance = _Normalised.apply(x, weight, bias, layer.eps)
    if not layer.track_running_stats:
        return y
    layer.num_batches_tracked += 1
    n = x.numel() // x.shape[1] * ranks.count()
    share = layer.momentum if layer.momentum is not None else 1 / float(layer.num_batches_tracked)
    layer.running_mean.lerp_(mean, share)
    layer.running_var.lerp_(variance * (n / (n - 1)), share)
    return y


class _Normalised(torch.autograd.Function):
    """Batch norm over all ranks, and the statistics that it takes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        own = torch.ops.aten.batch_norm_update_stats(x.float(), None, None, 0.0)  # 13 times as fast as torch.var_mean
        means, variances = ranks.gathered(torch.stack(own)).unbind(1)
        mean, variance = means.mean(0), variances.mean(0) + means.var(0, correction=0)
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Take the gradients at fixed statistics, then add what flows through these.

        They have no gradient of their own. Autograd would leave out, without a word, what should flow on through them.
        """
        if torch.is_grad_enabled():
            what = "a gradient penalty through batch norm cannot be shared by processes"
            raise UserError(f"{what}: take devices=1, or a discriminator without batch norm")
        (dy, *_), (x, weight, mean, variance) = gradients, ctx.saved_tensors
        fixed = torch.ops.aten.native_batch_norm_backward
        dx, *own = fixed(dy, x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True])
        spread = (variance + ctx.eps).rsqrt()
        slope, level = ranks.mean(torch.stack(own)) / (x.numel() // x.shape[1])
        slope, shape = -weight * spread.square() * slope, (-1, *[1] * (x.ndim - 2))
        level = -weight * spread * level - slope * mean
        dx = dx.addcmul_(x, slope.view(shape).to(x.dtype)).add_(level.view(shape).to(x.dtype))
        return dx, *own, None
