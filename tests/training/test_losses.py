"""Losses against values by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from alsuite.errors import UserError
from alsuite.nets.classifiers import linear
from alsuite.tasks.classification import Classification
from alsuite.training.losses import bound, cross_entropy, hinge, ranking_hinge, ranking_logistic, two_class
from helpers.pools import digit_pool

F_N_1 = torch.tensor([[2.0], [-0.5], [0.25], [-3.0]])
LABELS = torch.tensor([1, 1, 0, 0])


def test_hinge_by_hand() -> None:
    assert float(hinge(F_N_1, LABELS)) == pytest.approx((0 + 1.5 + 1.25 + 0) / 4)


def test_logistic_by_hand() -> None:
    signed = (2.0, -0.5, -0.25, 3.0)
    by_hand = sum(math.log(1 + math.exp(-value)) for value in signed) / 4
    assert float(cross_entropy(F_N_1, LABELS)) == pytest.approx(by_hand)
    assert float(cross_entropy(two_class(F_N_1), LABELS)) == pytest.approx(by_hand)


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.0]])
    by_hand = math.log(math.e + math.e**2 + 1) - 2.0
    assert float(cross_entropy(logits, torch.tensor([1]))) == pytest.approx(by_hand)


def test_one_output_stands_for_two_logits() -> None:
    assert two_class(F_N_1).tolist() == [[0.0, 2.0], [0.0, -0.5], [0.0, 0.25], [0.0, -3.0]]
    assert two_class(torch.zeros(4, 3)).shape == (4, 3)


def test_hinge_refuses_more_than_two_classes() -> None:
    pool, _ = digit_pool(20)
    with pytest.raises(UserError, match="hinge needs two classes"):
        Classification(linear, loss="hinge", epochs=1).learn(pool)


@pytest.mark.parametrize("loss", ["hinge", "cross_entropy"])
def test_both_losses_separate_two_digits(loss: str) -> None:
    pool, targets = digit_pool(60, classes=[5, 7])
    task = Classification(linear, loss=loss, epochs=20, batch=10, lr=1e-2).learn(pool)
    assert (task.log_probs(pool.images).argmax(1) == targets).float().mean() > 0.97


def numbers(*shape: int) -> tuple[Tensor, NDArray[np.float64]]:
    drawn = torch.randn(*shape)
    return drawn, drawn.double().numpy()


@pytest.mark.parametrize("beta", [1.0, 4.0])
@pytest.mark.parametrize("reduction", ["elbo", "elbo_per_value", "sample", "mean", "sum"])
def test_the_bound_by_hand(reduction: str, beta: float) -> None:
    (x, a), (decoded, b), (mu, m), (logvar, v) = numbers(4, 2, 3, 3), numbers(4, 2, 3, 3), numbers(4, 5), numbers(4, 5)
    found = bound(x, decoded, mu, logvar, beta, reduction)
    error = ((a - b) ** 2).reshape(4, 18)
    kl = 0.5 * (m**2 + np.exp(v) - v - 1)
    expected = {
        "elbo": error.sum(1) / 2 + beta * kl.sum(1),
        "elbo_per_value": (error.sum(1) / 2 + beta * kl.sum(1)) / 18,
        "sample": error.mean(1) + beta * kl.sum(1),
        "mean": error.mean(1) + beta * kl.mean(1),
        "sum": error.mean(1) + beta * 4 * kl.sum(1),  # its mean over the batch is the release's loss
    }[reduction]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)


def test_the_bound_of_the_release_averages_the_error_and_adds_up_the_kl() -> None:
    x, decoded, mu, logvar = torch.randn(4, 7), torch.randn(4, 7), torch.randn(4, 5), torch.randn(4, 5)
    theirs = nn.functional.mse_loss(x, decoded) - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    torch.testing.assert_close(bound(x, decoded, mu, logvar, reduction="sum").mean(), theirs)


def test_the_true_bound_is_that_of_a_gaussian_decoder() -> None:
    x, decoded, mu, logvar = torch.randn(4, 18), torch.randn(4, 18), torch.randn(4, 5), torch.randn(4, 5)
    likelihood = Normal(decoded, 1.0).log_prob(x).sum(1) + 18 / 2 * math.log(2 * math.pi)
    divergence = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(bound(x, decoded, mu, logvar, beta=1.5), 1.5 * divergence - likelihood)


SCORES = [0.9, 0.1, 0.4, 0.3, 0.2, 0.25, 0.7]
TRUE_LOSSES = [2.0, 1.0, 5.0, 1.5, 1.0, 6.0, 9.0]  # two tie


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("margin", [0.1, 1.0])
def test_the_ranking_hinge_by_hand(n: int, margin: float) -> None:
    """AALU eq. 8; of an odd number the last has no partner."""
    total = 0.0
    for i in range(n // 2):
        j = n // 2 + i
        sign = (TRUE_LOSSES[i] > TRUE_LOSSES[j]) - (TRUE_LOSSES[i] < TRUE_LOSSES[j])
        total += max(0.0, -sign * (SCORES[i] - SCORES[j]) + margin)
    found = ranking_hinge(torch.tensor(SCORES[:n]), torch.tensor(TRUE_LOSSES[:n]), margin)
    assert float(found) == pytest.approx(total / (n // 2), abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7])
def test_the_logistic_ranking_by_hand(n: int) -> None:
    total = 0.0
    for i in range(n // 2):
        j = n // 2 + i
        chance = 1 / (1 + math.exp(SCORES[j] - SCORES[i]))
        total -= math.log(chance if TRUE_LOSSES[i] > TRUE_LOSSES[j] else 1 - chance)
    found = ranking_logistic(torch.tensor(SCORES[:n]), torch.tensor(TRUE_LOSSES[:n]))
    assert float(found) == pytest.approx(total / (n // 2))


@pytest.mark.parametrize("ranking", [partial(ranking_hinge, margin=0.1), ranking_logistic])
def test_a_ranking_pulls_a_pair_apart_the_right_way(ranking: Callable[[Tensor, Tensor], Tensor]) -> None:
    scores, losses = torch.zeros(4, requires_grad=True), torch.tensor([3.0, 1.0, 2.0, 4.0])
    ranking(scores, losses).backward()
    assert scores.grad is not None
    assert (scores.grad < 0).tolist() == [True, False, False, True]  # those with the larger loss rise
    assert float(scores.grad.sum()) == 0
    assert float(ranking(torch.tensor([50.0, -50, -50, 50]), losses)) == pytest.approx(0, abs=1e-6)


def test_a_tie_costs_the_margin_alone() -> None:
    losses = torch.ones(4)
    assert float(ranking_hinge(torch.tensor([5.0, -2.0, 1.0, 7.0]), losses, 0.25)) == pytest.approx(0.25)


@pytest.mark.parametrize("ranking", [ranking_hinge, ranking_logistic])
def test_a_lone_sample_costs_nothing(ranking: Callable[[Tensor, Tensor], Tensor]) -> None:
    assert float(ranking(torch.ones(1), torch.ones(1))) == 0


@pytest.mark.parametrize("loss", [cross_entropy, hinge])
def test_the_losses_of_each_sample_have_the_usual_mean(loss: Callable[..., Tensor]) -> None:
    each = loss(F_N_1, LABELS, reduction="none")
    assert each.shape == (4,)
    torch.testing.assert_close(each.mean(), loss(F_N_1, LABELS))
    alone = torch.cat([loss(F_N_1[i : i + 1], LABELS[i : i + 1])[None] for i in range(4)])
    torch.testing.assert_close(each, alone)


def test_cross_entropy_of_each_sample() -> None:
    logits, labels = torch.randn(6, 4), torch.tensor([0, 3, 1, 2, 2, 0])
    expected = torch.stack([-logits[i].log_softmax(0)[label] for i, label in enumerate(labels.tolist())])
    torch.testing.assert_close(cross_entropy(logits, labels, reduction="none"), expected)


def test_smoothing_spreads_a_share_of_the_label_over_all_classes() -> None:
    one = torch.randn(6, 1, dtype=torch.float64)
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    both = two_class(one)
    expected = 0.7 * cross_entropy(both, labels) - 0.3 * both.log_softmax(1).mean()
    torch.testing.assert_close(cross_entropy(both, labels, smoothing=0.3), expected)
    torch.testing.assert_close(cross_entropy(one, labels, smoothing=0.3), expected)
