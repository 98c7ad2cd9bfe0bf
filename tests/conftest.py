"""Every test runs on one thread, from the same seed."""

from __future__ import annotations

import os

import pytest
import torch

from alsuite.loop import seed_all


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run as many processes as there are cores; one more of slow tests, which often wait for what they started."""
    return (os.cpu_count() or 1) + (config.option.markexpr == "slow")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    seed_all(0, 0)
