"""A path that names no place is told."""

from __future__ import annotations

import pytest

from alsuite.command import identity
from alsuite.errors import UserError
from alsuite.places import place_of


def test_a_home_that_nobody_has_is_told() -> None:
    with pytest.raises(UserError, match=r"~nobody-here/x: there is no such home folder"):
        place_of("~nobody-here/x")
    with pytest.raises(UserError, match="no such home folder"):
        list(identity._paths({"path": "~nobody-here/x"}))
