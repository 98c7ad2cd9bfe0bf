"""Wrong inputs: each ends in one line that says what to do, without a traceback, and leaves nothing behind."""

import shlex
from pathlib import Path

import pytest

from helpers.commands import Command, started

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
    "strategi=vaal": ["there is no option strategi", "did you mean strategy"],
    "strategy.lrr=1": ["there is no option strategy.lrr"],
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
    "seed=0,1": ["seed=0,1 lists several values", "-m"],
    "seed=0 seed=1": ["seed is given twice"],
    "--nope": ["--nope", "--help"],
    "--cfg nope": ["--cfg", "job"],
    "-cd /nonexistent": ["no folder /nonexistent"],
    "strategy=random -cd /nonexistent dataset=digits": ["no folder /nonexistent"],
    "--config-name=other": ["no other.yaml"],
    "hydra/launcher=rayy": ["hydra/launcher=rayy", "processes", "alsuite[launchers]"],
    "-m strategy=random,margin hydra/sweeper=optunaa": ["hydra/sweeper=optunaa", "alsuite[launchers]"],
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
    "budget.initial=2000": ["exceeds the pool", "lower budget.end"],
    "scale.pool=null budget.end=1438": ["end 1,438", "pool of 1,437 images", "lower budget.end"],
    "scale.pool=1": ["exceeds the pool", "lower budget.end"],
    "scale.test=0": ["subset of 0 images"],
    "scale.cycles=0": ["scale.cycles=0"],
    "enlarge=0": ["enlarge=0"],
    "enlarge=abc": ["enlarge=abc"],
    "task_model.lr=abc": ["task_model.lr=abc", "above 0"],
    "task_model.lr=-1": ["task_model.lr=-1", "above 0"],
    "task_model.lr=1e6": ["task_model.lr=1000000", "at the most"],
    "task_model.lr=1e38": ["task_model.lr"],
    "task_model.batch=0": ["task_model.batch=0", "above 0"],
    "task_model.batch=1.5": ["task_model.batch=1.5", "whole number"],
    "task_model.epochs=0": ["task_model.epochs=0", "above 0"],
    "task_model.net.dropout=3": ["dropout=3", "between 0 and 1"],
    "task_model.net.dropout=-1": ["dropout=-1", "between 0 and 1"],
    "task_model.optimiser=adamm": ["optimiser=adamm", "choose one of adam"],
    "task_model.loss=mse": ["task_model.loss=mse", "cross_entropy"],
    "oracle=noisy oracle.flip=2": ["oracle.flip=2", "between 0 and 1"],
    "initial=biased initial.missing=99": ["initial.missing=99", "0 to 9"],
    "strategy=vaal strategy.adversarial=abc": ["adversarial=abc"],
    "strategy=vaal strategy.kl_reduction=mean2": ["kl_reduction=mean2", "elbo"],
    # what does not go together
    "task_model.loss=hinge": ["hinge needs two classes", "cross_entropy"],
    "task_model=allcnn": ["allcnn", "take task_model=linear"],
    "strategy=mc_dropout": ["dropout", "task_model=vgg16"],
    "strategy=ta_vaal task_model=svm_vgg": ["Ranked missing", "'net'"],
    "protocol=fair task_model=svm_vgg": ["no recipe for this task model", "protocol=paper"],
    "strategy=vaal generator=dcgan": ["needs a VAE", "generator=vae"],
    "strategy=m2_vaal task_model=linear": ["task_model=m2"],
    # data
    "dataset=folder": ["dataset.path has no value"],
    "dataset=folder dataset.path=/nonexistent": ["dataset.path=/nonexistent", "folder of images per class"],
    "dataset=folder dataset.path=/etc/passwd": ["dataset.path=/etc/passwd", "folder of images per class"],
    "dataset.classes=[1,99]": ["no class 99", "0..9"],
    "dataset.classes=[cat,dog]": ["cat"],
    # places
    "root=/proc/nope": ["/proc/nope"],
}


@pytest.fixture
def alsuite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return started(tmp_path / "outputs", monkeypatch, capsys)


def test_there_are_sixty() -> None:
    assert len(MISTAKES) >= 60


def shared() -> list[object]:
    """Return all mistakes, of which every third is made by `make test` and the others are slow."""
    return [m if i % 3 == 0 else pytest.param(m, marks=pytest.mark.slow) for i, m in enumerate(MISTAKES)]


@pytest.mark.parametrize("mistake", shared())
def test_a_mistake_ends_in_one_clear_line_and_leaves_nothing(alsuite: Command, tmp_path: Path, mistake: str) -> None:
    line = alsuite(*shlex.split(mistake)).line
    assert len(line) < 450
    for told in MISTAKES[mistake]:
        assert told in line
    assert [*tmp_path.iterdir()] == []
