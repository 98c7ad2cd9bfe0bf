"""Who answers: the truth, noise, a network that knows all labels, and a person with a sheet."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image
from torch import Generator, Tensor

from alsuite.data.dataset import Dataset, Split
from alsuite.data.digits import digits
from alsuite.errors import AwaitingLabels, UserError
from alsuite.labelling.human import Human
from alsuite.masks import HumanMasks
from alsuite.nets.classifiers import linear
from alsuite.oracle import Annotator, Ideal, Noisy, Oracle, annotator, human, noisy
from alsuite.pool import Pool
from alsuite.tasks.classification import Classification
from helpers.configs import composed
from helpers.masks import mask_pool
from helpers.pools import digit_pool, synthetic_pool

TARGETS = torch.randint(0, 10, (20_000,), generator=Generator().manual_seed(1))
SUPERCLASSES = [0, 0, 0, 1, 1, 1, 1, 2, 2, 3]
NAMES = ["ant", "bee", "cat"]
QUERY = torch.tensor([7, 2, 11])


def answers(oracle: Noisy) -> Tensor:
    return oracle(digit_pool(0)[0], torch.arange(len(TARGETS)))


def test_ideal_tells_the_truth() -> None:
    pool, targets = digit_pool(0)
    oracle = Ideal(targets)
    assert torch.equal(oracle(pool, torch.tensor([5, 3])), targets[[5, 3]])
    assert torch.equal(oracle(pool, torch.tensor([8])), targets[[8]])


def test_noisy_flips_the_given_share_within_the_superclass() -> None:
    found = answers(Noisy(TARGETS, flip=0.3, classes=10, superclasses=SUPERCLASSES))
    wrong, groups = found != TARGETS, torch.tensor(SUPERCLASSES)
    assert not wrong[TARGETS == 9].any()  # alone in its superclass
    assert float(wrong[TARGETS != 9].float().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(groups[found], groups[TARGETS])
    shares = torch.bincount(found[wrong & (TARGETS == 4)], minlength=10) / wrong[TARGETS == 4].sum()
    assert shares.tolist() == pytest.approx([0, 0, 0, 1 / 3, 0, 1 / 3, 1 / 3, 0, 0, 0], abs=0.08)


def test_noisy_without_superclasses_takes_any_other_class() -> None:
    found = answers(Noisy(TARGETS, flip=1.0, classes=10))
    assert (found != TARGETS).all()
    shares = torch.bincount(found[TARGETS == 4], minlength=10) / (TARGETS == 4).sum()
    assert shares.tolist() == pytest.approx([1 / 9] * 4 + [0] + [1 / 9] * 5, abs=0.04)


def test_noisy_confuses_what_it_is_told_to_confuse() -> None:
    found = answers(Noisy(TARGETS, flip=0.5, classes=10, superclasses=SUPERCLASSES, confusion={3: [5], 1: [7, 2]}))
    wrong = found != TARGETS
    assert set(found[wrong & (TARGETS == 3)].tolist()) == {5}
    assert set(found[wrong & (TARGETS == 1)].tolist()) == {7, 2}
    assert not wrong[(TARGETS != 3) & (TARGETS != 1)].any()
    assert float(wrong[TARGETS == 3].float().mean()) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"superclasses": range(10)}, r"oracle\.flip=0\.5 has no class to mistake for another"),
        ({"confusion": {3: [3, 5]}}, "takes class 3 for itself"),
        ({"confusion": {3: 5}}, r"must list classes of 0\.\.9 for each"),
        ({"confusion": {3: [10]}}, r"must list classes of 0\.\.9 for each"),
    ],
)
def test_noise_that_makes_no_mistakes_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        Noisy(TARGETS, flip=0.5, classes=10, **options)
    Noisy(TARGETS, flip=0, classes=10, superclasses=range(10))


def test_noisy_gives_a_sample_the_same_answer_whenever_it_is_asked() -> None:
    pool, _ = digit_pool(0)
    found = answers(Noisy(TARGETS, flip=0.3, classes=10, seed=4))
    again = Noisy(TARGETS, flip=0.3, classes=10, seed=4)
    for indices in torch.randperm(len(TARGETS)).split(3_000):
        assert torch.equal(again(pool, indices), found[indices])
    other = answers(Noisy(TARGETS, flip=0.3, classes=10, seed=5))
    assert float((other != found).float().mean()) > 0.3
    assert torch.equal(answers(Noisy(TARGETS, flip=0.0, classes=10)), TARGETS)


@pytest.mark.parametrize("flip", [-0.1, 1.5])
def test_noisy_refuses_what_is_no_share(flip: float) -> None:
    with pytest.raises(UserError, match=rf"oracle\.flip={flip} is no share"):
        Noisy(TARGETS, flip=flip, classes=10)


@pytest.mark.parametrize("overrides", [["oracle.flip=0.4"], ["oracle.flip=0.4", "oracle.confusion={3:[5]}"]])
def test_noisy_from_its_configuration(overrides: list[str], tmp_path: Path) -> None:
    data = digits()
    config = OmegaConf.to_container(composed("oracle=noisy", *overrides).oracle, resolve=True)
    found = instantiate(config)(data, tmp_path)(digit_pool(0)[0], torch.arange(len(data.train.targets)))
    wrong, named = found != data.train.targets, data.train.targets == 3
    assert float(wrong[named].float().mean()) == pytest.approx(0.4, abs=0.15)
    assert bool(wrong[~named].any()) == (len(overrides) == 1)


def of_pixels() -> tuple[Pool, Dataset]:
    pool, targets = mask_pool(labelled=0)
    return pool, Dataset("toy", Split(pool.images, targets), {}, ("a", "b", "c"), None, (0.5,), (0.2,))


def test_noise_of_pixels_follows_the_share_the_seed_and_the_confusion(tmp_path: Path) -> None:
    (pool, data), everything = of_pixels(), torch.arange(40)
    targets = data.train.targets
    one, again, other = (noisy(data, tmp_path, flip=0.3, seed=seed)(pool, everything) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    confused = noisy(data, tmp_path, flip=1.0, confusion={0: [2]})(pool, everything)
    assert torch.equal(confused, torch.where(targets == 0, 2, targets))


def test_a_person_draws_masks_of_pixels_in_the_runs_folder(tmp_path: Path) -> None:
    _, data = of_pixels()
    oracle = human(data, tmp_path)
    assert isinstance(oracle, HumanMasks)
    assert (oracle.folder, oracle.names) == (tmp_path / "queries", ["a", "b", "c"])
    for ui in ("page", "label_studio"):
        with pytest.raises(UserError, match=rf"ui={ui} shows whole images.*take ui=csv"):
            human(data, tmp_path, ui=ui)


def test_an_annotator_of_pixels_is_refused(tmp_path: Path) -> None:
    _, data = of_pixels()
    with pytest.raises(UserError, match=r"oracle=annotator labels whole images.*take oracle=ideal"):
        annotator(data, tmp_path, task_model=lambda: Classification(linear))


def test_noisy_takes_a_class_for_another_of_the_data_sets_superclass(tmp_path: Path) -> None:
    data = replace(digits(), superclasses=tuple(label // 5 for label in range(10)))
    found = noisy(data, tmp_path, flip=1.0)(digit_pool(0)[0], torch.arange(len(data.train.targets)))
    assert not (found == data.train.targets).any()
    assert torch.equal(found // 5, data.train.targets // 5)


@pytest.mark.slow
def test_each_run_is_answered_wrongly_in_its_own_way(tmp_path: Path) -> None:
    (pool, targets), all_of_it = digit_pool(0), torch.arange(1437)
    oracles = [instantiate(composed("oracle=noisy", "oracle.flip=0.3", f"seed={seed}").oracle) for seed in (1, 1, 2)]
    one, again, other = (oracle(digits(), tmp_path)(pool, all_of_it) != targets for oracle in oracles)
    assert torch.equal(one, again)
    assert float((one & other).float().mean()) == pytest.approx(0.3 * 0.3, abs=0.04)


@dataclass
class School:
    """Teaches annotators, and remembers what they were taught."""

    lessons: list[Pool] = field(default_factory=list)

    def task(self, **changes: Any) -> Classification:
        lessons = self.lessons

        class Pupil(Classification):
            def learn(self, pool: Pool) -> Self:
                lessons.append(pool)
                return super().learn(pool)

        return Pupil(linear, epochs=3, batch=25, lr=1e-2, **changes)


def grown_pool(n: int = 200) -> tuple[Pool, Tensor, Tensor]:
    """Digits, and noisy copies of the first n that joined them; the real targets, and the indices of the copies."""
    pool, targets = digit_pool(0)
    noise = torch.randint(-20, 20, (n, *pool.images.shape[1:]), generator=Generator().manual_seed(0))
    return pool, targets, pool.extend((pool.images[:n].int() + noise).clamp(0, 255).to(torch.uint8))


def test_the_annotator_learns_all_labels_once_to_label_synthetic_images() -> None:
    pool, targets, copies = grown_pool()
    school = School()
    oracle = Annotator(targets, school.task)
    assert torch.equal(oracle(pool, torch.tensor([5, 3])), targets[[5, 3]])
    assert not school.lessons
    found = oracle(pool, copies)
    assert float((found == targets[:200]).float().mean()) > 0.9
    assert torch.equal(oracle(pool, copies.flip(0)), found.flip(0))
    (taught,) = school.lessons
    assert torch.equal(taught.labels, targets)
    assert len(taught.labelled) == len(taught) == 1437
    assert not pool.known.any()


def test_the_annotator_answers_mixed_questions_in_their_order() -> None:
    pool, targets, copies = grown_pool()
    oracle = Annotator(targets, School().task)
    synthetic = oracle(pool, copies)
    oracle.targets = 9 - targets  # so that a real image which the classifier answered for would tell
    asked = torch.stack([copies[:50], torch.arange(100, 150)], 1).flatten()
    assert torch.equal(oracle(pool, asked), torch.stack([synthetic[:50], 9 - targets[100:150]], 1).flatten())


def test_annotators_of_one_seed_agree_whenever_they_learned_and_leave_the_dice_alone() -> None:
    def asked(seed: int, moment: int) -> tuple[Tensor, Tensor]:
        pool, targets, copies = grown_pool()
        pool.images[copies] = torch.randint(0, 256, (200, 1, 8, 8), generator=Generator().manual_seed(1)).to(
            torch.uint8
        )
        oracle = Annotator(targets, School().task, seed)
        torch.manual_seed(moment)
        return oracle(pool, copies), torch.rand(3)

    (first, dice), (later, other_dice) = asked(0, 1), asked(0, 2)
    assert torch.equal(first, later)
    assert not torch.equal(dice, other_dice)
    torch.manual_seed(1)
    assert torch.equal(dice, torch.rand(3))
    assert not torch.equal(asked(1, 1)[0], first)


def test_an_annotator_is_taught_once_and_kept_for_later_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answers(school: School, seed: int = 0, flip: bool = False) -> Tensor:
        pool, targets, copies = grown_pool()
        return Annotator(9 - targets if flip else targets, school.task, seed, tmp_path / "kept")(pool, copies)

    first, school = answers(School()), School()
    assert torch.equal(answers(school), first)
    assert not school.lessons
    other = School()
    assert float((answers(other, flip=True) == 9 - first).float().mean()) > 0.9
    answers(other, seed=1)
    assert len(other.lessons) == 2
    for path in tmp_path.glob("kept/annotator-*/weights.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    assert torch.equal(answers(school), first)
    assert len(school.lessons) == 1
    assert "is damaged" in capsys.readouterr().out


def test_an_annotator_that_is_told_by_partial_functions_is_kept(tmp_path: Path) -> None:
    pool, targets, copies = grown_pool()
    school = School()
    adam: Any = torch.optim.Adam
    changes: list[dict[str, Any]] = [{}, {"smoothing": 0.1}, {"smoothing": 0.2}]
    changes += [{"optimiser": adam}, {"optimiser": partial(adam, betas=[0.8, 0.9])}]
    changes += [{"optimiser": partial(adam, betas=OmegaConf.create([0.8, 0.99]))}]
    for some in [*changes, *changes]:
        Annotator(targets, partial(school.task, **some), 0, tmp_path / "kept")(pool, copies)
    assert len(school.lessons) == len([*tmp_path.glob("kept/*/weights.safetensors")]) == len(changes)


def test_the_annotator_from_its_configuration_is_taught_at_every_scale(tmp_path: Path) -> None:
    data = digits()
    config = composed("oracle=annotator", "scale=smoke", f"root={tmp_path}").oracle
    assert config.task_model.limit == 1
    oracle = instantiate(OmegaConf.to_container(config, resolve=True))(data, tmp_path)
    pool, targets, copies = grown_pool()
    assert float((oracle(pool, copies) == targets[:200]).float().mean()) > 0.4


@pytest.mark.parametrize("make", [Ideal, lambda targets: Noisy(targets, flip=0.1, classes=10)])
def test_others_refuse_to_label_synthetic_images(make: Callable[[Tensor], Oracle]) -> None:
    pool, targets, copies = grown_pool()
    with pytest.raises(UserError, match="no label of a synthetic image: take oracle=annotator or oracle=human"):
        make(targets)(pool, torch.cat([torch.arange(3), copies[:1]]))


class Desk:
    """A person's desk: a pool, what was asked, and the sheet to fill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pool: Pool = synthetic_pool(12, labelled=0)[0]

    @property
    def sheet(self) -> Path:
        return self.folder / f"labels_{len(self.pool.labelled):06d}.csv"

    def ask(self) -> list[int]:
        """As after a restart: with nothing in memory."""
        return Human(self.folder, NAMES)(self.pool, QUERY).tolist()

    def rows(self) -> list[list[str]]:
        with self.sheet.open(newline="") as file:
            return list(csv.reader(file))

    def write(self, rows: list[list[str]]) -> None:
        with self.sheet.open("w", newline="") as file:
            csv.writer(file).writerows(rows)

    def fill(self, labels: list[str]) -> None:
        head, *rows = self.rows()
        self.write([head, *([*row[:2], label] for row, label in zip(rows, labels, strict=True))])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """With a sheet that waits to be filled in."""
    desk = Desk(tmp_path / "queries")
    with pytest.raises(AwaitingLabels, match=r"3 images await labels.*labels_000000\.csv.*again"):
        desk.ask()
    return desk


def test_a_person_gets_images_and_a_sheet(desk: Desk) -> None:
    assert desk.rows() == [["index", "image", "label"], *([str(i), f"images/{i}.png", ""] for i in QUERY.tolist())]
    for index in QUERY.tolist():
        with Image.open(desk.folder / "images" / f"{index}.png") as image:
            assert np.array_equal(np.asarray(image), desk.pool.images[index].permute(1, 2, 0))
    assert sorted(path.name for path in desk.folder.iterdir()) == ["images", "labels_000000.csv"]


def test_an_image_takes_the_place_of_a_link_to_another_file(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "queries")
    shown = desk.folder / "images" / f"{QUERY[0]}.png"
    shown.parent.mkdir(parents=True)
    (tmp_path / "mine").write_text("mine")
    shown.symlink_to(tmp_path / "mine")
    with pytest.raises(AwaitingLabels):
        desk.ask()
    assert (tmp_path / "mine").read_text() == "mine"
    assert not shown.is_symlink()


@pytest.mark.parametrize("name", ["unsure", "", "cat "])
def test_a_class_that_is_no_answer_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"a class is called '{name}', which cannot be told as an answer"):
        Human(tmp_path, ["dog", name])


@pytest.mark.parametrize("labels", [["cat", "ant", "bee"], ["3", "1", "2"], [" cat ", "1", "bee"]])
def test_a_filled_sheet_is_read_in_the_order_of_the_query(desk: Desk, labels: list[str]) -> None:
    desk.fill(labels)
    assert desk.ask() == [2, 0, 1]
    head, *rows = desk.rows()
    desk.write([head, *reversed(rows)])
    assert desk.ask() == [2, 0, 1]


def test_what_somebody_is_unsure_of_has_no_label(desk: Desk) -> None:
    desk.fill(["cat", "unsure", "1"])
    assert desk.ask() == [2, -1, 0]


def test_nothing_need_be_sure_once_there_are_labels(desk: Desk) -> None:
    desk.pool.label(torch.tensor([0, 1]), torch.tensor([0, 1]))
    with pytest.raises(AwaitingLabels, match=r"labels_000002\.csv"):
        desk.ask()
    desk.fill(["unsure", "unsure", "unsure"])
    assert desk.ask() == [-1, -1, -1]
    desk.pool.leave_out(QUERY)
    with pytest.raises(AwaitingLabels, match=r"labels_000005\.csv"):
        Human(desk.folder, NAMES)(desk.pool, torch.tensor([3]))


def test_a_sheet_as_spreadsheets_save_it(desk: Desk) -> None:
    desk.fill(["cat", "ant", "bee"])
    desk.sheet.write_bytes(b"\xef\xbb\xbf" + desk.sheet.read_bytes())
    assert desk.ask() == [2, 0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"index;image;label\n7;images/7.png;cat\n", "lacks a column: save it with index, image, label"),
        ("index,image,label\n7,images/7.png,müde\n".encode("latin-1"), "save it as CSV in UTF-8"),
    ],
)
def test_a_sheet_that_was_saved_otherwise_is_told(desk: Desk, content: bytes, message: str) -> None:
    desk.sheet.write_bytes(content)
    with pytest.raises(UserError, match=message):
        desk.ask()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat", "dog", "ant"], r"line 3 \(index 2\): 'dog' is no class; write one of ant, bee, cat"),
        (["cat", "ant", "0"], r"line 4 \(index 11\): '0' is no class"),
        (["cat", "ant", "4"], r"'4' is no class; write one of ant, bee, cat, its number from 1 on, or unsure"),
        (["-1", "ant", "cat"], r"line 2 \(index 7\): '-1' is no class"),
        (["cat", "ant", ""], r"1 of 3 images still await labels \(ant, bee, cat\): fill the column 'label'"),
        (["unsure", "unsure", "unsure"], r"is unsure of every image: label one at least \(ant, bee, cat\)"),
    ],
)
def test_a_wrong_label_is_named_by_its_row_and_nothing_is_lost(desk: Desk, labels: list[str], message: str) -> None:
    desk.fill(labels)
    before = desk.sheet.read_bytes()
    with pytest.raises(UserError, match=message) as caught:
        desk.ask()
    assert "\n" not in str(caught.value)
    assert desk.sheet.read_bytes() == before
    desk.fill(["cat", "ant", "bee"])
    assert desk.ask() == [2, 0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [*rows, ["5", "images/5.png", "ant"]], r"line 5 \(index 5\): this index was not asked for"),
        (lambda rows: [*rows[:2], ["3", *rows[2][1:]], rows[3]], r"line 3 \(index 3\): this index was not asked for"),
        (lambda rows: [*rows[:2], ["", *rows[2][1:]], rows[3]], r"line 3 \(index \): this index was not asked for"),
        (lambda rows: rows[:3], "lacks a row for index 11"),
        (
            lambda rows: [*rows, [*rows[1][:2], "ant"]],
            r"line 5 \(index 7\): this index stands here a second time; delete",
        ),
    ],
)
def test_extra_changed_lacking_and_repeated_rows_are_refused(desk: Desk, change: object, message: str) -> None:
    desk.fill(["cat", "ant", "bee"])
    desk.write(change(desk.rows()))  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        desk.ask()


def test_a_sheet_that_waits_is_not_written_again(desk: Desk) -> None:
    desk.fill(["cat", "", ""])
    before = desk.sheet.read_bytes()
    with pytest.raises(AwaitingLabels, match="2 of 3 images still await labels"):
        desk.ask()
    assert desk.sheet.read_bytes() == before


def test_the_next_query_has_a_sheet_of_its_own(desk: Desk) -> None:
    desk.fill(["cat", "ant", "bee"])
    first = desk.sheet.read_bytes()
    desk.pool.label(QUERY, torch.tensor(desk.ask()))
    with pytest.raises(AwaitingLabels, match=r"labels_000003\.csv"):
        Human(desk.folder, NAMES)(desk.pool, torch.tensor([0]))
    assert (desk.folder / "labels_000000.csv").read_bytes() == first
