"""Every test runs on one thread, from the same seed."""

from __future__ import annotations

import pytest
import torch

from alsuite.loop import seed_all


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    seed_all(0, 0)
