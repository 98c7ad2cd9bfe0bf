"""The first lines of a run: what it is, and what it costs.

Both are told before the run begins, so that one that would take days can be stopped at once.
"""

from __future__ import annotations

import torch
from hydra import compose
from hydra.conf import HydraConf
from omegaconf import DictConfig, OmegaConf

from alsuite import CONF
from alsuite.command.estimate import estimate
from alsuite.command.job import Job, as_given, processes_of
from alsuite.command.machine import tried_device
from alsuite.command.papers import of_scale
from alsuite.command.progress import Progress
from alsuite.command.setting import Parts, Setting
from alsuite.mapped import Mapped
from alsuite.recorded import ASKED, whole_lines

__all__ = ["cost", "headline", "roughly", "tell"]

SMALLER = "laptop"
DAY = 24 * 3600.0


def tell(job: Job, setting: Setting, config: DictConfig, hydra: HydraConf, progress: Progress) -> None:
    """Print what the run is, how it reads images that memory cannot hold, and about how long it takes, or
    what is left of it.

    On a CPU it tells at the paper's scale how long it takes at the laptop's, too, but where that would have to shrink
    the images first.

    At the smoke scale, which takes seconds, nothing is estimated, nor where a person has been asked and comes back.

    Arguments:
        job: the run
        setting: what it starts from
        config: the composed configuration
        hydra: Hydra's own node of it, with the groups' choices
        progress: where it is printed
    """
    device = tried_device(job.config["device"], job.config["deterministic"])
    paper, images = config.get("paper"), setting.dataset.train.images
    by = f" ({paper.authors} {paper.year})" if paper and paper.get("title") else ""
    progress.say(headline(job, setting, device, by))
    if isinstance(images, Mapped):
        size = f"{images.nbytes / 1e9:.3g} GB of images"
        progress.say(f"{size} stay in their file and are shuffled in blocks; ++dataset.shuffle=full shuffles all")
    cpu, scale = device.type == "cpu", job.config["scale"]["name"]
    if scale == "smoke" or (job.folder / ASKED).exists():
        return
    if (seconds := _seconds(job, setting, device, _done(job))) is None:
        return
    smaller = None
    if cpu and scale == "paper":
        at_scale = _at_scale(config, hydra, SMALLER)
        side = at_scale.config["scale"]["side"]
        if side is None or max(images.shape[2:]) <= side:
            its_own = Setting.of(at_scale.config, at_scale.choices, Parts.of(at_scale.config))
            smaller = _seconds(at_scale, its_own, device)
    progress.say(cost(seconds, cpu, smaller))


def headline(job: Job, setting: Setting, device: torch.device, by: str = "") -> str:
    """Tell in one line what a run is.

    Arguments:
        job: the run
        setting: what it starts from
        device: where it computes
        by: whose strategy it is
    """
    from alsuite.figures.names import name_of

    strategy, dataset, network = (name_of(group, job.choices[group]) for group in ("strategy", "dataset", "task_model"))
    budget, pool = setting.budget, len(setting.dataset.train.targets)
    start, end = int(budget.initial), int(budget.end)
    labels = f"{start:,} of {pool:,} labels"
    if end > start:
        labels = f"{start:,} to {end:,} of {pool:,} labels by {int(budget.query):,}"
    count, threads = processes_of(job.config), torch.get_num_threads()
    machine = str(device) if count == 1 else f"{count} processes on {device}"
    machine += f" ({threads} thread{'s' * (threads > 1)})" if device.type == "cpu" else ""
    seed, scale = job.config["seed"], job.config["scale"]["name"]
    return f"{strategy}{by} on {dataset}: {network}, {labels}, seed {seed}, scale={scale}, {machine}"


def cost(seconds: float, cpu: bool, smaller: float | None = None) -> str:
    """Tell how long a run takes here, and on a CPU that needs days for it what would be quicker.

    Arguments:
        seconds: about how long the run takes
        cpu: whether it runs on the CPU
        smaller: the seconds that it would take at the laptop scale, where that is known
    """
    told = f"{roughly(seconds)} on this {'CPU' if cpu else 'GPU'}"
    less = "" if smaller is None else f"; scale=laptop: {roughly(smaller)}"
    if cpu and seconds > DAY:
        return f"{told}: a GPU or scale=laptop is advisable{less}; going on"
    return told + less


def roughly(seconds: float) -> str:
    """Say a time in the unit that suits it, no more exactly than an estimate is.

    >>> roughly(50), roughly(3000), roughly(9000), roughly(400000)
    ('about 50 s', 'about 50 min', 'about 2.5 h', 'about 5 days')
    """
    for unit, size, most in (("s", 1, 90), ("min", 60, 90), ("h", 3600, 36)):
        if seconds < most * size:
            return f"about {_rounded(max(1.0, seconds / size))} {unit}"
    return f"about {_rounded(seconds / DAY)} days"


def _rounded(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if value < 3 else f"{value:.0f}"


def _at_scale(config: DictConfig, hydra: HydraConf, name: str) -> Job:
    """Return the job that the same command would have made at another scale, with the task model of that scale.

    What a strategy sets of its task model it sets of that one, too.
    """
    other, strategy = config.copy(), hydra.runtime.choices["strategy"]
    named = OmegaConf.load(CONF / "scale" / f"{name}.yaml")
    assert isinstance(named, DictConfig)
    other.scale = as_given(named, config.scale, hydra.overrides.task)
    for group, choice in of_scale(other["scale"], hydra.runtime.choices).items():
        other.merge_with({"fair": None, group: None})
        composed = compose("config", [f"strategy={strategy}", f"{group}={choice}"])
        other.fair, other[group] = composed.fair, composed[group]
    return Job.of(other, hydra)


def _done(job: Job) -> int:
    """Return how many cycles an earlier start has finished."""
    journal = job.folder / "cycles.jsonl"
    return len(whole_lines(journal)) if journal.exists() else 0


def _seconds(job: Job, setting: Setting, device: torch.device, done: int = 0) -> float | None:
    """Return about how long the job takes after some cycles, by parts of its own: a rehearsal may leave traces in them,
    such as features of which it computed only some.
    """
    parts = Parts.of(job.config)
    tests = [images for images, _ in setting.tests(device).values()]
    return estimate(setting.pool(device), parts.task_model, parts.strategy, setting.budget, tests, done)
