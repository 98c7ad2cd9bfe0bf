"""wandb mirrors the journal: accuracy, entropy, label distribution, seconds, pictures. It never ends a run.

Nothing is read back from it: a run that goes on, its figures and its verdicts know the journal alone. Whatever goes
wrong with it is told once, and the run goes on without it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from alsuite.errors import UserError
from alsuite.journal import Record
from alsuite.pool import Pool, gather
from alsuite.recorded import Options
from alsuite.strategies import Query
from alsuite.training import once

__all__ = ["Tracker", "log_training", "scalars"]


class Tracker:
    """A run's mirror in wandb, if it has one.

    run: wandb's own; None where it is disabled, or has failed
    """

    def __init__(self, mode: str, folder: Path, about: Options) -> None:
        """Start a run in wandb, unless it is disabled.

        Arguments:
            mode: offline (written below the folder), online or disabled
            folder: the run's, whose name it gets
            about: what the run is; wandb shows its `config`
        """
        if mode not in ("offline", "online", "disabled"):
            raise UserError(f"wandb={mode} is unknown: choose offline, online or disabled")
        self.run: Any = None
        if mode != "disabled":
            self._safely(lambda: self._start(mode, folder, about))

    def cycle(self, record: Record, pool: Pool, query: Query | None) -> None:
        """Send a cycle's numbers, and the first images that were queried."""
        if self.run is not None:
            self._safely(lambda: self.run.log({**scalars(record), **self._pictures(pool, query)}))

    def finish(self) -> None:
        if self.run is not None:
            self._safely(self.run.finish)

    def _start(self, mode: str, folder: Path, about: Options) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        settings = wandb.Settings(init_timeout=30, silent=True, console="off", x_disable_stats=True)
        config, name = dict(about["config"]), folder.name
        self.run = wandb.init(
            project="alsuite",
            group=config["experiment"],
            name=name,
            dir=folder,
            config=config,
            mode=mode,  # type: ignore[arg-type]
            settings=settings,
        )
        self.run.define_metric("*", step_metric="cycle")
        once.followers[:] = [log_training]

    def _pictures(self, pool: Pool, query: Query | None) -> dict[str, object]:
        """Return the first images of a query with what the oracle said of each."""
        import wandb

        if query is None:
            return {}
        images = pool.images[query.indices[:16]].permute(0, 2, 3, 1).cpu().numpy()
        labels = gather(pool.labels, query.indices[:16].to(pool.labels.device))
        shown = zip(images, labels, strict=True)
        return {"queried": [wandb.Image(image.squeeze(), **_told(label)) for image, label in shown]}

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


def _told(label: Tensor) -> dict[str, Any]:
    """Say what an image shows: its class as a caption, those of its pixels as a mask."""
    return {"masks": {"label": {"mask_data": label.numpy()}}} if label.ndim else {"caption": str(label.item())}


def log_training(name: str, values: Mapping[str, float], picture: Path) -> None:
    """Send how far a generative model is that a run's strategy trains, if wandb follows that run.

    Arguments:
        name: the model's
        values: its losses and what else is measured, `iteration` among them
        picture: the file of its latest samples
    """
    run = getattr(sys.modules.get("wandb"), "run", None)
    if run is None:
        return
    with contextlib.suppress(Exception):
        import wandb

        run.define_metric(f"{name}/*", step_metric=f"{name}/iteration")
        image = {"samples": wandb.Image(str(picture))}
        run.log({f"{name}/{key}": value for key, value in {**values, **image}.items()})


def scalars(record: Record) -> dict[str, float]:
    """Return what a dashboard plots of a cycle: each number by a name that groups it, as in `seconds/fit`."""
    values = {
        "cycle": record["cycle"],
        "labelled": record["labelled"],
        "seconds/fit": record["fit_seconds"],
        "seconds/query": record["query_seconds"],
    }
    for test, measured in record["metrics"].items():
        values |= {f"{test}/{name}": value for name, value in measured.items() if isinstance(value, float)}
    values |= {f"labels/{label}": count for label, count in enumerate(record["label_counts"])}
    if record["queried"]:
        values["queried/entropy"] = record["queried"]["entropy"]
        values |= {
            f"queried/{name}": value
            for name, value in record["queried"]["notes"].items()
            if isinstance(value, int | float)
        }
    return values
