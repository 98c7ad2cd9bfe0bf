"""An experiment's sweeps, cut to what a command line gives of their options."""

from __future__ import annotations

from collections.abc import Collection, Sequence

__all__ = ["Sweep", "narrowed"]

Sweep = dict[str, list[str]]  # an option, and its values


def narrowed(sweeps: Sequence[Sweep], given: Sweep) -> list[Sweep]:
    """Return the sweeps cut to the values that are given, those alone that have the most of the given options.

    A value that none of them lists takes the place of those that they list. Where none has the given values together,
    each sweep is left without the given options. Of several that such a value makes alike the plainest stays.

    Arguments:
        sweeps: those of the experiment
        given: the options of the command line, with the values that are wanted of each
    """
    fresh = {key for key in given if not any(_shared(given[key], sweep.get(key, [])) for sweep in sweeps)}
    cuts = [(sweep, cut) for sweep in sweeps if (cut := _cut(sweep, given, fresh)) is not None]
    had = [{*sweep} & {*given} for sweep, _ in cuts]
    left = [cut for (_, cut), its in zip(cuts, had, strict=True) if not any(its < other for other in had)]
    if not left:
        fresh = {*given}
        left = [{key: values for key, values in sweep.items() if key not in given} for sweep in sweeps]
    unlike = [sweep for i, sweep in enumerate(left) if sweep not in left[:i]]
    if not any(key in sweep for key in fresh for sweep in sweeps):
        return unlike
    return [sweep for sweep in unlike if not any(_plainer(other, sweep) for other in unlike)]


def _cut(sweep: Sweep, given: Sweep, fresh: Collection[str]) -> Sweep | None:
    """Return the sweep with the values that are given, too, and without fresh ones; None where an option has none."""
    kept = {key: values for key, values in sweep.items() if key not in fresh}
    cut = {key: _shared(given[key], values) if key in given else values for key, values in kept.items()}
    return cut if all(cut.values()) else None


def _shared(wanted: Sequence[str], values: Sequence[str]) -> list[str]:
    """Return the listed values that are wanted, however their numbers are written."""
    return [value for value in values if _number(value) in {*map(_number, wanted)}]


def _number(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


def _plainer(one: Sweep, other: Sweep) -> bool:
    """Tell whether one sweep says the same as another, and less."""
    return one != other and all(other.get(key) == values for key, values in one.items())
