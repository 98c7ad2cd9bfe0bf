"""TypiClust: clusters without a label come first, the largest of them, each with its densest point."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from alsuite.errors import UserError
from alsuite.generators import Trained
from alsuite.loop import seed_all
from alsuite.matching.features import Discriminator, Pixels
from alsuite.pool import Pool
from alsuite.strategies import typiclust
from alsuite.strategies.typiclust import TypiClust, k_means, most_typical, typicality
from helpers.pools import digit_pool
from helpers.tasks import FixedTask

SIZES = (40, 80, 30, 60, 50)


def of_groups(*sizes: int, labelled: tuple[int, ...] = ()) -> tuple[Pool, FixedTask, Tensor]:
    """A pool of groups that lie far apart, some of which have one label, and each sample's group."""
    groups = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    features = one_hot(groups, 8) + 0.05 * torch.randn(len(groups), 8)
    pool = Pool(torch.zeros(len(groups), 1, 2, 2, dtype=torch.uint8), len(sizes), [0], [1])
    first = torch.tensor([int(torch.nonzero(groups == group)[0]) for group in labelled], dtype=torch.int64)
    pool.label(first, groups[first])
    return pool, FixedTask(torch.zeros(len(groups), len(sizes)), features), groups


def plain_typicality(points: Tensor, n: int = 20) -> list[float]:
    found = []
    for point in points.double():
        distances = sorted(float((point - other).norm()) for other in points.double())[1 : n + 1]
        found.append(1 / (sum(distances) / len(distances)))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_the_densest_point_of_each_cluster_without_a_label_is_asked_for_the_largest_first(seed: int) -> None:
    seed_all(seed, 0)
    pool, task, groups = of_groups(*SIZES, labelled=(1, 4))
    query = TypiClust().query(pool, task, 3)
    assert groups[query.indices].tolist() == [3, 0, 2]
    for index in query.indices.tolist():
        members = torch.nonzero(groups == groups[index]).squeeze(1)
        found = plain_typicality(normalize(task.features[members], dim=1))
        assert index == int(members[found.index(max(found))])
    assert (query.notes["clusters"], query.notes["clusters_with_labels"]) == (5, 2)


def test_the_first_labels_can_be_chosen_too() -> None:
    pool, task, groups = of_groups(*SIZES)
    assert groups[TypiClust().query(pool, task, 5).indices].tolist() == [1, 3, 4, 0, 2]


@pytest.mark.parametrize("size", [2, 9, 21, 60])
def test_typicality_is_the_inverse_of_the_mean_distance_to_the_nearest(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = torch.randn(size, 6) + 50
    expected = torch.tensor(plain_typicality(points))
    for at_once in (2**24, 7 * size):
        monkeypatch.setattr(typiclust, "DISTANCES", at_once)
        torch.testing.assert_close(typicality(points), expected.float(), rtol=1e-3, atol=0)


def test_typicality_of_one_point_and_of_equal_ones_is_a_number() -> None:
    assert typicality(torch.ones(1, 3)).isfinite().all()
    assert typicality(torch.ones(30, 3)).isfinite().all()


def test_once_all_clusters_have_labels_those_with_the_fewest_come_first_in_rounds() -> None:
    clusters = torch.repeat_interleave(torch.arange(3), torch.tensor([10, 20, 30]))
    known = torch.zeros(60, dtype=torch.bool)
    known[[0, 10, 11, 30]] = True
    picks = most_typical(torch.randn(60, 4), clusters, known, 7)
    assert clusters[picks].tolist() == [2, 0, 1, 2, 0, 1, 2]
    assert len(picks.unique()) == 7
    assert not known[picks].any()


def test_small_clusters_come_last() -> None:
    clusters = torch.repeat_interleave(torch.arange(3), torch.tensor([5, 6, 1]))
    known = torch.zeros(12, dtype=torch.bool)
    known[5:9] = True
    picks = most_typical(torch.randn(12, 4), clusters, known, 8)
    assert clusters[picks].tolist() == [1, 1, 0, 2, 0, 0, 0, 0]


def test_there_are_as_many_clusters_as_labels_after_the_query_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    monkeypatch.setattr(typiclust, "k_means", lambda points, k: counts.append(k) or torch.arange(len(points)) % k)
    pool, task, _ = of_groups(*SIZES, labelled=(0, 1))
    for n, most in ((7, 500), (7, 4)):
        assert len(TypiClust(clusters=most).query(pool, task, n).indices.unique()) == n
    assert counts == [9, 4]


def test_lengths_of_features_do_not_count() -> None:
    pool, task, groups = of_groups(*SIZES)
    task.features *= torch.rand(len(groups), 1) * 9 + 1
    assert sorted(groups[TypiClust().query(pool, task, 5).indices].tolist()) == [0, 1, 2, 3, 4]


def test_other_features_take_the_place_of_the_tasks_and_are_made_once() -> None:
    seen: list[int] = []

    class Counted(Pixels):
        def of(self, pool: Pool, trained: Trained) -> Any:
            seen.append(len(pool))
            return super().of(pool, trained)

    pool, targets = digit_pool(0)
    shown, strategy = torch.isin(targets, torch.tensor([0, 1])), TypiClust(Counted(gray=True))
    pool.leave_out(torch.nonzero(~shown).squeeze(1))
    task = FixedTask(torch.zeros(1437, 10), torch.randn(1437, 8))
    for _ in range(2):
        seed_all(0, 0)
        query = strategy.query(pool, task, 2)
        assert sorted(targets[query.indices].tolist()) == [0, 1]
    assert seen == [1437]


def test_clusters_follow_the_seed() -> None:
    points, found = torch.randn(200, 5), []
    for seed in (0, 0, 1):
        seed_all(seed, 0)
        found.append(k_means(points, 9).tolist())
    assert found[0] == found[1] != found[2]
    assert {*found[0]} == {*range(9)}


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UserError, match=r"^strategy.clusters=0 must be a whole number from 1"):
        TypiClust(clusters=0)
    with pytest.raises(UserError, match="take gray, rgb, autoencoder or vgg16"):
        TypiClust(Discriminator())
