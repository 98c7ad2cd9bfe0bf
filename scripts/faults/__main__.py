"""What is lost when runs are killed and their surroundings fail: labels, records, time. It should be nothing but time.

Small runs of every family are killed by SIGKILL at random moments, and started again until they end; others meet torn
files, a full disk, a folder that they may not write to, a second writer, a clock that goes back, data that changes and
too little memory. Whatever is told must be one line, and the record in the end that of an undisturbed run. A run that a
signal ends within a library, as oneDNN's when it gets no memory, can tell nothing: it is counted as crashed.

    python scripts/faults --kills 1000

What was counted is kept beside the table: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import platform
import shutil
import sys
from collections import Counter
from pathlib import Path
from random import Random

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "HYDRA_FULL_ERROR"):
    os.environ[variable] = "1"

from families import FAMILIES, HEAVY, Family  # noqa: E402 (torch reads the number of its threads)
from kills import killed  # noqa: E402
from stage import laid_out, prepared  # noqa: E402
from surroundings import OTHERS, Skipped  # noqa: E402
from trial import State, Trial, counted  # noqa: E402

from alsuite.files import write_text  # noqa: E402

LANES = 2  # processes that each have one run at a time
EACH = 25  # kills for one trial of each other fault


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
    sys.exit(int(any(failed) or any(map(wrong, rows))))


def wrong(row: State) -> bool:
    """Tell whether something was lost, or ended otherwise than it should; memory alone may end a run by a signal."""
    crashed = row["crashed"] if row["fault"] != "too little memory" else 0
    return row["labels lost"] + row["differing"] + row["tracebacks"] + crashed > 0


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
    state = killed(trial, kills, {**counted("killed", name), **before}, kept)
    for number, (fault, work) in enumerate(OTHERS.items(), start=2):
        row = counted(fault, name)
        for turn in range(max(1, kills // EACH)):
            random = Random(f"{seed} {fault} {name} {turn}")
            try:
                work(trial, random, row)
            except Skipped as reason:
                row["told"] = str(reason)
        (home / f"{number} {name} {fault}.json").write_text(json.dumps(row))
    write_text(kept, json.dumps({**state, "others": True}))
    shutil.rmtree(trial.folder, ignore_errors=True)


def written(path: Path, rows: list[State]) -> None:
    """Write the table: a line for each fault and family that was tried."""
    made = {"command": " ".join(["python", "scripts/faults", *sys.argv[1:]])}
    made["device"] = f"cpu {platform.machine()}, one thread a run, {LANES} runs at a time"
    columns = ("fault", "family", "times", "runs", "labels lost", "differing", "tracebacks", "crashed", "refused")
    table = []
    for row in rows:
        if row["times"]:
            where = ", ".join(f"{name} {n}" for name, n in Counter(row["phases"]).most_common())
            told = {"seconds lost a kill": row.get("seconds lost a kill", ""), "where": where, "commit": row["commit"]}
            table.append({**{name: row[name] for name in columns}, **told, **made})
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*columns, "seconds lost a kill", "where", "commit", *made])
        writer.writeheader()
        writer.writerows(table)
    for name in ("times", "labels lost", "differing", "tracebacks", "crashed"):
        print(f"{name}: {sum(row[name] for row in rows)}")


if __name__ == "__main__":
    main()
