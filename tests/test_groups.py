"""What the tests themselves rest on."""

from __future__ import annotations

import os

import pytest


@pytest.mark.xdist_group("any")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="all tests share this process")
def test_tests_of_a_group_share_a_process(request: pytest.FixtureRequest) -> None:
    """Else what they train once is trained several times, and no other test fails of it."""
    assert request.node.nodeid.endswith("@any")
