"""Data sets: what is refused, reduction to fewer images or classes, extra test sets, configurations."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from alsuite.data import load
from alsuite.data.dataset import assemble, check_classes, statistics
from alsuite.data.digits import digits
from alsuite.errors import UserError
from helpers import REPOSITORY
from helpers.configs import composed
from helpers.data_files import BUILDS, GREY, built
from helpers.pools import laid_out

CONF = REPOSITORY / "conf" / "dataset"


GOOD = {
    "train": (np.zeros((6, 1, 4, 4), np.uint8), np.arange(6) % 3),
    "test": (np.zeros((3, 1, 4, 4), np.uint8), np.arange(3)),
}
REFUSED = {
    "test_images are float32, they must be uint8": ("test", GOOD["test"][0].astype(np.float32), GOOD["test"][1]),
    "train_targets are int32, they must be int64": ("train", GOOD["train"][0], GOOD["train"][1].astype(np.int32)),
    "train_images have 3 dimensions, they must have 4": ("train", GOOD["train"][0][:, 0], GOOD["train"][1]),
    "test_targets have 2 dimensions, they must have 1": ("test", GOOD["test"][0], GOOD["test"][1][:, None]),
    r"train_images are \(6, 32, 32, 3\), with their channels last: save .*, by images\.transpose\(0, 3, 1, 2\)": (
        "train",
        np.zeros((6, 32, 32, 3), np.uint8),
        GOOD["train"][1],
    ),
    "train holds 6 images but 5 targets": ("train", GOOD["train"][0], GOOD["train"][1][:5]),
    "test is empty": ("test", GOOD["test"][0][:0], GOOD["test"][1][:0]),
    r"train_targets hold the label -1, outside 0\.\.2": ("train", GOOD["train"][0], GOOD["train"][1] - 1),
    r"test_targets hold the label 3, outside 0\.\.2": ("test", GOOD["test"][0], GOOD["test"][1] + 1),
    r"no train image of the class b \(1 of 3\)": ("train", GOOD["train"][0], GOOD["train"][1] // 2 * 2),
    r"train images are \(1, 4, 4\), those of the test set toy are \(1, 5, 4\)": (
        "test",
        np.zeros((3, 1, 5, 4), np.uint8),
        GOOD["test"][1],
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_unfit_arrays_are_refused_by_name(message: str) -> None:
    split, images, targets = REFUSED[message]
    arrays = GOOD | {split: (images, targets)}
    with pytest.raises(UserError, match=f"^toy: {message}"):
        assemble("toy", arrays["train"], arrays["test"], names=["a", "b", "c"])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([0, 3], r"dataset\.classes: toy has no class 3, choose from 0, 1, 2$"),
        ([-1], "has no class -1"),
        (["2", "car"], "has no class car"),
        ([1, 1], "once"),
        (["1", 1], "once"),
        ([True, False], "toy has no class True, choose from"),
        ([], "at least two"),
        ([1], "at least two"),
        (2, r"dataset\.classes=2 is no list: write it as \[2\]"),
        ("2", "is no list"),
    ],
)
def test_classes_out_of_range_are_refused(classes: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        assemble("toy", GOOD["train"], GOOD["test"], classes=classes)


def test_classes_are_relabelled_in_the_order_given(tmp_path: Path) -> None:
    dataset = built("mnist", tmp_path, classes=[7, 5], names=[f"digit {i}" for i in range(10)])
    assert dataset.classes == ("digit 7", "digit 5")
    assert dataset.train.targets.tolist() == [1, 0] * 3
    assert dataset.train.images[:2, 0, 0, 0].tolist() == [5 * GREY, 7 * GREY]


@pytest.mark.parametrize(
    ("names", "classes", "kept"),
    [
        (["1", "2", "3"], [2, 3], [1, 2]),
        (["1", "2", "3"], ["2", 1], [1, 0]),
        (["a", "b", "c"], [2, "a"], [2, 0]),
    ],
)
def test_classes_that_are_called_by_numbers_are_named_by_these(names: list[str], classes: Any, kept: list[int]) -> None:
    assert check_classes("toy", classes, names) == kept


def test_classes_called_by_numbers_have_no_places_beside_them() -> None:
    with pytest.raises(UserError, match=r"has no class 0, choose from 1, 2, 3$"):
        check_classes("toy", [0, 1], ["1", "2", "3"])
    with pytest.raises(UserError, match=r"has no class 3, choose from 0\.\.2, or by name: a, b, c$"):
        check_classes("toy", [0, 3], ["a", "b", "c"])


@pytest.mark.parametrize(("option", "value"), [("size", 0), ("size", "big"), ("size", 8.0), ("pad", -1)])
def test_what_is_no_number_of_pixels_is_refused(option: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"^dataset\.{option}={value} is no number of pixels: give a whole one from"):
        assemble("toy", GOOD["train"], GOOD["test"], **{option: value})


def test_digits_are_embedded() -> None:
    dataset = digits()
    assert (len(dataset.train.targets), len(dataset.tests["digits"].targets)) == (1437, 360)
    assert dataset.train.images.shape[1:] == (1, 8, 8)
    assert dataset.train.images.max() == 255
    assert dataset.tests["digits"].targets[:4].tolist() == [0, 5, 0, 5]
    assert digits(classes=[3, 8]).classes == digits(classes=["3", "8"]).classes == ("3", "8")


def test_usps_is_padded_and_scaled_as_an_extra_test_set(tmp_path: Path) -> None:
    other = built("usps", tmp_path, classes=[5, 7], pad=3, size=28)
    main = built("mnist", tmp_path, classes=[5, 7], extra_tests={"usps57": other})
    assert list(main.tests) == ["mnist", "usps57"]
    image = main.tests["usps57"].images[0, 0]
    assert image.shape == (28, 28)
    assert image[3:-3, 3:-3].min() > 0
    assert (image[:3].max(), image[14, 14], main.tests["usps57"].targets.tolist()) == (0, 5 * GREY, [0, 1])
    with pytest.raises(UserError, match="the test set usps has other classes"):
        built("mnist", tmp_path, extra_tests={"usps": other})
    with pytest.raises(
        UserError, match=r"train images are \(1, 28, 28\), those of the test set usps are \(1, 16, 16\)"
    ):
        built("mnist", tmp_path, extra_tests={"usps": built("usps", tmp_path)})


def test_a_borrowed_test_set_is_not_called_as_its_own_is() -> None:
    with pytest.raises(
        UserError, match=r"^digits: the test set digits exists already: rename that of dataset\.extra_tests"
    ):
        digits(extra_tests={"digits": digits()})


def test_a_subset_is_scaled_down_to_a_side_but_never_up() -> None:
    dataset = digits()
    whole, small = dataset.subset(10, None), dataset.subset(10, None, side=4)
    assert {small.train.images.shape[1:], small.tests["digits"].images.shape[1:]} == {(1, 4, 4)}
    assert small.train.images.dtype == torch.uint8
    before, after = (data.train.images.float().mean((1, 2, 3)) for data in (whole, small))
    torch.testing.assert_close(before, after, atol=8.0, rtol=0.0)
    assert torch.equal(dataset.subset(10, None, side=16).train.images, whole.train.images)


def test_subset_is_a_fixed_nested_sample() -> None:
    dataset = digits()
    small, larger = dataset.subset(20, 5), dataset.subset(50, None)
    assert (len(small.train.targets), len(small.tests["digits"].targets)) == (20, 5)
    assert torch.equal(small.train.images, larger.train.images[:20])
    assert torch.equal(small.train.images, dataset.subset(20, 5).train.images)
    assert not torch.equal(small.train.images, dataset.train.images[:20])
    assert dataset.subset(10_000, None).train.images is dataset.train.images
    assert (larger.mean, len(larger.tests["digits"].targets)) == (dataset.mean, 360)
    for n in (0, 1e3, "abc"):
        with pytest.raises(UserError, match=rf"subset of {n} images was asked for: give scale\.pool and scale\.test"):
            dataset.subset(None, n)  # type: ignore[arg-type]


def test_images_for_validation_leave_the_pool_and_are_the_same_each_time() -> None:
    images = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1)
    arrays = images, np.arange(40) % 4
    whole, cut, again = (assemble("toy", arrays, arrays, validation=n) for n in (0, 10, 10))
    kept = cut.train.images.flatten().tolist()
    assert (len(kept), cut.held, whole.held, len(cut.tests["toy"].targets)) == (30, 10, 0, 40)
    assert kept == sorted(kept) == again.train.images.flatten().tolist() != list(range(30))
    assert cut.train.targets.tolist() == [value % 4 for value in kept]
    odd = assemble("toy", arrays, arrays, validation=10, classes=[1, 3])
    assert odd.train.images.flatten().tolist() == [value for value in kept if value % 2]
    assert odd.held == 20 - len(odd.train.targets) > 0
    for n in (-1, 40, 0.5):
        with pytest.raises(UserError, match=r"dataset\.validation=.* is no part of 40 images: give 0"):
            assemble("toy", arrays, arrays, validation=n)  # type: ignore[arg-type]


def test_images_are_normalised_by_those_that_are_trained_on() -> None:
    dark, bright = (np.full((6, 1, 4, 4), value, np.uint8) for value in (51, 204))
    dataset = assemble("toy", (dark, GOOD["train"][1]), (bright, GOOD["train"][1]))
    assert dataset.mean == pytest.approx((0.2,))


def test_statistics_are_exact_over_evenly_spaced_images() -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (40, 3, 5, 6), np.uint8))
    mean, std = statistics(images, most=10)
    chosen = images[::4].double() / 255
    assert mean == pytest.approx(chosen.mean((0, 2, 3)).tolist(), rel=1e-12)
    assert std == pytest.approx(chosen.std((0, 2, 3), correction=0).tolist(), rel=1e-12)
    images[:, 1] = 9
    mean, std = statistics(images)
    assert (mean[1], std[1]) == (pytest.approx(9 / 255), 1)  # an empty channel can be divided by


@pytest.mark.slow
def test_importing_is_cheap() -> None:
    heavy = "('torchvision', 'sklearn', 'scipy', 'PIL', 'hydra', 'pandas')"
    modules = "alsuite.data, alsuite.data.digits, alsuite.data.cifar, alsuite.data.celeba, alsuite.data.folders"
    code = f"import sys, {modules}; print([module for module in {heavy} if module in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(CONF.parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def configured(name: str, *overrides: str) -> dict:
    return OmegaConf.to_container(composed(f"dataset={name}", *overrides).dataset)  # pyright: ignore


def test_configured_extra_tests_are_off_until_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path))
    built("mnist", tmp_path)
    assert list(instantiate(configured("mnist57")).tests) == ["mnist57"]
    built("usps", tmp_path)
    dataset = instantiate(configured("mnist57", "+dataset@dataset.extra_tests.usps57=usps57"))
    assert list(dataset.tests) == ["mnist57", "usps57"]
    assert dataset.classes == ("5", "7")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "n_train", "n_test", "mean"), [("mnist", 60_000, 10_000, 0.1307), ("usps", 7291, 2007, 0.2469)]
)
def test_real_data(name: str, n_train: int, n_test: int, mean: float) -> None:
    laid_out(name)
    dataset = load(name, BUILDS[name])
    assert (len(dataset.train.targets), len(dataset.tests[name].targets)) == (n_train, n_test)
    assert dataset.mean == pytest.approx((mean,), abs=0.01)


def test_void_is_no_class_of_masks_without_names() -> None:
    masks = np.array([[[0, 1], [255, 1]], [[1, 0], [0, 255]]], np.uint8)
    arrays = (np.zeros((2, 3, 2, 2), np.uint8), masks)
    assert assemble("toy", arrays, arrays).classes == ("0", "1")
