"""wandb mirrors the journal: accuracy, entropy, label distribution, seconds, losses, pictures. It never ends a run.

Nothing is read back from it: a run that goes on, its figures and its verdicts know the journal alone. Whatever goes
wrong with it is told once, and the run goes on without it.

A run is one run of wandb's, however often it was stopped: its id follows from what run.json said at first. The number
of a step follows from the cycle, so that what is sent again after a restart is what wandb has already.
"""

from __future__ import annotations

import glob
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor

from alsuite.code import digest
from alsuite.command.names import shortened
from alsuite.errors import AwaitingLabels, one_of
from alsuite.palette import picture
from alsuite.pool import Pool, gather
from alsuite.recorded import WENT_ON, Options, Record
from alsuite.strategies import Query
from alsuite.training import curves, once

__all__ = ["Tracker", "scalars"]


MODES = ("offline", "online", "disabled")
TAGGED = ("dataset", "task_model", "strategy", "scale", "protocol")  # the groups whose choices are a run's tags
STEPS = 100_000  # of wandb, for each cycle
STAGING = "WANDB_DATA_DIR"  # where pictures wait to be sent, else in the user's home
LONGEST_NAME, LONGEST_TAG = 128, 64  # that wandb takes


class Tracker:
    """A run's mirror in wandb, if it has one; to be closed as a context.

    run: wandb's own; None where it is disabled, or has failed
    followed: the trainings whose losses it is told
    """

    def __init__(self, mode: str, folder: Path, about: Options, classes: Sequence[str], begun: int = 0) -> None:
        """Start a run in wandb, or go on with it, unless it is disabled.

        Arguments:
            mode: offline (written below the folder), online or disabled
            folder: the run's, whose name it gets, with its run.json
            about: what the run is; wandb shows its `config` and its `choices`
            classes: their names
            begun: how many cycles are written down already
        """
        one_of("wandb", mode, MODES)
        self.run: Any = None
        self.followed = ExitStack()
        self.classes = [*classes]
        self.begun = begun
        self.step = begun * STEPS
        self.staged = False
        if mode != "disabled":
            self._safely(lambda: self._start(mode, folder, about))

    def __enter__(self) -> Self:
        if self.run is not None:
            self.followed.enter_context(curves.following(once.followers, self.pretraining))
            self.followed.enter_context(curves.following(curves.followers, self.losses))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End, as failed where something went wrong; a run that awaits labels has not failed."""
        self.followed.close()
        failed = kind is not None and not issubclass(kind, AwaitingLabels)
        if self.run is not None:
            self._safely(lambda: self.run.finish(exit_code=int(failed)))
        if self.staged:
            os.environ.pop(STAGING, None)

    def cycle(self, record: Record, pool: Pool, query: Query | None) -> None:
        """Send a cycle's numbers, a chart of what is labelled, and the first images that were queried."""
        self.begun += 1
        self.step = self.begun * STEPS - 1
        self._send(lambda: {**self._numbers(record), **self._chart(record), **self._pictures(pool, query)})

    def losses(self, name: str, share: float, values: Mapping[str, float]) -> None:
        """Send the losses of a training within a cycle.

        Arguments:
            name: what is trained
            share: how much of the training is done; beside the cycle's number it is where the losses are drawn
            values: the losses by their names
        """
        self._send(lambda: {"training/cycle": self.begun + share, **_under(f"training/{name}", values)})

    def pretraining(self, name: str, values: Mapping[str, float], picture: Path) -> None:
        """Send how far a generative model is that the run's strategy trains once.

        Arguments:
            name: the model's
            values: its losses and what else is measured, `iteration` among them
            picture: the file of its latest samples
        """

        def told() -> dict[str, object]:
            import wandb

            self.run.define_metric(f"{name}/*", step_metric=f"{name}/iteration")
            return _under(name, {**values, "samples": wandb.Image(str(picture))})

        self.step = max(self.step, self.begun * STEPS + int(values["iteration"]) // once.EVERY)
        self._send(told)

    def _send(self, told: Callable[[], Mapping[str, object]]) -> None:
        """Log something as the next step."""
        if self.run is None:
            return
        self._safely(lambda: self.run.log(told(), step=self.step))
        self.step += 1

    def _start(self, mode: str, folder: Path, about: Options) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")
        if self.staged or STAGING not in os.environ:
            self.staged, os.environ[STAGING] = True, str(folder / "wandb")
        import wandb

        settings = wandb.Settings(init_timeout=30, silent=True, console="off", x_disable_stats=True)
        config, choices = dict(about["config"]), dict(about.get("choices", {}))
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "alsuite"),
            group=config["experiment"],
            name=shortened(folder.name, LONGEST_NAME),
            id=_identity(folder),
            resume="allow",
            tags=[shortened(choices[group], LONGEST_TAG) for group in TAGGED if choices.get(group)],
            dir=folder,
            config={**config, "choices": choices},
            mode=mode,  # type: ignore[arg-type]
            settings=settings,
        )
        self.run.define_metric("training/*", step_metric="training/cycle")

    def _numbers(self, record: Record) -> dict[str, float]:
        """Return a cycle's numbers, to be drawn against how many labels there are."""
        numbers = scalars(record, self.classes)
        for group in sorted({name.partition("/")[0] for name in numbers if "/" in name}):
            self.run.define_metric(f"{group}/*", step_metric="labelled")
        return numbers

    def _chart(self, record: Record) -> dict[str, object]:
        """Return a chart of how many images of each class are labelled."""
        import pandas as pd
        import wandb

        table = wandb.Table(dataframe=pd.DataFrame({"class": self.classes, "labelled": record["label_counts"]}))
        return {"label distribution": wandb.plot.bar(table, "class", "labelled", "Label distribution")}

    def _pictures(self, pool: Pool, query: Query | None) -> dict[str, object]:
        """Return the first images of a query with what the oracle said of each."""
        import wandb

        if query is None:
            return {}
        images = map(picture, pool.rows(query.indices[:16])[:])
        labels = gather(pool.labels, query.indices[:16].to(pool.labels.device))
        shown = zip(images, labels, strict=True)
        return {"queried": [wandb.Image(image, **self._told(label)) for image, label in shown]}

    def _told(self, label: Tensor) -> dict[str, Any]:
        """Say what an image shows: its class as a caption, those of its pixels as a mask."""
        if label.ndim:
            names = dict(enumerate(self.classes))
            return {"masks": {"label": {"mask_data": label.numpy(), "class_labels": names}}}
        return {"caption": self.classes[int(label)]}

    def _safely(self, work: Callable[[], object]) -> None:
        """Do what wandb may fail at; the first failure turns it off."""
        try:
            work()
        except Exception as error:
            self.run = None
            print(
                f"wandb is off for this run ({type(error).__name__}: {error}); the journal has everything",
                file=sys.stderr,
            )


def _identity(folder: Path) -> str:
    """Return the id of a run: the same after every restart, another one where it is run anew beside the old one.

    It follows from what run.json said at first, whichever machine went on since.
    """
    older = len([*folder.parent.glob(f"{glob.escape(folder.name)}~*")])
    begun = {key: value for key, value in json.loads((folder / "run.json").read_text()).items() if key != WENT_ON}
    return digest(json.dumps(begun, indent=1).encode(), str(older).encode())


def _under(name: str, values: Mapping[str, object]) -> dict[str, object]:
    """Put a name before each key."""
    return {f"{name}/{key}": value for key, value in values.items()}


def scalars(record: Record, classes: Sequence[str]) -> dict[str, float]:
    """Return what a dashboard plots of a cycle: each number by a name that groups it, as in `seconds/fit`."""
    values = {
        "cycle": record["cycle"],
        "labelled": record["labelled"],
        "seconds/fit": record["fit_seconds"],
        "seconds/query": record["query_seconds"],
    }
    for test, measured in record["metrics"].items():
        values |= {f"{test}/{name}": value for name, value in measured.items() if isinstance(value, float)}
    values |= {f"labels/{name}": count for name, count in zip(classes, record["label_counts"], strict=True)}
    if record["queried"]:
        values["queried/entropy"] = record["queried"]["entropy"]
        values |= {
            f"queried/{name}": value
            for name, value in record["queried"]["notes"].items()
            if isinstance(value, int | float)
        }
    return values
