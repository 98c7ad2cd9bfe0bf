"""What a strategy promises, checked at each query: a broken promise ends the run with a line that says which.

A strategy returns as many different unlabelled indices as were asked for, in a `Query` that a journal can hold
(`alsuite.contract.reply`). It leaves images and labels as they are, except that it may add synthetic images. And it
remembers nothing from one query to the next (`alsuite.contract.memory`), since a run that is resumed starts with a new
one. Whoever breaks such a promise gets numbers that look right, so that it's checked at every query, of any strategy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from alsuite.contract.memory import memory
from alsuite.contract.reply import checked
from alsuite.errors import UserError
from alsuite.pool import Pool
from alsuite.strategies import Query, Strategy

__all__ = ["Promise"]


class Promise:
    """A strategy and its pool as they were before a query, to be compared with what the query left.

    It is made right before the query; `kept` is called right after it, before the oracle answers.
    """

    def __init__(self, strategy: Strategy, pool: Pool) -> None:
        """Remember the strategy and the pool as they are; refuse what has no method `query`."""
        self.strategy = strategy
        self.pool = pool
        self.name = type(strategy).__name__
        self.before = Before.of(pool)
        self.memory = memory(strategy)
        if not callable(getattr(strategy, "query", None)):
            raise UserError(f"{self.name} is no strategy: it must have a method query(pool, task, n)")

    def kept(self, reply: object, n: int) -> Query:
        """Return the reply with its indices on the pool's device and its notes as JSON has them, or refuse it.

        Arguments:
            reply: what the strategy returned, whatever it is
            n: how many samples it was asked for
        """
        query = checked(reply, n, self.name)
        query = replace(query, indices=query.indices.to(self.pool.device))
        self._same_strategy()
        self._same_pool()
        self._unlabelled(query.indices)
        self._all_returned(query.indices)
        return query

    def _same_strategy(self) -> None:
        """Refuse a strategy that has changed itself: what it learned would be lost when the run is resumed."""
        after = memory(self.strategy)
        changed = [name for name in {**self.memory, **after} if self.memory.get(name) != after.get(name)]
        if changed:
            raise UserError(
                f"{self.name} changed self.{changed[0]}, which would be lost when the run is resumed: keep it inside "
                "query, or make what follows from the images alone with alsuite.strategies.Once"
            )

    def _same_pool(self) -> None:
        """Refuse a strategy that has changed images, or the labels of those that were there."""
        if not self.before.same_images(self.pool):
            raise UserError(f"{self.name} changed pool.images: change a copy, such as pool.rows(indices)[:]")
        if not self.before.same_labels(self.pool):
            raise UserError(f"{self.name} changed the pool's labels: only the oracle labels its images; return indices")

    def _unlabelled(self, indices: Tensor) -> None:
        """Refuse indices outside the pool, and those that had a label before the query."""
        size, known = len(self.pool), self.before.known
        outside = indices[(indices < 0) | (indices >= size)]
        if len(outside):
            raise UserError(f"{self.name} returned the index {int(outside[0])}: the pool's go from 0 to {size - 1}")
        old = indices[indices < len(known)]
        again = old[known[old]]
        if len(again):
            raise UserError(
                f"{self.name} returned {int(again[0])}, which is labelled already: choose among pool.unlabelled"
            )

    def _all_returned(self, indices: Tensor) -> None:
        """Refuse synthetic images that were labelled, but are not what the query returned."""
        added = self.pool.labelled[len(self.before.labelled) :]
        if len(added) and not torch.equal(added, indices):
            raise UserError(
                f"{self.name} labelled images that it did not return: they must be its indices, in the same order"
            )


@dataclass(frozen=True)
class Before:
    """A pool's images and labels as they were.

    images, labels: the tensors themselves; labels of images as a copy, masks not, for a copy of all would take long
    version, labels_version: how often torch had written into them; None for images that torch doesn't hold
    known: whether each image had a label
    labelled: the indices that had one, in order of acquisition
    """

    images: Tensor
    version: int | None
    known: Tensor
    labels: Tensor
    labels_version: int | None
    labelled: Tensor

    @classmethod
    def of(cls, pool: Pool) -> Before:
        """Remember a pool as it is."""
        labels = pool.labels if pool.per_pixel else pool.labels.clone()  # a copy of all masks would take long
        known, labelled = pool.known.clone(), pool.labelled.clone()
        return cls(pool.images, _version(pool.images), known, labels, _version(labels), labelled)

    def same_images(self, pool: Pool) -> bool:
        """Tell whether the images are still the same, though others may have joined them."""
        if _version(self.images) != self.version:
            return False
        now, size = pool.images, len(self.known)
        return now is self.images or (len(now) > size and torch.equal(now[:size], self.images))

    def same_labels(self, pool: Pool) -> bool:
        """Tell whether no image that was there has got, lost or changed a label."""
        if self.labels.ndim > 1 and (pool.labels is not self.labels or _version(self.labels) != self.labels_version):
            return False
        pairs = [(self.known, pool.known), (self.labelled, pool.labelled)]
        pairs += [(self.labels, pool.labels)] if self.labels.ndim == 1 else []
        joined = pool.labelled[len(self.labelled) :]
        return all(torch.equal(old, new[: len(old)]) for old, new in pairs) and bool((joined >= len(self.known)).all())


def _version(images: object) -> int | None:
    """Return how often torch has written into the images, or into those that an enlarged pool is made of."""
    images = getattr(images, "originals", images)
    return images._version if isinstance(images, Tensor) else None
