"""What the papers leave open, or what is of no paper, as it was chosen here."""

from typing import Any

from helpers.settings import Row

FAST = {
    "epochs": 22,
    "epochs_at": 5000,
    "batch": 64,
    "optimiser": "sgd",
    "lr": 0.5,
    "momentum": 0.85,
    "nesterov": True,
    "weight_decay": 5e-4,
    "schedule": "triangle",
    "augment": "shift_flip",
    "smoothing": 0.1,
    "mirrored": True,
    "net.dropout": 0.1,
}
POLICY = {"drawn": "policy", "warmup": 0.5, "buffer": 1000, "standardised": True, "prior": 0.3}
ACGAN = {"generator_steps": 2, "batch.mnist": 64, "batch.fashion_mnist": 64, "batch.usps": 64, "batch.default": 100}
LAPTOP = {"cycles": 20, "epochs": 10, "steps": 1000, "side": 64, "width": 0.25, "vae_width": 0.0625, "seeds": 3}


def under(group: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{group}.{name}": value for name, value in values.items()}


CHOSEN: dict[str, dict[str, Any]] = {
    "task_model=fastnet": under("task_model", FAST),
    "task_model=vgg16": {"task_model.net.dropout": 0.5},
    "task_model=drn": {"task_model.net.dropout": 0.2},
    "task_model=allcnn": {"task_model.net.dropout": 0.5, "task_model.weight_decay": 1e-3},
    "strategy=ta_vaal": {"strategy.subset": 10_000},
    "strategy=learning_loss": {"strategy.subset": 10_000},
    "strategy=suggestive": {"strategy.members": 4, "strategy.candidates": 2},
    "strategy=active_gan": under("strategy", POLICY),
    "strategy=acgan": under("generator", ACGAN),
    "strategy=random dataset=tiny_imagenet": {"dataset.size": 32},
    "strategy=random dataset=cifar10_two": {"task_model.batch": 50},
    "scale=laptop": under("scale", LAPTOP),
    "scale=laptop strategy=aalu": {"strategy.standardise": True, "strategy.limit": 1000},
    "scale=laptop strategy=active_gan dataset=mnist": {"strategy.rewarded": 32, "task_model.features.side": 32},
}
ROWS: list[Row] = [(command, "chosen here", values) for command, values in CHOSEN.items()]
