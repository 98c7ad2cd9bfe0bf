"""The mistakes of noisy oracles: which classes one may be taken for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alsuite.errors import UserError

__all__ = ["check_noise", "confused_with", "confusions"]


def check_noise(flip: float, classes: int, confusion: Mapping[int, Sequence[int]] | None) -> None:
    """Refuse a share of mistakes outside 0..1, and a confusion of classes that aren't there."""
    lists = {source: others for source, others in (confusion or {}).items() if isinstance(others, Sequence)}
    named = [label for source, others in lists.items() for label in (source, *others)]
    known = all(isinstance(label, int) and 0 <= label < classes for label in named)
    if not known or len(lists) < len(confusion or {}):
        raise UserError(f"oracle.confusion must list classes of 0..{classes - 1} for each: write {{class: [classes]}}")
    if alike := [source for source, others in lists.items() if source in others]:
        raise UserError(f"oracle.confusion takes class {alike[0]} for itself, which is no mistake: leave it out there")
    if not isinstance(flip, int | float) or not 0 <= flip <= 1:
        raise UserError(f"oracle.flip={flip} is no share: give a number between 0 and 1")


def confusions(
    flip: float, classes: int, superclasses: Sequence[int] | None, confusion: Mapping[int, Sequence[int]] | None
) -> list[list[int]]:
    """Return for each class those that it may be taken for; noise that has none to take is refused."""
    check_noise(flip, classes, confusion)
    others = [confused_with(label, classes, superclasses, confusion) for label in range(classes)]
    if flip and not any(others):
        raise UserError(f"oracle.flip={flip} has no class to mistake for another: take oracle=ideal")
    return others


def confused_with(
    label: int, classes: int, superclasses: Sequence[int] | None, confusion: Mapping[int, Sequence[int]] | None
) -> list[int]:
    """Return the classes that one may be taken for; none for a class that is always told right."""
    if confusion is not None:
        return [int(other) for other in confusion.get(label, [])]
    group = superclasses if superclasses is not None else [0] * classes
    return [other for other in range(classes) if other != label and group[other] == group[label]]
