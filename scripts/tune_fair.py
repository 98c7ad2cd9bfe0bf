"""How conf/protocol/fair.yaml was chosen: a grid over the recipe, judged on validation images drawn from the training
set, with labels drawn at random. The test set is never read; the validation labels are not counted in any budget.

    python scripts/tune_fair.py --dataset fashion_mnist --labelled 1000 --validation 1000 --seeds 3
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import product

import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from alsuite import CONF
from alsuite.data import Dataset
from alsuite.loop import seed_all
from alsuite.nets.classifiers import lenet
from alsuite.pool import Pool
from alsuite.tasks.classification import Classification

GRID = {
    "epochs": (25, 50),
    "lr": (1e-3, 2e-3, 4e-3),
    "weight_decay": (0.01, 0.1),
    "augment": ("none", "crop"),
    "dropout": (0.0, 0.25),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="fashion_mnist")
    parser.add_argument("--labelled", type=int, default=1000)
    parser.add_argument("--validation", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        dataset = instantiate(compose("config", [f"dataset={options.dataset}"]).dataset)
    rows = []
    for values in product(*GRID.values()):
        recipe = dict(zip(GRID, values, strict=True))
        scores = [
            accuracy(dataset, options.labelled, options.validation, seed, **recipe) for seed in range(options.seeds)
        ]
        rows.append({**recipe, "accuracy": torch.tensor(scores).mean().item()})
        print(rows[-1], flush=True)
    print(pd.DataFrame(rows).sort_values("accuracy", ascending=False).to_string(index=False))


def accuracy(
    dataset: Dataset, labelled: int, validation: int, seed: int, dropout: float, **recipe: float | str
) -> float:
    seed_all(seed, -1)
    order = torch.randperm(len(dataset.train.targets))
    chosen, held_out = order[:labelled], order[labelled : labelled + validation]
    pool = Pool(dataset.train.images, len(dataset.classes), dataset.mean, dataset.std)
    pool.label(chosen, dataset.train.targets[chosen])
    net = partial(lenet, dropout=dropout)
    task = Classification(net, batch=64, optimiser="adamw", schedule="cosine", **recipe).learn(pool)  # type: ignore[arg-type]
    predicted = task.log_probs(pool.rows(held_out)).argmax(1)
    return (predicted == dataset.train.targets[held_out]).float().mean().item()


if __name__ == "__main__":
    main()
