"""The journal and the oracle of a run that several ranks do: the first rank has them, and tells the others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from alsuite import ranks
from alsuite.command.setting import Parts, Setting
from alsuite.journal import Journal
from alsuite.oracle import Oracle
from alsuite.pool import Pool
from alsuite.recorded import Record

__all__ = ["SharedJournal", "SharedOracle"]


class SharedJournal(Journal):
    """A journal that is read and written by the first rank alone: the others know what that tells them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if ranks.first():
            super().__init__(folder)
        self.records: list[Record] = ranks.told(lambda: self.records)

    def close(self) -> None:
        if ranks.first():
            super().close()

    def start(self, about: Mapping[str, object]) -> None:
        ranks.told(partial(super().start, about))

    @property
    def asked(self) -> Record | None:
        return ranks.told(lambda: super(SharedJournal, self).asked)

    def asked_arrays(self) -> dict[str, np.ndarray]:
        return ranks.told(super().asked_arrays)

    def images(self, cycle: int) -> dict[str, np.ndarray]:
        return ranks.told(partial(super().images, cycle))

    def ask(self, record: Record, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        ranks.told(partial(super().ask, record, arrays))

    def append(self, record: Record, images: Mapping[str, np.ndarray] | None = None) -> None:
        """Write a cycle down; once this returns on any rank the disk has it."""
        ranks.told(partial(super().append, record, images))
        if not ranks.first():
            self.records.append(record)


class SharedOracle:
    """An oracle that is asked by the first rank alone."""

    def __init__(self, parts: Parts, setting: Setting, folder: Path) -> None:
        self.oracle: Oracle | None = parts.oracle(setting.dataset, folder) if ranks.first() else None
        self.knows: bool = ranks.told(lambda: getattr(self.oracle, "knows", False))

    def __call__(self, pool: Pool, indices: Tensor) -> Tensor:
        return ranks.told(lambda: self._own(pool, indices))

    def judge(self, pool: Pool, images: Tensor) -> Tensor | None:
        return ranks.told(lambda: self._own.judge(pool, images))

    @property
    def _own(self) -> Oracle:
        assert self.oracle is not None
        return self.oracle
