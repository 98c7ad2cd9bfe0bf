"""Suggestive annotation: doubt first, then the greedy cover."""

from __future__ import annotations

from typing import Self

import pytest
import torch
from torch import Tensor

from alsuite.errors import UserError
from alsuite.pool import Pool
from alsuite.strategies import suggestive
from alsuite.strategies.suggestive import Suggestive, bootstrapped, most_representative
from helpers.pools import digit_pool
from helpers.tasks import FixedTask, fast_task


def plain_greedy(features: Tensor, candidates: list[int], n: int) -> list[int]:
    likeness = torch.nn.functional.cosine_similarity(features[:, None], features[None], dim=-1)
    picks: list[int] = []
    for _ in range(n):
        left = [c for c in candidates if c not in picks]
        picks.append(max(left, key=lambda c: float(likeness[[*picks, c]].amax(0).sum())))
    return picks


@pytest.mark.parametrize("seed", range(3))
def test_the_cover_is_that_of_the_plain_greedy_loop(seed: int) -> None:
    features = torch.randn(60, 5, generator=torch.Generator().manual_seed(seed))
    candidates = torch.arange(3, 60, 2)
    picks, gains = most_representative(torch.nn.functional.normalize(features), candidates, 12)
    assert picks.tolist() == plain_greedy(features, candidates.tolist(), 12)
    assert (gains.diff() <= 1e-4).all()


def test_likeness_is_told_in_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU would round the bounds that the greedy loop relies on."""
    told = []
    monkeypatch.setattr(suggestive, "_greedily", lambda *_: told.append(torch.get_float32_matmul_precision()))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        most_representative(torch.eye(3), torch.arange(3), 1)
    finally:
        torch.set_float32_matmul_precision(before)
    assert told == ["highest"]


def test_a_bootstrap_sample_repeats_labels_and_leaves_the_pool() -> None:
    pool, _ = digit_pool(100)
    before = pool.labelled.clone()
    other = bootstrapped(pool)
    assert len(other.labelled) == 100
    assert len(other.labelled.unique()) < 90
    assert torch.isin(other.labelled, before).all()
    assert torch.equal(pool.labelled, before)


def test_candidates_are_those_on_which_the_members_differ() -> None:
    pool, _ = digit_pool(1000)
    doubtful = pool.unlabelled[5:25]
    made: list[FixedTask] = []

    def member() -> FixedTask:
        logits = torch.zeros(1437, 10)
        logits[doubtful, len(made)] = 5.0
        made.append(FixedTask(logits.log_softmax(-1)))
        return Placed(made[-1].predicted)

    class Placed(FixedTask):
        """Tells the images by their place, though a chunk of them has none."""

        def log_probs(self, images: Tensor) -> Tensor:  # type: ignore[override]
            places = [int((pool.images == image).flatten(1).all(1).nonzero()[0]) for image in images]
            return self.predicted[places]

    task = FixedTask(torch.zeros(1437, 10), torch.randn(1437, 4))
    query = Suggestive(member, members=2).query(pool, task, 10)  # type: ignore[arg-type]
    assert len(made) == 2
    assert torch.isin(query.indices, doubtful).all()


def test_of_the_most_doubtful_those_that_stand_for_the_most_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many candidates as picks, by the doubts of members that learned from a bootstrap sample each."""
    pool, _ = digit_pool(1400)
    doubts, features = torch.rand(37), torch.randn(1437, 4) * torch.rand(1437, 1)
    learned: list[Tensor] = []

    class Member(FixedTask):
        def learn(self, pool: Pool) -> Self:
            learned.append(pool.labelled)
            return self

    monkeypatch.setattr(suggestive, "disagreement", lambda *_: doubts)
    task = FixedTask(torch.zeros(1437, 10), features)
    query = Suggestive(lambda: Member(torch.zeros(1)), members=3).query(pool, task, 6)  # type: ignore[arg-type]
    picks = plain_greedy(features[pool.unlabelled], doubts.topk(12).indices.tolist(), 6)
    assert query.indices.tolist() == pool.unlabelled[picks].tolist()
    assert len(learned) == 3
    assert all(len(its) == 1400 and len(its.unique()) < 1000 for its in learned)


def test_a_committee_of_one_is_refused() -> None:
    with pytest.raises(UserError, match=r"strategy\.members=1 must be a whole number from 2"):
        Suggestive(fast_task, members=1)
