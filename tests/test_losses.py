"""Losses against values by hand."""

from __future__ import annotations

import math

import pytest
import torch
from conftest import digit_pool

from alsuite.errors import UserError
from alsuite.losses import cross_entropy, hinge, two_class
from alsuite.nets.classifiers import linear
from alsuite.tasks.classification import Classification

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
