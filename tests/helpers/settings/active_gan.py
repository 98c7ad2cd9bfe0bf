"""Kong et al.: Active Generative Adversarial Network for Image Classification."""

from typing import Any

from helpers.settings import Row

REWARD = {"strategy.epsilon": 0.2, "strategy.alpha": 0.5, "strategy.weight": 0.1, "strategy.floor_reward": 0}
MADE = {"task_model": "svm_vgg", "generator": "acgan", "initial": "uniform"}
MARGINS = {"strategy.thresholds": [0.1, 0.15, 0.2, 0.25, 0.3]}
TABLE_1 = {
    "active_gan_tab1": (5_000, 10_000),
    "active_gan_tab1_mnist": (500, 1_000),
    "active_gan_tab1_fashion_mnist": (5_000, 10_000),
    "runs/active_gan_tiny_imagenet": (10_000, 20_000),
}


def made(n: int) -> dict[str, Any]:
    """Return a budget of n labelled images, and as many that are made."""
    return {**MADE, "budget.initial": n, "budget.query": n, "budget.end": 2 * n}


ROWS: list[Row] = [
    ("strategy=active_gan dataset=mnist", "evaluation settings, table 1", made(500) | REWARD),
    ("strategy=active_gan dataset=fashion_mnist", "evaluation settings, table 1", made(5000) | REWARD),
    ("strategy=active_gan dataset=cifar10", "evaluation settings, table 1", made(5000) | REWARD),
    (
        "strategy=active_gan dataset=tiny_imagenet",
        "evaluation settings, table 1",
        made(10_000) | REWARD | {"dataset.size": 32},
    ),
    *(
        (f"experiment={figure} strategy=active_gan budget=active_gan_{n}", "table 1", made(n) | REWARD)
        for figure, sizes in TABLE_1.items()
        for n in sizes
    ),
    ("strategy=acgan dataset=cifar10", "evaluation settings, table 1", made(5000)),
    ("strategy=acgan_filtered dataset=cifar10", "image classification, table 1", made(5000) | MARGINS),
]
