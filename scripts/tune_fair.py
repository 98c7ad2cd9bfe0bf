"""How the recipes of conf/recipe were chosen: a grid over one of them, judged on validation images drawn from the
training set, with labels drawn at random. The test set is never read; validation labels are not counted in any budget.

    python scripts/tune_fair.py
    python scripts/tune_fair.py --dataset cifar10 --task-model fastnet --labelled 1000 5000 20000 fair.batch=32,64
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import product

import pandas as pd
import torch
from hydra.utils import instantiate
from tuning import accuracy, configured, listed

from alsuite.command.complaints import complaining
from alsuite.data import Dataset
from alsuite.errors import UserError, whole_number
from alsuite.loop import seed_all
from alsuite.pool import Pool
from alsuite.tasks import Task

GRID = (
    "fair.epochs=25,50",
    "fair.lr=0.001,0.002,0.004",
    "fair.weight_decay=0.01,0.1",
    "fair.augment=none,crop",
    "fair.net.dropout=0,0.25",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="fashion_mnist")
    parser.add_argument("--task-model", default="lenet")
    parser.add_argument("--labelled", type=int, nargs="+", default=[1000])
    parser.add_argument("--validation", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("grid", nargs="*", default=GRID, help="options with their values, as fair.lr=0.1,0.2")
    options = parser.parse_intermixed_args()
    whole_number("--", seeds=options.seeds)
    torch.set_num_threads(1)
    rows = []
    for chosen in product(*map(listed, options.grid)):
        dataset, task_model = composed(f"dataset={options.dataset}", f"task_model={options.task_model}", *chosen)
        for labelled in options.labelled:
            found = [tried(dataset, task_model, labelled, options.validation, seed) for seed in range(options.seeds)]
            accuracy, seconds = torch.tensor(found, dtype=torch.float64).mean(0).tolist()
            rows.append({"recipe": " ".join(chosen), "labelled": labelled, "accuracy": accuracy, "seconds": seconds})
            print(rows[-1], flush=True)
    print(pd.DataFrame(rows).sort_values(["labelled", "accuracy"], ascending=False).to_string(index=False))


def composed(*options: str) -> tuple[Dataset, Callable[[], Task]]:
    config = configured("protocol=fair", *options)
    return instantiate(config.dataset), instantiate(config.task_model)


def tried(
    dataset: Dataset, task_model: Callable[[], Task], labelled: int, validation: int, seed: int
) -> tuple[float, float]:
    """Return the accuracy on validation images, and the processor's seconds that learning took."""
    seed_all(seed, -1)
    order = torch.randperm(len(dataset.train.targets))
    if labelled + validation > len(order):
        raise UserError(f"{dataset.name} has {len(order):,} training images: lower --labelled or --validation")
    chosen, held_out = order[:labelled], order[labelled : labelled + validation]
    pool = Pool(dataset.train.images, len(dataset.classes), dataset.mean, dataset.std)
    pool.label(chosen, dataset.train.targets[chosen])
    start = time.process_time()
    task = task_model().learn(pool)
    seconds = time.process_time() - start
    return accuracy(task, pool.rows(held_out), dataset.train.targets[held_out]), seconds


if __name__ == "__main__":
    with complaining():
        main()
