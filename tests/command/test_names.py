"""What the folders of runs are called."""

from __future__ import annotations

from alsuite.command.names import LONGEST, run_name


def test_a_name_is_no_longer_than_a_file_system_takes() -> None:
    names = [
        run_name([f"dataset.path='{place}'", f"dataset.size={size}"])
        for place in ("照片" * 60, "a" * 300)
        for size in (8, 9)
    ]
    assert len({*names}) == 4
    assert all(len(name.encode()) <= LONGEST + 9 for name in names)
    assert run_name(["strategy=vaal", "seed=1"]) == "seed=1,strategy=vaal"
