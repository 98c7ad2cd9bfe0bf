"""Files of weights that tell what they were trained for, and whether they are damaged.

A file holds its facts, the JSON of all that its weights depend on, whose hash names its folder. Whoever reads it says
the facts they expect: a damaged file counts as none, one of other facts is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from alsuite import ranks
from alsuite.code import code_at_work, digest
from alsuite.errors import UserError, first_line
from alsuite.files import locked, written_whole
from alsuite.progress import say
from alsuite.training import rehearsal

__all__ = ["about", "checksum", "contents", "fingerprint", "key", "one_trainer", "read", "read_checkpoint", "write"]
__all__ += ["write_checkpoint"]

State = dict[str, Tensor]
Checkpoint = dict[str, Any]


def about(images: Tensor, net: Callable[..., nn.Module], trainer: str, **config: object) -> str:
    """Tell all that weights depend on, as JSON.

    images: what is trained on
    net: makes the network; a partial tells its options
    trainer: the module that trains the net
    config: what else the weights depend on
    """
    called, options = (net.func, net.keywords) if isinstance(net, partial) else (net, {})
    pictures = {"shape": [*images.shape[1:]], "images": len(images), "fingerprint": fingerprint(images)}
    code = digest(*(file.encode() for file in code_at_work([trainer, called.__module__]).values()))
    told = {**config, **pictures, "net": {"name": called.__name__, **options}, "code": code}
    return json.dumps(told, sort_keys=True, default=_told)


def key(facts: str) -> str:
    """Return the short hash of the facts by which a folder is named."""
    return hashlib.sha256(facts.encode()).hexdigest()[:12]


def fingerprint(images: Tensor) -> str:
    """Return a hash of a tensor, or of evenly spaced rows of it, 64 MB at the most."""
    spaced = images[:: max(1, -(-images.nbytes // 2**26))].cpu().contiguous()
    return hashlib.sha256(spaced.numpy().tobytes()).hexdigest()[:16]


def checksum(facts: str, state: Mapping[str, Tensor]) -> str:
    """Return a hash of the facts and of each tensor's name, kind, shape and values."""
    digest = hashlib.sha256(facts.encode())
    for name in sorted(state):
        digest.update(f"{name} {state[name].dtype} {[*state[name].shape]}".encode())
        digest.update(state[name].numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def one_trainer(path: Path, home: Path) -> Iterator[None]:
    """Hold a lock, so that no other run trains what is kept at home; a rehearsal and a later rank keep nothing."""
    if rehearsal.under_way() or not ranks.first():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path, f"trains {home}"):
        yield


def write(path: Path, net: nn.Module, facts: str) -> str:
    """Write a network's weights, and return their checksum."""
    state = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    told = {"about": facts, "checksum": checksum(facts, state)}
    with written_whole(path) as part:
        part.write_bytes(save(state, told))  # so that a full disk is an OSError, which tells what to do
    return told["checksum"]


def contents(path: Path) -> tuple[State, dict[str, str]]:
    """Return a file's tensors, and what is written beside them."""
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def read(path: Path, facts: str) -> State:
    """Return the weights; none where there is no file, or a damaged one, which is said."""
    if not path.exists():
        return {}
    try:
        state, told = contents(path)
        if told["checksum"] != checksum(told["about"], state):
            raise ValueError("the checksum is another")
    except (SafetensorError, ValueError, LookupError, TypeError) as error:
        return _damaged(path, error)
    _check(path, told["about"], facts)
    return state


def write_checkpoint(path: Path, state: Checkpoint, facts: str) -> None:
    """Write the state of a training; the file before it stays until the new one is whole."""
    content = io.BytesIO()
    torch.save({**state, "about": facts}, content)
    with written_whole(path) as part:
        part.write_bytes(content.getbuffer())


def read_checkpoint(path: Path, facts: str) -> Checkpoint:
    """Return the state of a training; nothing where there is no file, or a damaged one, which is said."""
    if not path.exists():
        return {}
    try:
        if broken := ZipFile(path).testzip():
            raise ValueError(f"the checksum of {broken} is another")
        state = torch.load(path, map_location="cpu", weights_only=True)
        told = state.pop("about")
    except (BadZipFile, UnpicklingError, RuntimeError, ValueError, LookupError, EOFError) as error:
        return _damaged(path, error)
    _check(path, told, facts)
    return state


def _told(value: Any) -> Any:
    """Return what JSON holds in the place of a function, its name; a partial one tells its arguments, too.

    A list may be one of a configuration's.
    """
    if isinstance(value, partial):
        return [value.func.__name__, *value.args, value.keywords]
    return [*value] if isinstance(value, Sequence) else value.__name__


def _damaged(path: Path, error: Exception) -> Checkpoint:
    """Say that a file is damaged, and return nothing in its place."""
    say(f"{path} is damaged ({first_line(error)}): what it held is trained again")
    return {}


def _check(path: Path, told: str, facts: str) -> None:
    """Refuse weights that were trained for something else than the facts asked for, and tell in what they differ."""
    its, ours = json.loads(told), json.loads(facts)
    if differing := sorted(name for name in {*its, *ours} if its.get(name) != ours.get(name)):
        others = ", ".join(f"{name} {its.get(name)} instead of {ours.get(name)}" for name in differing)
        raise UserError(f"{path.parent} was trained for something else ({others}): move it back, or delete it")
