"""Picking what is best labelled next, without a run: from folders, images, features and log-probabilities."""

from __future__ import annotations

import csv
import logging
import random
import re
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import version
from omegaconf import OmegaConf

import alsuite
from alsuite import pick
from alsuite.errors import UserError
from alsuite.foreign import Foreign, read
from alsuite.labelling.known import by_position, classes_of, read_labels
from alsuite.pick import main
from alsuite.pool import Pool
from alsuite.scores import bald
from alsuite.strategies import Query
from alsuite.strategies.coreset import k_center_greedy
from alsuite.tasks import Task
from alsuite.tasks.classification import Classification
from helpers.data_files import GREY, write_image
from helpers.pools import digit_pool

SMALL = ("task_model=linear", "scale=smoke")
RNG = np.random.default_rng(0)
LOG_PROBS = torch.from_numpy(RNG.normal(size=(30, 4))).log_softmax(1).numpy()
FEATURES = RNG.normal(size=(30, 5))
LABELS = ["cat", "dog", *[None] * 28]


def test_by_log_probabilities_of_ones_own_model() -> None:
    picked = alsuite.query(log_probs=LOG_PROBS, labels=LABELS, strategy="entropy", n=4)
    doubt = -(np.exp(LOG_PROBS) * LOG_PROBS).sum(1)
    best = sorted(range(2, 30), key=lambda i: -doubt[i])[:4]
    assert [*picked.index] == best
    assert picked["score"].to_numpy() == pytest.approx(doubt[best], rel=1e-5)


@pytest.mark.slow
def test_by_features_of_ones_own_model() -> None:
    table = torch.from_numpy(FEATURES).float()
    picked = alsuite.query(features=FEATURES, labels={3: "cat", 8: "dog"}, strategy="coreset", n=5)
    among = [i for i in range(30) if i not in (3, 8)]
    expected = [among[i] for i in k_center_greedy(table[among], table[[3, 8]], 5)[0].tolist()]
    assert [*picked.index] == expected
    unknown = alsuite.query(features=FEATURES, strategy="coreset", n=5)
    expected = k_center_greedy(table, table.mean(0, keepdim=True), 5)[0].tolist()
    assert [*unknown.index] == expected
    both = alsuite.query(features=FEATURES, log_probs=LOG_PROBS, labels=LABELS, strategy="badge", n=5)
    assert len({*both.index} - {0, 1}) == 5
    assert len({*alsuite.query(features=FEATURES, strategy="typiclust", n=5).index}) == 5
    known = alsuite.query(features=FEATURES, labels=LABELS, strategy="dal", n=5, options=["strategy.epochs=2"])
    assert len({*known.index} - {0, 1}) == 5
    with pytest.raises(UserError, match="strategy=typiclust needs more than a model's features"):
        alsuite.query(features=FEATURES, strategy="typiclust", n=5, options=["features=gray"])


def test_images_are_learned_from_and_the_same_seed_picks_the_same() -> None:
    pool, targets = digit_pool(0)
    known = {i: int(targets[i]) for i in range(40)}
    first, again = (alsuite.query(pool.images.numpy(), known, "margin", n=7, options=SMALL, seed=2) for _ in range(2))
    assert first.equals(again)
    assert len(first) == 7
    assert not {*first.index} & {*known}
    assert first["score"].is_monotonic_decreasing
    floats = alsuite.query(pool.images.squeeze(1) / 255, known, "margin", n=7, options=SMALL, seed=2)
    assert first.equals(floats)


def test_any_strategy_of_the_command_line_will_do() -> None:
    pool, targets = digit_pool(0)
    known = dict(enumerate(targets[:30].tolist()))
    picked = alsuite.query(pool.images[:200], known, "vaal", n=3, options=[*SMALL, "strategy.limit=2"])
    assert len({*picked.index} - {*known}) == 3


def test_a_folder_goes_in_and_a_sheet_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path / "data"))
    for i in range(10):
        write_image(tmp_path / "photos" / f"{i}.png", GREY * (i % 2 * 8 + 1), kind="png")
    sheet, following = tmp_path / "known.csv", tmp_path / "next.csv"
    sheet.write_text("image,label\n0.png,cat\n1.png,dog\n2.png,unsure\n3.png,\n")
    command = [str(tmp_path / "photos"), "--labels", str(sheet), "--strategy", "entropy", "dataset.size=8", *SMALL]
    main([*command, "-n", "3", "--out", str(following)])
    assert "3 images to label" in capsys.readouterr().err
    with following.open() as file:
        rows = list(csv.DictReader(file))
    assert [*rows[0]] == ["index", "image", "label", "score"]
    assert {row["image"] for row in rows} <= {f"{i}.png" for i in range(3, 10)}
    assert {row["label"] for row in rows} == {""}
    following.write_text(following.read_text().replace(",,", ",cat,"))
    main([*command, "--labels", str(following), "-n", "4"])
    again = [*csv.DictReader(capsys.readouterr().out.splitlines())]
    assert len({row["image"] for row in again} | {row["image"] for row in rows}) == 7


@pytest.mark.parametrize("scale", ["paper", "smoke"])
def test_training_at_the_papers_sizes_is_told_beside_the_table(
    scale: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "images.npy", digit_pool(0)[0].images[:30].numpy())
    (tmp_path / "known.csv").write_text("index,label\n0,cat\n1,dog\n")
    options = ["task_model=linear", "task_model.epochs=1", f"scale={scale}", "device=cpu"]
    main([str(tmp_path / "images.npy"), "--labels", str(tmp_path / "known.csv"), "-n", "2", *options])
    told = capsys.readouterr()
    assert ("scale=laptop takes less" in told.err) is (scale == "paper")
    assert len(told.out.splitlines()) == 3


def test_the_table_that_comes_out_goes_in_again_by_position() -> None:
    labels = pd.Series(LABELS)
    by_number = alsuite.query(log_probs=LOG_PROBS, labels=labels.iloc[::-1], n=4)
    assert by_number.equals(alsuite.query(log_probs=LOG_PROBS, labels=LABELS, n=4))
    assert by_number.equals(alsuite.query(log_probs=LOG_PROBS, labels=labels.iloc[:2], n=4))


def test_the_generators_of_a_notebook_are_left_as_they_are() -> None:
    drawn = []
    for asks in (False, True):
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        if asks:
            alsuite.query(log_probs=LOG_PROBS, n=3)
        drawn.append((random.random(), np.random.rand(), float(torch.rand(()))))
    assert drawn[0] == drawn[1]


def test_the_command_picks_as_the_function_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    array = tmp_path / "log_probs.npy"
    np.save(array, LOG_PROBS)
    for given in ({"strategy": "margin"}, {"strategy": "random", "seed": 1}, {"strategy": "random", "seed": 2}):
        main(["--log-probs", str(array), "-n", "4", *(f"--{key}={value}" for key, value in given.items())])
        told = [int(row["index"]) for row in csv.DictReader(capsys.readouterr().out.splitlines())]
        assert told == [*alsuite.query(log_probs=LOG_PROBS, n=4, **given).index]  # pyright: ignore[reportArgumentType]


def test_a_seed_decides_what_is_drawn_and_what_is_learned() -> None:
    pool, targets = digit_pool(0)
    known = {i: int(targets[i]) for i in range(40)}
    drawn = [alsuite.query(log_probs=LOG_PROBS, strategy="random", n=4, seed=seed) for seed in (1, 2)]
    assert [*drawn[0].index] != [*drawn[1].index]
    learned = [alsuite.query(pool.images.numpy(), known, "margin", n=7, options=SMALL, seed=seed) for seed in (1, 2)]
    assert [*learned[0]["score"]] != [*learned[1]["score"]]


def test_a_folders_images_are_made_as_small_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pick, "read", lambda images, config: pytest.fail(f"{images} at {config['dataset']['size']}"))
    with pytest.raises(pytest.fail.Exception, match="photos at 9"):
        alsuite.query("photos", n=1, options=["dataset.size=9"])


def test_no_samples_are_kept_among_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be images of the folder at the next call."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "0.png").write_bytes(b"")
    for images in (".", tmp_path):
        with pytest.raises(UserError, match=r"^root=outputs lies in \S+, whose images are all read: add root="):
            alsuite.query(images, [], "asal")
        for root in ("../outputs", ".outputs"):
            with pytest.raises(UserError, match=r"0\.png"):  # it goes on, and reads the images
                alsuite.query(images, [], "asal", options=[f"root={root}"])
        with pytest.raises(UserError, match=r"0\.png"):
            alsuite.query(images, [], "entropy")


def test_a_file_with_labels_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "a=b.npy"
    np.save(table, FEATURES)
    filled = tmp_path / "next.csv"
    filled.write_text("index,label\n3,cat\n")
    for out, told in ((filled, "is there already"), (tmp_path / "none" / "next.csv", "make it, or name another")):
        with pytest.raises(SystemExit):
            main(["--features", str(table), "--strategy", "coreset", "-n", "2", "--out", str(out)])
        assert told in capsys.readouterr().err
    assert filled.read_text() == "index,label\n3,cat\n"


def test_a_file_with_labels_that_came_meanwhile_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table, filled = tmp_path / "features.npy", tmp_path / "next.csv"
    np.save(table, FEATURES)
    picked = pick.query

    def meanwhile(*given: Any, **options: Any) -> pd.DataFrame:
        filled.write_text("index,label\n3,cat\n")
        return picked(*given, **options)

    monkeypatch.setattr(pick, "query", meanwhile)
    with pytest.raises(SystemExit):
        main(["--features", str(table), "--strategy", "coreset", "-n", "2", "--out", str(filled)])
    assert "is there already" in capsys.readouterr().err
    assert filled.read_text() == "index,label\n3,cat\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features.npy", "next.csv"]


def test_a_strategy_of_ones_own_picks_and_one_that_makes_images_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, targets = digit_pool(0)
    images, known = pool.images[:60].numpy(), dict(enumerate(targets[:20].tolist()))
    own = ["strategy._target_=alsuite.strategies.uncertainty.Uncertainty"]
    score = ["+strategy.score={_target_: hydra.utils.get_method, path: alsuite.scores.margin}"]
    picked = alsuite.query(images, known, "random", n=3, options=[*SMALL, *own, *score])
    assert picked.equals(alsuite.query(images, known, "margin", n=3, options=SMALL))
    monkeypatch.setattr(Classification, "learn", lambda *_: pytest.fail("it is refused after it has learned"))
    for strategy in ("gaal", "acgan"):
        with pytest.raises(UserError, match=f"strategy={strategy} makes images of its own"):
            alsuite.query(images, known, strategy, n=3, options=SMALL)


class Brightest:
    """A strategy as a user writes it."""

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        light = pool.rows(pool.unlabelled)[:].float().mean((1, 2, 3))
        return Query.best(pool.unlabelled, self.weight * light, n)


class Sure:
    """Looks at a model's predictions alone."""

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        return Query.best(pool.unlabelled, task.log_probs(pool.rows(pool.unlabelled)).amax(1), n)


class Sliced:
    """Looks at predictions of images that it has gathered."""

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        return Query.best(pool.unlabelled, task.log_probs(pool.rows(pool.unlabelled)[:]).amax(1), n)


class Embedded(Sure):
    """Holds what a network has made, and tells of itself."""

    def __init__(self) -> None:
        self.log = logging.getLogger(__name__)
        with torch.inference_mode():
            self.table = torch.ones(3)

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        self.log.info("asked")
        return super().query(pool, task, n)


def test_a_strategy_may_hold_a_logger_and_what_a_network_has_made() -> None:
    assert len(alsuite.query(log_probs=LOG_PROBS, labels=LABELS, strategy=Embedded(), n=3)) == 3


def test_features_alone_are_no_log_probabilities() -> None:
    class Both(Sure):
        def query(self, pool: Pool, task: Task, n: int) -> Query:
            return Query.best(pool.unlabelled, task.outputs(pool.rows(pool.unlabelled))[1].amax(1), n)

    with pytest.raises(UserError, match="looks at features and log-probabilities: give both"):
        alsuite.query(features=FEATURES, labels=LABELS, strategy=Both(), n=3)


def test_images_may_stand_beside_predictions(tmp_path: Path) -> None:
    for i in range(30):
        write_image(tmp_path / f"{29 - i:02}.png", 8 * (29 - i), kind="png")

    class Both(Sure):
        def query(self, pool: Pool, task: Task, n: int) -> Query:
            sure, rows = task.log_probs(pool.rows(pool.unlabelled)).amax(1), pool.rows(pool.unlabelled)[:]
            return Query.best(pool.unlabelled, sure * rows.float().mean((1, 2, 3)), n)

    picked = alsuite.query(tmp_path, log_probs=LOG_PROBS, strategy=Both(), n=3, options="dataset.size=8")
    expected = LOG_PROBS.max(1) * 8 * np.arange(30)
    assert picked["score"].to_list() == pytest.approx(np.sort(expected)[:-4:-1], rel=0.02)
    assert picked["image"].to_list() == [f"{place:02}.png" for place in picked.index]


@pytest.mark.parametrize("state", ["inference", "double", "autocast"])
def test_what_the_caller_has_set_in_torch_has_no_say(state: str) -> None:
    pool, targets = digit_pool(0)
    given: Any = (pool.images[:60].numpy(), dict(enumerate(targets[:20].tolist())), "margin", 3)
    expected = alsuite.query(*given, options=SMALL)
    if state == "double":
        torch.set_default_dtype(torch.float64)
    try:
        contexts = {"inference": torch.inference_mode, "autocast": partial(torch.autocast, "cpu", torch.bfloat16)}
        with contexts.get(state, nullcontext)():
            assert alsuite.query(*given, options=SMALL).equals(expected)
            assert torch.is_inference_mode_enabled() is (state == "inference")
        assert torch.get_default_dtype() == (torch.float64 if state == "double" else torch.float32)
    finally:
        torch.set_default_dtype(torch.float32)


def test_another_program_of_hydras_goes_on_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    base = version.VersionBase.instance()
    monkeypatch.setattr(base, "version_base", before := object())
    OmegaConf.clear_resolver("alsuite.or")
    assert len(alsuite.query(log_probs=LOG_PROBS, n=3)) == 3
    assert base.version_base is before


def test_labels_come_in_many_forms(tmp_path: Path) -> None:
    expected = alsuite.query(log_probs=LOG_PROBS, labels=LABELS, n=4)
    (tmp_path / "known.csv").write_text("index,label\n0,cat\n1,dog\n")
    table = pd.DataFrame({"label": LABELS})
    wrapped = {0: np.array("cat"), 1: np.array("dog"), 2: torch.tensor(-1)}
    for labels in (str(tmp_path / "known.csv"), table, wrapped):
        assert alsuite.query(log_probs=LOG_PROBS, labels=labels, n=4).equals(expected), labels
    masked = np.ma.masked_array([0, 1, *[9] * 28], [False, False, *[True] * 28])
    assert by_position(masked, 30, None) == {0: "0", 1: "1"}
    assert by_position({Path("a/0.png"): "cat"}, 1, ["a/0.png"]) == {0: "cat"}
    assert by_position(None, 30, None) == {}


def test_what_a_notebook_completes() -> None:
    assert {"query", "UserError"} <= {*dir(alsuite)}
    assert alsuite.UserError is UserError


def test_an_object_of_ones_own_picks_and_so_does_its_class_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, targets = digit_pool(0)
    images, known = pool.images[:60].numpy(), dict(enumerate(targets[:20].tolist()))
    picked = alsuite.query(images, known, Brightest(), n=3, options=SMALL)
    light = images[20:].reshape(40, -1).mean(1)
    assert picked["score"].to_list() == pytest.approx(np.sort(light)[:-4:-1].tolist(), rel=1e-5)
    monkeypatch.setitem(sys.modules, "own", SimpleNamespace(Brightest=Brightest))
    assert picked.equals(alsuite.query(images, known, "own.Brightest", n=3, options=SMALL))
    darkest = alsuite.query(images, known, "own.Brightest", n=3, options=[*SMALL, "+strategy.weight=-1"])
    assert darkest["score"].max() < -light.min() + 1e-4
    assert alsuite.query(log_probs=LOG_PROBS, labels=LABELS, strategy=Sure(), n=3)["score"].max() > -0.5
    with pytest.raises(UserError, match="looks at features and log-probabilities: give both"):
        alsuite.query(features=FEATURES, labels=LABELS, strategy=Sure(), n=3)
    with pytest.raises(UserError, match=r"Brightest.*unexpected keyword argument 'score'"):
        alsuite.query(images, known, "own.Brightest", n=3, options=[*SMALL, "+strategy.score=1"])


def test_labels_that_are_numbers_are_those_of_columns() -> None:
    seen: list[tuple[int, list[int]]] = []

    class Own(Sure):
        def query(self, pool: Pool, task: Task, n: int) -> Query:
            seen.append((pool.classes, pool.labels[pool.labelled].tolist()))
            return super().query(pool, task, n)

    log_probs = np.full((30, 4), np.log(0.25))
    gaps = pd.Series([2, None, 3, -1, *[None] * 26])  # which pandas turns into 2.0, nan, 3.0 and -1.0
    for labels in ({0: 2, 1: 3, 2: 3}, {0: "cat", 1: "dog", 2: "dog"}, {0: 7, 1: 8, 2: 9, 3: 12}, gaps):
        alsuite.query(log_probs=log_probs, labels=labels, strategy=Own(), n=2)
    named = {0: "cat", 1: "dog", 2: "1", 3: "2", 4: "unsure"}
    alsuite.query(log_probs=log_probs, labels=named, strategy=Own(), n=2, options=["dataset.classes=[dog,cat]"])
    assert seen == [(4, [2, 3, 3]), (4, [0, 1, 1]), (4, [0, 1, 2, 3]), (4, [2, 3]), (4, [1, 0, 0, 1])]


@pytest.mark.parametrize(
    "array",
    [
        FEATURES[::-1],
        FEATURES.astype(">f8"),
        FEATURES.astype(np.longdouble),
        np.broadcast_to(FEATURES[0], FEATURES.shape),
        torch.tensor(FEATURES, requires_grad=True),
    ],
)
@pytest.mark.filterwarnings("error")
def test_an_array_is_read_however_it_is_kept(array: Any) -> None:
    expected = np.array(array.tolist(), np.float32)
    table = Foreign.of(array, None).features
    assert table is not None
    assert np.array_equal(table.numpy(), expected)
    shades = (array - array.min()) / (array.max() - array.min())
    images, _ = read(shades[:, None], {})
    assert (images.shape, images.dtype) == ((30, 1, 1, 5), torch.uint8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": dict(enumerate(range(9)))}, r"labels are of 9 classes, log_probs of \d: give each a column"),
        ({"labels": {1: -2}}, "the label -2 is no class: number classes from 0"),
        ({"labels": {1: 12}}, r"the label 12 is no column of log_probs: number them from 0 to \d"),
        ({"n": 2.5}, r"n=2\.5: 28 of 30 images have no label; give a number from 1 to 28"),
        ({"n": 29}, r"n=29: 28 of 30 images have no label; give a number from 1 to 28"),
        ({"n": 0}, "n=0"),
        ({"strategy": "vaal"}, "strategy=vaal needs more than a model's features"),
        ({"strategy": "entropie"}, "choose entropy"),
        ({"strategy": "coreset"}, "strategy=coreset looks at features: give features, too"),
        ({"log_probs": None}, "nothing to pick from"),
        ({"images": np.zeros((29, 8, 8), np.uint8)}, "29 images are given beside rows of 30: give each its own"),
        ({"strategy": Sure}, "Sure'> is no strategy: give an object with query"),
        ({"strategy": object()}, "is no strategy: give an object with query"),
        ({"labels": {0: ["cat", "dog"]}}, r"the label of 0 is \['cat', 'dog'\]: give one class for each image"),
        ({"labels": {0: np.array([1, 0])}}, r"the label of 0 is array\(\[1, 0\]\): give one class for each image"),
        ({"labels": pd.DataFrame({"class": ["cat"]})}, "the table of labels has the columns class: it needs one label"),
        ({"strategy": Sliced()}, r"only rows of the pool have outputs: give pool\.rows\(indices\), unsliced"),
        ({"log_probs": np.exp(LOG_PROBS)}, "log_probs are no logarithms of probabilities that sum to 1"),
        ({"log_probs": LOG_PROBS - 5}, "log_probs are no logarithms of probabilities that sum to 1"),
        ({"log_probs": np.zeros((30, 1))}, "log_probs are of one class"),
        ({"labels": {1.5: "cat"}}, "a label is given for 1.5"),
        ({"options": ["seed=3"]}, "seed is given twice"),
        ({"options": ["strategy=random"]}, "strategy is given twice"),
        ({"options": ["device=nonsense"]}, "device=nonsense"),
        (
            {"options": ["dataset=digits"]},
            r"^dataset=digits has no say in what is picked: leave it out, only",
        ),
        ({"options": ["+budget.query=-4"]}, r"^\+budget\.query=-4 has no say in what is picked"),
        ({"options": ["dataset.path=/nowhere"]}, r"dataset\.path=/nowhere has no say"),
        ({"options": ["+dataset@dataset.extra_tests.usps=usps"]}, "has no say"),
        ({"options": ["oracle=noisy"]}, "has no say"),
        ({"log_probs": LOG_PROBS[0]}, "a row for each image"),
        ({"log_probs": LOG_PROBS * np.nan}, "no number"),
        ({"log_probs": [[0.0], [1.0, 2.0]]}, "log_probs are no array: give numbers"),
        ({"features": FEATURES * 1e300}, "features hold what is no number: look"),
        ({"features": FEATURES[:9]}, "of 9 and 30 images|of 30 and 9 images"),
        (
            {"labels": ["cat", "dog", *["unsure"] * 28]},
            "all 30 images are labelled, or left out as unsure: there is none",
        ),
        ({"labels": ["cat"]}, "1 labels of 30 images"),
        ({"labels": {30: "cat"}}, "a label is given for 30, which is none of the 30 images"),
        ({"labels": {"x.png": "cat"}}, "a label is given for 'x.png'"),
        ({"labels": {1: "cat", "1": "dog"}}, "'1' is labelled cat and dog"),
        ({"options": ["scale=tiny"]}, "scale=tiny"),
        (
            {"labels": {1: "cat", 2: "1"}},
            r"labels are numbers \(1\) and names \(cat\) at once: write names alone, or name",
        ),
        ({"options": ["dataset.classes=[cat,cow]"]}, "the label of 1: 'dog' is no class; write one of cat, cow"),
    ],
)
def test_what_cannot_be_picked_from_is_told(given: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        alsuite.query(**{"log_probs": LOG_PROBS, "labels": LABELS, "n": 3, **given})  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 8, 8, 3), np.uint8), r"give them as \(N, C, H, W\)"),
        (np.zeros((4, 8, 8), np.int64), "images are torch.int64: give uint8"),
        (np.zeros((4, 8, 8), object), "images are object: give uint8"),
        (np.zeros((4, 0, 8), np.uint8), "give them as"),
        (np.full((4, 8, 8), 7.0), "floats outside 0..1"),
        (np.zeros((0, 8, 8), np.uint8), "no images to pick from"),
        ("/nonexistent", "/nonexistent is no folder"),
    ],
)
def test_images_of_another_form_are_refused(images: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        alsuite.query(images, n=1)  # pyright: ignore[reportArgumentType]


def test_a_strategy_that_learns_wants_labels() -> None:
    images = np.zeros((4, 8, 8), np.uint8)
    with pytest.raises(UserError, match="strategy=entropy learns from labels, and none is known"):
        alsuite.query(images, n=1)
    assert len(alsuite.query(images, n=2, strategy="random")) == 2


def test_files_that_contradict_each_other_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    array, tables = tmp_path / "log_probs.npy", [tmp_path / f"{name}.csv" for name in ("cat", "dog")]
    np.save(array, LOG_PROBS)
    for path in tables:
        path.write_text(f"index,label\n4,{path.stem}\n")
    with pytest.raises(SystemExit, match="2"):
        main(["--log-probs", str(array), "--labels", *map(str, tables)])
    assert re.search(r"dog\.csv, line 2: 4 is dog, but cat in \S+cat\.csv, line 2: delete one", capsys.readouterr().err)


def test_a_name_is_an_image_or_its_copy_beside_a_sheet() -> None:
    names = ["a.png", "images/a.png", "b.png"]
    labels = {"a.png": "cat", "images/a.png": "dog", "images/b.png": "cow"}
    assert by_position(labels, 3, names) == {0: "cat", 1: "dog", 2: "cow"}


def test_a_number_in_the_column_of_images_is_no_position(tmp_path: Path) -> None:
    """As where a table names 1.png by its number: the second of these is another image."""
    names, table = ["1.png", "10.png", "2.png"], tmp_path / "labels.csv"
    table.write_text("image,label\n1,cat\n")
    with pytest.raises(UserError, match="a label is given for '1', which is none of the 3 images"):
        by_position(read_labels([table]), 3, names)
    table.write_text("index,label\n1,cat\n")
    assert by_position(read_labels([table]), 3, names) == {1: "cat"}
    assert by_position({"1": "cat"}, 3, None) == {1: "cat"}


def test_a_class_may_be_called_none(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("image,label\na.png,None\nb.png,nan\nc.png,\nd.png,-1\n")
    assert read_labels([table]) == {"a.png": "None", "b.png": "nan"}
    assert by_position([None, float("nan"), -1, pd.NA, "None"], 5, None) == {4: "None"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"image,class\na.png,cat\n", "lacks a column"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_wrong_table_of_labels_ends_in_one_line(
    content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, array = tmp_path / "known.csv", tmp_path / "log_probs.npy"
    np.save(array, LOG_PROBS)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit, match="2"):
        main(["--log-probs", str(array), "--labels", str(path)])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("alsuite: ")
    assert message in line


def test_classes_that_labels_name_are_in_the_order_of_folders() -> None:
    assert classes_of(["horse", "bee", "cat", "apple", "cat"]) == ["apple", "bee", "cat", "horse"]
    assert classes_of(["10", "9", "1"]) == ["1", "9", "10"]


def test_log_probabilities_have_no_masks_of_dropout() -> None:
    class Doubtful:
        def query(self, pool: Pool, task: Task, n: int) -> Query:
            return Query.best(pool.unlabelled, task.scored(pool.rows(pool.unlabelled), bald, masks=10), n)

    with pytest.raises(UserError, match="looks at dropout masks, and log-probabilities have none: give images"):
        alsuite.query(log_probs=LOG_PROBS, labels=LABELS, strategy=Doubtful(), n=3)
