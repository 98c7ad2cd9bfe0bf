"""A GPU that isn't there: tensors say that they lie on it, while their values are computed on the CPU.

What a real one refuses is refused: tensors of both devices in one operation, reading values that weren't brought back,
a generator of random numbers of the other device. All else has the values that it has on the CPU, gradients included,
so that whatever runs there can be run, and compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule
from torch import Generator, Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from alsuite.training import fit

__all__ = ["CUDA", "MEMORY", "PretendedGPU", "RealGPU", "pretended", "real"]

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
MEMORY = 2**33
GETTERS: dict[Any, Callable[[Tensor], Any]] = {
    Tensor.device.__get__: lambda tensor: where(tensor),  # type: ignore[attr-defined]
    Tensor.is_cuda.__get__: lambda tensor: where(tensor) == CUDA,  # type: ignore[attr-defined]
}
READ = {"item", "tolist", "__bool__", "__int__", "__float__", "__index__", "equal", "allclose", "__contains__"}
COUNTED = {"nonzero", "unique", "unique_consecutive", "masked_select", "bincount", "repeat_interleave"}
ASIDE = {"device", "_parse_to", "_has_compatible_shallow_copy_type"}  # compute nothing
JOINED = {"cat", "stack", "concat", "index_select", "gather", "bincount", "searchsorted", "mm", "addmm", "conv2d"}


class PretendedGPU(TorchFunctionMode):
    """Within it tensors may be made on "cuda", or be brought there and back.

    waits: how often the CPU had to wait for a value
    pinned: how many tensors were made from which it copies while the CPU goes on
    exact: whether it computes what a CPU does, random numbers included
    """

    exact = True

    def __init__(self) -> None:
        super().__init__()
        self.waits = self.pinned = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in GETTERS:
            return GETTERS[func](*args)
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if name in ASIDE:
            return func(*args, **kwargs)
        if func == Tensor.data.__set__:  # type: ignore[attr-defined]
            func(*args)
            return placed(args[0], where(args[1]))
        self.pinned += kwargs.pop("pin_memory", False)
        asked = asked_for(name, args, kwargs)
        device = asked or common(name, args, kwargs)
        self._count(name, args, asked)
        refuse_reading(name, args)
        generator = kwargs.get("generator")
        if isinstance(generator, Generator) and generator.device.type != device.type:
            raise RuntimeError(f"{name}: a generator of {generator.device} for {device}")
        if any(isinstance(each, str | torch.device) for each in leaves((args, kwargs))):
            args, kwargs = tree_map(here, tuple(args)), {key: here(value) for key, value in kwargs.items()}
        result = func(*args, **kwargs)
        if isinstance(result, Tensor):
            return moved(result, device, args)
        if name == "__iter__":
            return iter([moved(each, device, args) for each in result])
        return tree_map(lambda each: moved(each, device, args), result)

    def _count(self, name: str, args: Sequence[Any], asked: torch.device | None) -> None:
        """Count what makes the CPU wait."""
        of_gpu = any(isinstance(each, Tensor) and where(each) == CUDA for each in leaves(args))
        masked = name in ("__getitem__", "__setitem__") and any(is_mask(each) for each in leaves(args[1]))
        self.waits += of_gpu and (name in READ | COUNTED or masked or asked == CPU)


def leaves(value: Any) -> list[Any]:
    """Return what lists, tuples and dicts hold; torch's own function takes ten times as long."""
    if isinstance(value, dict):
        return leaves([*value.values()])
    return [leaf for each in value for leaf in leaves(each)] if isinstance(value, list | tuple) else [value]


def where(tensor: Tensor) -> torch.device:
    return CUDA if getattr(tensor, "pretended", False) else CPU


def placed(tensor: Tensor, device: torch.device) -> Tensor:
    """Say of a tensor that it lies on a device."""
    tensor.pretended = device == CUDA  # type: ignore[attr-defined]
    return tensor


def moved(result: Any, device: torch.device, args: Sequence[Any]) -> Any:
    """Place what an operation returned; what lay elsewhere before is copied."""
    if not isinstance(result, Tensor):
        return result
    if any(result is each for each in leaves(args)) and where(result) != device:
        result = result.clone()
    return placed(result, device)


def here(value: Any) -> Any:
    """Name the CPU in place of the GPU, since values are computed there."""
    return CPU if device_of(value) == CUDA else value


def device_of(value: Any) -> torch.device | None:
    if isinstance(value, str) and value.partition(":")[0] in ("cpu", "cuda"):
        value = torch.device(value)
    if not isinstance(value, torch.device):
        return None
    return CUDA if value.type == "cuda" else value


def asked_for(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device | None:
    """Return the device that an operation is told, if it is."""
    if name in ("cpu", "cuda"):
        return CUDA if name == "cuda" else CPU
    if (device := device_of(kwargs.get("device"))) is not None:
        return device
    if name == "to" and len(args) > 1:
        return where(args[1]) if isinstance(args[1], Tensor) else device_of(args[1])
    return None


def common(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device:
    """Return the device of all tensors; a number may lie on the CPU, and so may places in a tensor on the GPU."""
    first = args[0] if args else None
    if isinstance(first, Tensor) and name in ("copy_", "__setitem__", "__getitem__"):
        check_places(name, first, args)
        return where(first)
    tensors = [each for each in leaves((tuple(args), kwargs)) if isinstance(each, Tensor)]
    devices = {where(each) for each in tensors if each.ndim or name in JOINED or where(each) == CUDA}
    if len(devices) > 1:
        raise RuntimeError(
            f"{name}: Expected all tensors to be on the same device, but found at least two, cuda and cpu"
        )
    return devices.pop() if devices else CPU


def check_places(name: str, first: Tensor, args: Sequence[Any]) -> None:
    """Refuse places on the GPU in a tensor on the CPU, and values of the other device for places that are a tensor."""
    if name == "copy_":
        return
    places = [each for each in leaves(args[1]) if isinstance(each, Tensor) and each.ndim]
    if where(first) == CPU and any(where(each) == CUDA for each in places):
        raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
    value = args[2] if name == "__setitem__" else None
    if isinstance(value, Tensor) and value.ndim and places and where(value) != where(first):
        raise RuntimeError("index_put_: Expected all tensors to be on the same device")


def refuse_reading(name: str, args: Sequence[Any]) -> None:
    if name in ("numpy", "__array__") and where(args[0]) == CUDA:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")


def is_mask(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.bool


class Trainer:
    """Does what Lightning's does for a fit, with a module on the GPU."""

    def __init__(self, accelerator: str, precision: str, **_: Any) -> None:
        self.device = CUDA if accelerator == "gpu" else CPU
        self.precision = precision

    def fit(self, module: LightningModule, train_dataloaders: Any) -> None:
        module.to(self.device)
        steps = module.configure_optimizers()
        module.optimizers = lambda use_pl_optimizer=True: steps  # type: ignore[assignment, method-assign]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16-mixed"):
            for number, block in enumerate(train_dataloaders):
                module.training_step(block, number)


@contextmanager
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedGPU]:
    """Let torch see a GPU, which computes at once and has some memory free."""
    fork = torch.random.fork_rng
    stands_in: dict[str, Any] = {
        "is_available": lambda: True,
        "current_device": lambda: 0,
        "is_current_stream_capturing": lambda: False,
        "synchronize": lambda device=None: None,
        "mem_get_info": lambda device=None: (MEMORY, 2 * MEMORY),
    }
    with monkeypatch.context() as patch:
        for name, value in stands_in.items():
            patch.setattr(torch.cuda, name, value)
        patch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: None)
        patch.setattr(torch.random, "fork_rng", lambda devices=(): fork([]))
        patch.setattr(fit, "Trainer", Trainer)
        with PretendedGPU() as gpu:
            yield gpu


class RealGPU:
    """One that is there, which draws random numbers of its own, and sums in an order of its own.

    told: torch's warnings, of which it gives one for each wait
    """

    exact = False

    def __init__(self, told: list[warnings.WarningMessage]) -> None:
        self.told = told

    @property
    def waits(self) -> int:
        """Return how often the CPU had to wait for a value, or for a copy to the GPU."""
        return sum("synchronizing" in str(each.message) for each in self.told)


@contextmanager
def real() -> Iterator[RealGPU]:
    """Have torch tell of each wait."""
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True, action="always") as told:
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield RealGPU(told)
        finally:
            torch.cuda.set_sync_debug_mode(mode)
