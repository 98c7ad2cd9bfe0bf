"""What a run has around it, for whoever asks a strategy from outside of one: its configuration, and a torch as it is.

Nothing of the caller's is changed for longer than that takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from hydra import version
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alsuite.command.complaints import one_line
from alsuite.command.given import check_given
from alsuite.command.job import ours
from alsuite.command.machine import generators_left
from alsuite.command.names import RESOLVERS
from alsuite.command.papers import key_of, parsed
from alsuite.command.sweeps import Composer, loader
from alsuite.errors import UserError
from alsuite.matching.neighbours import precision_left

__all__ = ["as_in_a_run", "composed"]

HEEDED = ("strategy", "task_model", "generator", "features", "scale", "protocol", "paper", "fair", "recipe", "device")
HEEDED += ("root", "hydra.searchpath", "dataset.size", "dataset.classes")


def composed(options: Sequence[str]) -> dict[str, Any]:
    """Return the configuration of a strategy on images of one's own, as the command line has it."""
    base = version.VersionBase.instance()
    before = base.version_base
    version.setbase("1.3")
    setup_globals()
    for name, resolver in RESOLVERS.items():  # which others may have cleared
        OmegaConf.register_new_resolver(name, resolver, replace=True)
    composer = Composer(loader(None))
    try:
        check_given(options)
        _check_heeded({key_of(one): str(one.input_line) for one in parsed(options)})
        overrides = composer.with_paper(["dataset=folder", "dataset.path=.", *options])
        values = OmegaConf.to_container(ours(composer(overrides)), resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(one_line(error)) from None
    finally:
        base.version_base = before
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def _check_heeded(options: Mapping[str, str]) -> None:
    """Refuse an option of what only a run has, and a data set."""
    for key, option in options.items():
        if not {key, re.split("[.@]", key)[0]} & {*HEEDED, "seed"}:
            known = f"{', '.join(HEEDED[:-1])} and {HEEDED[-1]}"
            raise UserError(f"{option} has no say in what is picked: leave it out, only {known} have")


@contextmanager
def as_in_a_run() -> Iterator[None]:
    """Compute within the block as a run does, whatever the caller has set in torch, and leave that as it was."""
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    elsewhere = torch.get_default_device().type != "cpu"
    torch.set_default_dtype(torch.float32)
    try:
        with (
            generators_left(),
            precision_left(),
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False),
            torch.device("cpu") if elsewhere else nullcontext(),
        ):
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
