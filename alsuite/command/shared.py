"""The journal and the oracle of a run that several ranks do: the first rank has them, and tells the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from alsuite import ranks
from alsuite.command.setting import Parts, Setting
from alsuite.journal import Journal, Record
from alsuite.oracle import Oracle
from alsuite.pool import Pool

__all__ = ["SharedJournal", "SharedOracle"]


class SharedJournal(Journal):
    """A journal that is read and written by the first rank alone.

    journal: the first rank's own; None elsewhere
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder) if ranks.first() else None
        self.records: list[Record] = ranks.told(lambda: self._own.records)

    @property
    def _own(self) -> Journal:
        assert self.journal is not None
        return self.journal

    def close(self) -> None:
        if self.journal:
            self.journal.close()

    def start(self, about: Mapping[str, object]) -> None:
        ranks.told(lambda: self._own.start(about))

    @property
    def asked(self) -> Record | None:
        return ranks.told(lambda: self._own.asked)

    def asked_arrays(self) -> dict[str, np.ndarray]:
        return ranks.told(lambda: self._own.asked_arrays())

    def images(self, cycle: int) -> dict[str, np.ndarray]:
        return ranks.told(lambda: self._own.images(cycle))

    def ask(self, record: Record, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        ranks.told(lambda: self._own.ask(record, arrays))

    def append(self, record: Record, images: Mapping[str, np.ndarray] | None = None) -> None:
        """Write a cycle down; once this returns on any rank the disk has it."""
        ranks.told(lambda: self._own.append(record, images))
        if self.journal is None:
            self.records.append(record)


class SharedOracle:
    """An oracle that is asked by the first rank alone."""

    def __init__(self, parts: Parts, setting: Setting, folder: Path) -> None:
        self.oracle: Oracle | None = parts.oracle(setting.dataset, folder) if ranks.first() else None
        self.knows: bool = ranks.told(lambda: getattr(self.oracle, "knows", False))
        self.asked = 0

    def __call__(self, pool: Pool, indices: Tensor) -> Tensor:
        self.asked += len(indices)
        return ranks.told(lambda: self._own(pool, indices))

    def judge(self, pool: Pool, images: Tensor) -> Tensor | None:
        return ranks.told(lambda: self._own.judge(pool, images))

    @property
    def _own(self) -> Oracle:
        assert self.oracle is not None
        return self.oracle
