from __future__ import annotations

import pytest

from alsuite.errors import UserError, positive


def test_numbers_above_zero_pass() -> None:
    positive("task_model.", epochs=3, lr=1e-4)


@pytest.mark.parametrize("value", [0, -1, 0.0, float("nan"), "1e-4", None, [1]])
def test_all_else_is_refused_by_its_name(value: object) -> None:
    with pytest.raises(UserError, match=r"^task_model\.lr=.* must be a number above 0$"):
        positive("task_model.", epochs=3, lr=value)
