"""What long work shows while it goes on: lines alone, printed, unless a command has set a display."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Protocol, TypeVar

__all__ = ["SILENCE", "Display", "Lines", "Work", "displayed", "say", "watched"]

Item = TypeVar("Item")
PATIENCE = 5.0  # seconds from which on work is shown
PERIOD = 0.25  # seconds from an update to the next


@dataclass(eq=False)
class Work:
    """Work that goes on: how many of the total are done, where the total is known."""

    description: str
    total: int | None
    done: int


class Display(Protocol):
    """What shows lines and work to a person."""

    def say(self, text: str) -> None:
        """Show a line that stays."""
        ...

    def show(self, work: Work) -> None:
        """Show work that has begun, or has come further."""
        ...

    def hide(self, work: Work) -> None:
        """Forget work that is over, whether it was shown or not."""
        ...


class Lines:
    """A display of lines alone, each of which goes to a function; work is not shown."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self.tell = tell

    def say(self, text: str) -> None:
        self.tell(text)

    def show(self, work: Work) -> None: ...

    def hide(self, work: Work) -> None: ...


SILENCE = Lines(lambda text: None)
display: Display = Lines(partial(print, flush=True))  # a library's


@contextmanager
def displayed(on: Display) -> Iterator[None]:
    """Show on this display what happens within the block."""
    global display
    before, display = display, on
    try:
        yield
    finally:
        display = before


def say(text: str) -> None:
    """Tell a line on the current display."""
    display.say(text)


def watched(iterable: Iterable[Item], description: str, total: int | None = None, done: int = 0) -> Generator[Item]:
    """Pass the items on; from some seconds on the display shows how many of the total are done."""
    work, due = Work(description, total, done), monotonic() + PATIENCE
    try:
        for item in iterable:
            yield item
            work.done += 1
            if (now := monotonic()) >= due:
                due = now + PERIOD
                display.show(work)
    finally:
        display.hide(work)
