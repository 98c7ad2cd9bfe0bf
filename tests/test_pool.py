"""The pool: what it refuses, how it grows, what a network sees of it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from alsuite.errors import UserError
from alsuite.pool import Normalise, Pool, evenly
from helpers.pools import synthetic_pool

REFUSED = {
    "known": ([3, 5], [0, 0], "labelled already"),
    "repeated": ([7, 8, 7], [0, 1, 0], "repeated"),
    "beyond the end": ([20], [0], "outside the pool of 20"),
    "negative": ([-1], [0], "outside the pool of 20"),
    "label beyond the classes": ([7], [10], r"outside 0\.\.9"),
    "negative label": ([7], [-1], r"outside 0\.\.9"),
    "too few labels": ([7, 8], [0], "one length"),
    "a matrix": ([[7, 8]], [[0, 1]], "two int64 vectors"),
}


@pytest.fixture
def pool() -> Pool:
    pool, _ = synthetic_pool(20, labelled=0)
    pool.label(torch.tensor([9, 3]), torch.tensor([9, 3]))
    return pool


def state(pool: Pool) -> list[Tensor]:
    return [pool.images.clone(), pool.known.clone(), pool.labels.clone(), pool.labelled.clone()]


def unchanged(pool: Pool, before: list[Tensor]) -> bool:
    return all(torch.equal(ours, theirs) for ours, theirs in zip(state(pool), before, strict=True))


def test_labels_are_kept_in_order_of_acquisition(pool: Pool) -> None:
    pool.label(torch.tensor([12, 0]), torch.tensor([2, 0]))
    assert pool.labelled.tolist() == [9, 3, 12, 0]
    assert pool.labels[pool.labelled].tolist() == [9, 3, 2, 0]
    assert torch.nonzero(pool.known).squeeze(1).tolist() == [0, 3, 9, 12]
    assert (pool.labels[~pool.known] == -1).all()


def test_unlabelled_is_sorted_and_complete(pool: Pool) -> None:
    assert pool.unlabelled.tolist() == [i for i in range(20) if i not in (3, 9)]
    assert pool.unlabelled.dtype == torch.int64


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_labelling_changes_nothing(pool: Pool, case: str) -> None:
    indices, labels, message = REFUSED[case]
    before = state(pool)
    with pytest.raises(UserError, match=message):
        pool.label(torch.tensor(indices), torch.tensor(labels))
    assert unchanged(pool, before)


@pytest.mark.parametrize("kind", ["indices", "labels"])
@pytest.mark.parametrize("dtype", [torch.int32, torch.float32])
def test_both_vectors_must_be_int64(pool: Pool, kind: str, dtype: torch.dtype) -> None:
    given = {"indices": torch.tensor([7]), "labels": torch.tensor([1])}
    before = state(pool)
    with pytest.raises(UserError, match="two int64 vectors"):
        pool.label(**{**given, kind: given[kind].to(dtype)})
    assert unchanged(pool, before)


def test_labelling_nothing_is_fine(pool: Pool) -> None:
    before = state(pool)
    pool.label(torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64))
    assert unchanged(pool, before)


def test_extended_images_are_unlabelled_or_labelled(pool: Pool) -> None:
    fresh = torch.full((2, 3, 16, 16), 7, dtype=torch.uint8)
    assert pool.extend(fresh).tolist() == [20, 21]
    assert pool.extend(fresh + 1, torch.tensor([4, 5])).tolist() == [22, 23]
    assert len(pool) == len(pool.known) == len(pool.labels) == 24
    assert pool.labelled.tolist() == [9, 3, 22, 23]
    assert pool.unlabelled[-2:].tolist() == [20, 21]
    assert pool.labels[20:].tolist() == [-1, -1, 4, 5]
    assert pool.images[20:, 0, 0, 0].tolist() == [7, 7, 8, 8]


@pytest.mark.parametrize("fresh", [torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16, dtype=torch.uint8)])
def test_only_images_of_the_same_kind_join(pool: Pool, fresh: Tensor) -> None:
    with pytest.raises(UserError, match=r"uint8 images of shape \(3, 16, 16\)"):
        pool.extend(fresh)
    assert len(pool) == 20


def test_rows_are_the_images_at_their_indices(pool: Pool) -> None:
    indices = torch.tensor([5, 2, 11])
    rows = pool.rows(indices)
    assert len(rows) == 3
    assert torch.equal(rows[1:], pool.images[[2, 11]])
    assert torch.equal(rows[torch.tensor([2, 0])], pool.images[[11, 5]])


def test_bytes_and_unit_floats_look_the_same_to_a_network(pool: Pool) -> None:
    normalise = Normalise((0.1, 0.5, 0.9), (0.5, 0.25, 2.0))
    seen = normalise(pool.images)
    assert seen.dtype == torch.float32
    torch.testing.assert_close(normalise(pool.images.float() / 255), seen)
    by_hand = (pool.images[4, 2, 7, 7].double() / 255 - 0.9) / 2.0
    assert float(seen[4, 2, 7, 7]) == pytest.approx(float(by_hand), abs=1e-6)


@pytest.mark.parametrize("size", [0, 1, 2, 5, 19, 20, 21, 1000])
def test_some_indices_are_spread_evenly_over_all(size: int) -> None:
    indices = torch.arange(size) + 7
    found = evenly(indices, 20)
    assert len(found.unique()) == len(found) == min(size, 20)
    assert found[[0, -1]].tolist() == indices[[0, -1]].tolist() if size else not len(found)
    steps = found.diff()
    assert not len(steps) or int(steps.max() - steps.min()) <= 1


def test_indices_of_large_pools_are_spread_evenly() -> None:
    """In single precision the last place would lie beyond the end."""
    indices = torch.empty(1, dtype=torch.int8).expand(2**24 + 4)
    assert len(evenly(indices, 3)) == 3
