"""Made-up pictures stand in for a data set that is missing, and never silently."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from alsuite.data import Dataset
from alsuite.data.digits import digits
from alsuite.data.made_up import load_or_make_up
from alsuite.errors import MissingDataError, UserError

SHAPE = (3, 10, 12, 4, 50_000)


def failing(error: Exception, cause: Exception | None = None) -> Callable[[], Dataset]:
    def load() -> Dataset:
        raise error from cause

    return load


def test_a_data_set_that_is_there_is_returned(capsys: pytest.CaptureFixture[str]) -> None:
    dataset, whole = load_or_make_up("digits", digits, SHAPE)
    assert (dataset.name, len(dataset.train.images), whole) == ("digits", 1437, None)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("cause", [None, MissingDataError("no such file")])
def test_a_missing_one_is_made_up_and_said_to_be(cause: Exception | None, capsys: pytest.CaptureFixture[str]) -> None:
    error = RuntimeError("error in call") if cause else MissingDataError("no such file")
    dataset, whole = load_or_make_up("cifar10", failing(error, cause), SHAPE, ["usps"])
    assert capsys.readouterr().out == "MADE-UP PICTURES stand in for cifar10, which isn't laid out\n"
    assert ([*dataset.tests], len(dataset.classes), whole) == (["cifar10", "usps"], 4, 50_000)
    assert (dataset.train.images.dtype, dataset.train.images.shape) == (torch.uint8, (500, 3, 10, 12))


def test_without_a_shape_the_error_stays() -> None:
    with pytest.raises(MissingDataError, match="no such file"):
        load_or_make_up("cifar10", failing(MissingDataError("no such file")), None)


def test_any_other_error_stays(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="damaged"):
        load_or_make_up("cifar10", failing(UserError("damaged"), ValueError("torn")), SHAPE)
    assert capsys.readouterr().out == ""
