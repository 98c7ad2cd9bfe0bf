"""What a strategy's paper used on a data set joins the options of a command line, unless these say otherwise.

So does the task model that a reduced scale puts in the place of deep ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from alsuite.recorded import Options

__all__ = ["Pairs", "beyond_the_paper", "completed", "disputed", "key_of", "of_scale", "parsed"]

Pairs = Mapping[str, Mapping[str, object]]  # data set -> options with their values
Settled = Callable[[Sequence[str]], tuple[DictConfig, Mapping[str, str]]]
SETTING = ("dataset", "task_model", "initial", "budget", "oracle")  # an experiment's own, alike for all its strategies
RECIPE = ("dataset.", "task_model.")  # a paper's own pool and training, which no fair comparison takes
OF_DATA = ("task_model", "initial", "budget")  # a data set brings them, also one that is only measured on
OTHER_TESTS = "dataset@dataset.extra_tests."
SEVERAL = "several"  # stands for the values that a sweep lists
SWEPT = ("strategy", "dataset")  # a pair of these is settled only when a sweep is expanded


def completed(overrides: Sequence[str], settled: Settled, apart: Collection[tuple[str, str]] = ()) -> list[str]:
    """Return the overrides, and what they leave open of the scale's task model and the paper's pair with the data set.

    Where they still list several strategies or data sets nothing is added: each job is completed by itself. Within an
    experiment the paper adds options of the strategy alone, for its other settings are the experiment's own.

    Arguments:
        overrides: the options of the command line, which win over what is added
        settled: gives the configuration and the groups' choices that the overrides lead to
        apart: data sets and options of which the data set's own value is added, so that a folder's name tells it
    """
    keys = {key_of(one): one for one in parsed(overrides)}
    if any(keys[key].is_sweep_override() for key in SWEPT if key in keys):
        return [*overrides]
    config, choices = settled(overrides)
    pair = pair_of(OmegaConf.select(config, "paper.pairs"), choices["dataset"])
    if choices.get("experiment"):
        pair = {key: value for key, value in pair.items() if key.split(".")[0] not in SETTING}
    own = {key: _as_composed(key, config, choices) for key in pair if (choices["dataset"], key) in apart}
    pair = {key: value for key, value in {**pair, **own}.items() if value is not None}
    usual = {**choices, **pair}
    kept = {group: choices[group] for group in OF_DATA} if any(key.startswith(OTHER_TESTS) for key in keys) else {}
    added = {**kept, **pair, **of_scale(config["scale"], usual)}
    values = {key: SEVERAL if one.is_sweep_override() else one.get_value_element_as_str() for key, one in keys.items()}
    left = {key: value for key, value in _taken(added, values).items() if key not in values}
    return [
        *overrides,
        *(_written(key, value) for key, value in left.items() if not _replaced(key, {**left, **values}, usual)),
    ]


def disputed(jobs: Sequence[Sequence[str]], settled: Settled) -> set[tuple[str, str]]:
    """Return the data sets, each with a setting, of which the papers of these jobs' strategies say unlike things.

    Runs that are compared share their setting: there it is the data set's own.
    """
    pairs: dict[str, list[dict[str, str]]] = {}
    for config, choices in map(settled, jobs):
        pairs.setdefault(choices["dataset"], []).append(pair_of(config.paper.get("pairs"), choices["dataset"]))
    return {
        (dataset, key)
        for dataset, its in pairs.items()
        for key in {key for pair in its for key in pair}
        if key.split(".")[0] in SETTING and len({pair.get(key) for pair in its}) > 1
    }


def parsed(overrides: Sequence[str]) -> list[Override]:
    """Return overrides as Hydra's grammar understands them."""
    return OverridesParser.create().parse_overrides([*overrides])


def key_of(override: Override) -> str:
    """Return the option that an override is of, whether it changes it, adds it or takes it out."""
    return override.get_key_element().lstrip("+~")


def pair_of(pairs: Pairs | None, dataset: str) -> dict[str, str]:
    """Return the paper's options on a data set, as the command line would write them."""
    options = (pairs or {}).get(dataset) or {}
    return {str(key): "null" if value is None else str(value) for key, value in options.items()}


def beyond_the_paper(options: Mapping[str, str], pairs: Pairs | None, dataset: str) -> dict[str, str]:
    """Return the options without those that say no more than the paper does.

    Arguments:
        options: name -> value, as the command line has them
        pairs: what the strategy's paper used on each data set
        dataset: the one that was chosen
    """
    pair = _taken(pair_of(pairs, dataset), options)
    return {key: value for key, value in options.items() if pair.get(key) != value or _replaced(key, options, pair)}


def of_scale(scale: Options, usual: Mapping[str, str]) -> dict[str, str]:
    """Return the task model that the scale puts in the place of the usual one, where it does.

    Arguments:
        scale: its node of the configuration; its `fast` says which task models it replaces, and on which data sets
        usual: group -> the option that would be taken
    """
    for fast in scale.get("fast") or ():
        if usual["task_model"] in fast["instead_of"] and usual["dataset"] in fast["datasets"]:
            return {"task_model": fast["task_model"]}
    return {}


def _taken(added: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return what joins the given options: under the fair protocol no paper's own pool and training."""
    left_out = RECIPE if given.get("protocol") == "fair" else ()
    return {key: value for key, value in added.items() if not key.startswith(left_out)}


def _as_composed(key: str, config: DictConfig, choices: Mapping[str, str]) -> str | None:
    """Return what a group or an option is without a paper; None where there is no such option."""
    if key in choices:
        return choices[key]
    value = OmegaConf.select(config, key, default=None)
    exists = key.rpartition(".")[2] in (OmegaConf.select(config, key.rpartition(".")[0]) or ())
    return ("null" if value is None else str(value)) if exists else None


def _written(key: str, value: str) -> str:
    """Write an option, added where the task model's own file leaves it out, or a group's choice."""
    return f"{'++' if '.' in key else ''}{key}={value}"


def _replaced(key: str, given: Mapping[str, str], usual: Mapping[str, object]) -> bool:
    """Tell whether another choice of a group is given than the usual one, which the option belongs to.

    Such an option would say something to a class that isn't built.
    """
    parts = key.split(".")
    groups = {".".join(parts[:length]) for length in range(1, len(parts))} - {*SWEPT}
    return any(group in given and given[group] != usual.get(group) for group in groups)
