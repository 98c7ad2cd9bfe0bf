"""What is lost when runs are killed and their surroundings fail: labels, records, time. It should be nothing but time.

Small runs of every family are killed by SIGKILL at random moments, and started again until they end; others meet torn
files, a full disk, a folder that they may not write to, a second writer, a clock that goes back, data that changes and
too little memory. Whatever is told must be one line, and the record in the end that of an undisturbed run.

    python scripts/faults --kills 1000

What was counted is kept beside the table: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import json
import math
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

for threads in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "HYDRA_FULL_ERROR"):
    os.environ[threads] = "1"

from families import (  # noqa: E402 (torch reads the number of its threads)
    FAMILIES,
    HEAVY,
    Ended,
    Family,
    Moment,
    beside,
    laid_out,
    looked_at,
    prepared,
    records,
    start,
    until,
)

sys.path.append(str(Path(__file__).resolve().parents[1]))
from same_results import first_difference  # noqa: E402

HERE = Path(__file__).resolve().parents[2]
NEVER = Moment(600.0)
LANES = 2  # processes that each have one run at a time
EACH = 25  # kills for one trial of each other fault
State = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40, help="how many in all")
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=[*FAMILIES], metavar="FAMILY")
    parser.add_argument("--out", type=Path, default=Path("outputs/faults/faults.csv"))
    options = parser.parse_args()
    home = options.out.parent.resolve() / f"faults-seed-{options.seed}"
    home.mkdir(parents=True, exist_ok=True)
    lanes = [os.fork() or lane(options, home, number) for number in range(LANES)]
    failed = [os.waitpid(pid, 0)[1] for pid in lanes]
    rows = [json.loads(path.read_text()) for path in sorted(home.glob("*.json"))]
    written(options.out, rows)
    sys.exit(int(any(failed) or any(row["labels lost"] + row["differing"] + row["tracebacks"] for row in rows)))


def lane(options: argparse.Namespace, home: Path, number: int) -> int:
    """Try every so many of the families, each with all faults, and end the process."""
    status = 1
    try:
        os.environ["ALSUITE_DATA"] = str(home / f"data{number}")
        laid_out(home / f"data{number}")
        prepared()
        for name in options.only[number::LANES]:
            share = (1 if name in HEAVY else 4) / sum(1 if each in HEAVY else 4 for each in options.only)
            tried(name, math.ceil(options.kills * share), options.seed, home, home / f"data{number}")
        status = 0
    finally:
        sys.stderr.flush()
        if status:
            import traceback

            traceback.print_exc()
        os._exit(status)


def tried(name: str, kills: int, seed: int, home: Path, data: Path) -> None:
    """Count what a family loses by each fault, unless that is written down already."""
    kept = home / f"1 {name}.json"
    before = json.loads(kept.read_text()) if kept.exists() else {}
    if before.get("times", 0) >= kills and before.get("others"):
        return
    trial = Trial(Family.of(name, data), seed, home / name.replace(" ", "_"), data)
    trial.undisturbed()
    state = killed(trial, kills, before or counted("killed", name), kept)
    for number, (fault, work) in enumerate(OTHERS.items(), start=2):
        row = counted(fault, name)
        for turn in range(max(1, kills // EACH)):
            random = Random(f"{seed} {fault} {name} {turn}")
            try:
                work(trial, random, row)
            except Skipped as reason:
                row["told"] = str(reason)
        (home / f"{number} {name} {fault}.json").write_text(json.dumps(row))
    kept.write_text(json.dumps({**state, "others": True}))
    shutil.rmtree(trial.folder, ignore_errors=True)


class Skipped(Exception):
    """Why a fault cannot be tried here, or not on this family."""


def counted(fault: str, family: str) -> State:
    """Return a row of the table before anything was counted."""
    counts = dict.fromkeys(("times", "runs", "labels lost", "differing", "tracebacks", "refused"), 0)
    return {"fault": fault, "family": family, **counts, "cpu": 0.0, "phases": {}, "told": "", "commit": commit()}


@cache
def commit() -> str:
    """Return the commit whose code is tried."""
    command = ["git", "-C", str(HERE), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


class Trial:
    """A family, and what its run is when nothing disturbs it."""

    def __init__(self, family: Family, seed: int, folder: Path, data: Path) -> None:
        self.family = family
        self.seed = seed
        self.folder = folder
        self.data = data
        self.log = folder / "log.txt"
        self.whole: list[dict[str, Any]] = []
        self.ended = Ended(0, "", 0.0, 0.0, "", 0)
        self.cpu = 0.0

    def undisturbed(self) -> None:
        """Run once, for the record and the time that the others are compared with."""
        row = counted("", "")
        root = self.fresh("whole")
        self.run(root, row, lambda: NEVER)
        self.whole, self.cpu = records(root), row["cpu"]
        if row["tracebacks"] or not self.whole:
            raise RuntimeError(f"{self.family.name}, undisturbed: {row['told']}")

    def fresh(self, name: str) -> Path:
        root = self.folder / name
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        return root

    def run(self, root: Path, row: State, moment: Callable[[], Moment], around: Callable[[], Any] = int) -> int | None:
        """Start, have a person answer, and start again, until the run ends or cannot go on; return its last status."""
        answering, page = False, "ui=page" in self.family.options
        while True:
            work = self.family.answer if answering else self.family.work
            earlier = records(root)
            with beside(partial(self.family.visit, root), self.folder / "visit.txt") if page else nullcontext():
                pid = start(lambda work=work: (around(), work(root)), self.log)
                ended = until(pid, moment(), root, self.log)
            self.note(root, row, ended, earlier)
            if ended.status == 0 and not answering:
                row["runs"] += 1
                if self.whole and (difference := unlike(self.whole, records(root))):
                    row["differing"] += 1
                    row["told"] = difference
                return 0
            if ended.status not in (0, 3, None):
                return ended.status
            answering = ended.status == 3 or (answering and ended.status is None)

    def note(self, root: Path, row: State, ended: Ended, earlier: list[dict[str, Any]]) -> None:
        """Add a start to a row."""
        now = records(root)
        gone = [record for i, record in enumerate(earlier) if i >= len(now) or now[i] != record]
        row["labels lost"] += sum(map(labels_of, gone)) + len(forgotten(root))
        row["cpu"] += ended.cpu
        row["tracebacks"] += ended.traced
        if ended.status is None:
            row["times"] += 1
            row["phases"][ended.phase] = row["phases"].get(ended.phase, 0) + 1
        if ended.traced or ended.status == 2:
            row["told"] = (ended.said.splitlines() or [f"status {ended.status}"])[-1].replace(str(self.folder), "")
        if not self.whole and ended.seconds > self.ended.seconds:
            self.ended = ended


def unlike(whole: list[dict[str, Any]], found: list[dict[str, Any]]) -> str:
    """Tell the first way in which records differ; "" if they don't."""
    if len(whole) != len(found):
        return f"{len(whole)} records became {len(found)}"
    pairs = enumerate(zip(whole, found, strict=True))
    differing = ((cycle, first_difference(*pair)) for cycle, pair in pairs)
    return next((f"cycle {cycle}, {one[0]}: {one[1]} became {one[2]}"[:300] for cycle, one in differing if one), "")


def labels_of(record: dict[str, Any]) -> int:
    return sum(len(part["indices"]) for part in (record.get("initial"), record["queried"]) if part)


def forgotten(root: Path) -> list[str]:
    """Return the answers that a person was told are kept, and that stand in no sheet."""
    given = root / "given.txt"
    told = {*given.read_text().splitlines()} if given.exists() else set()
    kept = set()
    for sheet in root.rglob("labels_*.csv"):
        with sheet.open(newline="") as file:
            kept |= {f"{sheet.stem} {row['index']}" for row in csv.DictReader(file) if row["label"]}
    return sorted(told - kept)


def killed(trial: Trial, kills: int, state: State, kept: Path) -> State:
    """Kill runs at random moments, until there were so many kills; what was counted is kept after each run."""
    while state["times"] < kills:
        draw = partial(drawn, Random(f"{trial.seed} {trial.family.name} {state['runs']}"), trial.ended)
        if trial.run(trial.fresh("killed"), state, lambda draw=draw: draw() if state["times"] < kills else NEVER):
            break
        state["seconds lost a kill"] = round((state["cpu"] - state["runs"] * trial.cpu) / max(1, state["times"]), 3)
        kept.write_text(json.dumps(state))
    return state


def drawn(random: Random, undisturbed: Ended) -> Moment:
    """Return a share of the undisturbed run's time, or a moment just after one of the changes of its files."""
    if random.random() < 0.5:
        return Moment(random.uniform(0, 1.1 * undisturbed.seconds))
    return Moment(600.0, random.randint(1, max(1, undisturbed.changes)), random.uniform(0, 0.02))


def torn(trial: Trial, random: Random, row: State) -> None:
    """Cut one of the files that a run has written, when the run has half of its cycles to go."""
    root = trial.fresh("torn")
    shutil.copytree(trial.folder / "whole", root, dirs_exist_ok=True)
    journal = next(root.rglob("cycles.jsonl"))
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: len(lines) // 2]))
    files = [path for path in sorted(looked_at(root)) if not path.endswith("given.txt")]
    kinds = {re.sub(r"\d+", "", Path(path).name): path for path in files if Path(path).stat().st_size}
    path = random.choice([*kinds.values()])
    os.truncate(path, random.randrange(Path(path).stat().st_size))
    (root / "given.txt").unlink(missing_ok=True)
    row["phases"][Path(path).name] = row["phases"].get(Path(path).name, 0) + 1
    row["times"] += 1
    row["labels lost"] -= len(lines) if Path(path) == journal else 0
    before = row["labels lost"]
    if trial.run(root, row, lambda: NEVER):
        row["refused"] += 1
    row["labels lost"] = max(0, before)


def goes_on(trial: Trial, root: Path, row: State, around: Callable[[], Any], mended: Callable[[], object]) -> None:
    """Run under a fault, then without it."""
    row["times"] += 1
    if trial.run(root, row, lambda: NEVER, around):
        row["refused"] += 1
        mended()
        trial.run(root, row, lambda: NEVER)


def full(trial: Trial, random: Random, row: State) -> None:
    """Run on a disk that is too small, which then becomes larger."""
    root = trial.fresh("full")
    size = sum(size for size, _ in looked_at(trial.folder / "whole").values())
    with mounted(root, f"size={max(4, int(random.uniform(0.1, 0.9) * size) // 1024)}k"):
        goes_on(trial, root, row, int, lambda: mount("-o", "remount,size=64m", str(root)))


@contextmanager
def mounted(root: Path, options: str) -> Iterator[None]:
    """Have a small disk at a folder."""
    if not mount("-t", "tmpfs", "-o", options, "tmpfs", str(root)):
        raise Skipped("skipped: no disk can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def mount(*options: str) -> bool:
    command = ["mount", *options]
    return (
        shutil.which("mount") is not None and not subprocess.run(command, capture_output=True, check=False).returncode
    )


def forbidden(trial: Trial, random: Random, row: State) -> None:
    """Run in a folder that may not be written to, at first or from some cycle on."""
    root = trial.fresh("forbidden")
    if random.random() < 0.5:
        pid = start(partial(trial.family.work, root), trial.log)
        until(pid, Moment(random.uniform(0, trial.ended.seconds)), root, trial.log)
    folders = [path for path in (root, *root.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(0o500)
    goes_on(trial, root, row, unprivileged, lambda: [path.chmod(0o700) for path in folders])


def unprivileged() -> None:
    """Give up what lets an administrator write anywhere."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError("capabilities cannot be given up here")


def together(trial: Trial, random: Random, row: State) -> None:
    """Start the same run twice: the second is refused, or finds it done."""
    root = trial.fresh("together")
    other = start(partial(trial.family.work, root), trial.folder / "other.txt")
    time.sleep(random.uniform(0, trial.ended.seconds))
    first = trial.run(root, counted("", ""), lambda: NEVER)
    second = until(other, NEVER, root, trial.folder / "other.txt")
    row["times"] += 1
    row["refused"] += first == 2 or second.status == 2
    row["tracebacks"] += second.traced
    trial.run(root, row, lambda: NEVER)


def backwards(trial: Trial, random: Random, row: State) -> None:
    """Run while the clock jumps back, beside files from the future."""
    root = trial.fresh("backwards")
    row["times"] += 1
    trial.run(root, row, lambda: drawn(random, trial.ended) if random.random() < 0.5 else NEVER, jumping)
    for path in root.rglob("*"):
        os.utime(path, (time.time() + 1e6, time.time() + 1e6))
    trial.run(root, row, lambda: NEVER, jumping)


def jumping() -> None:
    """Let each look at the clock show a minute less than the one before."""
    true, looks = time.time, iter(range(1 << 60))
    time.time = lambda: true() - 60.0 * next(looks)


def changing(trial: Trial, random: Random, row: State) -> None:
    """Change a file of the data when a run is under way, and take it back."""
    if trial.family.name != "photos":
        raise Skipped("only where each start looks at the data")
    root, photo = trial.fresh("changing"), random.choice(sorted((trial.data / "photos").rglob("*.png")))
    pid = start(partial(trial.family.work, root), trial.log)
    until(pid, Moment(600.0, trial.ended.changes - 1), root, trial.log)
    content = photo.read_bytes()
    photo.write_bytes(content + b"\0")
    goes_on(trial, root, row, int, lambda: photo.write_bytes(content))
    photo.write_bytes(content)


def starved(trial: Trial, random: Random, row: State) -> None:
    """Run with little more memory than a start has."""
    room = int(random.uniform(0, 60) * 2**20)

    def bounded() -> None:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + room, size + room))

    goes_on(trial, trial.fresh("starved"), row, bounded, int)


OTHERS: dict[str, Callable[[Trial, Random, State], None]] = {
    "a torn file": torn,
    "a full disk": full,
    "no permission": forbidden,
    "two writers": together,
    "a clock that goes back": backwards,
    "data that changes": changing,
    "too little memory": starved,
}


def written(path: Path, rows: list[State]) -> None:
    """Write the table: a line for each fault and family that was tried."""
    made = {"command": " ".join(["python", "scripts/faults", *sys.argv[1:]])}
    made["device"] = f"cpu {platform.machine()}, one thread a run, {LANES} runs at a time"
    columns = ("fault", "family", "times", "runs", "labels lost", "differing", "tracebacks", "refused")
    table = []
    for row in rows:
        if row["times"]:
            where = ", ".join(f"{name} {n}" for name, n in Counter(row["phases"]).most_common())
            lost = row.get("seconds lost a kill", "")
            counts = {name: row[name] for name in columns}
            table.append({**counts, "seconds lost a kill": lost, "where": where, "commit": row["commit"], **made})
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*columns, "seconds lost a kill", "where", "commit", *made])
        writer.writeheader()
        writer.writerows(table)
    for name in ("times", "labels lost", "differing", "tracebacks"):
        print(f"{name}: {sum(row[name] for row in rows)}")


if __name__ == "__main__":
    main()
