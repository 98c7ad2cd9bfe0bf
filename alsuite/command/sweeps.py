"""Which runs a command line asks for: an experiment's sweeps, narrowed by what the command line gives.

An experiment lists sweeps: options, each with its values. The command line gives options, too, each with one value or
several. What both have is cut to the common values, so that `make vaal_fig2_cifar10` with `strategy=random` runs the
figure's random runs alone; what only one has is taken as it stands. Of several values each is run as it is alone.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import product
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import create_automatic_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig
from yaml import MarkedYAMLError, YAMLError

from alsuite import CONF
from alsuite.command.given import check_unswept
from alsuite.command.job import limited, own_limits
from alsuite.command.names import experiment_of
from alsuite.command.narrowing import Sweep, narrowed
from alsuite.command.papers import completed, disputed, key_of, parsed
from alsuite.errors import UserError, is_whole, reason, whole_if_given
from alsuite.places import check_folder

__all__ = ["Composer", "expanded", "jobs_of", "lines_of", "loader", "swept_here"]

SETTLING = ("experiment", "scale", "strategy", "dataset", "paper", "hydra.searchpath")  # decide which settings join
CHOSEN = ("dataset.", "task_model.", "budget.", "strategy.", "generator.", "features.", "oracle.")  # of a choice


def loader(directory: str | None) -> ConfigLoader:
    """Return what finds the configuration's files, in a directory of the user's own first."""
    path = create_automatic_config_search_path(None, None, str(CONF))
    if directory:
        check_folder(Path(directory))
        path.prepend("command-line", f"file://{os.path.abspath(directory)}", SearchPathQuery(provider="schema"))
    return ConfigLoaderImpl(path)


class Composer:
    """Configurations as the command line composes them, with what it says to Hydra itself.

    loader: Hydra's own, which finds and merges the files
    for_hydra: overrides of Hydra's own options, which each composition gets
    known: what was composed already, by the overrides that decide it
    """

    def __init__(self, loader: ConfigLoader, for_hydra: Sequence[str] = ()) -> None:
        self.loader = loader
        self.for_hydra = [*for_hydra]
        self.known: dict[tuple[str, ...], DictConfig] = {}

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """Return the whole configuration, Hydra's own node included, that overrides lead to."""
        try:
            return self.loader.load_configuration("config", [*self.for_hydra, *overrides], run_mode=RunMode.RUN)
        except MarkedYAMLError as error:
            where = error.problem_mark and f"{error.problem_mark.name}, line {error.problem_mark.line + 1}"
            raise UserError(f"{where or 'a yaml file'} is no yaml: {error.problem}; mend it there") from None
        except (YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"a yaml file is no text in UTF-8 ({reason(error)}): save it as such") from None
        except RecursionError:
            raise UserError(f"the defaults behind {' '.join(overrides)} lead in a circle: take one out") from None

    def settled(self, overrides: Sequence[str]) -> tuple[DictConfig, Mapping[str, str]]:
        """Return the configuration and its groups' choices, as far as the overrides of `SETTLING` decide them.

        These are few among the jobs of a sweep, and a composition takes long: each is done once.
        """
        given = [(key_of(one), str(one.input_line)) for one in parsed(overrides)]
        deciding = tuple(line for key, line in given if key in SETTLING or key.startswith("scale."))
        if deciding not in self.known:
            self.known[deciding] = self([*deciding])
        config = self.known[deciding]
        return config, config.hydra.runtime.choices

    def with_paper(self, overrides: Sequence[str], apart: Collection[tuple[str, str]] = ()) -> list[str]:
        """Return the overrides, and those of the strategy's paper, and of the scale, on the data set."""
        return completed(overrides, self.settled, apart)


def swept_here(overrides: Sequence[str]) -> bool:
    """Tell whether alsuite's own sweeper makes the jobs, not one of Hydra's that was chosen in its place."""
    sweepers = [one.value() for one in parsed(overrides) if one.key_or_group == "hydra/sweeper"]
    return sweepers in ([], ["alsuite"])


def expanded(overrides: Sequence[str]) -> list[list[str]]:
    """Return a list of overrides for each combination of the values that they list."""
    return BasicSweeper.split_arguments(parsed(overrides), max_batch_size=None)[0]


def jobs_of(arguments: Sequence[str], composer: Composer) -> list[list[str]]:
    """Return the overrides of each run: of the experiment's sweeps, and of those that its figure draws on."""
    found = [job for line in lines_of(arguments, composer) for job in expanded(line)]
    if not found:
        raise UserError("the command line leaves no run of this experiment: give fewer options")
    unlike = [*{frozenset(job): job for job in found}.values()]  # in one folder each
    for job in unlike:
        _check_options(job, composer)
    apart = disputed(unlike, composer.settled)
    return [composer.with_paper(job, apart) for job in unlike]


def _check_options(job: Sequence[str], composer: Composer) -> None:
    """Refuse an option that the job's strategy or data set does not have, which Hydra tells without naming these."""
    config, choices = composer.settled(job)
    for one in parsed(job):
        group, _, name = one.get_key_element().partition(".")
        if group not in choices or group not in SETTLING or not name:
            continue
        have = [*map(str, config[group])]  # what has no value yet, too, of which a configuration says that it isn't in
        if name.split(".")[0] not in have:
            have = sorted(key for key in have if not key.startswith("_"))
            near = get_close_matches(name, have, cutoff=0.6) or have
            hint = f"it has {', '.join(near) or 'none'}, and +{group}.{name}=... gives one to a class of yours"
            raise UserError(f"{group}={choices[group]} has no option {group}.{name}: {hint}")


def lines_of(arguments: Sequence[str], composer: Composer) -> list[list[str]]:
    """Return a command line for each sweep, whose options list values."""
    return [line for its in _experiments(arguments, composer) for line in _sweeps(its, composer)]


def _experiments(arguments: Sequence[str], composer: Composer) -> Iterable[list[str]]:
    """Yield the command line, and the same for each other experiment whose runs the figure shows."""
    yield [*arguments]
    config = composer(_plain(arguments))
    own = experiment_of(config, config.hydra.runtime.choices)
    drawn = dict.fromkeys(one.get("experiment", own) for panel in config.figure or [] for one in _mentioning(panel))
    others = [str(one.input_line) for one in parsed(arguments) if one.key_or_group != "experiment"]
    runs = composer.loader.get_group_options("experiment/runs")
    for name in drawn:
        if name != own:
            yield [*others, f"experiment={'runs/' if name in runs else ''}{name}"]


def _mentioning(panel: DictConfig) -> list[DictConfig]:
    """Return the parts of a panel that may name an experiment: itself, and each of what a `for_each` lists."""
    each = panel.get("for_each")
    return [panel, *each] if isinstance(each, ListConfig) else [panel]


def _sweeps(arguments: Sequence[str], composer: Composer) -> list[list[str]]:
    """Return a command line for each of the experiment's sweeps; the command line itself where it lists none.

    Each of several scales has its own number of seeds.
    """
    scales = next((_values(one) for one in parsed(arguments) if key_of(one) == "scale"), [])
    if len(scales) > 1:
        others = [str(one.input_line) for one in parsed(arguments) if key_of(one) != "scale"]
        return [line for scale in scales for line in _sweeps([*others, f"scale={scale}"], composer)]
    config = composer(_plain(arguments))
    if not config.sweeps:
        check_unswept(arguments)
        return [[*arguments]]
    given = {key_of(one): _values(one) for one in parsed(arguments)}
    if not isinstance(config.sweeps, ListConfig) or not all(isinstance(sweep, DictConfig) for sweep in config.sweeps):
        raise UserError("sweeps is no list of options with their values: see conf/experiment for examples")
    listed = [_sweep(sweep) for sweep in config.sweeps]
    seeds = {} if "seed" in given else {"seed": [str(seed) for seed in range(_seeds(config, arguments))]}
    each = _one_by_one({key: values for key, values in given.items() if any(key in sweep for sweep in listed)})
    return [
        _line({**seeds, **alone, **sweep}, arguments)
        for alone in each
        for sweep in narrowed(listed, {**given, **alone})
    ]


def _one_by_one(given: Sweep) -> list[Sweep]:
    """Return the combinations of the values that are given."""
    return [{key: [value] for key, value in zip(given, values, strict=True)} for values in product(*given.values())]


def _line(sweep: Sweep, arguments: Sequence[str]) -> list[str]:
    """Return the command line of a sweep: its own options, and of those that were given what it does not have."""
    ours = [f"{key}={','.join(values)}" for key, values in sweep.items()]
    return [*ours, *(str(one.input_line) for one in parsed(arguments) if key_of(one) not in sweep)]


def _plain(arguments: Sequence[str]) -> list[str]:
    """Return the overrides that tell which experiment it is, with the first of the values that one lists.

    Options of a group, as in `strategy.alpha`, are left out: a sweep may choose what has them.
    """
    if not (jobs := expanded(arguments)):
        raise UserError("an option of the command line lists no value: give it one")
    return [line for line in jobs[0] if not key_of(*parsed([line])).startswith(CHOSEN)]


def _seeds(config: DictConfig, arguments: Sequence[str]) -> int:
    """Return how many seeds an experiment is run with: what is given, else its number at the scale, which may be more
    than a paper's, else its own or the scale's, whichever is fewer."""
    own = config.seeds
    if not is_whole(own):
        raise UserError(f"seeds={own} is no number of seeds: give one from 1, or list them as seed=0,1")
    most = limited(config, arguments)["seeds"]
    whole_if_given("scale.", seeds=most)
    if most is None or any(key_of(one) == "seeds" for one in parsed(arguments)):
        return own
    return most if most == own_limits(config).get("seeds") else min(own, most)


def _sweep(options: DictConfig) -> Sweep:
    """Return a sweep as the configuration lists it, with its values as the command line would write them."""
    return {one.get_key_element(): _values(one) for one in parsed([f"{key}={value}" for key, value in options.items()])}


def _values(override: Override) -> list[str]:
    if override.is_sweep_override():
        return [str(value) for value in override.sweep_string_iterator()]
    return [override.get_value_element_as_str()]
