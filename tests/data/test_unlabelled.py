"""Folders of images that nobody has labelled."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from alsuite.budget import Budget, uniform
from alsuite.command import identity
from alsuite.command.setting import Parts, Setting, check_apart
from alsuite.data import dataset
from alsuite.data.enlarged import enlarged
from alsuite.data.folders import folder
from alsuite.errors import AwaitingLabels, UserError
from alsuite.labelling.human import Human
from alsuite.labelling.label_studio import LabelStudio
from alsuite.labelling.page import Page
from alsuite.labelling.sheet import Sheet
from alsuite.mapped import Mapped
from alsuite.oracle import human, ideal, noisy
from alsuite.pool import Pool
from helpers.commands import Command, records, started
from helpers.data_files import GREY, write_image
from helpers.runs import UNCUT

NAMES = ["cat", "dog"]
ASKED = ("dataset=folder", "dataset.labelled=none", "dataset.classes=[cat,dog]", "dataset.size=8", "task_model=linear")
SIZES = ("budget.initial=6", "budget.query=4", "budget.end=10")


@pytest.fixture
def alsuite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path / "data"))
    return started(tmp_path / "outputs", monkeypatch, capsys)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve photos in folders, larger than what is learned from, cats darker than dogs."""
    for i in range(12):
        write_image(tmp_path / "photos" / f"day {i % 3}" / f"photo {i:02}.png", GREY * (1 + 8 * (i % 2)), kind="png")
    write_image(tmp_path / "photos" / ".hidden" / "not.png", 0, kind="png")
    return tmp_path / "photos"


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    for i in range(4):
        write_image(tmp_path / "seen" / NAMES[i % 2] / f"{i}.png", GREY * (1 + 8 * (i % 2)), kind="png")
    return tmp_path / "seen"


def test_all_images_at_any_depth_are_the_pool(photos: Path, tests: Path, tmp_path: Path) -> None:
    built, data = (folder(photos, 8, labelled="none", classes=NAMES, root=tmp_path / "data") for _ in range(2))
    assert torch.equal(built.train.images, data.train.images)
    assert data.train.images.shape == (12, 3, 8, 8)
    assert data.train.targets.tolist() == [-1] * 12
    assert data.train.unlabelled
    assert (data.classes, data.tests) == (("cat", "dog"), {})
    assert data.train.files is not None
    assert data.train.files.names[0] == "day 0/photo 00.png"
    few = data.subset(5, None, 4).train
    assert few.files is not None
    for name, image in zip(few.files.names, few.images, strict=True):
        assert abs(float(image.float().mean()) - GREY * (1 + 8 * (int(name[-6:-4]) % 2))) < 2
    measured = folder(photos, 8, labelled="none", classes=NAMES, test=tests, root=tmp_path / "data").tests
    assert {name: split.targets.tolist() for name, split in measured.items()} == {"seen": [0, 0, 1, 1]}


def test_images_without_labels_are_shuffled_as_they_were_told(photos: Path, tmp_path: Path) -> None:
    for shuffle, kind in (("blocks", Mapped), ("full", torch.Tensor)):
        data = folder(photos, 8, labelled="none", classes=NAMES, shuffle=shuffle, root=tmp_path / "data")
        assert isinstance(data.train.images, kind)


def test_test_images_keep_their_classes_in_whatever_order_these_are_named(
    photos: Path, tests: Path, tmp_path: Path
) -> None:
    for names in (NAMES, NAMES[::-1]):
        data = folder(photos, 8, labelled="none", classes=names, test=tests, root=tmp_path / "data")
        split = data.tests["seen"]
        dark = split.images.float().mean((1, 2, 3)) < 5 * GREY
        assert [names[target] == "cat" for target in split.targets] == dark.tolist()


def test_a_file_name_of_two_lines_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "photos" / "a\nb.png", 0, kind="png")
    with pytest.raises(UserError, match=r"file name 'a\\nb\.png' in \S+ is no text on one line: rename"):
        folder(tmp_path / "photos", labelled="none", classes=NAMES, root=tmp_path / "data")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": None}, r"need the names of two at least: dataset\.classes=\[cat,dog\]"),
        ({"classes": ["cat"]}, "the names of two at least"),
        ({"classes": "cat"}, "the names of two at least"),
        ({"labelled": "some"}, r"dataset\.labelled=some is no CSV that is there: name one, or folders, or none"),
        ({"labelled": "folders"}, r"dataset\.test is for images without labels"),
        ({"classes": ["cat", "cow"]}, r"dataset\.test=\S+ holds no folder cow"),
        ({"size": 0}, r"dataset\.size=0"),
    ],
)
def test_what_cannot_be_used_is_told(
    options: dict[str, object], message: str, photos: Path, tests: Path, tmp_path: Path
) -> None:
    given = {"size": 8, "labelled": "none", "classes": NAMES, "test": tests, "root": tmp_path / "data", **options}
    with pytest.raises(UserError, match=message):
        folder(photos, **given)  # pyright: ignore[reportArgumentType]


def test_test_images_among_those_learned_from_are_refused(photos: Path, tmp_path: Path) -> None:
    for i in range(2):
        write_image(photos / "seen" / NAMES[i] / "1.png", GREY, kind="png")
    with pytest.raises(UserError, match=r"dataset\.test=\S+ lies in dataset\.path, whose images are learned from"):
        folder(photos, labelled="none", classes=NAMES, test=photos / "seen", root=tmp_path / "data")


def test_a_folder_without_an_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty holds no image"):
        folder(tmp_path / "empty", labelled="none", classes=NAMES, root=tmp_path)


def test_only_a_person_can_label_it(photos: Path, tmp_path: Path) -> None:
    data = folder(photos, 8, labelled="none", classes=NAMES, root=tmp_path / "data")
    with pytest.raises(UserError, match="nobody knows the labels of photos: add oracle=human"):
        ideal(data, tmp_path)
    with pytest.raises(UserError, match="add oracle=human"):
        noisy(data, tmp_path, flip=0.1)


def test_a_person_is_shown_the_files_themselves(photos: Path, tmp_path: Path) -> None:
    data = folder(photos, 8, labelled="none", classes=NAMES, root=tmp_path / "data")
    pool = Pool(data.train.images, 2, data.mean, data.std)
    with pytest.raises(AwaitingLabels, match=r"^2 images await labels \(cat, dog\)"):
        Human(tmp_path / "queries", NAMES, data.train.files)(pool, torch.tensor([5, 0]))
    (sheet,) = (tmp_path / "queries").glob("*.csv")
    shown = [row["image"] for row in Sheet(sheet, NAMES).rows()]
    assert shown == ["images/day 1/photo 04.png", "images/day 0/photo 00.png"]
    for name in shown:
        assert (tmp_path / "queries" / name).read_bytes() == (photos / name.removeprefix("images/")).read_bytes()


def test_a_page_shows_what_is_asked_and_wants_a_class_the_first_time_alone(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[bool] = []

    def filled(page: Page, sheet: Sheet, first: bool = True) -> None:
        wanted.append(first)
        sheet.write([{**row, "label": "cat" if first else "unsure"} for row in sheet.rows()])

    monkeypatch.setattr(Page, "until_filled", filled)
    data = folder(photos, 8, labelled="none", classes=NAMES, root=tmp_path / "data")
    pool = Pool(data.train.images, 2, data.mean, data.std)
    person = human(data, tmp_path, ui="page")
    for indices, labels in ((torch.tensor([5, 0]), [0, 0]), (torch.tensor([1, 2]), [-1, -1])):
        found = person(pool, indices)
        assert found.tolist() == labels
        pool.label(indices[found >= 0], found[found >= 0])
    assert wanted == [True, False]
    studio = human(data, tmp_path, ui="label_studio")
    assert isinstance(studio, Human)
    assert isinstance(studio.page, LabelStudio)


@pytest.mark.slow
def test_a_person_says_when_to_stop_whatever_the_scale(alsuite: Command, photos: Path) -> None:
    sizes = ("budget.initial=4", "budget.query=2", "budget.end=12", "scale.pool=null", "scale.cycles=2")
    told = alsuite(*ASKED, f"dataset.path={photos}", *sizes, "oracle=human").out
    assert "4 to 12 of 12 labels by 2" in told


def parts(initial: int, end: int = 12) -> Parts:
    """Return parts of which the budget alone is looked at."""
    nothing: Any = None
    return Parts(nothing, uniform, Budget(initial, 1, end), nothing, nothing)


def fill(run: Path, some: int | None = None) -> None:
    """Label the latest sheet, as the photos' names tell."""
    sheet = Sheet(sorted((run / "queries").glob("labels_*.csv"))[-1], NAMES)
    rows = sheet.rows()
    for row in rows[:some]:
        row["label"] = NAMES[int(row["image"][-6:-4]) % 2]
    sheet.write(rows)


@pytest.mark.slow
def test_a_run_from_an_unlabelled_folder_to_its_end(alsuite: Command, photos: Path, tmp_path: Path) -> None:
    command = [*ASKED, f"dataset.path={photos}", *SIZES, "scale.pool=null", "strategy=margin"]
    assert "nobody knows the labels of photos: add oracle=human" in alsuite(*command).line
    command.append("oracle=human")
    first = alsuite(*command)
    assert first.status == 3
    assert "6 images await labels (cat, dog): fill the column 'label'" in first.line
    (run,) = {path.parent.parent for path in tmp_path.rglob("labels_*.csv")}
    fill(run, 2)
    assert "4 of 6 images still await labels" in alsuite(*command).line
    fill(run)
    second = alsuite(*command)
    assert (second.status, "cycle 1: 4 images await labels" in second.line) == (3, True)
    fill(run)
    last = alsuite(*command, "ui=page")  # it asks nothing more
    assert (last.status, last.err) == (0, "")
    assert "there are no test images to measure on; the labels:" in last.out
    assert [record["labelled"] for record in records(run)] == [6, 10]
    for changes in ({}, {"alsuite.loop": "another"}):
        about = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps({**about, "code": {**about["code"], **changes}}))
        again = alsuite(*command)
        assert (again.status, "1 of 1 runs are finished already" in again.out) == (0, True)
    assert f"{run}: alsuite.loop changed since; its labels are kept\n" in again.out


@pytest.mark.parametrize("where", ["linked", "within", "behind a folder", "behind a file"])
def test_test_images_that_are_the_pools_are_refused(where: str, photos: Path, tests: Path, tmp_path: Path) -> None:
    """A folder of links to the pool, a pool within a class of the test folder, and links from the pool to it."""
    if where == "linked":
        (tests / "cat" / "day").symlink_to(photos / "day 0")
    elif where == "behind a folder":
        (photos / "more").symlink_to(tests / "cat")
    elif where == "behind a file":
        (photos / "more.png").symlink_to(tests / "dog" / "1.png")
    else:
        photos = photos.rename(tests / "cat" / "photos")
    with pytest.raises(UserError, match=r"of dataset\.test lies in dataset\.path, whose images are learned from"):
        folder(photos, 8, labelled="none", classes=NAMES, test=tests, root=tmp_path / "data")


def test_runs_among_the_images_are_refused(alsuite: Command, photos: Path) -> None:
    given = [*ASKED, f"dataset.path={photos}", *SIZES, "oracle=human", f"root={photos}/outputs"]
    masks = ["dataset=folder_masks", f"dataset.path={photos}", f"root={photos}/outputs"]
    for command in (given, masks):
        assert "lies in dataset.path, whose images are all read" in alsuite(*command).line
    assert not (photos / "outputs").exists()


def test_data_sets_among_the_images_are_refused(
    alsuite: Command, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALSUITE_DATA", str(photos / "data"))
    line = alsuite(*ASKED, f"dataset.path={photos}", *SIZES, "oracle=human").line
    assert f"ALSUITE_DATA={photos}/data lies in dataset.path, whose images are all read: give another" in line
    check_apart(photos, ALSUITE_DATA=photos / ".cache" / "alsuite")


@pytest.mark.slow
def test_again_runs_anew_what_a_person_labelled_for_other_code(alsuite: Command, photos: Path, tmp_path: Path) -> None:
    command = [*ASKED, f"dataset.path={photos}", *SIZES, "scale.pool=null", "strategy=margin", "oracle=human"]
    alsuite(*command)
    (run,) = {path.parent.parent for path in tmp_path.rglob("labels_*.csv")}
    about = json.loads((run / "run.json").read_text())
    about["code"]["alsuite.loop"] = "another"
    (run / "run.json").write_text(json.dumps(about))
    fill(run, 2)
    assert "alsuite.loop changed since; its labels are kept, and it goes on" in alsuite(*command).out
    assert "6 images await labels" in alsuite(*command, "again=true").line
    assert run.with_name(f"{run.name}~1").is_dir()


def test_labels_that_are_known_are_what_a_run_starts_from(photos: Path, tmp_path: Path) -> None:
    sheets = tmp_path / "sheets"
    sheets.mkdir()
    (sheets / "a.csv").write_text("image,label\nimages/day 1/photo 04.png,cat\nday 0/photo 09.png,2\n")
    (sheets / "b.csv").write_text("image,label\nday 0/photo 03.png,unsure\nday 2/photo 05.png,\n")
    data = folder(photos, 8, labelled=str(sheets), classes=NAMES, root=tmp_path / "data")
    assert data.train.files is not None
    names = data.train.files.names
    known = [names.index("day 0/photo 09.png"), names.index("day 1/photo 04.png")]
    assert data.train.known.tolist() == known
    assert data.train.targets[known].tolist() == [1, 0]
    assert int((data.train.targets < 0).sum()) == 10

    for initial, drawn in ((1, 2), (5, 5), (12, 12)):
        setting = Setting.cut(data, None, UNCUT, parts(initial), seed=3)
        assert (int(setting.budget.initial), len(setting.initial)) == (drawn, drawn)
        assert {*known} <= {*setting.initial.tolist()}
        assert len({*setting.initial.tolist()}) == drawn
    assert Setting.cut(data, None, UNCUT, parts(1, end=1), seed=3).budget == Budget(2, 1, 2)


def test_known_labels_that_are_names_and_numbers_need_the_classes(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "known.csv"
    table.write_text("image,label\nday 0/photo 00.png,cat\nday 1/photo 01.png,dog\nday 2/photo 02.png,1\n")
    given: dict[str, Any] = {"labelled": str(table), "root": tmp_path / "data"}
    with pytest.raises(UserError, match=r"numbers \(1\) and names \(dog\) at once: .* dataset\.classes=\[cat,dog\]$"):
        folder(photos, 8, **given)
    train = folder(photos, 8, classes=NAMES, **given).train
    assert sorted(train.targets[train.known].tolist()) == [0, 0, 1]


@pytest.fixture
def labelled(photos: Path, tmp_path: Path) -> Path:
    """A table of all photos' labels."""
    rows = [f"{photo.relative_to(photos)},{NAMES[int(photo.stem[-2:]) % 2]}\n" for photo in photos.glob("day*/*.png")]
    (tmp_path / "all.csv").write_text("".join(["image,label\n", *rows]))
    return tmp_path / "all.csv"


def test_labels_that_are_all_known_are_not_asked_for_again(photos: Path, labelled: Path, tmp_path: Path) -> None:
    data = folder(photos, 8, labelled=str(labelled), root=tmp_path / "data")
    for some in (data, data.subset(5, None)):
        assert len(some.train.known) == len(some.train.targets)
        pool = Pool(some.train.images, 2, data.mean, data.std)
        assert human(some, tmp_path)(pool, torch.arange(3)).tolist() == some.train.targets[:3].tolist()
    with pytest.raises(UserError, match=r"^all 12 images are labelled: add others, or give budget\.end=12 to learn"):
        Setting.cut(data, None, UNCUT, parts(4, end=8), seed=3)
    assert len(Setting.cut(data, None, UNCUT, parts(4), seed=3).initial) == 12
    assert len(enlarged(data.train, 24).known) == 24


@pytest.mark.slow
def test_a_table_of_all_labels_serves_to_pretend(alsuite: Command, photos: Path, labelled: Path) -> None:
    given = [*ASKED, f"dataset.labelled={labelled}", f"dataset.path={photos}", *SIZES]
    given.remove("dataset.labelled=none")
    assert "all 12 images are labelled: add others" in alsuite(*given, "scale.pool=null", "oracle=human").line
    assert "6 to 10 of 12 labels by 4" in alsuite(*given, "scale.pool=null", "scale.cycles=null").out


def test_a_person_is_asked_for_what_is_not_known_alone(photos: Path, tmp_path: Path) -> None:
    data = folder(photos, 8, labelled="none", classes=NAMES, root=tmp_path / "data")
    pool = Pool(data.train.images, 2, data.mean, data.std)
    assert data.train.files is not None
    known = torch.full((12,), -1).index_fill(0, torch.tensor([0, 3]), 1)
    oracle = Human(tmp_path / "queries", NAMES, data.train.files, known=known)
    assert oracle(pool, torch.tensor([3, 0])).tolist() == [1, 1]
    assert not (tmp_path / "queries").exists()
    with pytest.raises(AwaitingLabels, match=r"^1 images await labels"):
        oracle(pool, torch.tensor([3, 7, 0]))
    fill(tmp_path)
    assert oracle(pool, torch.tensor([3, 7, 0])).tolist() == [1, int(data.train.files.names[7][-6:-4]) % 2, 1]


@pytest.mark.slow
def test_a_photo_that_is_added_costs_no_label(alsuite: Command, photos: Path, tmp_path: Path) -> None:
    command = [*ASKED, f"dataset.path={photos}", *SIZES, "scale.pool=null", "strategy=margin", "oracle=human"]
    alsuite(*command)
    (run,) = {path.parent.parent for path in tmp_path.rglob("labels_*.csv")}
    fill(run)
    write_image(photos / "new" / "photo 12.png", GREY, kind="png")
    identity._checksum.cache_clear()
    refused = alsuite(*command).line
    assert "the data changed since" in refused
    (told,) = re.findall(r'"(dataset\.labelled=.+/queries\')"', refused)
    command[command.index("dataset.labelled=none")] = told
    assert "cycle 1: 4 images await labels" in alsuite(*command).line


def test_labels_drawn_by_class_are_refused(alsuite: Command, photos: Path) -> None:
    given = [*ASKED, f"dataset.path={photos}", *SIZES, "oracle=human", "initial=stratified"]
    assert "take initial=uniform or coreset" in alsuite(*given).line


def test_images_that_were_made_are_kept_apart_and_one_of_them_is_labelled(photos: Path, tmp_path: Path) -> None:
    data = folder(photos, 8, labelled="none", classes=NAMES, root=tmp_path / "data")
    pool = Pool(data.train.images, 2, data.mean, data.std)
    pool.label(torch.tensor([0]), torch.tensor([0]))
    made = pool.extend(255 - pool.images[:2])
    person = Human(tmp_path / "queries", NAMES, data.train.files)
    with pytest.raises(AwaitingLabels):
        person(pool, made)
    sheet = Sheet(next((tmp_path / "queries").glob("*.csv")), NAMES)
    assert [row["image"] for row in sheet.rows()] == ["images/_made/12.png", "images/_made/13.png"]
    sheet.write([{**row, "label": "unsure"} for row in sheet.rows()])
    with pytest.raises(UserError, match=r"labels_\d+\.csv is unsure of every image: label one at least"):
        person(pool, made)
    sheet.write([{**row, "label": "cat"} for row in sheet.rows()])
    again = folder(photos, 8, labelled=str(sheet.path), classes=NAMES, root=tmp_path / "data")
    assert again.train.known.tolist() == []


def test_another_data_set_is_measured_on_beside_a_folder_without_labels(
    photos: Path, tests: Path, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"labelled": "none", "classes": NAMES, "root": tmp_path / "data"}
    other = folder(photos, 8, test=tests, **given)
    data = folder(photos, 8, extra_tests={"other": other}, **given)
    assert torch.equal(data.tests["other"].images, other.tests["seen"].images)
    with pytest.raises(UserError, match="the test set seen exists already: rename that"):
        folder(photos, 8, test=tests, extra_tests={"seen": other}, **given)


def test_a_smaller_pool_keeps_what_is_labelled(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "known.csv"
    table.write_text("image,label\nday 1/photo 04.png,cat\nday 0/photo 09.png,dog\n")
    train = folder(photos, 8, labelled=str(table), classes=["cat", "dog"], root=tmp_path / "data").train
    for n in (2, 5):
        some = dataset.drawn(train, n)
        assert len(some.targets) == n
        assert sorted(some.targets[some.known].tolist()) == [0, 1]
