"""What a command shows of its runs: bars on a terminal, lines in a log.

On a terminal a bar stands for each run that has done a cycle and goes on, one for all of them, and one for work that
takes long. In a log a single run has a line for each cycle, and of several a line comes when one ends, or after half a
minute of silence.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from time import monotonic
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from alsuite.command.pace import Course, Pace, as_on_a_clock
from alsuite.command.shown import Brief, told_of
from alsuite.progress import Work, displayed

__all__ = ["Progress"]

QUIET = 30.0  # seconds between the lines of a log that tell how far a sweep is


class Told(ProgressColumn):
    """What is to be said beside a bar at the moment."""

    def render(self, task: Task) -> Text:
        """Return what the bar's owner has to say, which changes between two updates, as the time that is left does."""
        return Text(task.fields["told"](task))


class Progress:
    """One display of one run or many: enter it, name the `runs`, and tell it what they do.

    Runs are told by their numbers, from 0 on. Work that is `watched` in this process is shown below them.

    bars: on a terminal; None in a log, where lines are printed
    shown: the bar of a run's number, a work, or a text
    told: the lines that were told about runs, each once
    failed: how many runs have ended for an error
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.bars = _bars() if live else None
        self.shown: dict[object, TaskID] = {}
        self.told: set[str] = set()
        self.failed = 0
        self.runs(names or [])

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            if self.bars is not None:
                stack.enter_context(self.bars)
            stack.enter_context(displayed(self))
            self.closing = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.close()

    def runs(self, names: Sequence[str]) -> None:
        """Begin to count the time of these runs, and forget any before."""
        self.names = list(names)
        self.courses = [Course() for _ in names]
        self.records: dict[int, Brief] = {}
        self.awaiting: set[int] = set()
        self.pace = Pace(self.courses)
        self.said = monotonic()
        self._hide("reading")
        if len(names) > 1:
            self._bar("all", "all runs", 0, len(names), lambda _: self._all())

    def reading(self, number: int, count: int) -> None:
        """Tell how far the configurations are read; it is shown until the runs are named.

        Arguments:
            number: of the one that is being read
            count: how many there are
        """
        text = f"reading the configuration of {count} runs" if count > 1 else "starting"
        if self.bars is None and number == 0 and count > 1:
            self.say(text)
        self._bar("reading", "", number, count, lambda _: text)

    def cycle(self, number: int, record: Brief, cycles: int, old: bool) -> None:
        """Show a cycle that has been done, or was done before.

        Arguments:
            number: the run's
            record: what is shown of the cycle
            cycles: how many the run has in all
            old: whether it was done at an earlier start, so that its time is no measure of how fast runs go now
        """
        seconds, course = record["fit_seconds"] + record["query_seconds"], self.courses[number]
        course.cycles = max(cycles, record["cycle"] + 1)  # more where a person was unsure
        course.seconds.append(seconds)
        self.pace.fresh += 0 if old else seconds
        self.records[number] = record
        self._count()
        due = monotonic() + course.left
        self._bar(number, self.names[number], record["cycle"] + 1, cycles, lambda _: self._running(number, due))
        if len(self.names) == 1:
            self.say(self._cycle_line(record, course, old))
        elif self.bars is None and monotonic() - self.said > QUIET:
            self.say(self._line(number))
        if record["warning"]:
            self.note(number, f"warning: {record['warning']}")

    def note(self, number: int, text: str) -> None:
        """Print a line about a run; the same words are told once."""
        if text in self.told:
            return
        self.told.add(text)
        place = f", cycle {self.records[number]['cycle'] + 1}" if number in self.records else ""
        self.say(text if len(self.names) == 1 else f"{self.names[number]}{place}: {text}")

    def ended(self, number: int, error: str | None) -> None:
        """Show that a run has ended, and why where it failed; one that awaits labels has been shown already."""
        if number in self.awaiting:
            return
        self._over(number)
        if error is None:
            self._print_end(number, "" if number in self.records else "nothing")
            return
        self.failed += 1
        self._print_end(number, "FAILED, for the reason above" if error in self.told else f"FAILED: {error}")
        self.told.add(error)

    def waiting(self, number: int, text: str) -> None:
        """Show that a run goes on only after a person has labelled something."""
        self.awaiting.add(number)
        self._over(number)
        self._print_end(number, f"waiting: {text}")

    def say(self, text: str) -> None:
        """Print a line, above the bars if there are any."""
        self.said = monotonic()
        if self.bars is None:
            print(text, flush=True)
        else:
            self.bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, work: Work) -> None:
        """Show how far a work is, in a bar of its own; in a log nothing."""
        self._bar(work, "", work.done, work.total, lambda task: f"{work.description}   {_worked(task)}")

    def hide(self, work: Work) -> None:
        """Take the bar of a work away."""
        self._hide(work)

    def _over(self, number: int) -> None:
        """Count a run as ended, and take its bar away."""
        self.courses[number].over = True
        self._hide(number)
        self._count()

    def _print_end(self, number: int, told: str) -> None:
        """Print that a run has ended; of a run by itself only what has to be told."""
        if len(self.names) > 1:
            self.say(self._line(number, told))
        elif told:
            self.say(told)

    def _bar(self, key: object, title: str, done: int, total: int | None, told: Callable[[Task], str]) -> None:
        """Show or move a bar, on a terminal only.

        Arguments:
            key: whose it is, as in `shown`
            title: the name before it
            done: how far it is
            total: what it counts to; None where nobody knows
            told: gives what is said beside it, whenever the display is drawn
        """
        if self.bars is None:
            return
        if key not in self.shown:
            self.shown[key] = self.bars.add_task(title, total=total, told=told)
        self.bars.update(self.shown[key], completed=done, total=total, told=told)

    def _hide(self, key: object) -> None:
        if self.bars is not None and key in self.shown:
            self.bars.remove_task(self.shown.pop(key))

    def _count(self) -> None:
        """Reckon the time that is left anew, and move the bar of all runs, of which each counts as far as it is."""
        self.pace.judge()
        if self.bars is not None and "all" in self.shown:
            parts = (1.0 if each.over else len(each.seconds) / max(1, each.cycles) for each in self.courses)
            self.bars.update(self.shown["all"], completed=sum(parts))

    def _running(self, number: int, due: float) -> str:
        return (
            f"{told_of(self.records[number], self.courses[number])}   {as_on_a_clock(max(0, due - monotonic()))} left"
        )

    def _all(self) -> str:
        """Return what stands beside the bar of all runs: how many are over, failed or waiting, and the time."""
        counts = {"failed": self.failed, "waiting": len(self.awaiting)}
        return ", ".join([self._done(), *(f"{n} {what}" for what, n in counts.items() if n)]) + f"   {self._left()}"

    def _done(self) -> str:
        return f"{sum(course.over for course in self.courses)}/{len(self.courses)}"

    def _left(self) -> str:
        left = self.pace.left
        return f"{as_on_a_clock(self.pace.spent)} spent" + ("" if left is None else f", {as_on_a_clock(left)} left")

    def _line(self, number: int, told: str = "") -> str:
        """Return a run's line in a log of many."""
        told = told or told_of(self.records[number], self.courses[number])
        return f"[{self._done()}] {self.names[number]:<32} {told}   {self._left()}"

    def _cycle_line(self, record: Brief, course: Course, old: bool) -> str:
        """Return a cycle's line in the log of a single run."""
        took = f"fit {record['fit_seconds']:.1f} s   query {record['query_seconds']:.1f} s"
        left = "done before" if old else f"{as_on_a_clock(course.left)} left"
        return f"{told_of(record, course)}   {took}   {left}"


def _bars() -> Bars:
    """Return bars that are gone when all is over; a long name is cut to what the terminal's width leaves for it."""
    console = Console()
    width = max(10, console.width - 72)
    title = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=width))
    columns = title, BarColumn(10), Told(Column(no_wrap=True))
    return Bars(*columns, console=console, transient=True, refresh_per_second=2)


def _worked(task: Task) -> str:
    """Return how far a work is, and the time that it still takes as far as that can be told."""
    share = f"{task.completed:,.0f}" if task.total is None else f"{task.percentage:.0f} %"
    return share if task.time_remaining is None else f"{share}   {as_on_a_clock(task.time_remaining)} left"
