"""Whether a generator is any good: an Inception score and a Frechet distance to the test images (lower is better), from
the probabilities and the features of a small classifier that is trained on the data set's own labels. Real training
images are scored beside it: no generator can do much better. A strategy never sees these labels.

    python scripts/score_generator.py mnist57 wgan_gp scale=laptop
    python scripts/score_generator.py mnist wgan_gp scale=laptop dataset.validation=10000

A generator is the one that comes with alsuite where the data is that of ASAL's figures, as these two are.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor
from torchvision.utils import save_image

from alsuite import CONF
from alsuite.command.complaints import complaining
from alsuite.command.machine import choose_device
from alsuite.data import Dataset
from alsuite.errors import UserError
from alsuite.generators.gan import GAN
from alsuite.loop import seed_all
from alsuite.nets.classifiers import convnet, lenet
from alsuite.nets.ranges import unit
from alsuite.pool import Pool, pixels
from alsuite.tasks.classification import Classification
from alsuite.training.fit import infer
from alsuite.training.once import PICTURE, makers


class Scored(NamedTuple):
    """What a generator's samples and real images score (name -> Inception, Frechet), and where it is kept.

    modules: what builds and trains it
    """

    modules: tuple[str, str]
    home: Path
    scores: dict[str, tuple[float, ...]]


def main() -> None:
    found = scored(arguments(__doc__).parse_args())
    for name, (score, distance) in found.scores.items():
        print(f"{name:<16} Inception score {score:8.3f}   Frechet distance {distance:10.3f}")
    print(found.home / PICTURE)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return what reads which generator is meant, and how it is scored."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("generator")
    parser.add_argument(
        "overrides", nargs="*", help="as of alsuite: scale=laptop, device=cpu, generator.limit=1000, ..."
    )
    parser.add_argument("--images", type=int, default=10_000, help="how many are scored")
    parser.add_argument("--epochs", type=int, default=10, help="of the classifier")
    return parser


def prepared(options: argparse.Namespace, group: str = "generator") -> tuple[DictConfig, Dataset, Pool]:
    """Return the configuration with what is asked for of a group, its data, and a pool of it without labels."""
    choices = [f"dataset={options.dataset}", f"{group}={options.generator}", *options.overrides]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", choices)
    dataset = instantiate(config.dataset).subset(config.scale.pool, config.scale.test, config.scale.side)
    device = choose_device(config.device)
    pool = Pool(dataset.train.images.to(device), len(dataset.classes), dataset.mean, dataset.std, device)
    return config, dataset, pool


def scored(options: argparse.Namespace) -> Scored:
    """Train a generator, or find it, draw its samples and score them."""
    config, dataset, pool = prepared(options)
    generator = instantiate(config.generator)
    if not isinstance(generator, GAN):
        raise UserError(f"generator={options.generator} makes no images of its own: choose dcgan, wgan_gp, ...")
    net, home = generator.kept(pool)
    seed_all(config.seed, -1)
    made = drawn(net, options.images, pool.device)
    save_image(unit(made[:100]), home / PICTURE, nrow=10)
    found = scores(classifier(pool, dataset, options.epochs), dataset, made)
    return Scored(makers(generator.net, generator), home, found)


def drawn(net: Any, n: int, device: torch.device) -> Tensor:
    """(n, C, H, W) uint8."""
    return infer(lambda codes: pixels(net.images(codes)), torch.randn(n, net.latent, device=device))


def classifier(pool: Pool, dataset: Dataset, epochs: int) -> Classification:
    """All images of the pool are labelled."""
    pool.label(torch.arange(len(pool)), dataset.train.targets)
    small = min(pool.images.shape[2:]) < 16
    return Classification(convnet if small else lenet, epochs=epochs, batch=50).learn(pool)


def scores(task: Classification, dataset: Dataset, made: Tensor) -> dict[str, tuple[float, float]]:
    real = dataset.train.images[torch.randperm(len(dataset.train.images))[: len(made)]].to(made.device)
    test = next(iter(dataset.tests.values())).images.to(made.device)
    reference, _ = task.outputs(test)
    found = {}
    for name, images in (("generated", made), ("training images", real)):
        features, log_probs = task.outputs(images)
        found[name] = inception_score(log_probs), frechet_distance(features, reference)
    return found


def inception_score(log_probs: Tensor) -> float:
    """exp of the mean KL divergence of p(y | x) from p(y) (Salimans et al. 2016), from 1 to the number of classes."""
    log_probs = log_probs.double()
    marginal = log_probs.exp().mean(0).log()
    return float((log_probs.exp() * (log_probs - marginal)).nansum(1).mean().exp())


def frechet_distance(features: Tensor, others: Tensor) -> float:
    """Between Gaussians with the mean and covariance of both (Heusel et al. 2017)."""
    (mean, covariance), (its_mean, its) = (
        (x.double().mean(0), torch.cov(x.double().T, correction=0)) for x in (features, others)
    )
    root = torch.linalg.eigvals(covariance @ its).real.clamp(min=0).sqrt().sum()
    return float((mean - its_mean).square().sum() + covariance.trace() + its.trace() - 2 * root)


if __name__ == "__main__":
    with complaining():
        main()
