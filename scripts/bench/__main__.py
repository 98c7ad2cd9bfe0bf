"""Speed beside the usual ways of doing the same work: prints a table and writes it as CSV.

The two sides take turns in one process. A value compares their fastest turns, the range beside it the turns one by one;
it's void unless its gate holds, a check that both sides did the same. `share` is our arithmetic as a share of what a
float32 product reaches in the same run (convolutions can pass it). Real images are taken from ALSUITE_DATA where set.
The goals are for the full sizes: --small judges the gates alone.

    python scripts/bench --small
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
from adversarial import query_times, vaal_iteration, vaal_scoring
from gpu import on_gpu
from large_pool import block_shuffling, large_pool
from matching import matching, matching_growth
from pixels import confusions, pixel_epoch, query_memory
from race import Row, Sizes, memory_speed, product_speed
from scoring import core_set, dropout, scan
from several import several
from simulated import query_growth
from training import epoch, seeds, small_cycle, step

ADVERSARIAL = (vaal_iteration, vaal_scoring, query_times)
MATCHING = (matching, matching_growth)
LARGE = (large_pool, block_shuffling, query_growth)
PIXELS = (pixel_epoch, confusions, query_memory)
SINGLE = (core_set, epoch, step, scan, dropout, small_cycle, seeds, several)
TABLE = (*SINGLE, *ADVERSARIAL, *MATCHING, *PIXELS, *LARGE, on_gpu)
BENCHMARKS = {function.__name__: function for function in TABLE}
SMALL = Sizes(10_000, 1_000, 500, 10, 2_000, 5_000, 100, 64, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="less work, under a minute")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path("outputs/bench.csv"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for row in table(options.only, SMALL if options.small else Sizes()):
        if options.small and row.verdict in ("met", "missed"):
            row = replace(row, goal="", verdict="holds")
        print(line(row), flush=True)
        rows.append(asdict(row))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def table(names: list[str], sizes: Sizes) -> Iterator[Row]:
    machine = {"load": os.getloadavg()[0], "threads": torch.get_num_threads()}
    yield Row("a 2048^3 product", "", product_speed() / 1e9, "GFLOP/s", **machine)
    yield Row("a sum of 512 MB", "", memory_speed() / 1e9, "GB/s", **machine)
    for name in names:
        torch.manual_seed(0)
        try:
            yield from BENCHMARKS[name](sizes)
        except ModuleNotFoundError as error:
            yield Row(name, error.name or "", float("nan"), "", verdict="not installed", gate="pip install '.[bench]'")


def line(row: Row) -> str:
    title, value = f"{row.what:<62} {row.against:<40}", f"{row.value:8.2f} {row.unit:<10}"
    if not row.turns:
        return f"{title} {value} {row.verdict} {row.gate}"
    span = f"[{row.low:.2f}, {row.high:.2f}] of {row.turns}"
    seconds = f"{row.ours:.4g} s, {row.theirs:.4g} s"
    machine = f"share {row.share:.0%}, load {row.load:.1f}, {row.threads} threads"
    return f"{title} {value} {span:<22} {row.goal:>8} {row.verdict:<7} {seconds:<22} {machine:<34} {row.gate}"


if __name__ == "__main__":
    main()
