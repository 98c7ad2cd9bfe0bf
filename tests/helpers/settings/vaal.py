"""Sinha, Ebrahimi and Darrell: Variational Adversarial Active Learning."""

from typing import Any

from helpers.settings import ADAM, COUNTS, Row

TABLE_2 = {  # pool, initially labelled, budget, and the most that is labelled: 40 %, of ImageNet 30 %
    "cifar10": (45_000, 5_000, 2_500, 20_000),
    "cifar100": (45_000, 5_000, 2_500, 20_000),
    "caltech256": (27_220 - 3_000, 3_060, 1_530, 12_240),
    "imagenet": (1_281_167, 128_120, 64_060, 384_360),
    "cityscapes": (2_675, 300, 150, 1_200),
    "bdd100k": (7_000, 800, 400, 3_200),
}
TABLE_3 = {  # d, alpha_1 (VAE), alpha_2 (D), alpha_3 (task), lambda_1, lambda_2, beta, batch size, epochs
    "cifar10": (32, 5e-4, 5e-4, 5e-4, 1, 1, 1, 64, 100),
    "cifar100": (32, 5e-4, 5e-4, 5e-4, 1, 1, 1, 64, 100),
    "caltech256": (64, 5e-4, 5e-4, 5e-4, 1, 10, 1, 64, 100),
    "imagenet": (64, 5e-3, 1e-3, 1e-1, 1, 10, 1, 64, 100),  # by section 4.1, but for alpha_2
    "cityscapes": (128, 1e-3, 1e-3, 1e-3, 1, 25, 1, 8, 100),
    "bdd100k": (128, 1e-3, 1e-3, 1e-3, 1, 25, 1, 8, 100),
}
SIZES = {  # table 2: classes and pixels a side
    "cifar10": (10, 32),
    "cifar100": (100, 32),
    "caltech256": (256, 224),
    "imagenet": (1_000, 224),
    "cityscapes": (19, 688),
    "bdd100k": (19, 688),
}
GAME = ("lr", "discriminator_lr", "transductive", "adversarial", "beta", "batch", "epochs")
MODULES = {"strategy.discriminator_layers": 5, "generator": "vae"}
OF_PIXELS = ("cityscapes", "bdd100k")
BASELINES = ("random", "coreset", "ensemble", "mc_dropout", "dbal")


def table_2(dataset: str) -> dict[str, Any]:
    return {"dataset": dataset, **dict(zip(COUNTS, TABLE_2[dataset], strict=True))}


def table_3(dataset: str) -> dict[str, Any]:
    latent, vae, finder, task, *rest = TABLE_3[dataset]
    game = {f"strategy.{key}": value for key, value in zip(GAME, (vae, finder, *rest), strict=True)}
    return {"generator.latent": latent, "task_model.lr": task, **game, **MODULES, **network(dataset)}


def network(dataset: str) -> dict[str, Any]:
    if dataset in OF_PIXELS:
        return {"task_model": "drn", "task_model.net.depth": 22}
    return {"task_model": "vgg16", "task_model.net.head": "vaal"}


def task_of(dataset: str) -> dict[str, Any]:
    """Return what holds for all strategies compared."""
    *_, batch, epochs = TABLE_3[dataset]
    its = {"task_model.batch": batch, "task_model.epochs": epochs, "task_model.lr": TABLE_3[dataset][3]}
    return {**ADAM, **its, **network(dataset)}


ABLATIONS = {
    "vaal": table_3("bdd100k"),
    "vaal_no_vae": {"generator": "no_vae", "strategy.discriminator_lr": 1e-3, "strategy.batch": 8},
    "vaal_frozen_vae": {"generator.latent": 128, "strategy.transductive": 0, "strategy.adversarial": 0},
    "vaal_no_d": {"generator.latent": 128, "strategy.lr": 1e-3, "strategy.adversarial": 0},
}
TIMED = {**dict(zip(COUNTS, (45_000, 5_000, 2_500, 7_500), strict=True)), "parallel": 1}
ROWS: list[Row] = [
    *(
        (f"strategy=vaal dataset={name}", "4.1, tables 2 and 3", table_2(name) | table_3(name) | task_of(name))
        for name in TABLE_3
    ),
    *(
        (f"experiment=vaal_fig{3 if name in OF_PIXELS else 2}_{name} strategy=vaal", "tables 2 and 3", table_3(name))
        for name in TABLE_3
    ),
    *(
        (f"experiment=vaal_fig2_{name} strategy={other}", "4, table 2", table_2(name) | task_of(name))
        for name in ("cifar10", "imagenet")
        for other in BASELINES
    ),
    *(
        (f"experiment=vaal_fig3_{name} strategy={other}", "4.2, table 2", table_2(name) | task_of(name))
        for name in ("cityscapes",)
        for other in ("random", "coreset", "qbc", "suggestive", "mc_dropout")
    ),
    ("experiment=vaal_fig2_cifar10", "4: the mean of 5 runs", {"seeds": 5}),
    ("experiment=vaal_fig2_imagenet", "4: 2 repetitions", {"seeds": 2}),
    ("strategy=ensemble dataset=cifar10", "5.3: 5 models", {"strategy.members": 5}),
    ("strategy=mc_dropout dataset=cifar10", "5.3: 10 dropout masks", {"strategy.masks": 10}),
    ("strategy=dbal dataset=cifar10", "as many as MC-Dropout's", {"strategy.masks": 10}),
    *(
        (f"experiment=vaal_fig4 strategy={name}", "5.1, tables 2 and 3", table_2("bdd100k") | task_of("bdd100k") | its)
        for name, its in ABLATIONS.items()
    ),
    *(
        (
            f"experiment=vaal_fig5 strategy=vaal initial=biased initial.missing={m}",
            "5.2: m classes",
            {"initial.missing": m},
        )
        for m in (10, 20)
    ),
    *(
        (f"experiment=vaal_fig5 strategy=vaal oracle=noisy oracle.flip={share}", "5.2: noise", {"oracle.flip": share})
        for share in (0.1, 0.2, 0.3)
    ),
    ("experiment=vaal_fig5 initial=biased", "5.2", {"dataset": "cifar100", **task_of("cifar100")}),
    ("experiment=vaal_fig5 budget=vaal", "5.2", {"labels.query": 2_500, "labels.end": 20_000}),
    ("experiment=vaal_fig5 budget=vaal_10", "5.2", {"labels.query": 5_000, "labels.end": 20_000}),
    ("experiment=vaal_fig6 task_model=vgg16", "5.2, figure 6", {**table_2("cifar100"), **task_of("cifar100")}),
    ("experiment=vaal_fig6 task_model=resnet18", "figure 6", {**ADAM, "task_model.batch": 64, "pool": 45_000}),
    ("experiment=vaal_tab1 strategy=vaal", "5.3", TIMED | table_3("cifar10")),
    ("experiment=vaal_tab1 strategy=mc_dropout", "5.3", TIMED | {"strategy.masks": 10, "strategy.whole": True}),
    ("experiment=vaal_tab1 strategy=ensemble", "5.3", TIMED | {"strategy.members": 5}),
]
