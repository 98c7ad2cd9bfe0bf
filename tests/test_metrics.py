"""Metrics against scikit-learn."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score, recall_score
from torch import Tensor

from alsuite.errors import UserError
from alsuite.metrics import confusion, measured, metrics

CLASSES = 6
CASES = {
    "all classes": list(range(CLASSES)),
    "a class that is never tested": [0, 1, 3, 4, 5],
    "only one class": [2],
}


def drawn(present: list[int], n: int = 200) -> tuple[Tensor, Tensor]:
    """Predictions over all classes, also over those that are absent; half of them right."""
    targets = torch.tensor(present)[torch.randint(len(present), (n,))]
    guesses = torch.randint(CLASSES, (n,))
    return torch.where(torch.rand(n) < 0.5, targets, guesses), targets


@pytest.mark.parametrize("case", CASES)
def test_as_scikit_learn_has_them(case: str) -> None:
    present = CASES[case]
    predicted, targets = drawn(present)
    found = metrics(predicted, targets, CLASSES)
    f1 = f1_score(targets, predicted, labels=present, average="macro")
    recall = recall_score(targets, predicted, labels=range(CLASSES), average=None, zero_division=0)  # type: ignore[arg-type]
    assert found["accuracy"] == pytest.approx(accuracy_score(targets, predicted))
    assert found["macro_f1"] == pytest.approx(f1)
    assert found["per_class"] == pytest.approx(list(recall))  # type: ignore[arg-type]
    each = f1_score(targets, predicted, labels=range(CLASSES), average=None, zero_division=0)  # type: ignore[arg-type]
    assert found["per_class_f1"] == pytest.approx(list(each))  # type: ignore[arg-type]


def test_a_class_that_is_tested_but_never_predicted_counts_as_zero() -> None:
    found = metrics(torch.tensor([0, 0, 0, 0]), torch.tensor([0, 0, 0, 1]), 2)
    assert found["per_class"] == [1.0, 0.0]
    assert found["macro_f1"] == pytest.approx(6 / 7 / 2)


def test_confusion_has_a_row_a_true_class() -> None:
    predicted, targets = drawn([0, 1, 4])
    expected = confusion_matrix(targets, predicted, labels=range(CLASSES))
    for kind in (torch.int64, torch.uint8):
        assert confusion(predicted.to(kind), targets.to(kind), CLASSES).tolist() == expected.tolist()
    many = torch.tensor([19, 18, 19], dtype=torch.uint8)
    assert confusion(many, many, 20).diag().tolist() == [0] * 18 + [1, 2]


@pytest.mark.parametrize("case", CASES)
def test_the_union_counts_what_was_claimed_and_what_was_missed(case: str) -> None:
    present = CASES[case]
    predicted, targets = drawn(present)
    found = measured(confusion(predicted, targets, CLASSES), pixels=True)
    each = jaccard_score(targets, predicted, labels=range(CLASSES), average=None, zero_division=0)  # type: ignore[arg-type]
    assert found["per_class_iou"] == pytest.approx(list(each))  # type: ignore[arg-type]
    assert found["mean_iou"] == pytest.approx(float(each[present].mean()))  # type: ignore[index]


def test_a_prediction_of_no_class_is_refused() -> None:
    with pytest.raises(UserError, match=r"predicts class 11 of 0\.\.9: mend its outputs"):
        metrics(torch.tensor([11, 0]), torch.tensor([3, 4]), 10)
