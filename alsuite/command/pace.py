"""How long runs that go on, or have not begun, still take.

A `Course` knows one run and foresees it from its own cycles; a `Pace` knows all, and how much several at once get done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from time import monotonic

__all__ = ["Course", "Pace", "as_on_a_clock"]


@dataclass
class Course:
    """What the cycles of a run took so far.

    cycles: how many it has in all; 0 as long as that isn't known
    seconds: of each cycle that is done, also of those done at an earlier start
    over: whether it has ended, well or not
    """

    cycles: int = 0
    seconds: list[float] = field(default_factory=list)
    over: bool = False

    @property
    def left(self) -> float:
        """Seconds, if cycles grow as they have grown; a first one that prepared something is no measure of growth."""
        if self.over or not self.seconds:
            return 0.0
        first, last, done = self.seconds[0], self.seconds[-1], len(self.seconds)
        growth = min(max(0.0, last - first) / max(1, done - 1), last / done)
        ahead = max(0, self.cycles - done)
        return ahead * last + growth * ahead * (ahead + 1) / 2

    @property
    def whole(self) -> float:
        """Seconds of the whole run, those of its past cycles and those to be expected."""
        return sum(self.seconds) + self.left


class Pace:
    """How much of the runs' time passes in a second, since several go on at once.

    courses: those of all runs, which others keep up to date
    fresh: seconds of cycles that were done since the start; whoever tells of a cycle adds them
    due: when all will have ended, on the clock of `monotonic`; None as long as nothing tells it
    """

    def __init__(self, courses: Sequence[Course]) -> None:
        self.courses = courses
        self.start = monotonic()
        self.fresh = 0.0
        self.due: float | None = None

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return monotonic() - self.start

    @property
    def left(self) -> float | None:
        """Seconds until all have ended; None as long as nothing tells it."""
        return None if self.due is None else max(0.0, self.due - monotonic())

    def judge(self) -> None:
        """Find out when all will have ended; right after a cycle, since none of it counts before."""
        known = [course for course in self.courses if course.seconds]
        if not (known and self.fresh and self.spent):
            return
        typical = fmean(course.whole for course in known)
        ahead = [course.left if course.seconds else typical for course in self.courses if not course.over] or [0.0]
        self.due = monotonic() + max(sum(ahead) * self.spent / self.fresh, max(ahead))


def as_on_a_clock(seconds: float) -> str:
    """Write seconds as on a clock, rounded.

    >>> as_on_a_clock(65), as_on_a_clock(3_600)
    ('1:05', '1:00:00')
    """
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"
