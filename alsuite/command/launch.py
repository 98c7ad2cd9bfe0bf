"""Runs side by side, a process each, and what the terminal shows of them. On a CPU a core with one thread takes a run;
on a GPU as many run together as its memory holds, judged by what the first ones use."""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from typing import Any

from alsuite.errors import UserError

__all__ = ["show_cycle", "show_results", "side_by_side"]

GPU = Path("/dev/nvidiactl")
PRELOADED = ["alsuite.command.run", "alsuite.tasks.classification", "alsuite.nets.classifiers"]


def side_by_side(work: Callable[..., None], jobs: Sequence[tuple[dict[str, Any], Path]], parallel: object) -> int:
    """0 if all runs finished; a run that fails says why in one line and the others go on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if parallel != "auto" and not (isinstance(parallel, int) and parallel > 0):
        raise UserError(f"parallel={parallel} is no number of runs: give one from 1, or auto")
    slots = parallel if isinstance(parallel, int) else cores
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TQDM_DISABLE"), "1"))
    context: Any = mp.get_context("forkserver" if "forkserver" in mp.get_all_start_methods() else "spawn")
    context.set_forkserver_preload(PRELOADED)
    waiting, running, sweep = list(enumerate(jobs)), {}, _Sweep(jobs)
    while waiting or running:
        while waiting and len(running) < max(1, min(slots, sweep.room)):
            number, job = waiting.pop(0)
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(work, job, theirs), daemon=True)
            process.start()
            theirs.close()
            running[ours] = (number, process)
        for ours in wait(list(running)):
            assert isinstance(ours, Connection)
            number, process = running[ours]
            try:
                sweep.heard(number, *ours.recv())
            except EOFError:
                process.join()
                sweep.ended(number, process.exitcode)
                del running[ours]
    return 1 if sweep.failed else 0


def _child(work: Callable[..., None], job: tuple[dict[str, Any], Path], parent: Connection) -> None:
    import torch

    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)

    def show(record: dict[str, Any], cycles: int, old: bool) -> None:
        held = torch.cuda.max_memory_reserved() / torch.cuda.mem_get_info()[1] if torch.cuda.is_available() else 0.0
        parent.send(("cycle", (_brief(record), cycles, old, held)))

    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as tempfile.tempdir:  # no exit function runs here
            work(job, show)
    except UserError as error:
        parent.send(("error", str(error)))
        sys.exit(2)
    except Exception:
        with contextlib.suppress(OSError):
            (job[1] / "error.txt").write_text(traceback.format_exc())
        parent.send(("error", f"{traceback.format_exc().splitlines()[-1]} (see {job[1] / 'error.txt'})"))
        sys.exit(1)


def _end_with_parent() -> None:
    """So that a killed sweep can be started again at once: the run's journal is whole at any moment."""
    parent = mp.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class _Sweep:
    """What is known of the runs of a sweep, and the lines shown for them."""

    def __init__(self, jobs: Sequence[tuple[dict[str, Any], Path]]) -> None:
        self.names = [folder.name for _, folder in jobs]
        self.latest: list[tuple[dict[str, Any], int]] = [({}, 0)] * len(jobs)
        self.errors: dict[int, str] = {}
        self.told: set[str] = set()
        self.done = self.failed = self.fresh = 0
        self.room = 1 if GPU.exists() else sys.maxsize  # until a first run tells what it needs
        self.start = self.said = monotonic()
        self.clear = "\r\033[2K" if sys.stdout.isatty() else ""

    def heard(self, number: int, kind: str, what: Any) -> None:
        if kind == "error":
            self.errors[number] = what
            return
        record, cycles, old, held = what
        self.fresh += not old
        self.latest[number] = (record, cycles)
        self.room = max(1, int(0.85 / (held + 0.005))) if held else sys.maxsize
        if (warning := record["warning"]) and warning not in self.told:
            self.told.add(warning)
            print(f"{self.clear}{self.names[number]}, cycle {record['cycle'] + 1}: warning: {warning}", flush=True)
        self._progress(number)

    def _progress(self, number: int) -> None:
        """On a terminal one line that changes with each cycle; in a log a line every half a minute."""
        if self.clear or monotonic() - self.said > 30:
            self.said = monotonic()
            print(f"{self.clear}{self._line(number)}", end="" if self.clear else "\n", flush=True)

    def _line(self, number: int, told: str = "") -> str:
        return (
            f"[{self.done}/{len(self.names)}] {self.names[number]:<32} {told or self._cycle(number)}   {self._left()}"
        )

    def _cycle(self, number: int) -> str:
        record, cycles = self.latest[number]
        place = f"cycle {record['cycle'] + 1:>3}/{cycles}"
        return f"{place}   {record['labelled']:>7,} labelled   accuracy {record['accuracy']:.3f}"

    def ended(self, number: int, status: int | None) -> None:
        self.done += 1
        line = self._line(number) if self.latest[number][0] else f"{self.names[number]}: nothing"
        if status != 0:
            self.failed += 1
            why = self.errors.get(number, f"it was killed (status {status}); start the same command again")
            line = self._line(number, "FAILED, for the reason above" if why in self.told else f"FAILED: {why}")
            self.told.add(why)
        print(f"{self.clear}{line}", flush=True)

    def _left(self) -> str:
        spent = monotonic() - self.start
        known = [(record["cycle"] + 1, cycles) for record, cycles in self.latest if record]
        total = sum(cycles for _, cycles in known) * len(self.names) / max(1, len(known))
        ahead = total - sum(done for done, _ in known)
        return f"{_clock(spent)} spent, {_clock(ahead * spent / max(1, self.fresh))} left"


def show_cycle(record: dict[str, Any], cycles: int, old: bool) -> None:
    """A line per cycle of a single run."""
    brief, fit, query = _brief(record), record["fit_seconds"], record["query_seconds"]
    left = "done before" if old else f"{_clock((fit + query) * (cycles - record['cycle'] - 1))} left"
    print(
        f"cycle {record['cycle'] + 1:>3}/{cycles}   {record['labelled']:>7,} labelled   "
        f"accuracy {brief['accuracy']:.3f}   fit {fit:.1f} s   query {query:.1f} s   {left}",
        *([f"warning: {brief['warning']}"] if brief["warning"] else []),
        sep="\n",
        flush=True,
    )


def _brief(record: dict[str, Any]) -> dict[str, Any]:
    first = next(iter(record["metrics"].values()))
    notes = (record.get("queried") or {}).get("notes", {})
    told = {name: record[name] for name in ("cycle", "labelled")}
    return {**told, "accuracy": first["accuracy"], "warning": notes.get("warning", "")}


def show_results(jobs: Sequence[tuple[dict[str, Any], Path]], stem: str) -> None:
    """A table of the runs, and the path of the picture as the last line."""
    from alsuite import figures, results

    config = jobs[0][0]["config"]
    frame = results.load(config["experiment"], config["scale"]["name"], config["root"], complete=False)
    frame = frame[frame["run"].isin([folder.name for _, folder in jobs])]
    print(_table(frame))
    if config["figure"]:
        print(figures.draw(stem, config["scale"]["name"], config["root"])[0])
    else:
        folder = jobs[0][1]
        print(figures.draw_curves(frame, folder / "curve.png" if len(jobs) == 1 else folder.parent / "curves.png"))


def _table(frame: Any) -> str:
    """The last accuracy of each series, mean and standard deviation over seeds."""
    from alsuite.results.statistics import SETTING, differing, with_series

    last = frame.sort_values("cycle").groupby(["run", "test"]).tail(1)
    told = dict.fromkeys([*SETTING, "strategy", *differing(with_series(frame, "strategy"))])
    columns: list[str] = []
    for column in sorted(told, key=lambda column: "." in column):  # the choices tell more than what follows from them
        if len(last.drop_duplicates([*columns, column])) > (len(last.drop_duplicates(columns)) if columns else 1):
            columns.append(column)
    columns = columns or ["strategy"]
    rows = last.groupby(columns, dropna=False).agg(
        labelled=("labelled", "max"), seeds=("seed", "nunique"), accuracy=("accuracy", "mean"), sd=("accuracy", "std")
    )
    return rows.reset_index().to_string(index=False, float_format=lambda value: f"{value:.4f}", na_rep="-")


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"
