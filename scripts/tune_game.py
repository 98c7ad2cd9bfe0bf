"""How VAAL's bound is summed and weighed against its adversary, and how many steps its game has: a grid of options.

    python scripts/tune_game.py fashion_mnist cifar10 celeba_hat
    python scripts/tune_game.py cifar10 strategy.kl_reduction=elbo strategy.adversarial=1 strategy.limit=8000

Of a part of the training images some are labelled, all but those of some classes, and others are held out. The game is
played without these. Then it is asked how well the VAE gives the held-out images back, and whether D takes those of the
missing classes for unlabelled, and what share of the encoder's gradient is the adversary's. The test set is never read.
Each game is a row of the table, and is not played again; a page beside the table tells the means over the seeds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pandas as pd
import torch
from hydra.utils import instantiate
from torch import Tensor
from tuning import configured, fill, listed

from alsuite.command.complaints import complaining
from alsuite.data import Dataset
from alsuite.errors import UserError, whole_number
from alsuite.loop import seed_all
from alsuite.pool import Pool
from alsuite.results.report import markdown
from alsuite.strategies.vaal import VAAL
from alsuite.training.fit import channels_last, infer
from alsuite.training.game import AdversarialGame, adversary_share, reconstruction, separation

GRID = ("strategy.kl_reduction=elbo,elbo_per_value,sample,mean,sum", "strategy.adversarial=1,10")
TABLE = Path("outputs/published/game.csv")
LABELLED, UNLABELLED, HELD_OUT = 1000, 9000, 2000
MISSING = 0.3  # of the classes
ASKED = 0.1  # of the held-out images: the share of missing classes among these is told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("given", nargs="+", metavar="DATASET|OPTION", help="options with their values: key=a,b")
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_intermixed_args()
    whole_number("--", seeds=options.seeds)
    torch.set_num_threads(1)
    grid = [one for one in options.given if "=" in one] or [*GRID]
    datasets = [one for one in options.given if "=" not in one]
    if not datasets:
        raise UserError("no data set is named: put one before the options, such as cifar10")
    asked = product(datasets, product(*map(listed, grid)), range(options.seeds))
    fill(options.table, asked, options.scale, played, page)


def page(frame: pd.DataFrame) -> Iterator[str]:
    """Tell what became of the games, as means over the seeds."""
    yield "# How VAAL's bound is summed and weighed against its adversary\n"
    yield "The paper is silent on this. `python scripts/tune_game.py` played these games of the data and options below"
    yield f"a row of `game.csv` each: {LABELLED:,} training images are labelled, none of"
    yield f"{MISSING:.0%} of the classes (of one, where there are two), {UNLABELLED - HELD_OUT:,} are not, and"
    yield f"{HELD_OUT:,} are held out and asked about. Where these are all of the missing class a game tells nothing,"
    yield "and is left out. Means over the seeds:\n"
    yield "- bound (`strategy.kl_reduction`): how squared error and KL are summed: elbo over all that an image holds;"
    yield "  elbo_per_value the same over its number of values; sample the KL of a code beside the mean squared error"
    yield "- active latents: the dimensions of the code that are in use"
    yield "- explained: the share of the held-out images' variance that the VAE gives back"
    yield "- ranking: the chance that D ranks an image of a missing class above another as unlabelled; by luck 0.5"
    yield "- found: the share of missing classes in the tenth that D is surest of, as a multiple of their share"
    yield "- adversary share: of the gradient that moves the encoder\n"
    yield "`elbo` with lambda_2 = 1 is the default: beside it both a larger lambda_2 and a mean over values give images"
    yield "back worse and let D find missing classes less often; with `sample` the code collapses. Its adversary pulls"
    yield "little, and without one (0) D finds them about as often, on Fashion-MNIST more often.\n"
    measures = ["explained", "active_latents", "ranking", "found", "adversary_share"]
    rows = []
    alike = ["dataset", "scale", "steps", "options"]
    for (dataset, scale, steps, options), games in frame.dropna(subset="ranking").groupby(alike):
        chosen = dict(one.split("=", 1) for one in str(options).split())
        reduction, weight = (chosen.get(f"strategy.{key}", "") for key in ("kl_reduction", "adversarial"))
        means = games[measures].mean()
        told = ["" if pd.isna(mean) else f"{mean:.2f}" for mean in means]
        rows.append((str(dataset), str(scale), f"{steps:,}", reduction, weight, str(len(games)), *told))
    heads = ("data", "scale", "steps", "bound", "lambda_2", "seeds", *(name.replace("_", " ") for name in measures))
    yield markdown(heads, rows)
    yield ""


def played(seed: int, *chosen: str) -> dict[str, object]:
    """Return what became of the game at a seed."""
    config = configured("strategy=vaal", *chosen)
    dataset: Dataset = instantiate(config.dataset)
    strategy: VAAL = instantiate(config.strategy)
    seed_all(seed, -1)
    pool, held_out, missing = divided(dataset)
    start = time.process_time()
    conditioning = strategy.conditioning(pool, None)  # pyright: ignore[reportArgumentType]
    game = strategy.trained(pool, conditioning)
    seconds = time.process_time() - start
    sides = (strategy.batch(pool, conditioning, places) for places in (pool.labelled, pool.unlabelled))
    told = {**judged(game, pool, held_out, missing), **adversary_share(game, *sides)}
    return {"steps": config.strategy.limit, **told, "seconds": seconds}


def divided(dataset: Dataset) -> tuple[Pool, Tensor, Tensor]:
    """Return the pool, the held-out images, and which of these are of classes that no label shows."""
    targets, classes = dataset.train.targets, len(dataset.classes)
    missing = torch.randperm(classes)[: max(1, round(MISSING * classes))]
    order = torch.randperm(len(targets))
    if len(order) < (needed := LABELLED + UNLABELLED):
        raise UserError(f"{dataset.name} has {len(order):,} training images: take a data set of {needed:,}")
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
    with complaining():
        main()
