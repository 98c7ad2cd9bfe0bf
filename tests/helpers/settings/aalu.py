"""Zhu and Wang: Deep Adversarial Active Learning with Model Uncertainty."""

from typing import Any

from helpers.settings import ADAM, COUNTS, Row
from helpers.settings.vaal import TABLE_3, table_3

TENTHS = {  # of each count: 10 % of the images, 5 % at a time, up to 40 %
    "cifar10": (50_000, 5_000, 2_500, 20_000),
    "cifar100": (50_000, 5_000, 2_500, 20_000),
    "svhn": (73_257, 7_326, 3_663, 29_303),
    "caltech256": (27_220, 2_722, 1_361, 10_888),
}
TRAINING = {"strategy.batch": 128, "strategy.lr": 5e-4, "strategy.discriminator_lr": 5e-4, "strategy.epochs": 100}
RESNET = {"task_model": "resnet18", "task_model.batch": 128, **ADAM}
ASSISTANT = {"strategy.ranking": 10, "strategy.margin": 0.1, "strategy.adversarial": 1, "strategy.assistant_layers": 3}
AS_THEY_ARE = {"strategy.standardise": None, "strategy.prediction": True, "generator": "feature_vae"}
AALU_ITSELF = {**RESNET, **TRAINING, **ASSISTANT, **AS_THEY_ARE}


def tenths(dataset: str) -> dict[str, Any]:
    return dict(zip(COUNTS, TENTHS[dataset], strict=True))


def vaal_there(dataset: str) -> dict[str, Any]:
    """Return VAAL beside AALU: in its own paper's code and weights, trained as AALU is."""
    own = table_3(dataset if dataset in TABLE_3 else "cifar10")
    kept = {
        key: own[key] for key in ("strategy.transductive", "strategy.adversarial", "strategy.beta", "generator.latent")
    }
    return {**RESNET, **TRAINING, **kept}


ROWS: list[Row] = [
    *((f"strategy=aalu dataset={name}", "3", AALU_ITSELF | tenths(name)) for name in TENTHS),
    *(
        (f"experiment=aalu_fig2_{name} strategy=aalu", "3", AALU_ITSELF | tenths(name) | {"seeds": 5})
        for name in TENTHS
    ),
    *((f"experiment=aalu_fig2_{name} strategy=vaal", "3", vaal_there(name) | tenths(name)) for name in TENTHS),
    *((f"experiment=aalu_fig2_cifar10 strategy={name}", "3", RESNET) for name in ("random", "entropy", "coreset")),
    ("experiment=aalu_tab1 strategy=adv_vae", "3", {"strategy.prediction": False, "strategy.ranking": 0}),
    ("experiment=aalu_tab1 strategy=adv_vae_prediction", "3", {"strategy.prediction": True, "strategy.ranking": 0}),
    ("experiment=aalu_tab1 strategy=loss_learn", "3", {"strategy.adversarial": 0, "strategy.ranking": 10}),
    ("experiment=aalu_tab1 strategy=adv_vae_loss_learn", "3", {"strategy.prediction": False, "strategy.ranking": 10}),
    ("experiment=aalu_tab1 strategy=aalu", "3", AALU_ITSELF | tenths("cifar10") | {"seeds": 5}),
    ("experiment=aalu_tab2 strategy=aalu", "3", AALU_ITSELF | {"parallel": 1}),
    ("experiment=aalu_tab2 strategy=vaal", "3", vaal_there("cifar10") | {"parallel": 1}),
]
