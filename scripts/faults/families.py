"""Small runs of every family, as a start of them is given its work."""

from __future__ import annotations

import importlib
import json
import sys
import time
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

from person import answered, filled
from processes import POLL

from alsuite import __main__
from alsuite.command import identity
from alsuite.command.around import left_to_do
from alsuite.command.complaints import complaining
from alsuite.command.job import Job, ours
from alsuite.command.run import execute
from alsuite.command.sweeps import Composer, loader
from alsuite.data.digits import digits

__all__ = ["FAMILIES", "HEAVY", "LOOKED_AT", "Family"]

SMOKE = ("scale=smoke", "wandb=disabled", "device=cpu", "parallel=1", "scale.cycles=4")
COUNTS = ("budget.initial=20", "budget.query=10", "budget.end=50")
DIGITS = (*SMOKE, "dataset=digits", "task_model=linear", *COUNTS)
MNIST57 = (*SMOKE, "dataset=mnist57", "dataset.validation=0", "scale.gan_steps=15", *COUNTS[:2], "budget.end=40")
LARGE = ("strategy.index.kind=ivf", "enlarge=20000")
PHOTOS = (*SMOKE, "dataset=folder", "dataset.path=DATA/photos", "dataset.size=16", "task_model=linear")
FAMILIES = {
    "entropy": ("strategy=entropy", *DIGITS),
    "a sheet": ("strategy=entropy", *DIGITS, "oracle=human"),
    "ASAL": ("strategy=asal", *MNIST57, "oracle=annotator", "generator=dcgan", "features=gray"),
    "an index": ("strategy=asal", *MNIST57, "generator=dcgan", "features=gray", *LARGE),
    "GAAL": ("strategy=gaal", *MNIST57, "oracle=annotator", "generator=dcgan"),
    "the page": ("strategy=entropy", *DIGITS, "oracle=human", "ui=page"),
    "core-set": ("strategy=coreset", *DIGITS),
    "VAAL": ("strategy=vaal", *DIGITS),
    "photos": ("strategy=entropy", *PHOTOS, *COUNTS),
    "AALU": ("strategy=aalu", *DIGITS),
    "masks": ("strategy=entropy", *SMOKE, "dataset=folder_masks", "dataset.path=DATA/mine", *COUNTS),
    "M2-VAAL": ("strategy=m2_vaal", *SMOKE, "dataset=mnist", *COUNTS),
    "the whole command": ("strategy=margin", *DIGITS),
    "BADGE": ("strategy=badge", *DIGITS),
    "ensemble": ("strategy=ensemble", *DIGITS),
    "ActiveGAN": ("strategy=active_gan", *DIGITS),
}
HEAVY = ("ASAL", "GAAL", "VAAL", "the whole command")  # of which a kill takes seconds: they get a quarter as many
LOOKED_AT = {"photos": "photos/*/*.png", "masks": "mine/*/*.png", "M2-VAAL": "mnist/train_*.npy"}  # by each start


@dataclass(frozen=True)
class Family:
    """Runs of one kind.

    options: of the command line
    job: what a start is given, below a folder that is called ROOT; None starts the command itself
    targets: what a person answers; empty where nobody is asked
    """

    name: str
    options: tuple[str, ...]
    job: Job | None
    targets: tuple[int, ...] = ()

    @classmethod
    def of(cls, name: str, home: Path) -> Family:
        """Compose a family's configuration, and import what it names."""
        options = tuple(option.replace("DATA", str(home)) for option in FAMILIES[name])
        composer = Composer(loader(None))
        config = composer(composer.with_paper([*options, "root=ROOT"]))
        config.hydra.runtime.output_dir = "ROOT/run"
        job = Job.of(ours(config), config.hydra)
        for module in job.about["code"]:
            importlib.import_module(module)
        asked = "oracle=human" in options
        targets = tuple(digits().subset(500, 200).train.targets.tolist()) if asked else ()
        return cls(name, options, None if name == "the whole command" else job, targets)

    def work(self, root: Path) -> None:
        """Run to the end, or go on, as the command does."""
        if self.job is None:
            sys.argv = ["alsuite", *self.options, f"root={root}"]
            __main__.main()
            return
        job = replace(self.job, config=moved(self.job.config, root), folder=root / "run")
        if self.name in LOOKED_AT:
            identity._checksum.cache_clear()
        else:
            job.__dict__["about"] = self.job.about
        with complaining():
            if left_to_do([job], Quiet()):  # type: ignore[arg-type]
                execute(job, Quiet())

    def answer(self, root: Path) -> None:
        """Fill in the sheet that waits, an answer at a time, and note each that has been kept."""
        filled(max((root / "run" / "queries").glob("labels_*.csv")), self.targets, root)

    def visit(self, root: Path) -> None:
        """Answer on the page, and note each answer that it has taken."""
        while True:
            try:
                kept = json.loads((root / "run" / "queries" / "page.json").read_text())
                answered(kept["port"], kept["token"], self.targets, root)
            except (OSError, ValueError, HTTPException):
                time.sleep(POLL)


def moved(tree: Any, root: Path) -> Any:
    """Return a configuration whose folders lie below a root."""
    if isinstance(tree, dict):
        return {key: moved(value, root) for key, value in tree.items()}
    return tree.replace("ROOT", str(root)) if isinstance(tree, str) else tree


class Quiet:
    """Shows nothing."""

    def __call__(self, record: object, cycles: int, old: bool) -> None: ...

    def say(self, text: str) -> None: ...
