"""What the tests share: small pools and tasks, networks, runs and raw files written by hand."""

import os
from pathlib import Path

__all__ = ["REPOSITORY", "importing"]

REPOSITORY = Path(__file__).parents[2]


def importing(folder: Path) -> dict[str, str]:
    """Return the environment of a process that imports the repository, these helpers and a folder's modules."""
    paths = (REPOSITORY, REPOSITORY / "tests", folder)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
