"""How strategies and the rest are called in legends and tables, as the papers write them, in the order of legends."""

from __future__ import annotations

import math

__all__ = ["displayed", "rank"]

NAMES = {
    "random": "random",
    "entropy": "max entropy",
    "margin": "margin",
    "least_confidence": "least confidence",
    "min_distance": "min distance",
    "coreset": "core-set",
    "badge": "BADGE",
    "ensemble": "ensemble",
    "mc_dropout": "MC-Dropout",
    "dbal": "DBAL",
    "bald": "BALD",
    "learning_loss": "learning loss",
    "vaal": "VAAL",
    "vaal_frozen_vae": "VAAL, frozen VAE",
    "vaal_no_d": "VAAL without D",
    "vaal_no_vae": "VAAL without VAE",
    "ta_vaal": "TA-VAAL",
    "adv_vae": "Adv-VAE",
    "adv_vae_prediction": "Adv-VAE + prediction",
    "loss_learn": "Loss-Learn",
    "adv_vae_loss_learn": "Adv-VAE + Loss-Learn",
    "aalu": "AALU",
    "m2_vaal": "M2-VAAL",
    "m2_vaal_no_adv": "M2-VAAL, no adversarial term",
    "m2_alg1": "algorithm 1",
    "m2_alg2": "algorithm 2",
    "algorithm_1_2": "algorithms 1 and 2",
    "asal": "ASAL",
    "asal_min_distance": "ASAL",
    "gaal": "GAAL",
    "gaal_min_distance": "GAAL",
    "svm": "SVM",
    "acgan": "AC-GAN",
    "acgan_filtered": "AC-GAN+F",
    "active_gan": "ActiveGAN",
    "dcgan": "DCGAN",
    "wgan_gp": "WGAN-GP",
    "res_wgan_gp": "residual WGAN-GP",
    "res_wgan_ct": "residual WGAN-CT",
    "gray": "gray",
    "rgb": "RGB",
    "autoencoder": "auto-encoder",
    "discriminator": "discriminator",
    "linear": "linear",
    "lenet": "LeNet",
    "allcnn": "All-CNN",
    "vgg16": "VGG16",
    "resnet18": "ResNet-18",
    "m2": "M2",
    "convnet": "M2's classifier",
    "svm_vgg": "SVM on VGG-16",
    "cifar10": "CIFAR-10",
    "cifar10_two": "CIFAR-10, two classes",
    "cifar100": "CIFAR-100",
    "mnist": "MNIST",
    "mnist57": "MNIST, 5 and 7",
    "fashion_mnist": "Fashion-MNIST",
    "usps": "USPS",
    "usps57": "USPS, 5 and 7",
    "svhn": "SVHN",
    "caltech256": "Caltech-256",
    "imagenet": "ImageNet",
    "tiny_imagenet": "Tiny-ImageNet",
    "full": "full",
}
FEATURES = ("gray", "rgb", "autoencoder", "discriminator")
JOINT = " · "  # between the values of several columns
ORDER = {name: place for place, name in enumerate(NAMES)}


def displayed(series: str) -> str:
    """Name a series by its parts; the features that a strategy matches by follow it without a comma."""
    first, *others = series.split(JOINT)
    joined = (f"{' ' if part in FEATURES and first.startswith('asal') else ', '}{_named(part)}" for part in others)
    return _named(first) + "".join(joined)


def _named(part: str) -> str:
    return NAMES.get(part, part.replace("_", " "))


def rank(series: str) -> tuple[float, ...]:
    """Order series as the names above are; what is unknown comes behind."""
    return tuple(ORDER.get(part, math.inf) for part in series.split(JOINT))
