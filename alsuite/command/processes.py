"""Runs side by side, a process each. On a CPU a core with one thread takes a run; on a GPU as many run together as its
memory holds, judged by what the first ones use."""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from alsuite.command.job import Job
from alsuite.command.progress import Progress
from alsuite.errors import AwaitingLabels, UserError

__all__ = ["launched", "side_by_side"]

GPU = Path("/dev/nvidiactl")
PRELOADED = ["alsuite.command.run", "alsuite.tasks.classification", "alsuite.nets.classifiers"]
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
SHARE = 0.85  # of a GPU's memory


def launched(
    loader: ConfigLoader, master: DictConfig, overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """What Hydra's launchers return of each job; all configurations are read before the first run starts."""
    from alsuite.command.run import execute, left_to_do

    setup_globals()
    with Progress() as progress:
        returns, jobs = [], []
        for number, its in enumerate(overrides):
            progress.reading(number, len(overrides))
            returns.append(_composed(loader, master, its, first + number))
            jobs.append(Job.of(returns[-1].cfg, returns[-1].hydra_cfg.hydra))
        to_do = left_to_do(jobs, progress)
        progress.runs([jobs[number].name for number in to_do])
        errors: dict[int, Exception] = {}
        if len(jobs) == 1 and to_do:
            execute(jobs[0], progress)
        elif to_do:
            errors = side_by_side([jobs[number] for number in to_do], jobs[0].config["parallel"], progress)
    for place, error in errors.items():
        _fail(returns[to_do[place]], error)
    for each, job in zip(returns, jobs, strict=True):
        if each.status is JobStatus.UNKNOWN:
            each.status, each.return_value = JobStatus.COMPLETED, job.accuracy()
    return returns


def _fail(job: JobReturn, error: Exception) -> None:
    job.status, job.return_value = JobStatus.FAILED, error


def _composed(loader: ConfigLoader, master: DictConfig, overrides: Sequence[str], number: int) -> JobReturn:
    """A job's configuration, as Hydra's own launchers make it."""
    config = loader.load_sweep_config(master, [*overrides])
    with open_dict(config.hydra), read_write(config.hydra), read_write(config.hydra.runtime):
        config.hydra.job.id = str(number)
        config.hydra.job.num = number
        HydraConfig.instance().set_config(config)
        config.hydra.runtime.output_dir = os.path.abspath(f"{config.hydra.sweep.dir}/{config.hydra.sweep.subdir}")
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    return JobReturn([*overrides], own, OmegaConf.masked_copy(config, ["hydra"]))


def side_by_side(jobs: Sequence[Job], parallel: object, progress: Progress) -> dict[int, Exception]:
    """Run all, and return why some ended early; a run that fails says why in one line and the others go on."""
    slots = _slots(parallel)
    os.environ.update(dict.fromkeys(THREADS, "1"))
    context: Any = mp.get_context("forkserver" if "forkserver" in mp.get_all_start_methods() else "spawn")
    context.set_forkserver_preload(PRELOADED)
    waiting = list(enumerate(jobs))
    running: dict[Connection, tuple[int, Any]] = {}
    errors: dict[int, Exception] = {}
    room = 1 if GPU.exists() else sys.maxsize  # until a first run tells what it needs
    while waiting or running:
        while waiting and len(running) < max(1, min(slots, room)):
            number, job = waiting.pop(0)
            connection, process = _started(context, job)
            running[connection] = (number, process)
        for connection in wait([*running]):
            assert isinstance(connection, Connection)
            number, process = running[connection]
            try:
                kind, *told = connection.recv()
            except EOFError:
                process.join()
                _end(number, process.exitcode, errors, progress)
                del running[connection]
                continue
            if kind == "error":
                errors[number] = told[0]
            else:
                record, cycles, old, held = told
                progress.cycle(number, record, cycles, old)
                room = max(1, int(SHARE / (held + 0.005))) if held else sys.maxsize
    return errors


def _slots(parallel: object) -> int:
    if isinstance(parallel, int) and not isinstance(parallel, bool) and parallel > 0:
        return parallel
    if parallel != "auto":
        raise UserError(f"parallel={parallel} is no number of runs: give one from 1, or auto")
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _started(context: Any, job: Job) -> tuple[Connection, Any]:
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(job, theirs), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def _end(number: int, status: int | None, errors: dict[int, Exception], progress: Progress) -> None:
    if status == 0:
        progress.ended(number, None)
        return
    error = errors.setdefault(number, UserError(f"it was killed (status {status}); start the same command again"))
    tell = progress.waiting if isinstance(error, AwaitingLabels) else progress.ended
    tell(number, str(error))


def _child(job: Job, parent: Connection) -> None:
    import torch

    from alsuite.command.run import execute

    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as tempfile.tempdir:  # no exit function runs here
            execute(job, _Told(parent))
    except UserError as error:
        parent.send(("error", error))
        sys.exit(2)
    except Exception:
        parent.send(("error", UserError(unexpected(job.folder))))
        sys.exit(1)


class _Told:
    """What a child tells of its cycles, to the process that shows them."""

    def __init__(self, parent: Connection) -> None:
        self.parent = parent

    def cycle(self, number: int, record: dict[str, Any], cycles: int, old: bool) -> None:
        import torch

        held = torch.cuda.max_memory_reserved() / torch.cuda.mem_get_info()[1] if torch.cuda.is_available() else 0.0
        self.parent.send(("cycle", record, cycles, old, held))

    def print(self, text: str) -> None:
        """Keep silent: the sweep's own lines say what runs."""


def unexpected(folder: Path) -> str:
    """The last line of the error that is being handled, whose trace is kept in the run's folder."""
    text = traceback.format_exc()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "error.txt").write_text(text)
    return f"{text.splitlines()[-1]} (see {folder / 'error.txt'})"


def _end_with_parent() -> None:
    """So that a killed sweep can be started again at once: the run's journal is whole at any moment."""
    parent = mp.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
