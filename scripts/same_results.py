"""Whether two folders of runs hold the same results, and a set of small runs to compare.

python scripts/same_results.py OLD NEW                     a line a run, times aside; 1 if any differs or is missing
python scripts/same_results.py --record OUT [--code DIR]   the runs below, with the code of another checkout
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["compared", "first_difference", "main", "recorded"]

HERE = Path(__file__).resolve().parents[1]
CHOICES = ("strategy", "dataset", "task_model", "oracle", "features", "generator")

PLAIN = "initial=uniform oracle=ideal protocol=paper generator=none seed=0"
DIGITS = f"{PLAIN} dataset=digits task_model=linear budget=digits scale=laptop scale.cycles=3"
SMOKE = f"{PLAIN} scale=smoke"
FASHION = (
    f"{SMOKE} dataset=fashion_mnist task_model=lenet budget=m2vaal_1000 scale.pool=3000 scale.cycles=3 scale.epochs=2"
)
M2 = f"{SMOKE} dataset=fashion_mnist task_model=m2"
MNIST57 = f"{SMOKE} dataset=mnist57 task_model=linear budget=asal_mnist57 initial=stratified"
RUNS = (
    f"strategy=random {DIGITS}",
    f"strategy=margin {DIGITS} seed=1",
    f"strategy=entropy {FASHION} protocol=fair",
    f"strategy=coreset {FASHION}",
    f"strategy=badge {FASHION}",
    f"strategy=ensemble {DIGITS}",
    f"strategy=mc_dropout {FASHION} task_model.net.dropout=0.5",
    f"strategy=bald {DIGITS} task_model.net.dropout=0.3",
    f"strategy=vaal {FASHION} generator=vae",
    f"strategy=ta_vaal {FASHION} generator=vae",
    f"strategy=learning_loss {FASHION}",
    f"strategy=aalu {FASHION} generator=feature_vae",
    f"strategy=vaal_no_d {DIGITS} generator=vae scale.steps=30",
    f"strategy=m2_vaal {M2} budget=m2vaal_500 initial=biased",
    f"strategy=m2_alg2 {M2} budget=m2vaal_50",
    f"strategy=asal {MNIST57} generator=wgan_gp features=gray scale.cycles=4",
    f"strategy=asal_min_distance {MNIST57} generator=dcgan features=autoencoder task_model.loss=hinge",
    f"strategy=gaal {MNIST57} generator=dcgan oracle=annotator",
    f"strategy=active_gan {SMOKE} generator=acgan dataset=mnist task_model=svm_vgg budget=active_gan_500",
    f"strategy=random {DIGITS} oracle=noisy initial=stratified",
    f"strategy=full {DIGITS}",
)
FOLDERS = {"digits": (), "mnist57": ("mnist",), "svm_vgg": ("vgg16",)}  # what an option needs below ALSUITE_DATA

Records = list[dict[str, Any]]


def main() -> int:
    options = parsed()
    if options.record:
        return recorded(options.record.resolve(), options.code.resolve())
    if len(options.folders) != 2:
        sys.exit("name two folders of runs, OLD and NEW, or --record OUT")
    return compared(*options.folders)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="OLD NEW")
    parser.add_argument("--record", type=Path, metavar="OUT")
    parser.add_argument("--code", type=Path, default=HERE, metavar="DIR")
    return parser.parse_args()


def compared(old: Path, new: Path) -> int:
    """Print a line for each run of either folder; return 1 unless there are runs and all are identical."""
    pairs = list(paired(old, new))
    if not pairs:
        print(f"same_results: there are no runs in {old} nor in {new}")
    verdicts = [(name, verdict(before, after)) for name, before, after in pairs]
    for name, said in verdicts:
        print(f"{said:<12} {name}" if said == "identical" else f"{name}: {said}")
    return 0 if verdicts and all(said == "identical" for _, said in verdicts) else 1


def paired(old: Path, new: Path) -> Iterator[tuple[str, Path | None, Path | None]]:
    """Match runs by their path below the root; the others by what they are, where no other run is that."""
    before, after = runs(old), runs(new)
    for name in sorted(before.keys() & after.keys()):
        yield name, before.pop(name), after.pop(name)
    was, now = unlike_others(before), unlike_others(after)
    for key in [key for key in was if key in now]:
        yield was[key], before.pop(was[key]), after.pop(now[key])
    yield from ((name, run, None) for name, run in before.items())
    yield from ((name, None, run) for name, run in after.items())


def unlike_others(found: dict[str, Path]) -> dict[tuple[Any, ...], str]:
    """Return the names, by what they are, of the runs that no other run resembles."""
    what = {name: identity(run) for name, run in found.items()}
    counts = Counter(what.values())
    return {key: name for name, key in what.items() if counts[key] == 1}


def runs(root: Path) -> dict[str, Path]:
    folders = sorted(path.parent for path in root.rglob("cycles.jsonl"))
    return {folder.relative_to(root).as_posix(): folder for folder in folders}


def identity(run: Path) -> tuple[Any, ...]:
    """Return what run.json says the run is; only itself is what a run without that file is."""
    try:
        about = json.loads((run / "run.json").read_text())
    except (OSError, ValueError):
        return (str(run),)
    chosen = tuple(about["choices"].get(group) for group in CHOICES)
    return (*chosen, about["config"]["seed"], about["config"].get("protocol"))


def verdict(old: Path | None, new: Path | None) -> str:
    if old is None or new is None:
        return f"missing in {'OLD' if old is None else 'NEW'}"
    before, after = records(old), records(new)
    for cycle, (one, other) in enumerate(zip(before, after, strict=False)):
        if found := first_difference(one, other):
            key, was, now = found
            return f"record {cycle}, {key}: {was} became {now}"
    return "identical" if len(before) == len(after) else f"{len(before)} records became {len(after)}"


def records(run: Path) -> Records:
    return [json.loads(line) for line in (run / "cycles.jsonl").read_text().splitlines()]


def first_difference(old: object, new: object, key: str = "") -> tuple[str, str, str] | None:
    """Return the first key whose values differ, and both of them."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in {**old, **new} if not measured(name)]
        parts = ((old.get(name, "nothing"), new.get(name, "nothing"), f"{key}.{name}".strip(".")) for name in names)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        parts = ((one, other, f"{key}[{i}]") for i, (one, other) in enumerate(zip(old, new, strict=True)))
    else:
        was, now = json.dumps(old), json.dumps(new)
        return None if was == now else (key, was, now)
    return next(filter(None, (first_difference(*part) for part in parts)), None)


def measured(name: str) -> bool:
    """Tell whether a key's value is a matter of the machine."""
    return name.endswith("seconds") or "memory" in name


def recorded(out: Path, code: Path) -> int:
    """Run all runs whose data is there, one after another; return 1 if any fails."""
    root = Path(os.environ.get("ALSUITE_DATA") or "~/.cache/alsuite").expanduser()
    status = 0
    for run in map(str.split, RUNS):
        name = " ".join(options(run))
        if absent := [folder for folder in needed(run) if not (root / folder).is_dir()]:
            print(f"left out, no {' and '.join(absent)} in {root}: {name}", flush=True)
            continue
        failure = started(options(run), out, code)
        status = status or int(bool(failure))
        print(f"{'FAILED' if failure else 'recorded'} {name} {failure}".strip(), flush=True)
    return status


def options(run: Sequence[str]) -> list[str]:
    """Return the options, each once: what stands later counts."""
    return [f"{name}={value}" for name, value in dict(option.split("=", 1) for option in run).items()]


def needed(run: Sequence[str]) -> list[str]:
    chosen = dict(option.split("=", 1) for option in run)
    return [*FOLDERS.get(chosen["dataset"], (chosen["dataset"],)), *FOLDERS.get(chosen["task_model"], ())]


def started(run: Sequence[str], out: Path, code: Path) -> str:
    """Run with the other checkout's code; return the last line that a failure says."""
    command = [sys.executable, "-m", "alsuite", f"root={out}", "wandb=disabled", "device=cpu", *run]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "WANDB_MODE": "disabled"}
    done = subprocess.run(command, cwd=code, env=environment, capture_output=True, text=True)
    return (done.stderr.strip().splitlines() or ["it said nothing"])[-1] if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
