"""The first line of a run: what it is, and what it costs.

Both are told before the run begins, so that one that would take days can be stopped at once.
"""

from __future__ import annotations

import torch
from hydra import compose
from hydra.conf import HydraConf
from omegaconf import DictConfig, OmegaConf

from alsuite import CONF
from alsuite.command.estimate import cost, estimate, headline
from alsuite.command.job import Job, processes_of
from alsuite.command.machine import choose_device
from alsuite.command.papers import of_scale
from alsuite.command.progress import Progress
from alsuite.command.setting import Parts, Setting
from alsuite.mapped import Mapped
from alsuite.recorded import ASKED, whole_lines

__all__ = ["tell"]

SMALLER = "laptop"


def tell(config: DictConfig, hydra: HydraConf, progress: Progress) -> None:
    """Print what the run is, how it reads images that memory cannot hold, and about how long it takes, or
    what is left of it.

    On a CPU it also tells how long it takes at a smaller scale.

    At the smoke scale, which takes seconds, nothing is estimated, nor where a person has been asked and comes back.

    Arguments:
        config: the composed configuration
        hydra: Hydra's own node of it, with the groups' choices
        progress: where it is printed
    """
    from alsuite.figures.names import name_of

    job = Job.of(config, hydra)
    parts = Parts.of(job.config)
    setting = Setting.of(job.config, job.choices, parts)
    device = choose_device(job.config["device"], job.config["deterministic"])
    cpu, scale = device.type == "cpu", job.config["scale"]["name"]
    strategy, dataset, task_model = (
        name_of(group, job.choices[group]) for group in ("strategy", "dataset", "task_model")
    )
    threads, count = torch.get_num_threads() if cpu else None, processes_of(job.config)
    progress.print(
        headline(
            strategy + _paper(config),
            dataset,
            task_model,
            setting.budget,
            len(setting.dataset.train.targets),
            seed=job.config["seed"],
            scale=scale,
            device=str(device) if count == 1 else f"{count} processes on {device}",
            threads=threads,
        )
    )
    if isinstance(images := setting.dataset.train.images, Mapped):
        size = f"{images.nbytes / 1e9:.3g} GB of images"
        progress.print(f"{size} stay in their file and are shuffled in blocks; ++dataset.shuffle=full shuffles all")
    if scale == "smoke" or (job.folder / ASKED).exists() or (seconds := _seconds(job, device, _done(job))) is None:
        return
    smaller = _seconds(_at_scale(config, hydra, SMALLER), device) if cpu and scale == "paper" else None
    progress.print(cost(seconds, cpu, smaller))


def _paper(config: DictConfig) -> str:
    """Name the authors and the year of the strategy's paper, if it has one."""
    paper = config.get("paper")
    return f" ({paper.authors} {paper.year})" if paper and paper.get("title") else ""


def _at_scale(config: DictConfig, hydra: HydraConf, name: str) -> Job:
    """Return the job that the same command would have made at another scale, with the task model of that scale."""
    other = config.copy()
    other.scale = OmegaConf.load(CONF / "scale" / f"{name}.yaml")
    for group, choice in of_scale(other["scale"], hydra.runtime.choices).items():
        other.merge_with({"fair": None, group: None})
        composed = compose("config", [f"{group}={choice}"])
        other.fair, other[group] = composed.fair, composed[group]
    return Job.of(other, hydra)


def _done(job: Job) -> int:
    """Return how many cycles an earlier start has finished."""
    journal = job.folder / "cycles.jsonl"
    return len(whole_lines(journal)) if journal.exists() else 0


def _seconds(job: Job, device: torch.device, done: int = 0) -> float | None:
    """Return about how long the job takes after some cycles, from parts of its own, so that the run's are untouched."""
    parts = Parts.of(job.config)
    setting = Setting.of(job.config, job.choices, parts)
    tests = [images for images, _ in setting.tests(device).values()]
    return estimate(setting.pool(device), parts.task_model, parts.strategy, setting.budget, tests, done)
