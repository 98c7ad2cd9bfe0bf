"""How many steps a game needs to select well: a grid of options, judged by what is learned from the labels asked for.

    python scripts/tune_steps.py cifar10 task_model=fastnet strategy=random
    python scripts/tune_steps.py cifar10 task_model=fastnet strategy=vaal strategy.limit=1000,8000,32000

A tenth of the training images is labelled at random, and a strategy asks for as many again, in one query or in several:
`+queries=2`. The task model learns from all, and is judged on further training images that no one may ask for. The test
set is never read. Each is a row of the table, and is not measured again; a page beside the table tells the means over
the seeds.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from tuning import accuracy, configured, fill, listed

from alsuite.command.complaints import complaining
from alsuite.data import Dataset
from alsuite.errors import UserError
from alsuite.loop import seed_all
from alsuite.pool import Pool
from alsuite.results.report import markdown
from alsuite.strategies import Strategy
from alsuite.tasks import Task

TABLE = Path("outputs/published/steps.csv")
LABELLED = 0.1  # of the training images
HELD_OUT = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("grid", nargs="+", help="options with their values: key=a,b")
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    learned: dict[tuple[object, ...], Task] = {}
    grid = product(options.seeds, product(*map(listed, options.grid)))
    choices = ((options.dataset, chosen, seed) for seed, chosen in grid)
    fill(options.table, choices, options.scale, partial(asked, learned), page)


def page(frame: pd.DataFrame) -> Iterator[str]:
    """Tell what was learned from the labels, as means over the seeds."""
    yield "# How many steps a game needs\n"
    yield "`python scripts/tune_steps.py` made these queries of the data and options below, a row of `steps.csv` each."
    yield f"{LABELLED:.0%} of the training images are labelled at random, and as many more by the strategy, in one"
    yield f"query or in those of +queries. The accuracy is that on {HELD_OUT:,} further training images; the test set"
    yield "was not read. Means over the seeds, with the standard error of accuracy; seconds are of one core, for all"
    yield "queries; ranking is the chance that the game's D ranks a labelled image above another, 0.5 by luck:\n"
    rows = []
    for (dataset, options, scale), queries in frame.groupby(["dataset", "options", "scale"], sort=False):
        spread = f" ± {queries['accuracy'].sem():.2%}" if len(queries) > 1 else ""
        right = f"{queries['accuracy'].mean():.2%}{spread}"
        seconds = f"{queries['seconds'].mean():.0f}"
        ranking = f"{queries['ranking'].mean():.2f}" if queries["ranking"].notna().any() else ""
        rows.append((str(dataset), str(options), str(scale), str(len(queries)), right, seconds, ranking))
    yield markdown(("data", "options", "scale", "seeds", "accuracy", "seconds", "ranking"), rows)
    yield ""


def asked(learned: dict[tuple[object, ...], Task], seed: int, *chosen: str) -> dict[str, float]:
    """Return the accuracy after the queries at a seed, their processor's seconds, and what the last one's D ranks.

    learned: the task that a seed's first labels teach, which stays for the next query
    """
    config = configured(*chosen)
    strategy: Strategy = instantiate(config.strategy)
    pool, targets, held_out = divided(instantiate(config.dataset), seed)
    begun = (seed, *(OmegaConf.to_yaml(one, resolve=True) for one in (config.dataset, config.task_model)))
    if begun not in learned:
        learned.clear()
        learned[begun] = taught(pool, seed, 0, config.task_model)
    task, seconds, ranking, queries = learned[begun], 0.0, math.nan, config.get("queries", 1)
    n = len(pool.labelled) // queries
    for cycle in range(queries):
        seed_all(seed, cycle, 1)
        start = time.process_time()
        query = strategy.query(pool, task, n)
        seconds += time.process_time() - start
        ranking = float(query.notes.get("d_ranking", math.nan))
        pool.label(query.indices, targets[query.indices])
        task = taught(pool, seed, cycle + 1, config.task_model)
    return {"accuracy": accuracy(task, held_out, targets[len(pool) :]), "seconds": seconds, "ranking": ranking}


def divided(dataset: Dataset, seed: int) -> tuple[Pool, Tensor, Tensor]:
    """Return a pool whose first images are labelled, the labels of all images, and the images that are held out."""
    seed_all(seed, -1)
    order = torch.randperm(len(dataset.train.targets))
    if len(order) < 2 * HELD_OUT:
        raise UserError(f"{dataset.name} has {len(order):,} training images: take a data set of {2 * HELD_OUT:,}")
    images, targets = dataset.train.images[order], dataset.train.targets[order]
    pool = Pool(images[:-HELD_OUT], len(dataset.classes), dataset.mean, dataset.std)
    labelled = torch.arange(round(LABELLED * len(order)))
    pool.label(labelled, targets[labelled])
    return pool, targets, images[-HELD_OUT:]


def taught(pool: Pool, seed: int, cycle: int, task_model: DictConfig) -> Task:
    seed_all(seed, cycle)
    return instantiate(task_model)().learn(pool)


if __name__ == "__main__":
    with complaining():
        main()
