"""Adversarial and generative active learning for images: five papers reproduced, figure by figure."""

from pathlib import Path

__all__ = ["CONF"]

_PACKAGE = Path(__file__).resolve().parent

CONF: Path = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"
"""Where the configuration lies: inside an installed wheel, or beside the package in a checkout."""
