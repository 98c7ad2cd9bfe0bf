"""How VAAL's bound is summed and weighed against its adversary, on which the paper is silent: a grid of options.

    python scripts/tune_game.py fashion_mnist cifar10 celeba_hat
    python scripts/tune_game.py cifar10 strategy.adversarial=1,10 strategy.kl_reduction=elbo,sample

Of a part of the training images some are labelled, all but those of some classes, and others are held out. The game is
played without these. Then it is asked how well the VAE gives the held-out images back, and whether D takes those of the
missing classes for unlabelled. The test set is never read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import product

import pandas as pd
import torch
from hydra.utils import instantiate
from torch import Tensor
from tune_fair import configured, listed

from alsuite.data import Dataset
from alsuite.loop import seed_all
from alsuite.pool import Pool
from alsuite.strategies.vaal import VAAL
from alsuite.training.fit import channels_last, infer
from alsuite.training.game import AdversarialGame, reconstruction, separation

GRID = ("strategy.kl_reduction=elbo,elbo_per_value,sample,mean,sum", "strategy.adversarial=1,10")
LABELLED, UNLABELLED, HELD_OUT = 1000, 9000, 2000
MISSING = 0.3  # of the classes
ASKED = 0.1  # of the held-out images: the share of missing classes among these is told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("given", nargs="+", metavar="DATASET|OPTION", help="options with their values: key=a,b")
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    grid = [one for one in options.given if "=" in one] or [*GRID]
    rows = []
    for dataset in (one for one in options.given if "=" not in one):
        for chosen in product(*map(listed, grid)):
            told = pd.DataFrame(played(f"dataset={dataset}", f"scale={options.scale}", *chosen, seeds=options.seeds))
            rows.append({"dataset": dataset, "options": " ".join(chosen), **told.mean().round(4).to_dict()})
            print(rows[-1], flush=True)
    print(pd.DataFrame(rows).to_string(index=False))


def played(*chosen: str, seeds: int) -> Iterator[dict[str, float]]:
    """Yield what became of the game at each seed."""
    config = configured("strategy=vaal", *chosen)
    dataset: Dataset = instantiate(config.dataset)
    strategy: VAAL = instantiate(config.strategy)
    for seed in range(seeds):
        seed_all(seed, -1)
        pool, held_out, missing = divided(dataset)
        start = time.process_time()
        game = strategy.trained(pool, strategy.conditioning(pool, None))  # pyright: ignore[reportArgumentType]
        yield {**judged(game, pool, held_out, missing), "seconds": time.process_time() - start}


def divided(dataset: Dataset) -> tuple[Pool, Tensor, Tensor]:
    """Return the pool, the held-out images, and which of these are of classes that no label shows."""
    targets, classes = dataset.train.targets, len(dataset.classes)
    missing = torch.randperm(classes)[: max(1, round(MISSING * classes))]
    order = torch.randperm(len(targets))
    known = order[~torch.isin(targets[order], missing)][:LABELLED]
    others = order[~torch.isin(order, known)]
    chosen, held_out = others[:UNLABELLED].split([UNLABELLED - HELD_OUT, HELD_OUT])
    pool = Pool(dataset.train.images[torch.cat([known, chosen])], classes, dataset.mean, dataset.std)
    pool.label(torch.arange(len(known)), targets[known])
    return pool, dataset.train.images[held_out], torch.isin(targets[held_out], missing)


def judged(game: AdversarialGame, pool: Pool, images: Tensor, missing: Tensor) -> dict[str, float]:
    """Tell what the game does on held-out images.

    explained: the share of their variance that the VAE gives back
    ranking: the chance that D ranks one of a missing class above another as unlabelled
    found: the share of missing classes among those that D is surest of, as a multiple of their share in all
    """
    x = channels_last(pool.normalise(images))
    codes = infer(game.vae.encode, x)[0]
    told = reconstruction(game.vae, x, codes, codes[:, :0])
    with torch.no_grad():
        logits = game.discriminator(codes) if game.discriminator else torch.zeros(len(codes))
    asked = logits.topk(round(ASKED * len(logits)), largest=False).indices
    return {
        "explained": 1 - told["reconstruction_error"] / told["mean_sample_error"],
        "active_latents": told["active_latents"],
        "ranking": separation(logits[~missing], logits[missing])["d_ranking"],
        "found": float(missing[asked].float().mean() / missing.float().mean()),
    }


if __name__ == "__main__":
    main()
