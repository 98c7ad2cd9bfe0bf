"""Wrong inputs: each ends in one line that says what to do, without a traceback, and leaves nothing behind."""

import shlex
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from helpers.commands import Command, started
from helpers.data_files import write_image
from helpers.spoiled import arrays, bomb, cut, edited, lab, masks, photos, saved, table, telling, written

MISTAKES = {
    # groups and options
    "strategy=entropie": ["strategy=entropie", "entropy"],
    "scale=tiny": ["scale=tiny", "laptop"],
    "dataset=cifar11": ["dataset=cifar11", "cifar10"],
    "-m 'strategy=glob(m*)'": ["glob(...) is not looked up", "strategy=margin,entropy"],
    "strategy=helpers.tasks.Mine": ["a class of your own is strategy._target_=helpers.tasks.Mine"],
    "+strategy.lrr=1": ["alsuite.strategies.random.Random"],
    "features=null strategy=asal": ["cannot be null"],
    "sweeps=3": ["sweeps is no list"],
    # how options are written
    "'strategy=random}'": ["strategy=random} cannot be read", "quotes"],
    "seed=0 seed=1": ["seed is given twice"],
    "experiment=demo ~figure": ["~figure would leave out"],
    "experiment=demo seeds=0": ["seeds=0 is no number of seeds"],
    "experiment=demo scale.seeds=0": ["scale.seeds=0 must be a whole number from 1"],
    "-m strategy=random seeds=3": ["seeds is for an experiment", "seed=0,1,2"],
    "experiment=demo seeds=3 seed=4": ["give one of them"],
    "scale.name=paper": ["choose one by scale=paper"],
    "task_model.optimiser.nesterov=off": ["write true or false"],
    "-m 'task_model.optimiser.nesterov=true,Off'": ["nesterov=Off", "write true or false"],
    "strategy=random seeds=3": ["seeds is for an experiment"],
    "-m device=cpu,auto": ["device is not part of a run's name"],
    "claims": ["python -m alsuite.claims"],
    "-m experiment=demo,vaal_fig2_cifar10": ["experiment takes one value"],
    "--cfg nope": ["--cfg", "job"],
    "dataset=folder dataset.path=. dataset.labelled=none 'dataset.classes=[unsure,cat]'": ["a class 'unsure'"],
    "--config-name=other": ["no other.yaml"],
    # values
    "seed=abc": ["seed=abc", "seed=0"],
    "parallel=0": ["parallel=0", "auto"],
    "device=gpu": ["device=gpu", "choose one of auto, cpu, cuda"],
    "budget.end=abc": ["budget.end=abc", "above 0"],
    "scale.pool=1": ["exceeds the pool", "lower budget.initial"],
    "scale.cycles=1.5": ["scale.cycles=1.5 must be a whole number"],
    "task_model.lr=abc": ["task_model.lr=abc", "above 0"],
    "task_model.lr=1e38": ["task_model.lr"],
    "task_model.batch=64.0": ["task_model.batch=64.0", "whole number from 1"],
    "task_model=fastnet strategy=learning_loss task_model.mirrored=7": ["task_model.mirrored=7 must be true or false"],
    "task_model.net=convnet": ["task_model.net=convnet is nothing that can be built", "_target_"],
    "task_model=convnet task_model.net.width=abc": ["task_model.net.width=abc must be a number"],
    "strategy=vaal generator.latent=8.5": ["generator.latent=8.5 must be a whole number"],
    "strategy=asal strategy.diversity=abc": ["strategy.diversity=abc must be a number"],
    "strategy=suggestive strategy.candidates=inf": ["strategy.candidates=inf must be a number from 1"],
    "task_model.net.dropout=3": ["dropout=3", "between 0 and 1"],
    "+task_model.schedule=steps": ["schedule=steps takes no step", "++task_model.milestones=[0.5,0.75]"],
    "+task_model.weight_decay=-1": ["task_model.weight_decay=-1 must be a number from 0"],
    "+task_model.smoothing=2": ["task_model.smoothing=2 is no share", "from 0 to 1"],
    "initial=biased initial.only=3": ["initial.only=3 is no list", "[3]"],
    "oracle=noisy oracle.flip=much": ["oracle.flip=much", "between 0 and 1"],
    "oracle=noisy oracle.confusion={3:[3]}": ["takes class 3 for itself"],
    "scale.side=0": ["scale.side=0 must be a whole number from 1"],
    "task_model=convnet task_model.net.width=-3": ["width=-3 must be a number above 0"],
    "task_model.lr=true": ["task_model.lr=True must be a number above 0"],
    "task_model.lr=inf": ["task_model.lr=inf must be a number above 0"],
    "scale.epochs=0": ["task_model.limit=0", "above 0"],
    "budget.end=inf": ["budget.end=inf buys nothing"],
    "strategy=vaal strategy.kl_reduction=mean2": ["kl_reduction=mean2", "elbo"],
    # what does not go together
    "strategy=mc_dropout": ["dropout", "task_model=vgg16"],
    "task_model=m2 strategy=m2_vaal +task_model.momentums=1": ["alsuite: task_model:", "'momentums'", "--cfg job"],
    # data
    "dataset=folder": ["dataset.path has no value"],
    "dataset=folder dataset.path=''": ["an empty path names no folder"],
    "dataset=folder dataset.path=/etc/passwd": ["dataset.path=/etc/passwd", "folder of images per class"],
    # places
    "root=/proc/nope": ["/proc/nope"],
}
SLOW_MISTAKES = {
    # groups and options
    "experiment=demmo": ["experiment=demmo", "demo"],
    "experiment=": ["there is no experiment=", "--help"],
    "protocol=unfair": ["protocol=unfair", "fair"],
    "task_model=resnet19": ["task_model=resnet19", "resnet18"],
    "'strategy=random margin'": ["there is no strategy=random margin"],
    "-m strategy=random,entropie": ["strategy=entropie", "entropy"],
    "strategi=vaal": ["there is no option strategi", "did you mean strategy"],
    "strategy.lrr=1": ["there is no option strategy.lrr", "+strategy.lrr=... adds one"],
    "strategy._target_=collections.deque": ["deque"],
    "task_model.epoch=3": ["task_model.epoch", "did you mean task_model.epochs"],
    "+task_model.lrr=1": ["lrr"],
    "+experiment=demo": ["experiment is given twice"],
    "strategy._target_=mylab.mine.Mine": ["there is no mylab.mine.Mine to import", "PYTHONPATH"],
    "strategy._target_=alsuite.strategies.random.Rundom": ["no alsuite.strategies.random.Rundom"],
    # how options are written
    "strategy": ["strategy has no value", "strategy=value"],
    "strategy=a=b": ["cannot be read", "name=value"],
    "dataset=folder dataset.path=~/photos": ["~/photos cannot be read", "quotes", """'dataset.path="~/photos"'"""],
    "seed=0,1": ["seed=0,1 lists several values", "-m"],
    "seed=0 ++seed=1": ["seed is given twice"],
    "~budget": ["~budget would leave out"],
    "experiment=demo 'seed=range(0,0)'": ["lists no value"],
    "experiment=demo seeds=two": ["seeds=two is no number of seeds", "seed=0,1"],
    "again=no": ["again=no is neither true nor false"],
    "budget.query=true": ["budget.query=True buys nothing"],
    "experiment=demo experiment=vaal_fig2_cifar10": ["experiment takes one value"],
    "--nope": ["--nope", "--help"],
    "strategy=random dataset=digits root=": ["root is empty", "root=outputs"],
    "dataset=cifar10 dataset.valdation=3": ["dataset.valdation", "dataset.validation"],
    "-cd /nonexistent": ["no folder /nonexistent"],
    "strategy=random -cd /nonexistent dataset=digits": ["no folder /nonexistent"],
    "hydra/launcher=rayy": ["hydra/launcher=rayy", "processes", "pip install hydra-joblib-launcher"],
    "-m strategy=random,margin hydra/sweeper=optunaa": ["hydra/sweeper=optunaa", "pip install hydra-joblib-launcher"],
    # values
    "seed=-1": ["seed=-1", "seed=0"],
    "seed=1.5": ["seed=1.5"],
    "-m parallel=many seed=0,1": ["parallel=many", "auto"],
    "wandb=sometimes": ["wandb=sometimes", "choose one of offline, online, disabled"],
    "budget.query=0": ["budget.query=0", "above 0"],
    "budget.initial=-5": ["budget.initial=-5", "above 0"],
    "budget.initial=2000": ["exceeds the pool", "lower budget.initial"],
    "scale.pool=null budget.end=1438": ["end 1,438", "pool of 1,437 images", "lower budget.end"],
    "scale.test=0": ["subset of 0 images"],
    "scale.cycles=0": ["scale.cycles=0"],
    "enlarge=0": ["enlarge=0"],
    "enlarge=abc": ["enlarge=abc"],
    "enlarge=true": ["enlarge=True is no number of images"],
    "imbalance=0.1": ["imbalance=0.1", "imbalance={ratio: 0.1, kind: exp}"],
    "'imbalance={ratio: 2}'": ["imbalance.ratio=2", "up to 1"],
    "task_model.lr=-1": ["alsuite: task_model.lr=-1", "above 0"],
    "task_model.lr=1e6": ["task_model.lr=1000000", "at the most"],
    "task_model.batch=0": ["task_model.batch=0", "above 0"],
    "task_model.batch=1.5": ["task_model.batch=1.5", "whole number"],
    "task_model=resnet18 task_model.batch=1": ["batch norm", "task_model.batch, strategy.batch or generator.batch"],
    "task_model.epochs=0": ["alsuite: task_model.epochs=0", "above 0"],
    "task_model.net.dropout=-1": ["dropout=-1", "between 0 and 1"],
    "task_model.optimiser=adamm": ["optimiser=adamm", "choose one of adam"],
    "+task_model.schedule=steps +task_model.milestones=[60,80]": ["milestones=[60, 80] are no shares", "[0.5,0.75]"],
    "+task_model.schedule=steps +task_model.milestones=3": ["milestones=3 are no shares"],
    "+task_model.weight_decay=abc": ["task_model.weight_decay=abc must be a number from 0"],
    "task_model.optimiser=sgd +task_model.momentum=-1": ["task_model.momentum=-1 must be a number from 0"],
    "scale.pool=1e3": ["subset of 1000.0 images", "scale.pool", "whole numbers"],
    "scale.test=abc": ["subset of abc images", "scale.test"],
    "task_model.loss=mse": ["task_model.loss=mse", "cross_entropy"],
    "oracle=noisy oracle.flip=2": ["oracle.flip=2", "between 0 and 1"],
    "oracle=noisy oracle.confusion={cat:[dog]}": ["oracle.confusion must list classes of 0..9"],
    "oracle=noisy oracle.confusion={3:5}": ["oracle.confusion must list classes", "{class: [classes]}"],
    "strategy=ensemble strategy.score.path=alsuite.scores.entropy": ["a score, or a network", "shape"],
    "strategy=coreset strategy.candidates=0": ["strategy.candidates=0", "whole number from 1"],
    "initial=biased initial.only=[2,99]": ["initial.only names 99", "choose from"],
    "dataset.classes=[3]": ["dataset.classes=[3]", "at least two"],
    "initial=biased initial.missing=99": ["initial.missing=99", "0 to 9"],
    "strategy=vaal strategy.adversarial=abc": ["adversarial=abc"],
    # what does not go together
    "task_model.loss=hinge": ["hinge needs two classes", "cross_entropy"],
    "task_model=allcnn": ["allcnn", "take task_model=linear"],
    "strategy=ta_vaal task_model=svm_vgg": ["Ranked missing", "'net'"],
    "protocol=fair task_model=svm_vgg": ["no recipe for this task model", "protocol=paper"],
    "strategy=vaal generator=dcgan": ["needs a VAE", "generator=vae"],
    "strategy=m2_vaal task_model=linear": ["task_model=m2"],
    # data
    "dataset=folder dataset.path=/nonexistent": ["dataset.path=/nonexistent", "folder of images per class"],
    "dataset=folder dataset.path=2024": ["2024 is no folder"],
    "dataset.classes=[1,99]": ["no class 99", "choose from 0, 1, 2"],
    "dataset.classes=[cat,dog]": ["cat"],
}

PHOTOS = "dataset=folder dataset.path={here}/photos task_model=linear"
MASKS = "dataset=folder_masks dataset.path={here}/mine"
PICK = "pick {here}/photos dataset.size=8 --strategy random -n 1"
TABLE = "pick --features {here}/table.npy --strategy coreset -n 1"
RUN = "strategy=random task_model.epochs=1"
ASKING = f"{RUN} oracle=human"
JOURNAL, SHEET = "cycles.jsonl", "queries/labels_000000.csv"


class Damaged(NamedTuple):
    """A command that is given files, and how these may be wrong.

    command: with {here} for the folder that all lies in
    good: writes files that the command takes, and returns their folder
    spoilt: what is wrong -> what makes it so, given that folder, and what is told, in parts between dots
    fast: which of these `make test` tries; the others are slow
    """

    command: str
    good: Callable[[Path], Path]
    spoilt: dict[str, tuple[Callable[[Path], object], str]]
    fast: Collection[str] = ()


def nothing(here: Path) -> Path:
    return here


def run(here: Path) -> Path:
    """Return the folder of the one run that there is."""
    return next(here.glob("outputs/adhoc/smoke/*"))


DAMAGED = {
    "yaml": Damaged(
        "-cd {here}/mylab strategy=mine",
        lab,
        {
            "an open bracket": (lambda at: written(at / "mine.yaml", "_target_: ["), "mine.yaml...line 1"),
            "a tab": (lambda at: written(at / "mine.yaml", "a:\n\tb: 1"), "mine.yaml...line 2"),
            "a key twice": (lambda at: written(at / "mine.yaml", "a: 1\na: 2"), "mine.yaml...duplicate key a"),
            "a list": (lambda at: written(at / "mine.yaml", "- a\n- b"), "ListConfig is no strategy"),
            "no text": (lambda at: written(at / "mine.yaml", b"\xff\xfe\x00"), "is no text in UTF-8"),
            "empty": (lambda at: written(at / "mine.yaml", ""), "strategy"),
            "an unknown group": (lambda at: written(at / "mine.yaml", "defaults: [{colours: red}]"), "colours"),
            "defaults in a circle": (
                lambda at: written(at / "mine.yaml", "defaults: [mine]"),
                "strategy=mine...lead in a circle",
            ),
            "values in a circle": (
                lambda at: written(at / "mine.yaml", "_target_: ${strategy._target_}"),
                "strategy._target_ refers to itself",
            ),
            "a value from nowhere": (lambda at: written(at / "mine.yaml", "_target_: ${nowhere}"), "nowhere"),
            "code": (lambda at: written(at / "mine.yaml", "a: !!python/object/apply:os.abort []"), "line 1 is no yaml"),
            "no strategy": (lambda at: written(at / "mine.yaml", "_target_: builtins.dict"), "dict...query"),
            "a wrong type": (lambda at: written(at / "mine.yaml", "_target_: 3"), "callable target, got '3'"),
        },
        fast={"an open bracket", "no text"},
    ),
    "arrays": Damaged(
        "dataset=mnist",
        arrays,
        {
            "a pickle": (lambda at: telling(at / "test_images.npy"), "test_images.npy cannot be read"),
            "superclasses in words": (lambda at: written(at / "superclasses.txt", "one\n" * 10), "superclasses.txt"),
            "few superclasses": (lambda at: written(at / "superclasses.txt", "0\n"), "1 superclasses...10 classes"),
        },
        fast={"a pickle"},
    ),
    "archive": Damaged(
        "dataset=cifar10",
        lambda here: here / "data" / "raw" / "cifar10",
        {"a text": (lambda at: written(at / "cifar-10-binary.tar.gz", "x"), "is damaged...delete it and start again")},
    ),
    "photos": Damaged(
        f"{PHOTOS} dataset.size=8",
        photos,
        {
            "truncated": (lambda at: cut(at / "cat" / "1.png"), "cannot read the image...1.png...replace or delete it"),
            "a broken link": (lambda at: (at / "dog" / "x.png").symlink_to("gone"), "cannot read the image...x.png"),
            "a bomb": (lambda at: bomb(at / "cat" / "x.png"), "x.png has more than 89 million pixels: make it smaller"),
            "a thread": (
                lambda at: write_image(at / "cat" / "x.jpg", 0, width=4000, height=1),
                "4000 x 1 pixels large",
            ),
        },
        fast={"truncated", "a thread"},
    ),
    "classes": Damaged(
        f"{PHOTOS} 'dataset.classes=[cat,cow]'",
        photos,
        {"unknown": (nothing, "no class cow...cat, dog")},
        fast={"unknown"},
    ),
    "masks": Damaged(
        MASKS,
        masks,
        {
            "in colours": (lambda at: mask(at, "RGB"), "5.png is no mask: save it as a PNG, gray"),
            "16 bits": (lambda at: mask(at, "I;16"), "5.png is no mask...8 bits a pixel"),
            "names that are no text": (lambda at: written(at / "classes.txt", b"\xff\xfe"), "classes.txt...UTF-8"),
        },
        fast={"in colours"},
    ),
    "known labels": Damaged(
        f"{PICK} --labels {{here}}/known.csv --seed 0",
        lambda here: photos(here).parent / "known.csv",
        {
            "empty": (lambda at: written(at, ""), "known.csv lacks a column: it must have image or index, and label"),
            "another header": (lambda at: written(at, "file,class\ncat/0.png,cat\n"), "known.csv lacks a column"),
            "a quote": (lambda at: written(at, 'image,label\ncat/0.png,"cat\n'), "known.csv cannot be read"),
            "an unknown image": (lambda at: written(at, "image,label\ncow.png,cow\n"), "'cow.png'...mend or delete it"),
            "two labels": (
                lambda at: written(at, "image,label\ncat/0.png,cat\ncat/0.png,dog\n"),
                "known.csv, line 3: cat/0.png is dog, but cat in...known.csv, line 2: delete one",
            ),
        },
        fast={"two labels"},
    ),
    "a file": Damaged(PICK, nothing, {"for a folder": (lambda at: written(at / "photos", "x"), "photos is no folder")}),
    "a model's table": Damaged(
        TABLE,
        table,
        {
            "missing": (Path.unlink, "table.npy cannot be read as an array...numpy.save"),
            "truncated": (cut, "table.npy cannot be read as an array"),
            "nan": (lambda at: saved(at, np.full((9, 3), np.nan)), "features hold what is no number: look whether"),
            "texts": (lambda at: saved(at, np.full((9, 3), "x")), "give floats, a row for each image"),
            "several": (
                lambda at: [np.savez(at, a=np.zeros(9)), at.with_suffix(".npy.npz").replace(at)],
                "table.npy cannot be read as an array",
            ),
        },
        fast={"several"},
    ),
    "weights": Damaged(
        "task_model=svm_vgg task_model.features.weights={here}/w.pth",
        lambda here: here / "w.pth",
        {
            "missing": (nothing, "weights of VGG-16 cannot be read from...w.pth"),
            "a text": (lambda at: written(at, "weights"), "weights of VGG-16 cannot be read from...w.pth"),
        },
        fast={"missing"},
    ),
}
BEGUN = {
    "a journal": Damaged(
        RUN,
        run,
        {
            "a torn line before the last": (
                lambda at: edited(at / JOURNAL, '"cycle": 0', '"cycle'),
                "line 1 is no record",
            ),
            "a line too few": (lambda at: edited(at / JOURNAL, '"cycle": 1', '"cycle": 2'), "line 2 is no record"),
            "a number in place of a record": (
                lambda at: written(at / JOURNAL, "5\n"),
                "line 1 is no record of a cycle",
            ),
            "of another version": (lambda at: edited(at / JOURNAL, "queried", "query"), "line 2 is no record"),
        },
        fast={"a torn line before the last"},
    ),
    "a journal to go on with": Damaged(
        RUN,
        lambda here: shortened(run(here)),
        {
            "an image outside": (lambda at: edited(at / JOURNAL, '"indices": [', '"indices": [999999, '), "cycle 1 is"),
            "a class outside": (lambda at: edited(at / JOURNAL, '"labels": [', '"labels": [-'), "cycle 1 is damaged"),
            "a label less": (lambda at: edited(at / JOURNAL, '"labels": [', '"labels": [[], '), "cycle 1 is damaged"),
        },
        fast={"a class outside"},
    ),
    "a sheet": Damaged(
        ASKING,
        run,
        {
            "awaiting": (nothing, "images await labels...fill the column 'label' of...labels_000000.csv"),
            "empty": (lambda at: written(at / SHEET, ""), "labels_000000.csv lacks a column"),
            "an unknown class": (lambda at: edited(at / SHEET, ".png,", ".png,cow"), "'cow' is no class; write one of"),
            "a quote": (lambda at: edited(at / SHEET, ".png,", '.png,"1'), "labels_000000.csv cannot be read"),
        },
        fast={"an unknown class"},
    ),
}


def mask(at: Path, mode: str) -> None:
    Image.new(mode, (8, 8)).save(at / "masks" / "5.png")


def shortened(folder: Path) -> Path:
    """Leave the first cycle of a run, which then goes on."""
    first, *_ = (folder / JOURNAL).read_text().splitlines(keepends=True)
    (folder / JOURNAL).write_text(first)
    return folder


@pytest.fixture
def alsuite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path / "data"))
    return started(tmp_path / "outputs", monkeypatch, capsys)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs are kept that several tests begin with."""
    return tmp_path_factory.mktemp("kept")


def slow(mistake: object) -> object:
    return pytest.param(mistake, marks=pytest.mark.slow)


def named(groups: dict[str, Damaged]) -> list[object]:
    tried = [(group, wrong) for group, damaged in groups.items() for wrong in damaged.spoilt]
    return [each if each[1] in groups[each[0]].fast else slow(each) for each in tried]


@pytest.mark.parametrize("mistake", [*MISTAKES, *map(slow, SLOW_MISTAKES)])
def test_a_mistake_ends_in_one_clear_line_and_leaves_nothing(alsuite: Command, tmp_path: Path, mistake: str) -> None:
    line = alsuite(*shlex.split(mistake)).line
    assert len(line) < 450
    for told in (MISTAKES | SLOW_MISTAKES)[mistake]:
        assert told in line
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("mistake", named(DAMAGED), ids="-".join)
def test_a_bad_file_ends_in_one_clear_line_and_leaves_nothing(
    alsuite: Command, tmp_path: Path, mistake: tuple[str, str]
) -> None:
    group = DAMAGED[mistake[0]]
    told = group.spoilt[mistake[1]]
    told[0](group.good(tmp_path))
    before = {*tmp_path.rglob("*")}
    check(alsuite(*shlex.split(group.command.format(here=tmp_path))).line, told[1])
    left = [path for path in {*tmp_path.rglob("*")} - before if path.is_file()]
    assert [path for path in left if "data/folder/" not in str(path)] == []
    assert not [path for path in left if path.name.startswith(".")]
    assert not (tmp_path / "outputs").exists()
    assert not [*tmp_path.rglob("run")]  # what a pickle leaves


@pytest.mark.parametrize("mistake", named(BEGUN), ids="-".join)
def test_a_run_that_was_changed_ends_in_one_clear_line_and_stays_as_it_is(
    alsuite: Command, tmp_path: Path, kept: Path, mistake: tuple[str, str]
) -> None:
    group = BEGUN[mistake[0]]
    spoil, told = group.spoilt[mistake[1]]
    root = kept / mistake[0].replace(" ", "_")
    if not root.exists():
        alsuite(*group.command.split(), f"root={root}")
    shutil.copytree(root, tmp_path / "outputs")
    spoil(group.good(tmp_path))
    before = contents(tmp_path)
    check(alsuite(*group.command.split()).line, told)
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check(line: str, told: str) -> None:
    assert len(line) < 800
    for part in told.split("..."):
        assert part in line
