"""The folders that are made for a run: where it has written nothing into them, it takes them away again.

Hydra makes a run's folder before the run begins, and tells of that beforehand: what is there by then stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from alsuite.files import remove_empty

__all__ = ["Folders", "nothing_left_behind"]

made: list[Path] = []  # for the run of this process, the innermost first


class Folders(Callback):
    """Notes which folders are going to be made for a run."""

    def on_run_start(self, config: DictConfig, **_: object) -> None:
        folder = Path(os.path.abspath(config.hydra.run.dir))
        made[:] = [each for each in (folder, *folder.parents) if not each.exists()]


@contextmanager
def nothing_left_behind(folder: Path, alone: bool) -> Iterator[None]:
    """Take away the folders that were made for a run, where the run has written nothing into them.

    Arguments:
        folder: the run's
        alone: whether it is no run of a sweep, in which its own folder and those of its scale and experiment are meant
    """
    try:
        yield
    finally:
        remove_empty(*(made if alone else (folder, *folder.parents[:2])))
