"""Scores against their closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from alsuite import scores
from alsuite.errors import UserError

ONE_MODEL = [scores.entropy, scores.margin, scores.least_confidence]
MANY = [scores.mean_entropy, scores.bald, scores.mean_std, scores.variation_ratio]
UNIFORM = torch.full((1, 5), 0.2).log()
ONE_HOT = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]]).log()
PROBS = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]])


def close(found: Tensor, expected: float | list[float]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=found.dtype).expand_as(found), atol=1e-6, rtol=1e-6)


def test_entropy() -> None:
    close(scores.entropy(UNIFORM), math.log(5))
    close(scores.entropy(ONE_HOT), 0.0)
    close(scores.entropy(PROBS.log())[0], -(0.5 * math.log(0.5) + 0.3 * math.log(0.3) + 0.2 * math.log(0.2)))


def test_margin_and_least_confidence() -> None:
    close(scores.margin(PROBS.log()), [-0.2, -0.5])
    close(scores.least_confidence(PROBS.log()), [0.5, 0.3])
    close(scores.margin(UNIFORM), 0.0)
    close(scores.least_confidence(UNIFORM), 0.8)
    close(scores.margin(ONE_HOT), -1.0)
    close(scores.least_confidence(ONE_HOT), 0.0)


@pytest.mark.parametrize("score", [scores.margin, scores.least_confidence])
@pytest.mark.parametrize("classes", [2, 5])
def test_what_is_all_but_sure_keeps_its_order(score: Callable[[Tensor], Tensor], classes: int) -> None:
    logits = torch.linspace(18, 30, 2000)[torch.randperm(2000)]
    others = torch.arange(classes).mul(-1.0).expand(2000, -1)
    log_probs = torch.cat([others[:, :1] + logits[:, None], others[:, 1:]], 1).log_softmax(-1)
    assert logits[scores.best(score(log_probs), 50)].tolist() == logits.sort().values[:50].tolist()


@pytest.mark.parametrize("score", ONE_MODEL + MANY)
@pytest.mark.parametrize("logit", [1e4, math.inf])
def test_scores_stay_finite_where_the_softmax_saturates(score: Callable[[Tensor], Tensor], logit: float) -> None:
    sure = torch.tensor([[0.0, -logit, -logit]]).log_softmax(-1)
    found = score(sure if score in ONE_MODEL else torch.stack([sure, sure]))
    assert found.shape == (1,)
    assert found.isfinite().all()


def test_min_distance_is_minus_the_distance_to_the_plane() -> None:
    f = torch.tensor([3.0, -0.5, 0.0, -200.0, 60.0])
    log_probs = torch.stack([torch.zeros(5), f], -1).log_softmax(-1)
    torch.testing.assert_close(scores.min_distance(log_probs), -f.abs())
    with pytest.raises(UserError, match="min_distance needs two classes"):
        scores.min_distance(UNIFORM)


def test_all_scores_agree_on_two_classes() -> None:
    f = torch.randn(300, dtype=torch.float64) * 4
    log_probs = torch.stack([torch.zeros_like(f), f], -1).log_softmax(-1)
    nearest_first = f.abs().argsort()
    for score in (scores.min_distance, *ONE_MODEL):
        assert torch.equal(scores.best(score(log_probs), 300), nearest_first)


def test_opposite_sure_members_disagree_as_much_as_two_can() -> None:
    sure = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]])
    opposite = torch.stack([sure, sure.flip(-1)])
    close(scores.bald(opposite), math.log(2))
    close(scores.mean_entropy(opposite), math.log(2))
    close(scores.mean_std(opposite), 0.5)
    close(scores.variation_ratio(opposite), 0.5)


def test_equal_members_do_not_disagree() -> None:
    equal = PROBS.log().expand(4, 2, 3)
    for score in (scores.bald, scores.mean_std, scores.variation_ratio):
        close(score(equal), 0.0)
    close(scores.mean_entropy(equal), scores.entropy(PROBS.log()).tolist())


def test_mean_std_by_hand() -> None:
    members = torch.tensor([[[0.2, 0.8]], [[0.4, 0.6]], [[0.9, 0.1]]])
    spread = math.sqrt(((0.2 - 0.5) ** 2 + (0.4 - 0.5) ** 2 + (0.9 - 0.5) ** 2) / 3)
    close(scores.mean_std(members.log()), spread)


def test_variation_ratio_counts_votes() -> None:
    votes = torch.tensor([[0, 1], [0, 2], [0, 1], [2, 0], [1, 1]])
    log_probs = torch.nn.functional.one_hot(votes, 3).double().mul(5).log_softmax(-1)
    torch.testing.assert_close(scores.variation_ratio(log_probs).double(), torch.tensor([0.4, 0.4]).double())


def test_best_is_descending() -> None:
    values = torch.tensor([1.0, 3.0, 2.0, 3.0, 1.0, 3.0])
    assert values[scores.best(values, 5)].tolist() == [3, 3, 3, 2, 1]
    assert scores.best(torch.tensor([-torch.inf, torch.inf, 0.0]), 3).tolist() == [1, 2, 0]


def test_of_equal_scores_the_pools_order_decides_nothing() -> None:
    """Votes of a few members are mostly equal, and a pool may come class by class."""
    ratios = torch.tensor([0.4, 0.2]).repeat_interleave(500)
    picks = scores.best(ratios, 100)
    assert len(picks.unique()) == 100
    assert ratios[picks].eq(ratios.max()).all()
    assert 200 < float(picks.float().mean()) < 300
    assert not torch.equal(picks, scores.best(ratios, 100))


def test_best_refuses_what_is_not_a_number() -> None:
    with pytest.raises(UserError, match=r"not a number: mend its formula, or lower task_model.lr"):
        scores.best(torch.tensor([0.0, torch.nan]), 1)
