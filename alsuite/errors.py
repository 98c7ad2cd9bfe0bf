"""What a user can mend: shown as one line, without a traceback."""

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TypeGuard

__all__ = [
    "AwaitingLabels",
    "MissingDataError",
    "UserError",
    "first_line",
    "in_cycle",
    "is_whole",
    "not_negative",
    "one_of",
    "positive",
    "reason",
    "whole_if_given",
    "whole_number",
]


class UserError(Exception):
    """One line that says what is wrong and what to do about it.

    It is shown without a traceback, so it must be enough by itself: it names the option, file or method to be changed.
    """


class MissingDataError(UserError):
    """A data set is neither there nor to be had from here."""


class AwaitingLabels(UserError):
    """The run pauses until a person has filled in a file; the same command goes on then."""


@contextmanager
def in_cycle(cycle: int) -> Iterator[None]:
    """Say in which cycle something went wrong, counted from 1 as on the progress line."""
    try:
        yield
    except UserError as error:
        error.args = (f"cycle {cycle + 1}: {error}",)
        raise


def positive(prefix: str, **values: object) -> None:
    """Refuse an option that is not a number above 0; `prefix` says whose it is, as in "task_model."."""
    for name, value in values.items():
        if not (_is_number(value) and value > 0):
            raise UserError(f"{prefix}{name}={value} must be a number above 0")


def not_negative(prefix: str, **values: object) -> None:
    """Refuse an option that is not a number from 0; `prefix` says whose it is, as in "task_model."."""
    for name, value in values.items():
        if not (_is_number(value) and value >= 0):
            raise UserError(f"{prefix}{name}={value} must be a number from 0")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: object, least: int = 1) -> TypeGuard[int]:
    """Tell whether a value is a whole number from the least; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def whole_number(prefix: str, least: int = 1, **values: object) -> None:
    """Refuse an option that is no whole number, or below the least; `prefix` says whose it is, as in "strategy."."""
    for name, value in values.items():
        if not is_whole(value, least):
            raise UserError(f"{prefix}{name}={value} must be a whole number from {least}")


def whole_if_given(prefix: str, **values: object) -> None:
    """Refuse an option that is neither None nor a whole number from 1."""
    whole_number(prefix, 1, **{name: value for name, value in values.items() if value is not None})


def one_of(option: str, value: str, choices: Collection[str]) -> None:
    """Refuse a value of an option that is none of its choices."""
    if value not in choices:
        raise UserError(f"{option}={value} is unknown: choose one of {', '.join(choices)}")


def first_line(error: Exception) -> str:
    """Return how an error's text begins; its kind where it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def reason(error: Exception) -> str:
    """Return the kind and the first line of an error of a library's, for a line of ours."""
    return f"{type(error).__name__}: {first_line(error) if str(error) else 'unreadable'}"
