"""Wrong inputs: each ends in one line that says what to do, without a traceback, and leaves nothing behind."""

import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.commands import Command, started
from helpers.data_files import write_image
from helpers.spoiled import Touching, arrays, bomb, cut, edited, lab, masks, photos, saved, table, telling, written

MISTAKES = {
    # groups and options
    "strategy=entropie": ["strategy=entropie", "entropy"],
    "experiment=demmo": ["experiment=demmo", "demo"],
    "experiment=": ["there is no experiment=", "--help"],
    "scale=tiny": ["scale=tiny", "laptop"],
    "protocol=unfair": ["protocol=unfair", "fair"],
    "task_model=resnet19": ["task_model=resnet19", "resnet18"],
    "dataset=cifar11": ["dataset=cifar11", "cifar10"],
    "'strategy=random margin'": ["there is no strategy=random margin"],
    "-m strategy=random,entropie": ["strategy=entropie", "entropy"],
    "-m 'strategy=glob(m*)'": ["glob(...) is not looked up", "strategy=margin,entropy"],
    "strategi=vaal": ["there is no option strategi", "did you mean strategy"],
    "strategy.lrr=1": ["there is no option strategy.lrr", "+strategy.lrr=... adds one"],
    "strategy=helpers.tasks.Mine": ["a class of your own is strategy._target_=helpers.tasks.Mine"],
    "strategy._target_=collections.deque": ["deque"],
    "task_model.epoch=3": ["task_model.epoch", "did you mean task_model.epochs"],
    "+strategy.lrr=1": ["alsuite.strategies.random.Random"],
    "+task_model.lrr=1": ["lrr"],
    "+experiment=demo": ["experiment is given twice"],
    "features=null strategy=asal": ["cannot be null"],
    "strategy._target_=mylab.mine.Mine": ["there is no mylab.mine.Mine to import", "PYTHONPATH"],
    "strategy._target_=alsuite.strategies.random.Rundom": ["no alsuite.strategies.random.Rundom"],
    "sweeps=3": ["sweeps is no list"],
    # how options are written
    "strategy": ["strategy has no value", "strategy=value"],
    "strategy=a=b": ["cannot be read", "name=value"],
    "'strategy=random}'": ["strategy=random} cannot be read", "quotes"],
    "dataset=folder dataset.path=~/photos": ["~/photos cannot be read", "quotes", """'dataset.path="~/photos"'"""],
    "seed=0,1": ["seed=0,1 lists several values", "-m"],
    "seed=0 seed=1": ["seed is given twice"],
    "seed=0 ++seed=1": ["seed is given twice"],
    "~budget": ["~budget would leave out"],
    "experiment=demo ~figure": ["~figure would leave out"],
    "experiment=demo 'seed=range(0,0)'": ["lists no value"],
    "experiment=demo seeds=two": ["seeds=two is no number of seeds", "seed=0,1"],
    "experiment=demo seeds=0": ["seeds=0 is no number of seeds"],
    "again=no": ["again=no is neither true nor false"],
    "budget.query=true": ["budget.query=True buys nothing"],
    "-m experiment=demo,vaal_fig2_cifar10": ["an experiment has sweeps", "each in a command"],
    "experiment=demo experiment=vaal_fig2_cifar10": ["each in a command"],
    "--nope": ["--nope", "--help"],
    "--cfg nope": ["--cfg", "job"],
    "strategy=random dataset=digits root=": ["root is empty", "root=outputs"],
    "dataset=cifar10 dataset.valdation=3": ["dataset.valdation", "dataset.validation"],
    "dataset=folder dataset.path=. dataset.labelled=none 'dataset.classes=[unsure,cat]'": ["a class 'unsure'"],
    "-cd /nonexistent": ["no folder /nonexistent"],
    "strategy=random -cd /nonexistent dataset=digits": ["no folder /nonexistent"],
    "--config-name=other": ["no other.yaml"],
    "hydra/launcher=rayy": ["hydra/launcher=rayy", "processes", ".[launchers]"],
    "-m strategy=random,margin hydra/sweeper=optunaa": ["hydra/sweeper=optunaa", ".[launchers]"],
    # values
    "seed=abc": ["seed=abc", "seed=0"],
    "seed=-1": ["seed=-1", "seed=0"],
    "seed=1.5": ["seed=1.5"],
    "parallel=0": ["parallel=0", "auto"],
    "-m parallel=many seed=0,1": ["parallel=many", "auto"],
    "wandb=sometimes": ["wandb=sometimes", "choose one of offline, online, disabled"],
    "device=gpu": ["device=gpu", "choose auto, cpu or cuda"],
    "budget.query=0": ["budget.query=0", "above 0"],
    "budget.initial=-5": ["budget.initial=-5", "above 0"],
    "budget.end=abc": ["budget.end=abc", "above 0"],
    "budget.initial=2000": ["exceeds the pool", "lower budget.initial"],
    "scale.pool=null budget.end=1438": ["end 1,438", "pool of 1,437 images", "lower budget.end"],
    "scale.pool=1": ["exceeds the pool", "lower budget.initial"],
    "scale.test=0": ["subset of 0 images"],
    "scale.cycles=0": ["scale.cycles=0"],
    "scale.cycles=1.5": ["scale.cycles=1.5 must be a whole number"],
    "enlarge=0": ["enlarge=0"],
    "enlarge=abc": ["enlarge=abc"],
    "task_model.lr=abc": ["task_model.lr=abc", "above 0"],
    "task_model.lr=-1": ["alsuite: task_model.lr=-1", "above 0"],
    "task_model.lr=1e6": ["task_model.lr=1000000", "at the most"],
    "task_model.lr=1e38": ["task_model.lr"],
    "task_model.batch=0": ["task_model.batch=0", "above 0"],
    "task_model.batch=1.5": ["task_model.batch=1.5", "whole number"],
    "task_model.batch=64.0": ["task_model.batch=64.0", "whole number from 1"],
    "task_model=resnet18 task_model.batch=1": ["batch norm", "task_model.batch, strategy.batch or generator.batch"],
    "task_model.epochs=0": ["alsuite: task_model.epochs=0", "above 0"],
    "task_model.net.dropout=3": ["dropout=3", "between 0 and 1"],
    "task_model.net.dropout=-1": ["dropout=-1", "between 0 and 1"],
    "task_model.optimiser=adamm": ["optimiser=adamm", "choose one of adam"],
    "+task_model.schedule=steps": ["schedule=steps takes no step", "++task_model.milestones=[0.5,0.75]"],
    "+task_model.schedule=steps +task_model.milestones=[60,80]": ["milestones=[60, 80] are no shares", "[0.5,0.75]"],
    "+task_model.schedule=steps +task_model.milestones=3": ["milestones=3 are no shares"],
    "+task_model.weight_decay=-1": ["task_model.weight_decay=-1 must be a number from 0"],
    "+task_model.weight_decay=abc": ["task_model.weight_decay=abc must be a number from 0"],
    "task_model.optimiser=sgd +task_model.momentum=-1": ["task_model.momentum=-1 must be a number from 0"],
    "+task_model.smoothing=2": ["task_model.smoothing=2 is no share", "from 0 to 1"],
    "scale.pool=1e3": ["subset of 1000.0 images", "scale.pool", "whole numbers"],
    "scale.test=abc": ["subset of abc images", "scale.test"],
    "initial=biased initial.only=3": ["initial.only=3 is no list", "[3]"],
    "task_model.loss=mse": ["task_model.loss=mse", "cross_entropy"],
    "oracle=noisy oracle.flip=2": ["oracle.flip=2", "between 0 and 1"],
    "oracle=noisy oracle.flip=much": ["oracle.flip=much", "between 0 and 1"],
    "oracle=noisy oracle.confusion={cat:[dog]}": ["oracle.confusion must list classes of 0..9"],
    "oracle=noisy oracle.confusion={3:5}": ["oracle.confusion must list classes", "{class: [classes]}"],
    "oracle=noisy oracle.confusion={3:[3]}": ["takes class 3 for itself"],
    "strategy=ensemble strategy.score.path=alsuite.scores.entropy": ["a score", "shape", "each its own"],
    "strategy=coreset strategy.candidates=0": ["strategy.candidates=0", "whole number from 1"],
    "scale.epochs=0": ["task_model.limit=0", "above 0"],
    "initial=biased initial.only=[2,99]": ["initial.only names 99", "choose from"],
    "dataset.classes=[3]": ["dataset.classes=[3]", "at least two"],
    "budget.end=inf": ["budget.end=inf buys nothing"],
    "initial=biased initial.missing=99": ["initial.missing=99", "0 to 9"],
    "strategy=vaal strategy.adversarial=abc": ["adversarial=abc"],
    "strategy=vaal strategy.kl_reduction=mean2": ["kl_reduction=mean2", "elbo"],
    # what does not go together
    "task_model.loss=hinge": ["hinge needs two classes", "cross_entropy"],
    "task_model=allcnn": ["allcnn", "take task_model=linear"],
    "strategy=mc_dropout": ["dropout", "task_model=vgg16"],
    "strategy=ta_vaal task_model=svm_vgg": ["Ranked missing", "'net'"],
    "protocol=fair task_model=svm_vgg": ["no recipe for this task model", "protocol=paper"],
    "task_model=m2 strategy=m2_vaal +task_model.momentums=1": ["alsuite: task_model:", "'momentums'", "--cfg job"],
    "strategy=vaal generator=dcgan": ["needs a VAE", "generator=vae"],
    "strategy=m2_vaal task_model=linear": ["task_model=m2"],
    # data
    "dataset=folder": ["dataset.path has no value"],
    "dataset=folder dataset.path=/nonexistent": ["dataset.path=/nonexistent", "folder of images per class"],
    "dataset=folder dataset.path=2024": ["2024 is no folder"],
    "dataset=folder dataset.path=/etc/passwd": ["dataset.path=/etc/passwd", "folder of images per class"],
    "dataset.classes=[1,99]": ["no class 99", "choose from 0, 1, 2"],
    "dataset.classes=[cat,dog]": ["cat"],
    # places
    "root=/proc/nope": ["/proc/nope"],
}

PHOTOS = "dataset=folder dataset.path={here}/photos task_model=linear"
UNLABELLED = f"{PHOTOS} dataset.labelled=none 'dataset.classes=[cat,dog]'"
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
    """

    command: str
    good: Callable[[Path], Path]
    spoilt: dict[str, tuple[Callable[[Path], object], str]]


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
    ),
    "arrays": Damaged(
        "dataset=mnist",
        arrays,
        {
            "truncated": (lambda at: cut(at / "train_images.npy"), "train_images.npy cannot be read...delete the"),
            "empty": (lambda at: written(at / "train_images.npy", ""), "train_images.npy cannot be read"),
            "a text": (lambda at: written(at / "test_images.npy", "0 1 2"), "test_images.npy cannot be read"),
            "a pickle": (lambda at: telling(at / "test_images.npy"), "test_images.npy cannot be read"),
            "objects": (lambda at: saved(at / "train_targets.npy", [Touching(at)]), "train_targets.npy cannot be read"),
            "missing": (lambda at: (at / "test_targets.npy").unlink(), "lacks test_targets.npy...delete the folder"),
            "floats": (lambda at: saved(at / "train_images.npy", np.zeros((30, 1, 28, 28))), "are float64...uint8"),
            "narrow": (lambda at: saved(at / "train_targets.npy", np.zeros(30, np.int32)), "are int32...int64"),
            "no channel": (lambda at: saved(at / "train_images.npy", pixels(30, 28, 28)), "have 3 dimensions...4"),
            "channels last": (lambda at: saved(at / "train_images.npy", pixels(30, 28, 28, 1)), "last...transpose"),
            "other sizes": (lambda at: saved(at / "test_images.npy", pixels(10, 1, 27, 28)), "test set...(1, 27, 28)"),
            "no image": (lambda at: saved(at / "train_images.npy", pixels(0, 1, 28, 28)), "holds 0 images but 30"),
            "fewer targets": (lambda at: saved(at / "train_targets.npy", np.arange(29) % 10), "30 images but 29"),
            "two targets": (lambda at: saved(at / "test_targets.npy", np.zeros((10, 2), int)), "have 2 dimensions"),
            "an eleventh class": (lambda at: saved(at / "train_targets.npy", np.arange(30) % 11), "10, outside 0..9"),
            "a negative class": (lambda at: saved(at / "test_targets.npy", np.arange(10) - 1), "-1, outside 0..9"),
            "a class without": (lambda at: saved(at / "train_targets.npy", np.arange(30) % 9), "of the class 9"),
            "superclasses in words": (lambda at: written(at / "superclasses.txt", "one\n" * 10), "superclasses.txt"),
            "few superclasses": (lambda at: written(at / "superclasses.txt", "0\n"), "1 superclasses...10 classes"),
        },
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
            "empty": (lambda at: written(at / "cat" / "1.png", ""), "cannot read the image...1.png"),
            "a text": (lambda at: written(at / "dog" / "x.png", "a text"), "cannot read the image...x.png"),
            "a page": (lambda at: written(at / "dog" / "x.jpg", "<!doctype html>"), "cannot read the image...x.jpg"),
            "a pickle": (lambda at: telling(at / "dog" / "x.png"), "cannot read the image...x.png"),
            "a folder": (lambda at: (at / "dog" / "x.png").mkdir(), "cannot read the image...x.png"),
            "a broken link": (lambda at: (at / "dog" / "x.png").symlink_to("gone"), "cannot read the image...x.png"),
            "a bomb": (lambda at: bomb(at / "cat" / "x.png"), "x.png has more than 89 million pixels: make it smaller"),
            "a small bomb": (lambda at: bomb(at / "cat" / "x.png", 10_000), "x.png has more than 89 million pixels"),
            "a thread": (
                lambda at: write_image(at / "cat" / "x.jpg", 0, width=4000, height=1),
                "4000 x 1 pixels large",
            ),
            "one class": (lambda at: shutil.rmtree(at / "dog"), "holds no images of two classes: give each class"),
            "none": (lambda at: [shutil.rmtree(each) for each in at.iterdir()], "holds no images of two classes"),
            "few": (lambda at: [path.unlink() for path in at.glob("*/[2-9].png")], "for testing...give a class five"),
        },
    ),
    "a budget": Damaged(
        f"{PHOTOS} dataset.size=8 budget.initial=4 budget.query=2 budget.end=60",
        photos,
        {"above the pool": (nothing, "exceeds the pool...lower budget.end")},
    ),
    "a size": Damaged(f"{PHOTOS} dataset.size=0", photos, {"of nothing": (nothing, "dataset.size=0 is no number of")}),
    "classes": Damaged(
        f"{PHOTOS} 'dataset.classes=[cat,cow]'", photos, {"unknown": (nothing, "no class cow...cat, dog")}
    ),
    "nobody": Damaged(UNLABELLED, photos, {"labels": (nothing, "nobody knows the labels...add oracle=human")}),
    "unlabelled": Damaged(
        f"{UNLABELLED} oracle=human",
        photos,
        {
            "a bomb": (lambda at: bomb(at / "x.png"), "x.png has more than 89 million pixels"),
            "a line in a name": (lambda at: write_image(at / "a\nb.png", 0), "is no text on one line: rename the file"),
            "no image": (lambda at: [shutil.rmtree(each) for each in at.iterdir()], "holds no image: name a folder"),
        },
    ),
    "masks": Damaged(
        MASKS,
        masks,
        {
            "missing": (lambda at: (at / "masks" / "5.png").unlink(), "5.png is missing (1 of 8 masks)"),
            "of another size": (lambda at: mask(at, "L", (4, 8)), "5.png is (8, 4) pixels large...make them the same"),
            "an unknown number": (lambda at: mask(at, "L", (8, 8), 7), "5.png holds the number 7, which is no class"),
            "in colours": (lambda at: mask(at, "RGB", (8, 8)), "5.png is no mask: save it gray"),
            "16 bits": (lambda at: mask(at, "I;16", (8, 8)), "5.png is no mask...8 bits a pixel"),
            "truncated": (lambda at: cut(at / "masks" / "5.png"), "cannot read the image...masks/5.png"),
            "a bomb": (lambda at: bomb(at / "masks" / "5.png"), "5.png has more than 89 million pixels"),
            "no names": (lambda at: (at / "classes.txt").unlink(), "classes.txt is missing: write the names"),
            "names that are no text": (lambda at: written(at / "classes.txt", b"\xff\xfe"), "classes.txt...UTF-8"),
        },
    ),
    "known labels": Damaged(
        f"{PICK} --labels {{here}}/known.csv --seed 0",
        lambda here: photos(here).parent / "known.csv",
        {
            "missing": (nothing, "known.csv cannot be read"),
            "empty": (lambda at: written(at, ""), "known.csv lacks a column: it must have image or index, and label"),
            "another header": (lambda at: written(at, "file,class\ncat/0.png,cat\n"), "known.csv lacks a column"),
            "semicolons": (lambda at: written(at, "image;label\ncat/0.png;cat\n"), "known.csv lacks a column"),
            "no text": (lambda at: written(at, b"\x89PNG\xff"), "known.csv cannot be read"),
            "a quote": (lambda at: written(at, 'image,label\ncat/0.png,"cat\n'), "known.csv cannot be read"),
            "an unknown image": (lambda at: written(at, "image,label\ncow.png,cow\n"), "'cow.png'...mend or delete it"),
            "two labels": (
                lambda at: written(at, "image,label\ncat/0.png,cat\ncat/0.png,dog\n"),
                "known.csv, line 3: cat/0.png is dog, but cat in...known.csv, line 2: delete one",
            ),
        },
    ),
    "more": Damaged(PICK.replace("-n 1", "-n 13"), photos, {"than there are": (nothing, "n=13: 12 of 12 images")}),
    "a file": Damaged(PICK, nothing, {"for a folder": (lambda at: written(at / "photos", "x"), "photos is no folder")}),
    "a place": Damaged(
        f"{TABLE.replace('coreset', 'random')} --out {{here}}/no/x.csv",
        table,
        {"that isn't": (nothing, "no folder...make it, or name another")},
    ),
    "a model's table": Damaged(
        TABLE,
        table,
        {
            "missing": (Path.unlink, "table.npy cannot be read as an array...numpy.save"),
            "truncated": (cut, "table.npy cannot be read as an array"),
            "objects": (lambda at: saved(at, [Touching(at.parent)]), "table.npy cannot be read as an array"),
            "a pickle": (telling, "table.npy cannot be read as an array"),
            "nan": (lambda at: saved(at, np.full((9, 3), np.nan)), "features hold what is no number: look whether"),
            "of one dimension": (
                lambda at: saved(at, np.zeros(9)),
                "float64 of shape (9,): give floats, a row for each",
            ),
            "texts": (lambda at: saved(at, np.full((9, 3), "x")), "give floats, a row for each image"),
            "several": (
                lambda at: [np.savez(at, a=np.zeros(9)), at.with_suffix(".npy.npz").replace(at)],
                "table.npy cannot be read as an array",
            ),
        },
    ),
    "weights": Damaged(
        "task_model=svm_vgg task_model.features.weights={here}/w.pth",
        lambda here: here / "w.pth",
        {
            "missing": (nothing, "weights of VGG-16 cannot be read from...w.pth"),
            "a text": (lambda at: written(at, "weights"), "weights of VGG-16 cannot be read from...w.pth"),
            "a pickle": (telling, "weights of VGG-16 cannot be read from...w.pth"),
            "objects": (lambda at: torch.save(Touching(at.parent), at), "weights of VGG-16 cannot be read from"),
            "other layers": (lambda at: torch.save({"a": torch.zeros(2)}, at), "weights of VGG-16 cannot be read from"),
            "truncated": (lambda at: [torch.save(torch.zeros(999), at), cut(at)], "weights of VGG-16 cannot be read"),
        },
    ),
    "weights for pixels": Damaged(
        f"{MASKS} task_model=lite_unet task_model.net.weights={{here}}/w.npz",
        lambda here: masks(here).parent / "w.npz",
        {"objects": (lambda at: np.savez(at, a=np.array([Touching(at.parent)])), "EfficientNet-Lite0 cannot be read")},
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
            "of another seed": (
                lambda at: edited(at / "run.json", '"seed": 0', '"seed": 1'),
                "another seed...again=true",
            ),
            "of other code": (lambda at: edited(at / "run.json", '"alsuite.loop"', '"loop"'), "loop changed since"),
            "of other data": (lambda at: edited(at / "run.json", '"data": "', '"data": "x'), "data changed since"),
        },
    ),
    "a journal to go on with": Damaged(
        RUN,
        lambda here: shortened(run(here)),
        {
            "an image outside": (lambda at: edited(at / JOURNAL, '"indices": [', '"indices": [999999, '), "cycle 1 is"),
            "a class outside": (lambda at: edited(at / JOURNAL, '"labels": [', '"labels": [-'), "cycle 1 is damaged"),
            "a label less": (lambda at: edited(at / JOURNAL, '"labels": [', '"labels": [[], '), "cycle 1 is damaged"),
            "without run.json": (lambda at: (at / "run.json").unlink(), "run.json is missing or damaged"),
            "a torn run.json": (lambda at: cut(at / "run.json"), "run.json is missing or damaged"),
        },
    ),
    "a sheet": Damaged(
        ASKING,
        run,
        {
            "awaiting": (nothing, "images await labels...fill the column 'label' of...labels_000000.csv"),
            "empty": (lambda at: written(at / SHEET, ""), "labels_000000.csv lacks a column"),
            "semicolons": (lambda at: edited(at / SHEET, ",", ";"), "labels_000000.csv lacks a column"),
            "no text": (lambda at: written(at / SHEET, b"\xff\xfe"), "labels_000000.csv cannot be read...UTF-8"),
            "an unknown class": (lambda at: edited(at / SHEET, ".png,", ".png,cow"), "'cow' is no class; write one of"),
            "a quote": (lambda at: edited(at / SHEET, ".png,", '.png,"1'), "labels_000000.csv cannot be read"),
            "a row twice": (lambda at: written(at / SHEET, twice(at / SHEET)), "a second time; delete one of its rows"),
            "a row too few": (lambda at: written(at / SHEET, fewer(at / SHEET)), "lacks a row for index"),
            "another index": (lambda at: edited(at / SHEET, ",images", "9,images"), "this index was not asked for"),
            "unsure of all": (lambda at: edited(at / SHEET, ".png,", ".png,unsure"), "is unsure of every image: label"),
            "a torn question": (lambda at: cut(at / "asked.json"), "asked.json is damaged: delete it"),
        },
    ),
}


def pixels(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.uint8)


def mask(at: Path, mode: str, size: tuple[int, int], value: int = 0) -> None:
    Image.new(mode, size, value).save(at / "masks" / "5.png")


def shortened(folder: Path) -> Path:
    """Leave the first cycle of a run, which then goes on."""
    first, *_ = (folder / JOURNAL).read_text().splitlines(keepends=True)
    (folder / JOURNAL).write_text(first)
    return folder


def twice(sheet: Path) -> str:
    return sheet.read_text() + sheet.read_text().splitlines(keepends=True)[-1]


def fewer(sheet: Path) -> str:
    return "".join(sheet.read_text().splitlines(keepends=True)[:-1])


@pytest.fixture
def alsuite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path / "data"))
    return started(tmp_path / "outputs", monkeypatch, capsys)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs are kept that several tests begin with."""
    return tmp_path_factory.mktemp("kept")


def test_there_are_enough() -> None:
    assert len(MISTAKES) + sum(len(group.spoilt) for group in (*DAMAGED.values(), *BEGUN.values())) >= 160


def shared(mistakes: Iterator[tuple[str, ...]] | list[str], often: int) -> list[object]:
    """Return all mistakes, of which every so many is made by `make test` and the others are slow."""
    return [m if i % often == 0 else pytest.param(m, marks=pytest.mark.slow) for i, m in enumerate(mistakes)]


def named(groups: dict[str, Damaged]) -> Iterator[tuple[str, ...]]:
    return ((group, wrong) for group, damaged in groups.items() for wrong in damaged.spoilt)


@pytest.mark.parametrize("mistake", shared([*MISTAKES], 3))
def test_a_mistake_ends_in_one_clear_line_and_leaves_nothing(alsuite: Command, tmp_path: Path, mistake: str) -> None:
    line = alsuite(*shlex.split(mistake)).line
    assert len(line) < 450
    for told in MISTAKES[mistake]:
        assert told in line
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("mistake", shared(named(DAMAGED), 8), ids="-".join)
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


@pytest.mark.parametrize("mistake", shared(named(BEGUN), 8), ids="-".join)
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
