"""The code that a run's numbers depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from alsuite.code import code_behind

__all__ = ["code_of"]

GROUPS = ("strategy", "task_model", "initial", "budget", "oracle", "dataset")
ALWAYS = ("alsuite.loop", "alsuite.data.dataset")


def code_of(config: Mapping[str, object]) -> dict[str, str]:
    """Return module name -> hash of the code that a run's result depends on.

    It covers the modules that are named in the configuration's parts, what they import, and the loop itself, wherever
    the modules are alsuite's or the user's own. Code that only shows or keeps results is left out.

    Arguments:
        config: a run's resolved configuration, as plain values
    """
    enlarged = ["alsuite.data.enlarged"] if config.get("enlarge") else []
    return code_behind([*ALWAYS, *enlarged, *(name for group in GROUPS for name in _named(config.get(group)))])


def _named(value: object) -> Iterator[str]:
    """Yield the dotted names of what the configuration builds, at any depth.

    Hydra's own helpers that look something up (`hydra.utils.get_method`, `get_class`) are passed over for what they
    look up, which is what the result depends on.
    """
    if isinstance(value, Mapping):
        target = str(value.get("_target_", ""))
        named = value.get("path", "") if target.startswith("hydra.utils.get_") else target
        own = value.get("name", "") if target == "alsuite.nets.others.network" else ""
        yield from filter(None, [str(named), str(own) if "." in str(own) else ""])
        for part in value.values():
            yield from _named(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _named(part)
