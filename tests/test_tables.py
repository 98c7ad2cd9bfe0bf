"""Tables that would fill memory lie in a file, and nothing else changes."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from alsuite import mapped, tables, tasks
from alsuite.strategies.aalu import AALU
from alsuite.strategies.badge import Badge
from alsuite.strategies.coreset import CoreSet
from alsuite.training.fit import infer
from helpers.aalu import SMALL
from helpers.pools import digit_pool
from helpers.tasks import FixedTask

MAPS = Path("/proc/self/maps")


def in_a_file(tensor: Tensor) -> bool:
    """Read from the system whether the memory of a tensor is a file that has lost its name."""
    for line in MAPS.read_text().splitlines():
        first, last = (int(address, 16) for address in line.split()[0].split("-"))
        if first <= tensor.data_ptr() < last:
            return line.endswith("(deleted)")
    raise AssertionError("no such memory")


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(tables, "LARGE", 1000)
    monkeypatch.setattr(mapped, "memory", lambda: 4 * 5000.0)
    monkeypatch.setattr(tables, "gettempdir", lambda: str(tmp_path))
    return tmp_path


@pytest.mark.skipif(not MAPS.exists(), reason="Linux tells what memory is")
def test_a_table_of_a_quarter_of_the_memory_lies_in_a_file(little_memory: Path) -> None:
    images = torch.randint(256, (200, 1, 5, 5), dtype=torch.uint8)
    large, small = infer(lambda some: (some.flatten(1).float(), some[:, 0, 0].float()), images)
    assert in_a_file(large)
    assert not in_a_file(small)
    assert torch.equal(large, images.flatten(1).float())
    assert [*little_memory.iterdir()] == []


@pytest.mark.skipif(not MAPS.exists(), reason="Linux tells what memory is")
@pytest.mark.parametrize(("left", "expected"), [(6000, True), (4000, False)])
def test_a_table_stays_in_memory_where_the_disk_has_less_room(
    left: int, expected: bool, little_memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables.shutil, "disk_usage", lambda folder: SimpleNamespace(free=left))
    assert in_a_file(tables.room((100, 51), torch.uint8, torch.device("cpu"))) is expected


def test_a_disk_without_room_is_told_before_it_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match="No space left"):
        tables.in_file((10, 10), torch.uint8, tmp_path)


@pytest.mark.parametrize(
    "strategy", [CoreSet(), Badge(), AALU(SMALL, limit=5, batch=32)], ids=lambda it: type(it).__name__
)
def test_a_strategy_asks_for_the_same_images(
    strategy: CoreSet | Badge | AALU, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    task, found = FixedTask(torch.randn(1437, 10).log_softmax(-1), torch.randn(1437, 6)), []
    monkeypatch.setattr(tasks, "LARGE", 2**40)
    for little in (False, True):
        if little:
            request.getfixturevalue("little_memory")
        pool, _ = digit_pool(100)
        torch.manual_seed(0)
        found.append(strategy.query(pool, task, 20).indices.tolist())
    assert found[0] == found[1]
