"""Kills at random moments."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from random import Random

from processes import NEVER, Ended, Moment
from trial import State, Trial

from alsuite.files import write_text

__all__ = ["drawn", "killed"]


def killed(trial: Trial, kills: int, state: State, kept: Path) -> State:
    """Kill runs at random moments, until there were so many kills; what was counted is kept after each run."""
    while state["times"] < kills:
        aimed_at = "index" if trial.family.name == "an index" else ""
        draw = partial(drawn, Random(f"{trial.seed} {trial.family.name} {state['runs']}"), trial.ended, aimed_at)
        if trial.run(trial.fresh("killed"), state, lambda draw=draw: draw() if state["times"] < kills else NEVER):
            break
        state["seconds lost a kill"] = round((state["cpu"] - state["runs"] * trial.cpu) / max(1, state["times"]), 3)
        write_text(kept, json.dumps(state))
    return state


def drawn(random: Random, undisturbed: Ended, aimed_at: str = "") -> Moment:
    """Return a share of the undisturbed run's time, or a moment just after a file changed or a phase began."""
    if random.random() < 0.5:
        return Moment(random.uniform(0, 1.1 * undisturbed.seconds))
    if aimed_at and random.random() < 0.5:
        return Moment(600.0, later=random.uniform(0, 0.3), phase=aimed_at)
    return Moment(600.0, random.randint(1, max(1, undisturbed.changes)), random.uniform(0, 0.02))
