"""How legends, titles and tables call what the runs are made of: as the papers write it, in the order of legends.

NAMES holds a name for each value of a column that has one. The order of its entries is the order of legends, so that
a strategy stands in the same place in all figures. A panel's own names come before these.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from alsuite.results.statistics import FULL, parts_of_series

__all__ = ["NAMES", "name_of", "names_of"]

DATA_SETS = {
    "digits": "8 x 8 digits",
    "mnist": "MNIST",
    "mnist57": "MNIST 5 vs 7",
    "usps": "USPS",
    "usps57": "USPS 5 vs 7",
    "fashion_mnist": "Fashion-MNIST",
    "svhn": "SVHN",
    "cifar10": "CIFAR-10",
    "cifar10_two": "CIFAR-10 two classes",
    "cifar100": "CIFAR-100",
    "caltech256": "Caltech-256",
    "tiny_imagenet": "Tiny-ImageNet",
    "imagenet": "ImageNet",
    "celeba_hat": "CelebA wearing hat",
    "celeba_bangs": "CelebA bangs",
    "celeba_blond": "CelebA blond hair",
    "cityscapes": "Cityscapes",
    "bdd100k": "BDD100K",
    "camvid": "CamVid",
    "folder_masks": "own masks",
    "shards": "own shards",
}
NAMES: Mapping[str, Mapping[str, str]] = {
    "strategy": {
        "vaal": "VAAL",
        "vaal_frozen_vae": "VAAL (frozen VAE)",
        "vaal_no_d": "VAAL (no discriminator)",
        "vaal_no_vae": "VAAL (no VAE)",
        "dal": "DAL",
        "ta_vaal": "TA-VAAL",
        "typiclust": "TypiClust",
        "adv_vae": "advVAE",
        "adv_vae_prediction": "advVAE+Prediction",
        "loss_learn": "lossLearn",
        "adv_vae_loss_learn": "advVAE+lossLearn",
        "aalu": "AALU",
        "m2_vaal": "M2-VAAL",
        "m2_vaal_no_adv": "M2-VAAL (no adversarial term)",
        "m2_alg1": "algorithm 1",
        "m2_alg2": "algorithm 2",
        "algorithm_1_2": "algorithms 1 and 2",
        "asal": "ASAL",
        "asal_min_distance": "ASAL (minimum distance)",
        "gaal": "GAAL",
        "gaal_min_distance": "GAAL (minimum distance)",
        "svm": "SVM",
        "acgan": "AC-GAN",
        "acgan_filtered": "AC-GAN+F",
        "active_gan": "ActiveGAN",
        "coreset": "core-set",
        "badge": "BADGE",
        "learning_loss": "learning loss",
        "ensemble": "ensemble",
        "mc_dropout": "MC-Dropout",
        "dbal": "DBAL",
        "bald": "BALD",
        "qbc": "QBC",
        "suggestive": "suggestive annotation",
        "entropy": "max entropy",
        "min_distance": "minimum distance",
        "margin": "margin",
        "least_confidence": "least confidence",
        "random": "random",
        "generator": "generator",  # the parts of what ASAL prepares
        "autoencoder": "auto-encoder",
        "extract": "features",
        "index": "index",
        FULL: "fully supervised",
    },
    "generator": {
        "dcgan": "DCGAN",
        "wgan_gp": "WGAN-GP",
        "res_wgan_gp": "residual WGAN-GP",
        "res_wgan_ct": "residual WGAN-CT",
        "acgan": "AC-GAN",
        "vae": "VAE",
        "feature_vae": "VAE of features",
        "no_vae": "no VAE",
        "autoencoder": "auto-encoder",
    },
    "features": {
        "gray": "gray",
        "rgb": "RGB",
        "autoencoder": "auto-encoder",
        "discriminator": "discriminator",
        "vgg16": "VGG16",
    },
    "task_model": {
        "linear": "linear",
        "lenet": "LeNet",
        "allcnn": "All-CNN",
        "vgg16": "VGG16",
        "resnet18": "ResNet-18",
        "fastnet": "FastNet",
        "torchvision": "network of torchvision's",
        "celeba_cnn": "CelebA CNN",
        "svm_vgg": "SVM on VGG16",
        "m2": "M2",
        "convnet": "M2's classifier",
        "drn": "DRN",
        "segnet_small": "small U-Net",
        "lite_unet": "U-Net on EfficientNet-Lite0",
    },
    "task_model.loss": {"hinge": "hinge loss", "cross_entropy": "cross entropy"},
    "dataset": DATA_SETS,
    "test": DATA_SETS,
    "budget": {"vaal": "5 % a cycle", "vaal_10": "10 % a cycle"},
}
ALONE = {"ASAL (minimum distance)": "ASAL", "GAAL (minimum distance)": "GAAL"}  # beside no series of the short name


def name_of(column: str, value: object) -> str:
    """Name a value of a column; what has no name here is called as it is."""
    return NAMES.get(column, {}).get(str(value), str(value))


def names_of(frame: pd.DataFrame, columns: Sequence[str], own: Mapping[str, str] | None = None) -> dict[str, str]:
    """Map each series that these columns make to its name, in the order of legends.

    frame: rows with the column `series`
    columns: those whose values make the series, the first of them sorting first
    own: names of a series or a value that a panel lists; they come before those of NAMES, in the order of their list
    """
    own = own or {}
    rows = frame.drop_duplicates("series")
    values = zip(*(rows[column] for column in columns), strict=True)
    parts = {name: parts_of_series(columns, its) for name, its in zip(rows["series"], values, strict=True)}
    ordered = sorted(parts, key=lambda series: [_sorting(column, part, own) for column, part in parts[series]])
    names = _shortened({series: _full_name(series, parts[series], own) for series in ordered})
    alike = Counter(names.values())  # such as those of bald and of somebody's own BALD
    return {series: name if alike[name] == 1 else series for series, name in names.items()}


def _full_name(series: str, parts: Sequence[tuple[str, str]], own: Mapping[str, str]) -> str:
    """Name a series: as a whole where it has a name of its own, else by the names of its parts."""
    return own.get(series) or " ".join(own.get(part) or name_of(column, part) for column, part in parts) or series


def _shortened(names: Mapping[str, str]) -> dict[str, str]:
    """Shorten the names whose short form one series alone has, as "ASAL (minimum distance)" where no "ASAL" stands."""
    short = {series: _alone(name) for series, name in names.items()}
    counts = Counter(short.values())
    return {series: short[series] if counts[short[series]] == 1 else name for series, name in names.items()}


def _alone(name: str) -> str:
    """Return the name that a series has where no other has it."""
    for full, short in ALONE.items():
        name = name.replace(full, short)
    return name


def _sorting(column: str, part: str, own: Mapping[str, str]) -> tuple[bool, float, float, float, str]:
    """Return what sorts a part: the order of `own` names, of numbers and of the names above; full supervision last.

    Whatever an order doesn't know comes after all that it does; in the end the alphabet decides.
    """
    known = {name: place for place, name in enumerate(NAMES.get(column, ()))}
    listed = {name: place for place, name in enumerate(own)}
    return (part == FULL, listed.get(part, math.inf), _as_number(part), known.get(part, math.inf), part)


def _as_number(part: str) -> float:
    """Return the number that a part names, alone or as column=number; infinite where it is none."""
    try:
        return float(part.rpartition("=")[2])
    except ValueError:
        return math.inf
