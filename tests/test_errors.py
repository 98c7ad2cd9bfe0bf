from __future__ import annotations

import pytest

from alsuite.errors import UserError, positive, whole_number


def test_numbers_above_zero_pass() -> None:
    positive("task_model.", epochs=3, lr=1e-4)


@pytest.mark.parametrize("value", [0, -1, 0.0, float("nan"), "1e-4", None, [1]])
def test_all_else_is_refused_by_its_name(value: object) -> None:
    with pytest.raises(UserError, match=r"^task_model\.lr=.* must be a number above 0$"):
        positive("task_model.", epochs=3, lr=value)


def test_whole_numbers_from_the_least_pass() -> None:
    whole_number("strategy.", members=1)
    whole_number("strategy.", 0, embedded=0)


@pytest.mark.parametrize("value", [1, 2.5, 3.0, True, None, "4"])
def test_no_other_number_of_things_passes(value: object) -> None:
    with pytest.raises(UserError, match=rf"^strategy\.members={value} must be a whole number from 2$"):
        whole_number("strategy.", 2, members=value)
