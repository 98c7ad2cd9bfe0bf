"""What a command does around its runs: before them it finds those left to do, after them it shows what there is.

Neither needs torch, which takes seconds to import: a command whose runs are all there draws them at once.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, suppress
from itertools import count
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from alsuite.command.complaints import mendable
from alsuite.command.job import Job
from alsuite.command.progress import Progress
from alsuite.errors import AwaitingLabels, UserError, reason
from alsuite.files import lock_of, unlock
from alsuite.recorded import BY_HAND, changed, ended_as

__all__ = ["finish", "handed_over", "left_to_do", "set_aside"]


def left_to_do(jobs: Sequence[Job], progress: Progress) -> list[int]:
    """Return the places of the jobs that are to be run: those not finished, with again=true all.

    A job whose folder holds a run of other code or data is refused, since its numbers would be mixed with other ones;
    with again=true the old run is set aside. All are looked at before any is, so that a refusal leaves all as they
    were.
    """
    again = [_again(job) for job in jobs]
    changes = [_barring(job, progress) for job in jobs]
    if refused := [place for place, change in enumerate(changes) if change and not again[place]]:
        raise UserError(_refusal(jobs, refused, changes[refused[0]]))
    done = [ended_as(job.folder, job.about) for job in jobs]
    anew = [place for place in range(len(jobs)) if again[place] and (done[place] or changes[place])]
    set_aside([jobs[place].folder for place in anew])
    done = [is_done and place not in anew for place, is_done in enumerate(done)]
    if anew:
        progress.say(f"{len(anew)} of {len(jobs)} runs start anew; to resume after a stop, drop again=true")
    if any(done):
        progress.say(f"{sum(done)} of {len(jobs)} runs are finished already: {jobs[0].folder.parent}")
    return [place for place, is_done in enumerate(done) if not is_done]


def _again(job: Job) -> bool:
    """Return whether the job is to be run anew."""
    if not isinstance(again := job.config["again"], bool):
        raise UserError(f"again={again} is neither true nor false: with true finished runs are made anew")
    return again


def _barring(job: Job, progress: Progress) -> str:
    """Say what about a job's run isn't as it would be now and keeps it from going on; "" if nothing.

    What doesn't bar it, changed code where a person labels, is only told of, unless all is to be run anew.
    """
    what, bars = changed(job.folder, job.about)
    if not what or bars or job.config["again"]:
        return what
    on = "" if ended_as(job.folder, job.about) else ", and it goes on"
    progress.say(f"{job.folder}: {what}; its labels are kept{on}")
    return ""


def _refusal(jobs: Sequence[Job], refused: Sequence[int], change: str) -> str:
    """Return the line that refuses jobs whose runs were made otherwise, of which the first one's change is told."""
    first = jobs[refused[0]]
    which = first.folder if len(refused) == 1 else f"{len(refused)} of {len(jobs)} runs"
    labels = first.folder / BY_HAND
    reused = f", \"dataset.labelled='{labels}'\" starts from its labels"
    hint = reused if labels.is_dir() and "labelled" in first.config["dataset"] else ""
    return f"{which}: {change}; again=true runs anew and keeps the old beside it{hint}"


def finish(jobs: Sequence[Job]) -> None:
    """Print a table of the runs there are, and the path of the picture as the last line."""
    from alsuite import figures, results
    from alsuite.results.table import last_accuracies

    begun = [job.folder for job in jobs if (job.folder / "cycles.jsonl").exists()]
    if not begun:
        return
    config = jobs[0].config
    frame = results.of_runs(begun)
    if frame.empty:
        print(f"there are no test images to measure on; the labels: {begun[0] / BY_HAND}")
        return
    print(*filter(None, (last_accuracies(frame), config["description"])), sep="\n")
    if config["figure"]:
        for scale in dict.fromkeys(job.config["scale"]["name"] for job in jobs):
            print(_figure(jobs[0], scale))
    else:
        print(figures.draw_curves(frame, begun[0] if len(begun) == 1 else begun[0].parent))


def _figure(job: Job, scale: str) -> Path:
    """Draw the figure that a job's configuration describes, with all runs of its experiment at a scale."""
    from alsuite import claims, figures

    stem = Path(job.choices.get("experiment") or job.config["experiment"]).name
    panels = figures.panels_of(job.config["figure"], stem, job.config["experiment"])
    root = Path(job.config["root"])
    judged = claims.below_a_picture(claims.verdicts_on(stem, claims.live_runs(root, scale)))
    shown = figures.with_swept(panels, stem, job.own)
    return figures.draw(stem, scale, root, panels=shown, configuration=job.own, beneath=judged)[0]


def handed_over(launcher: Launcher, jobs: Sequence[Sequence[str]], silent: bool) -> Sequence[JobReturn]:
    """Hand the jobs to the launcher, tell which failed, and show what there is.

    Where jobs failed the process ends after the picture of the others is drawn, if there is any: with 3 if all of them
    only wait for labels, else with 1.

    Arguments:
        launcher: alsuite's own, or one of Hydra's
        jobs: the overrides of each
        silent: whether the launcher leaves it to its caller to say why jobs failed
    """
    returns = launcher.launch(jobs, initial_job_idx=0)
    errors = [each._return_value for each in returns if each.status is not JobStatus.COMPLETED]
    if errors and silent:
        print(*complaints(errors), sep="\n", file=sys.stderr)
    with suppress(UserError) if errors else nullcontext():  # what can't be drawn is the smaller complaint
        finish([Job.of(each.cfg, each.hydra_cfg.hydra) for each in returns if each.cfg is not None and each.hydra_cfg])
    if errors:
        sys.exit(3 if all(isinstance(error, AwaitingLabels) for error in errors) else 1)
    return returns


def complaints(errors: Sequence[Exception]) -> list[str]:
    """Return a line for each thing that went wrong, and in how many runs it did where these are several."""
    counts = Counter(mendable(error) or reason(error) for error in errors)
    return [f"alsuite: {text}{f' ({n} runs)' if n > 1 else ''}" for text, n in counts.items()]


def set_aside(runs: Sequence[Path]) -> list[Path]:
    """Rename the folders of runs, or none of them where another process runs in one as they are looked at.

    Each becomes the first free of <name>~1, <name>~2, ... beside it, which results leave out.
    """
    folders = [folder for folder in dict.fromkeys(runs) if folder.is_dir()]
    with ExitStack() as held:
        for folder in folders:
            held.callback(unlock, lock_of(folder))
    return [
        folder.rename(next(path for i in count(1) if not (path := folder.with_name(f"{folder.name}~{i}")).exists()))
        for folder in folders
    ]
