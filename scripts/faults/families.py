"""Small runs of every family, started in forks of a process that has the imports behind it, and stopped from outside.

What a start computes is done in the child alone: the process that is forked from has computed nothing.
"""

from __future__ import annotations

import functools
import importlib
import json
import mmap
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra import version
from hydra.core.utils import setup_globals
from omegaconf import OmegaConf
from PIL import Image

from alsuite import __main__, loop, oracle
from alsuite.command import identity
from alsuite.command.complaints import complaining
from alsuite.command.job import Job
from alsuite.command.run import execute, left_to_do
from alsuite.command.sweeps import Composer
from alsuite.data import made_up, store
from alsuite.data.digits import digits
from alsuite.journal import Journal
from alsuite.labelling.page import Page
from alsuite.labelling.sheet import Sheet
from alsuite.matching.index import FeatureIndex
from alsuite.training import once

__all__ = [
    "FAMILIES",
    "HEAVY",
    "Ended",
    "Family",
    "Moment",
    "beside",
    "laid_out",
    "looked_at",
    "prepared",
    "records",
    "start",
    "until",
]

SMOKE = ("scale=smoke", "wandb=disabled", "device=cpu", "parallel=1", "scale.cycles=4")
COUNTS = ("budget.initial=20", "budget.query=10", "budget.end=50")
DIGITS = (*SMOKE, "dataset=digits", "task_model=linear", *COUNTS)
MNIST57 = (*SMOKE, "dataset=mnist57", "scale.gan_steps=15", *COUNTS[:2], "budget.end=40")
PHOTOS = (*SMOKE, "dataset=folder", "dataset.path=DATA/photos", "dataset.size=16", "task_model=linear")
FAMILIES = {
    "entropy": ("strategy=entropy", *DIGITS),
    "a sheet": ("strategy=entropy", *DIGITS, "oracle=human"),
    "ASAL": ("strategy=asal", *MNIST57, "oracle=annotator", "generator=dcgan", "features=gray"),
    "GAAL": ("strategy=gaal", *MNIST57, "oracle=annotator", "generator=dcgan"),
    "the page": ("strategy=entropy", *DIGITS, "oracle=human", "ui=page"),
    "core-set": ("strategy=coreset", *DIGITS),
    "VAAL": ("strategy=vaal", *DIGITS),
    "photos": ("strategy=entropy", *PHOTOS, *COUNTS),
    "AALU": ("strategy=aalu", *DIGITS),
    "masks": ("strategy=entropy", *SMOKE, "dataset=folder_masks", "dataset.path=DATA/mine", *COUNTS),
    "M2-VAAL": ("strategy=m2_vaal", *SMOKE, "dataset=mnist", *COUNTS),
    "the whole command": ("strategy=margin", *DIGITS),
    "BADGE": ("strategy=badge", *DIGITS),
    "ensemble": ("strategy=ensemble", *DIGITS),
}
HEAVY = ("ASAL", "GAAL", "VAAL", "the whole command")  # of which a kill takes seconds: they get a quarter as many
PHASES = ("start", "arrays", "generator", "index", "fit", "query", "journal", "answer")
POLL = 0.002  # seconds
phase = mmap.mmap(-1, 1)  # shared with the children, and made anew for each process that forks


def marked(owner: Any, name: str, what: str) -> None:
    """Have a function say that it's under way, to whoever kills it."""
    work = getattr(owner, name)

    @functools.wraps(work)
    def marking(*arguments: Any, **options: Any) -> Any:
        before, phase[0] = phase[0], PHASES.index(what)
        try:
            return work(*arguments, **options)
        finally:
            phase[0] = before

    setattr(owner, name, marking)


def prepared() -> None:
    """Import what runs need, shorten what they wait for, and let each phase be told."""
    global phase
    phase = mmap.mmap(-1, 1)
    version.setbase("1.3")
    setup_globals()
    once.EVERY = 5
    oracle.Page = functools.partial(Page, grace=0.05)  # type: ignore[assignment, misc]
    marks = ((loop.Run, "_cycle", "fit"), (loop.Run, "_query", "query"), (once, "_train", "generator"))
    marks += ((FeatureIndex, "__init__", "index"), (store, "built", "arrays"), (Sheet, "write", "answer"))
    for mark in (*marks, (Journal, "append", "journal"), (Journal, "ask", "journal")):
        marked(*mark)


def laid_out(home: Path) -> None:
    """Write small data: MNIST's arrays with made-up pictures, photos in two classes, and images with masks."""
    if (home / "mnist").is_dir():
        return
    data = made_up.made_up("mnist", (1, 28, 28, 10), train=400, test=50)
    (home / "mnist").mkdir(parents=True)
    test = data.tests["mnist"]
    both = {"train": data.train, "test": test}
    store.save(home / "mnist", **{name: (s.images.numpy(), s.targets.numpy()) for name, s in both.items()})
    for i in range(120):
        picture = Image.fromarray(data.train.images[i, 0].numpy())
        for path in (home / "photos" / str(i % 2) / f"{i}.png", home / "mine" / "images" / f"{i}.png"):
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.resize((16, 16)).save(path)
        (home / "mine" / "masks").mkdir(exist_ok=True)
        Image.new("L", (16, 16), i % 3).save(home / "mine" / "masks" / f"{i}.png")
    (home / "mine" / "classes.txt").write_text("a\nb\nc\n")


@dataclass(frozen=True)
class Family:
    """Runs of one kind.

    options: of the command line
    job: what a start is given, below a folder that is called ROOT; None starts the command itself
    targets: what a person answers; empty where nobody is asked
    """

    name: str
    options: tuple[str, ...]
    job: Job | None
    targets: tuple[int, ...] = ()

    @classmethod
    def of(cls, name: str, home: Path) -> Family:
        """Compose a family's configuration, and import what it names."""
        options = tuple(option.replace("DATA", str(home)) for option in FAMILIES[name])
        composer = Composer(__main__.loader(None))
        config = composer(composer.with_paper([*options, "root=ROOT"]))
        config.hydra.runtime.output_dir = "ROOT/run"
        job = Job.of(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), config.hydra)
        for module in job.about["code"]:
            importlib.import_module(module)
        asked = "oracle=human" in options
        targets = tuple(digits().subset(500, 200).train.targets.tolist()) if asked else ()
        return cls(name, options, None if name == "the whole command" else job, targets)

    def work(self, root: Path) -> None:
        """Run to the end, or go on, as the command does."""
        if self.job is None:
            sys.argv = ["alsuite", *self.options, f"root={root}"]
            __main__.main()
            return
        job = replace(self.job, config=moved(self.job.config, root), folder=root / "run")
        if self.name == "photos":  # whose data is looked at each time
            identity._checksum.cache_clear()
        else:
            job.__dict__["about"] = self.job.about
        with complaining():
            if left_to_do([job], Quiet()):  # type: ignore[arg-type]
                execute(job, Quiet())

    def answer(self, root: Path) -> None:
        """Fill in the sheet that waits, an answer at a time, and note each that has been kept."""
        path = max((root / "run" / "queries").glob("labels_*.csv"))
        sheet = Sheet(path, [str(i) for i in range(10)])
        rows = sheet.rows()
        for row in rows:
            if not row["label"]:
                row["label"] = str(self.targets[int(row["index"])])
                sheet.write(rows)
                noted(root, path.stem, row["index"])

    def visit(self, root: Path) -> None:
        """Answer on the page, and note each answer that it has taken."""
        while True:
            try:
                kept = json.loads((root / "run" / "queries" / "page.json").read_text())
                asked(kept["port"], kept["token"], self.targets, root)
            except (OSError, ValueError, HTTPException):
                time.sleep(POLL)


def moved(tree: Any, root: Path) -> Any:
    """Return a configuration whose folders lie below a root."""
    if isinstance(tree, dict):
        return {key: moved(value, root) for key, value in tree.items()}
    return tree.replace("ROOT", str(root)) if isinstance(tree, str) else tree


def asked(port: int, token: str, targets: tuple[int, ...], root: Path) -> None:
    """Answer each image of the page's sheet that has no label."""
    state = json.loads(requested(port, token, "/state"))
    for item in state["items"]:
        if not item["label"]:
            said = {"sheet": state["sheet"], "index": item["index"], "label": str(targets[int(item["index"])])}
            json.loads(requested(port, token, "/answer", said))["rest"]
            noted(root, state["sheet"], item["index"])
    time.sleep(POLL)


def requested(port: int, token: str, path: str, said: object = None) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    body = None if said is None else json.dumps(said)
    connection.request("GET" if body is None else "POST", f"{path}?token={token}", body)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    if reply.status != 200:
        raise ValueError(content)
    return content


def noted(root: Path, sheet: str, index: str) -> None:
    with (root / "given.txt").open("a") as file:
        file.write(f"{sheet} {index}\n")


class Quiet:
    """Shows nothing."""

    def cycle(self, number: int, record: object, cycles: int, old: bool) -> None: ...

    def print(self, text: str) -> None: ...


class Moment(NamedTuple):
    """When a run is killed: after so many seconds, or after so many changes of its files and some time more."""

    seconds: float
    changes: int = 1 << 30
    later: float = 0.0


class Ended(NamedTuple):
    """How a start ended.

    status: of the process; None if it was killed
    said: what it wrote
    seconds, cpu: that it took
    phase: in which it was killed
    changes: how often its files were seen to change
    """

    status: int | None
    said: str
    seconds: float
    cpu: float
    phase: str
    changes: int

    @property
    def traced(self) -> bool:
        """Whether it ended otherwise than by itself, in one line, or by the kill."""
        lines = [line for line in self.said.splitlines() if line.startswith("alsuite: ")]
        in_one_line = self.status in (2, 3) and len(lines) == 1
        return "Traceback" in self.said or not (self.status in (0, None) or in_one_line)


def start(work: Callable[[], object], log: Path) -> int:
    """Fork a child that does the work in a session of its own, with what it says in a file."""
    phase[0] = 0
    if pid := os.fork():
        return pid
    status = 1
    try:
        os.setsid()
        with log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        torch.set_num_threads(1)
        work()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def until(pid: int, moment: Moment, root: Path, log: Path) -> Ended:
    """Wait until a child has ended, or kill it and all its own at a moment."""
    began = time.monotonic()
    seen, changes, due = looked_at(root), 0, began + moment.seconds
    found, status, used = os.wait4(pid, os.WNOHANG)
    while not found and time.monotonic() < due:
        time.sleep(POLL)
        if (now := looked_at(root)) != seen:
            seen, changes = now, changes + 1
            due = min(due, time.monotonic() + moment.later) if changes == moment.changes else due
        found, status, used = os.wait4(pid, os.WNOHANG)
    at = PHASES[phase[0]]
    if not found:
        os.killpg(pid, signal.SIGKILL) if os.getpgid(pid) == pid else os.kill(pid, signal.SIGKILL)
        _, status, used = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status) if found else None
    said = log.read_text(errors="replace") if log.exists() else ""
    return Ended(code, said, time.monotonic() - began, used.ru_utime + used.ru_stime, at, changes)


def looked_at(root: Path) -> dict[str, tuple[int, int]]:
    """Return the files below a folder with their sizes and times."""
    return dict(_files(str(root)))


def _files(folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
    try:
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            else:
                about = entry.stat(follow_symlinks=False)
                yield entry.path, (about.st_size, about.st_mtime_ns)
    except FileNotFoundError:  # it has gone meanwhile
        return


def records(root: Path) -> list[dict[str, Any]]:
    """Return what the run's journal holds, a torn last line apart."""
    path = next(root.rglob("cycles.jsonl"), None)
    lines = path.read_bytes().split(b"\n")[:-1] if path else []
    return [json.loads(line) for line in lines]


@contextmanager
def beside(work: Callable[[], object], log: Path) -> Iterator[None]:
    """Have another child do something until the block ends."""
    pid = start(work, log)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
