"""What the papers on ASAL, GAAL and ActiveGAN say, value by value, beside what the options are composed to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import yaml
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from alsuite import CONF
from alsuite.generators.autoencoder import AutoEncoder
from alsuite.generators.gan import GAN
from alsuite.nets.classifiers import celeba_cnn
from helpers.configs import composed
from helpers.nets import on_paper

FACES = (3, 64, 64)
GANS = [  # iterations by ASAL, table 3, and batch
    ("dcgan", "mnist57", 40_000, 50),
    ("dcgan", "mnist", 100_000, 50),
    ("dcgan", "cifar10_two", 100_000, 64),
    ("dcgan", "cifar10", 200_000, 64),
    ("wgan_gp", "mnist57", 40_000, 50),
    ("wgan_gp", "mnist", 100_000, 50),
    ("wgan_gp", "cifar10_two", 200_000, 64),
    ("wgan_gp", "cifar10", 200_000, 64),
    ("res_wgan_gp", "cifar10_two", 100_000, 64),
    ("res_wgan_gp", "cifar10", 100_000, 64),
    ("res_wgan_ct", "cifar10_two", 100_000, 64),
    ("res_wgan_ct", "cifar10", 100_000, 64),
    *[
        (name, data, 100_000, 64) for name in ("res_wgan_gp", "res_wgan_ct") for data in ("mnist57", "mnist")
    ],  # as CIFAR
    ("wgan_gp", "celeba_hat", 100_000, 64),  # A.2
]
AUTO_ENCODERS = [  # data set, features, epochs, batch, learning rate, place
    ("mnist57", 64, 40, 100, 1e-3, "B"),
    ("mnist", 192, 40, 100, 1e-3, "B"),
    ("cifar10_two", 256, 100, 128, 1e-3, "B"),
    ("cifar10", 256, 100, 128, 1e-3, "B"),
    ("celeba_hat", 4 * 4 * 16, 19.66, 64, 1e-4, "A.2, table 2"),  # 50,000 steps
]
ACTIVE_GAN = ("strategy=active_gan",)
GRAY, COLOUR = (*ACTIVE_GAN, "dataset=mnist"), (*ACTIVE_GAN, "dataset=cifar10")
ROWS: list[tuple[Sequence[str], str, Any, str]] = [
    # options, key, value, place in the paper
    (ACTIVE_GAN, "strategy.epsilon", 0.2, "ActiveGAN, evaluation settings, equation 8"),
    (ACTIVE_GAN, "strategy.floor_reward", 0.0, "ActiveGAN, loss on uncertainty, C of equation 8"),
    (ACTIVE_GAN, "strategy.alpha", 0.5, "ActiveGAN, evaluation settings, equation 9"),
    (ACTIVE_GAN, "strategy.weight", 0.1, "ActiveGAN, evaluation settings, lambda of equation 11"),
    (ACTIVE_GAN, "strategy.rewarded", None, "ActiveGAN, algorithm 1: every sample gets a reward"),
    (GRAY, "generator.lr.mnist", 1e-3, "ActiveGAN searches 2e-4 and 1e-3; InfoGAN's release"),
    (GRAY, "generator.discriminator_lr.mnist", 1e-3, "ActiveGAN searches 2e-4 and 1e-3"),
    (COLOUR, "generator.lr.default", 2e-4, "ActiveGAN searches 2e-4 and 1e-3; AC-GAN, its appendix on CIFAR-10"),
    (COLOUR, "generator.batch.default", 100, "AC-GAN, its appendix on CIFAR-10"),
    (COLOUR, "generator.iterations.default", 50_000, "AC-GAN, its appendix on CIFAR-10"),
    (
        ("strategy=acgan_filtered",),
        "strategy.thresholds",
        [0.1, 0.15, 0.2, 0.25, 0.3],
        "ActiveGAN, image classification",
    ),
    (("task_model=svm_vgg",), "task_model._target_", "alsuite.tasks.svm.SVM", "ActiveGAN, evaluation settings"),
    (
        ("task_model=svm_vgg",),
        "task_model.features._target_",
        "alsuite.tasks.vgg.VGG16",
        "ActiveGAN, evaluation settings",
    ),
    (("strategy=gaal",), "strategy.score.path", "alsuite.scores.min_distance", "ASAL, section 2, equation 1"),
    (("strategy=asal",), "strategy.score.path", "alsuite.scores.entropy", "ASAL, section 4.1, equation 3"),
    (("strategy=asal_min_distance",), "strategy.score.path", "alsuite.scores.min_distance", "ASAL, figure 10"),
    (("strategy=asal",), "strategy.steps", 100, "ASAL, section 5.2"),
    (("strategy=asal",), "strategy.lr", 0.01, "ASAL, A.2"),
    (("strategy=asal",), "strategy.batch", None, "ASAL, section 5.2: all codes at once"),
    (("strategy=asal",), "strategy.diversity", 0.0, "ASAL, section 5.7: left to the future"),
    (("strategy=asal",), "strategy.dimensions", 50, "ASAL, section 5.2"),
    (("generator=res_wgan_ct",), "generator.consistency", 2.0, "ASAL, section 5.6; CT-GAN's release"),
    (("generator=wgan_gp",), "generator.penalty", 10.0, "ASAL, section 5.2; WGAN-GP's release"),
    (("generator=wgan_gp",), "generator.critic_steps", 5, "ASAL, section 5.2; WGAN-GP's release"),
]


@cache
def configuration(*options: str) -> DictConfig:
    return composed(*options)


@pytest.mark.parametrize(("options", "key", "value", "place"), ROWS)
def test_a_value_is_the_papers(options: Sequence[str], key: str, value: Any, place: str) -> None:
    found = OmegaConf.select(configuration(*options), key, throw_on_missing=True)
    assert (OmegaConf.to_object(found) if OmegaConf.is_config(found) else found) == value, place


@pytest.mark.parametrize(("name", "dataset", "iterations", "batch"), GANS)
def test_asal_tab3_gives_the_iterations(name: str, dataset: str, iterations: int, batch: int) -> None:
    generator = instantiate(configuration(f"generator={name}", f"dataset={dataset}").generator)
    assert isinstance(generator, GAN)
    assert generator.config["iterations"] == generator.whole == iterations
    assert generator.rules.batch == batch


@pytest.mark.parametrize(("dataset", "features", "epochs", "batch", "lr", "place"), AUTO_ENCODERS)
def test_the_auto_encoders_are_the_papers(
    dataset: str, features: int, epochs: float, batch: int, lr: float, place: str
) -> None:
    encoder = instantiate(configuration("generator=autoencoder", f"dataset={dataset}").generator)
    assert isinstance(encoder, AutoEncoder)
    found = [encoder.config[key] for key in ("features", "epochs", "batch", "lr")]
    assert found == [features, epochs, batch, lr], place


def test_active_gan_tab2_and_fig3_sweep_the_papers_values() -> None:
    rewards = yaml.safe_load((CONF / "experiment" / "runs" / "active_gan_rewards.yaml").read_text())
    thresholds, shares = rewards["sweeps"]
    assert thresholds["strategy.epsilon"] == "0.0,0.1,0.2,0.3,0.4,0.5,0.6,1.0"  # table 2
    assert {"0.0", "1.0"} <= {*shares["strategy.alpha"].split(",")}  # figure 3; table 2 has the 0.5
    assert "active_gan_10000" in str(rewards["defaults"])


def layers(net: nn.Module) -> list[tuple[int, ...]]:
    """Return inputs, outputs and kernel of each layer with weights, as the tables draw them."""
    convolutions = (nn.Conv2d, nn.ConvTranspose2d)
    found = [layer for layer in net.modules() if isinstance(layer, (*convolutions, nn.Linear))]
    return [
        (one.in_channels, one.out_channels, one.kernel_size[0])
        if isinstance(one, convolutions)
        else (one.in_features, one.out_features)
        for one in found
    ]


def test_asal_tab1_draws_the_networks_for_celeba() -> None:
    pair = on_paper(instantiate(configuration("generator=wgan_gp", "dataset=celeba_hat").generator).net, FACES)
    assert layers(pair.generator) == [(128, 4096), (256, 256, 5), (256, 128, 5), (128, 64, 5), (64, 3, 5)]
    assert layers(pair.discriminator) == [(3, 128, 5), (128, 256, 5), (256, 512, 5), (512, 512, 5), (8192, 1)]
    classifier = on_paper(celeba_cnn, FACES, 1, dropout=configuration("task_model=celeba_cnn").task_model.net.dropout)
    assert layers(classifier) == [(3, 16, 3), (16, 32, 3), (32, 64, 3), (4096, 1024), (1024, 1)]
    assert [layer.p for layer in classifier.modules() if isinstance(layer, nn.Dropout)] == [0.5]


def test_asal_tab2_draws_the_auto_encoder_for_celeba() -> None:
    encoder = instantiate(configuration("generator=autoencoder", "dataset=celeba_hat").generator)
    net = on_paper(encoder.net, FACES, features=encoder.config["features"])
    assert layers(net.encoder) == [(3, 128, 5), (128, 64, 5), (64, 32, 5), (32, 16, 5)]
    assert layers(net.decoder) == [(16, 32, 5), (32, 64, 5), (64, 128, 5), (128, 3, 5)]
