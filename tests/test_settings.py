"""The settings of the papers: each row says where they stand, and is compared with what a command composes.

A command is of a strategy and a data set, which takes what the strategy's paper used there, or of an experiment, all of
whose runs must have the values. Beside options and choices of groups, a row may hold what follows from both:
`pool`, the images that a query chooses among, and the budget in labels. The last rows are of no paper.
"""

from __future__ import annotations

from typing import Any

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from alsuite.command.sweeps import Composer, jobs_of
from alsuite.data.segmentation import SIDE
from helpers.configs import HELD, TRAIN_IMAGES, composed, composer
from helpers.settings import COUNTS, aalu, active_gan, asal, chosen, m2vaal, vaal

ROWS = [*vaal.ROWS, *aalu.ROWS, *m2vaal.ROWS, *asal.ROWS, *active_gan.ROWS, *chosen.ROWS]


@pytest.fixture(scope="module")
def compose() -> Composer:
    return composer()


def value(config: DictConfig, key: str) -> Any:
    """Return an option, the choice of a group, or what follows from both."""
    choices = config.hydra.runtime.choices
    if key in COUNTS:
        return counted(config, choices["dataset"])[key]
    found = choices[key] if key in choices else OmegaConf.select(config, key)
    return OmegaConf.to_container(found) if OmegaConf.is_list(found) else found


def counted(config: DictConfig, dataset: str) -> dict[str, int]:
    held = int(config.dataset.get("validation", 0))
    held = HELD.get((dataset, held), held)
    pool = TRAIN_IMAGES[dataset] - held
    budget = instantiate(config.budget).of(pool, held=held)
    return dict(zip(COUNTS, (pool, budget.initial, budget.query, budget.end), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("command", "place", "values"), ROWS)
def test_a_command_means_the_paper(compose: Composer, command: str, place: str, values: dict[str, Any]) -> None:
    seed = [] if "seeds" in values else ["seed=0"]
    jobs = jobs_of([*command.split(), *seed], compose)
    found = [{key: value(config, key) for key in values} for config in map(compose, jobs)]
    assert all(each == values for each in found), place


@pytest.mark.parametrize("dataset", vaal.SIZES)
def test_vaal_tab2_gives_classes_and_sizes(dataset: str) -> None:
    channels, height, width, classes, _, *masks = composed("scale=smoke").scale.stand_in[dataset]
    sides = (SIDE, SIDE) if masks else (height, width)
    side = vaal.SIZES[dataset][1]
    assert (channels, classes, *sides) == (3, vaal.SIZES[dataset][0], side, side)


@pytest.mark.slow
def test_every_pair_of_the_papers_is_in_the_table(compose: Composer) -> None:
    strategies = {"vaal", "aalu", "m2_vaal", "m2_alg1", "asal", "gaal", "active_gan"}
    settled = {name: compose.settled([f"strategy={name}"])[0] for name in strategies}
    pairs = {f"strategy={name} dataset={dataset}" for name in strategies for dataset in settled[name].paper.pairs}
    assert pairs <= {command for command, *_ in ROWS}
