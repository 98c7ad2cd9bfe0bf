"""Synthetic run folders, as the loop would have written them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["synthetic_curve", "write_run"]

Config = Mapping[str, Any]


def synthetic_curve(level: float, seed: int, cycles: int = 8) -> list[float]:
    """Rises towards `level`, with a wobble that depends on the seed and the cycle alone."""
    wobbles = [((seed * 37 + cycle * 17) % 11 - 5) / 800 for cycle in range(cycles)]
    return [level - 0.3 * 0.6**cycle + wobble for cycle, wobble in enumerate(wobbles)]


def write_run(
    root: Path,
    strategy: str,
    seed: int,
    accuracy: Sequence[float],
    *,
    experiment: str = "toy",
    scale: str = "smoke",
    run: str = "",
    start: int = 10,
    step: int = 10,
    tests: Sequence[str] = ("mnist57",),
    config: Config | None = None,
    choices: Config | None = None,
    pool_counts: Sequence[int] = (400, 600),
    query_seconds: float = 0.2,
    notes: Config | None = None,
    finished: bool = True,
) -> Path:
    """The folder of one run with a cycle for each accuracy; later test sets score a tenth lower than the one before."""
    folder = root / experiment / scale / (run or f"seed={seed},strategy={strategy}")
    folder.mkdir(parents=True)
    chosen = {
        "dataset": "mnist57",
        "strategy": strategy,
        "task_model": "linear",
        "generator": "none",
        **(choices or {}),
    }
    classes = [str(k) for k in range(len(pool_counts))]
    root_scalars = {"experiment": experiment, "seed": seed, "protocol": "test", "scale": {"name": scale}}
    about = {
        "config": {**root_scalars, "task_model": {"loss": "cross_entropy"}, **(config or {})},
        "choices": chosen,
        "commit": "0" * 40,
        "versions": {},
        "device": "cpu",
        "classes": classes,
        "pool": sum(pool_counts),
        "pool_counts": list(pool_counts),
    }
    (folder / "run.json").write_text(json.dumps(about))
    lines = []
    for cycle, value in enumerate(accuracy):
        labelled = start + step * cycle
        metrics = {t: _metrics(value - 0.1 * k, len(classes)) for k, t in enumerate(tests)}
        ended = finished and cycle == len(accuracy) - 1
        record = {
            "cycle": cycle,
            "labelled": labelled,
            "metrics": metrics,
            "fit_seconds": 1.0,
            "query_seconds": 0.0 if ended else query_seconds,
            "label_counts": _label_counts(labelled, pool_counts, cycle),
            "queried": None if ended else _queried(labelled, step, value, notes),
        }
        if cycle == 0:
            record["initial"] = {"indices": list(range(start)), "labels": [0] * start}
        lines.append(json.dumps(record) + "\n")
    (folder / "cycles.jsonl").write_text("".join(lines))
    return folder


def _metrics(accuracy: float, classes: int) -> dict[str, Any]:
    return {
        "accuracy": accuracy,
        "macro_f1": accuracy - 0.01,
        "per_class": [accuracy] * classes,
        "per_class_f1": [accuracy / (k + 1) for k in range(classes)],
    }


def _queried(labelled: int, step: int, accuracy: float, notes: Config | None) -> dict[str, Any]:
    entropy = max(0.0, 0.69 * (1.05 - accuracy))
    return {
        "indices": list(range(labelled, labelled + step)),
        "labels": [0] * step,
        "scores": None,
        "entropy": entropy,
        "notes": notes or {},
    }


def _label_counts(labelled: int, pool_counts: Sequence[int], cycle: int) -> list[int]:
    tilted = [count * (1 + 0.5 * (-1) ** k / (cycle + 1)) for k, count in enumerate(pool_counts)]
    counts = [int(labelled * share / sum(tilted)) for share in tilted]
    return [labelled - sum(counts[1:]), *counts[1:]]
