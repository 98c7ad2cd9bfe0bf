"""Whether options are of the kind that a class wants, as its signature says, before anything is trained."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Mapping

import hydra

from alsuite.errors import UserError
from alsuite.recorded import Options

__all__ = ["check_kinds", "check_options"]

KINDS: Mapping[str, tuple[type, ...]] = {"None": (type(None),), "bool": (bool,), "int": (int,), "float": (int, float)}
WANTED = {"bool": "true or false", "int": "a whole number", "float": "a number"}
SHARED = ("generator", "features")  # groups whose values stand again in a strategy's options


def check_options(factory: object, whole: bool = False) -> None:
    """Refuse a wrong option of what is built later, and of what is built for it.

    Arguments:
        factory: what the configuration built; only a partial one has options that nobody has looked at yet
        whole: whether no more options will come, so that a missing one is refused, too
    """
    if not isinstance(factory, functools.partial):
        return
    try:
        signature = inspect.signature(factory.func)
        (signature.bind if whole else signature.bind_partial)(*factory.args, **factory.keywords)
    except TypeError as error:
        raise UserError(f"{factory.func.__name__} {error}: see its options with --cfg job") from None
    for value in factory.keywords.values():
        check_options(value)


def check_kinds(node: object, path: str, config: Options) -> None:
    """Refuse a word where a signature wants a number or a switch, or something to build, at any depth.

    Arguments:
        node: a part of the configuration; only what names a class or a function has a signature
        path: the part's own, as the command line has it
        config: the whole, some of whose groups stand again in others
    """
    if not isinstance(node, Mapping):
        return
    path = next((group for group in SHARED if "." in path and node and node == config.get(group)), path)
    parameters = _parameters(node.get("_target_"))
    for name, value in node.items():
        if name in parameters:
            _check_kind(f"{path}.{name}", value, parameters[name])
        check_kinds(value, f"{path}.{name}", config)


def _parameters(named: object) -> Mapping[str, inspect.Parameter]:
    """Return those of a function, or of a class, with those of the parents that it hands its own on to.

    There are none where nothing is named, or its signature isn't Python's.
    """
    found: dict[str, inspect.Parameter] = {}
    if isinstance(named, str):
        made = hydra.utils.get_object(named)
        with contextlib.suppress(TypeError, ValueError):
            for one in inspect.getmro(made) if isinstance(made, type) else (made,):
                its = inspect.signature(one).parameters
                found = {**its, **found}
                if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in its.values()):
                    break
    return found


def _check_kind(option: str, value: object, parameter: inspect.Parameter) -> None:
    """Refuse a value of an option that is annotated otherwise; most annotations tell nothing that a word breaks."""
    if value is None and parameter.default is None:
        return
    kinds = str(getattr(parameter.annotation, "__name__", parameter.annotation)).split(" | ")
    if kinds[0].startswith("Callable[") and isinstance(value, str | int | float):
        raise UserError(f"{option}={value} is nothing that can be built: give its _target_, and see --cfg job")
    if not all(kind in KINDS for kind in kinds):
        return
    fitting = {one for kind in kinds for one in KINDS[kind]}
    if type(value) not in fitting:
        raise UserError(f"{option}={value} must be {' or '.join(WANTED.get(kind, 'null') for kind in kinds)}")
