"""The papers' settings as data, a module for each, which `tests/test_settings.py` compares with what is composed."""

from typing import Any

Row = tuple[str, str, dict[str, Any]]  # a command, a section or table of its paper, and values
COUNTS = ("pool", "labels.initial", "labels.query", "labels.end")  # images to choose among, and the budget in labels
ADAM = {"task_model.optimiser": "adam", "task_model.lr": 5e-4, "task_model.epochs": 100, "task_model.augment": "flip"}
ADAM_1E3 = {"task_model.optimiser": "adam", "task_model.lr": 1e-3}
