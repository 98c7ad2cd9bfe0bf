"""What the tests of the command share."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.commands import Command, started


@pytest.fixture
def alsuite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, whose runs lie below tmp_path."""
    return started(tmp_path, monkeypatch, capsys)
