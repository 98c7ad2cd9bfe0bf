"""A process has as much memory and as many cores as the system grants its group, of both kinds of groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from alsuite import limits
from alsuite.limits import cores, memory


@pytest.mark.parametrize(
    ("own", "given", "expected"),
    [
        ("0::/job/task\n", {"job/memory.max": "70000\n", "job/task/memory.max": "max\n"}, 70000),
        ("9:cpu:/\n4:memory:/job/task\n0::/\n", {"memory/job/task/memory.limit_in_bytes": "60000\n"}, 60000),
        ("4:cpu,memory:/elsewhere\n", {"memory/memory.limit_in_bytes": "50000\n"}, 50000),
        ("0::/\n", {"job/memory.max": "4\n"}, None),
        (None, {}, None),
    ],
)
def test_the_memory_is_what_the_system_grants_the_process(
    own: str | None, given: dict[str, str], expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GROUPS", tmp_path)
    monkeypatch.setattr(limits, "OWN_GROUPS", tmp_path / "own")
    whole = memory()
    if own is not None:
        (tmp_path / "own").write_text(own)
    for name, text in given.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory() == (whole if expected is None else expected)


@pytest.mark.parametrize(
    ("own", "given", "expected"),
    [
        ("0::/job/task\n", {"job/cpu.max": "150000 100000\n", "job/task/cpu.max": "max 100000\n"}, 2),
        ("0::/job\n", {"job/cpu.max": "10000 100000\n"}, 1),
        ("4:cpu,cpuacct:/job\n0::/\n", {"cpu/job/cpu.cfs_quota_us": "300000\n"}, 3),
        ("4:cpu:/job\n", {"cpu/job/cpu.cfs_quota_us": "-1\n"}, None),
        ("4:memory:/job\n", {"cpu/job/cpu.cfs_quota_us": "100000\n"}, None),
        (None, {}, None),
    ],
)
def test_the_cores_are_those_whose_time_the_system_grants_the_process(
    own: str | None, given: dict[str, str], expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GROUPS", tmp_path)
    monkeypatch.setattr(limits, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(limits.os, "sched_getaffinity", lambda _: range(8))
    if own is not None:
        (tmp_path / "own").write_text(own)
    for name, text in given.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).with_name("cpu.cfs_period_us").write_text("100000\n")
    assert cores() == (8 if expected is None else expected)
