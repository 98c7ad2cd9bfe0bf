"""Discriminative active learning: its D learns which pool is which, and the surest unlabelled samples are asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.loop import seed_all
from alsuite.pool import Pool
from alsuite.strategies import dal
from alsuite.strategies.dal import DAL, Discrimination, parts
from helpers.pools import digit_pool
from helpers.tasks import FixedTask, dropout_net, fast_task

FAST: dict[str, Any] = {"limit": 40, "lr": 1e-3}


def of_groups(*sizes: int, labelled: int = 20) -> tuple[Pool, FixedTask, Tensor]:
    """A pool whose first group has some labels, a task whose features tell groups apart, and each sample's group."""
    groups = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    features = nn.functional.one_hot(groups, len(sizes)) + 0.3 * torch.randn(len(groups), len(sizes))
    pool = Pool(torch.zeros(len(groups), 1, 2, 2, dtype=torch.uint8), len(sizes), [0], [1])
    pool.label(torch.arange(labelled), groups[:labelled])
    return pool, FixedTask(torch.zeros(len(groups), len(sizes)), features), groups


def test_samples_unlike_the_labelled_come_first() -> None:
    pool, task, groups = of_groups(100, 50)
    query = DAL(mini_queries=1, **FAST).query(pool, task, 30)
    assert (groups[query.indices] == 1).all()
    assert query.notes["d_ranking"] > 0.6
    assert query.notes["fit_seconds"] > 0


def test_a_discriminator_that_learns_nothing_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measure itself: by chance a third would be of the new group."""
    monkeypatch.setattr(dal, "fit", lambda learning, *streams, steps: learning.eval())
    shares = []
    for seed in range(12):
        seed_all(seed, 0)
        pool, task, groups = of_groups(120, 50)
        shares.append(float(groups[DAL(mini_queries=1).query(pool, task, 30).indices].float().mean()))
    assert abs(sum(shares) / len(shares) - 1 / 3) < 0.2


def test_a_discriminator_that_says_the_same_of_all_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DAL, "logits", lambda self, features, *indices: torch.zeros(len(features)))
    pool, task, _ = of_groups(100, 50)
    assert "can't tell labelled from unlabelled" in DAL().query(pool, task, 5).notes["warning"]


def test_what_is_chosen_counts_as_labelled_in_the_next_mini_query(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, task, _ = of_groups(100, 50)
    pool.leave_out(torch.tensor([149]))
    scores, seen = torch.randperm(150).float(), []

    def logits(self: DAL, features: Tensor, labelled: Tensor, unlabelled: Tensor) -> Tensor:
        seen.append((labelled.tolist(), unlabelled.tolist()))
        return scores

    monkeypatch.setattr(DAL, "logits", logits)
    picks = DAL(mini_queries=4).query(pool, task, 10).indices.tolist()
    assert picks == sorted(range(20, 149), key=lambda i: float(scores[i]))[:10]
    for done, (labelled, unlabelled) in zip((0, 2, 5, 7), seen, strict=True):
        assert labelled == [*range(20), *picks[:done]]
        assert unlabelled == sorted({*range(20, 149)} - {*picks[:done]})


def test_mini_queries_leave_a_group_once_it_is_known() -> None:
    """At once nearly all are of the group that is the farthest; once some of it are chosen the next one is as new."""
    pool, task, groups = of_groups(100, 60, 60)
    task.features[:, 1] *= 3
    counts = [torch.bincount(groups[DAL(mini_queries=n, **FAST).query(pool, task, 30).indices]) for n in (1, 10)]
    assert counts[0][1] > 26
    assert counts[1][2] > 5


def test_parts_are_as_equal_as_they_can_be() -> None:
    assert parts(10, 4) == [2, 3, 2, 3]
    assert parts(3, 10) == [1, 1, 1]
    assert parts(20, 10) == [2] * 10


@pytest.mark.parametrize(("accuracy", "ends"), [(0.9, True), (1, False)])
def test_the_training_ends_once_it_is_right_often_enough(
    accuracy: float, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, task, _ = of_groups(20, 300)
    fit, seen = dal.fit, []
    monkeypatch.setattr(
        dal, "fit", lambda learning, *given, **more: fit(seen.append(learning) or learning, *given, **more)
    )
    DAL(mini_queries=1, accuracy=accuracy, limit=600, lr=1e-3).query(pool, task, 5)
    (learning,) = seen
    assert (learning.done < 600) == ends
    assert learning.done % learning.epoch == 0
    assert learning.epoch == 5


def test_how_often_it_is_right_counts_both_pools_alike() -> None:
    learning = Discrimination(nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)), 1e-12, 0.49, 1)
    with torch.no_grad():
        learning.net[0].bias.fill_(-100)  # type: ignore[union-attr]
    learning.configure_optimizers()
    learning.training_step([((torch.zeros(90, 3),), (torch.zeros(10, 3),))], 0)
    assert learning.ended
    learning.ended, learning.accuracy = False, 0.51
    learning.training_step([((torch.zeros(90, 3),), (torch.zeros(10, 3),))], 0)
    assert not learning.ended


def test_its_network_is_that_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, task, _ = of_groups(100, 50)
    nets: list[nn.Module] = []
    monkeypatch.setattr(dal, "fit", lambda learning, *_, **__: nets.append(learning.net) or learning.eval())
    DAL(mini_queries=3).query(pool, task, 3)
    widths = [[layer.out_features for layer in net.modules() if isinstance(layer, nn.Linear)] for net in nets]
    assert widths == [[256, 256, 256, 1]] * 3
    assert len({float(next(net.parameters()).detach().sum()) for net in nets}) == 3  # each is a new one


def test_one_label_is_enough_and_none_is_refused() -> None:
    pool, task, _ = of_groups(30, 20, labelled=1)
    assert len(DAL(**FAST).query(pool, task, 49).indices.unique()) == 49
    pool, task, _ = of_groups(30, 20, labelled=0)
    with pytest.raises(UserError, match="nothing is labelled: take strategy=coreset"):
        DAL(**FAST).query(pool, task, 5)


@pytest.mark.slow
def test_classes_that_are_missing_are_found_by_what_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured at 5 seeds: 0.75 to 0.90 of 20 picks are of three missing classes, and 0.05 to 0.30 of those of a
    discriminator that learns nothing, where the pool has 0.34."""

    def share(seed: int) -> float:
        seed_all(seed, 0)
        pool, targets = digit_pool(0)
        absent = torch.isin(targets, torch.randperm(10)[:3])
        present = torch.nonzero(~absent).squeeze(1)
        chosen = present[torch.randperm(len(present))[:140]]
        pool.label(chosen, targets[chosen])
        task = fast_task(dropout_net, epochs=30).learn(pool)
        return float(absent[DAL(limit=150, lr=3e-4).query(pool, task, 20).indices].float().mean())

    assert sum(share(seed) for seed in range(5)) / 5 > 0.55
    monkeypatch.setattr(dal, "fit", lambda learning, *streams, steps: learning.eval())
    assert sum(share(seed) for seed in range(5)) / 5 < 0.5


@pytest.mark.parametrize("wrong", [{"mini_queries": 0}, {"batch": 1.5}, {"limit": 0}, {"accuracy": 0}, {"lr": -1}])
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(UserError, match=rf"^strategy\.{name}="):
        DAL(**wrong)


def test_the_same_seed_asks_for_the_same() -> None:
    pool, task, _ = of_groups(100, 50)
    found = []
    for seed in (0, 0, 1):
        seed_all(seed, 0)
        found.append(DAL(mini_queries=2, **FAST).query(pool, task, 20).indices.tolist())
    assert found[0] == found[1] != found[2]
