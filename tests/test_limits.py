"""A process has as much memory and as many cores as the system grants its group, of both kinds of groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from alsuite import limits
from alsuite.limits import cores, memory

Groups = Callable[[str | None, Mapping[str, str]], None]


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Groups:
    """What puts the files of a system's groups into place, and says which group is this process's."""
    monkeypatch.setattr(limits, "GROUPS", tmp_path)
    monkeypatch.setattr(limits, "OWN_GROUPS", tmp_path / "own")

    def place(own: str | None, given: Mapping[str, str]) -> None:
        for name, text in {**given, **({} if own is None else {"own": own})}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    return place


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
    groups: Groups, own: str | None, given: dict[str, str], expected: int | None
) -> None:
    whole = memory()
    groups(own, given)
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
    groups: Groups, monkeypatch: pytest.MonkeyPatch, own: str | None, given: dict[str, str], expected: int | None
) -> None:
    monkeypatch.setattr(limits.os, "sched_getaffinity", lambda _: range(8))
    periods = {str(Path(name).with_name("cpu.cfs_period_us")): "100000\n" for name in given}
    groups(own, {**given, **periods})
    assert cores() == (8 if expected is None else expected)
