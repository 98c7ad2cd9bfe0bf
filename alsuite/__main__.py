"""`python -m alsuite`: composes the configuration, instantiates each group once, and runs; alone imports hydra."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alsuite import CONF
from alsuite.errors import AwaitingLabels, UserError
from alsuite.journal import INCIDENTAL

__all__ = ["execute", "main"]

Job = tuple[dict[str, Any], Path]  # what a run is, and its folder
TEMPLATES = ("fair", "features", "generator")  # their values stand again in what uses them


def main() -> None:
    OmegaConf.register_new_resolver("or", lambda value, other: value or other, replace=True)
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    arguments, status = sys.argv[1:], 0
    try:
        jobs: list[Job] = []
        for product in products(arguments):
            jobs += composed(product)
        status = run_all(jobs, chosen(arguments))
    except KeyboardInterrupt:
        print("stopped; the same command goes on after the last finished cycle", file=sys.stderr)
        status = 130
    except UserError as error:
        print(f"alsuite: {error}", file=sys.stderr)
        status = 3 if isinstance(error, AwaitingLabels) else 2
    except (HydraException, OmegaConfBaseException) as error:
        print(f"alsuite: {one_line(error)}", file=sys.stderr)
        status = 2
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"alsuite: {error}: free some space or mend the folder, then start again", file=sys.stderr)
        status = 2
    sys.exit(status)


def products(arguments: list[str]) -> list[list[str]]:
    """An experiment lists sweeps that are run one after another, and its panels may draw on other experiments' runs;
    what the command line sets narrows each sweep."""
    if not chosen(arguments) or {"--help", "-h", "--cfg", "-c"} & {*arguments}:
        return [arguments]
    config = composed_plainly(arguments)
    found = sweeps(config, arguments)
    for name in drawn_on(config):
        theirs = [*(a for a in arguments if not a.startswith("experiment=")), f"experiment=runs/{name}"]
        found += sweeps(composed_plainly(theirs), theirs)
    return found


def sweeps(config: DictConfig, arguments: list[str]) -> list[list[str]]:
    """A command line for each of the experiment's products; the command line as it is where there are none."""
    given = {argument.split("=")[0].lstrip("+~"): argument.partition("=")[2] for argument in arguments}
    limits = {**config.scale, **config.at_scale.get(config.scale.name, {})}
    seeds = {"seed": f"range({min(config.seeds, limits['seeds'] or config.seeds)})"}
    lines = []
    for product in narrowed([dict(product) for product in config.sweeps], given):
        ours = product if "seed" in given else {**seeds, **product}
        others = [argument for argument in arguments if argument.split("=")[0] not in product]
        lines.append(["--multirun", *(f"{key}={value}" for key, value in ours.items()), *others])
    return lines or [arguments]


def narrowed(products: list[dict[Any, Any]], given: Mapping[str, str]) -> list[dict[Any, Any]]:
    """What the products share with the values that are given; where none has them, each product without these options,
    and of several that differ in others the plainest."""
    common = [{**product, **shared(product, given)} for product in products]
    if agreeing := [product for product in common if "" not in product.values()]:
        return agreeing
    left = [{key: value for key, value in product.items() if key not in given} for product in products]
    return [
        its
        for i, its in enumerate(left)
        if its not in left[:i] and not any(other.items() < its.items() for other in left)
    ]


def shared(product: Mapping[Any, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Of the options in both, the values in both, or nothing."""
    both = {key: (str(product[key]).split(","), given[key].split(",")) for key in product if key in given}
    return {key: ",".join(value for value in wanted if value in its) for key, (its, wanted) in both.items()}


def drawn_on(config: DictConfig) -> list[str]:
    names = {panel.get("experiment", config.experiment): None for panel in config.figure or []}
    return [name for name in names if name != config.experiment]


def composed_plainly(arguments: list[str]) -> DictConfig:
    plain = [argument for argument in arguments if not argument.startswith("-") and not swept(argument)]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose("config", plain)


def chosen(arguments: list[str]) -> str:
    """The experiment that the command line names."""
    return next((argument.partition("=")[2] for argument in arguments if argument.startswith("experiment=")), "")


def swept(argument: str) -> bool:
    value = argument.partition("=")[2]
    return ("," in value and not value.startswith(("[", "{", "'", '"'))) or value.startswith(
        ("range(", "choice(", "interval(")
    )


def composed(arguments: list[str]) -> list[Job]:
    """The runs that Hydra makes of one command line."""
    found: list[tuple[DictConfig, dict[str, Any], Path]] = []

    def collect(config: DictConfig) -> None:
        runtime = HydraConfig.get().runtime
        found.append((config, dict(runtime.choices), Path(runtime.output_dir)))

    GlobalHydra.instance().clear()
    sys.argv[1:] = flags_first(arguments)
    try:
        hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(collect)()
    except ValueError as error:
        raise UserError(f"an option cannot be read ({error}): write it as name=value") from None
    return [resolved(*each) for each in found]


def flags_first(arguments: list[str]) -> list[str]:
    """Each with its value, since Hydra takes no override before them."""
    parts: list[list[str]] = []
    for argument in arguments:
        if parts and parts[-1][-1] in ("--cfg", "-c", "--package", "-p"):
            parts[-1].append(argument)
        else:
            parts.append([argument])
    return [argument for part in sorted(parts, key=lambda part: not part[0].startswith("-")) for argument in part]


def resolved(config: DictConfig, choices: dict[str, Any], folder: Path) -> Job:
    config = config.copy()
    config.scale = OmegaConf.merge(config.scale, config.at_scale.get(config.scale.name, {}))
    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    groups = {group: choice for group, choice in choices.items() if not group.startswith("hydra/")}
    return {"config": values, "choices": groups}, folder


def run_all(jobs: list[Job], stem: str) -> int:
    """One run with a line per cycle, or a sweep side by side; then the table and the picture."""
    from alsuite.command import launch

    missing = [job for job in jobs if not finished(job)]
    if len(missing) < len(jobs):
        print(f"{len(jobs) - len(missing)} of {len(jobs)} runs are finished already: {jobs[0][1].parent}")
    status = 0
    if len(jobs) == 1 and missing:
        execute(jobs[0], launch.show_cycle)
    elif missing:
        from alsuite.__main__ import execute as work

        status = launch.side_by_side(work, missing, jobs[0][0]["config"]["parallel"])
    if any((folder / "cycles.jsonl").exists() for _, folder in jobs):
        launch.show_results(jobs, stem)
    return status


def finished(job: Job) -> bool:
    """True if the folder holds this very run to its end; a run with another configuration is refused by its journal."""
    from alsuite.journal import ended_as

    return ended_as(job[1], result_of(job)["config"])


def result_of(job: Job) -> dict[str, Any]:
    """What the run is, without the options that its result does not depend on."""
    about = job[0]
    config = {
        key: without_folders(value) for key, value in about["config"].items() if key not in (*INCIDENTAL, *TEMPLATES)
    }
    scale = {key: value for key, value in config["scale"].items() if key not in ("seeds", "stand_in")}
    return {**about, "config": {**config, "scale": scale}}


def without_folders(value: Any) -> Any:
    """Where something is kept changes no result."""
    if isinstance(value, dict):
        return {key: without_folders(part) for key, part in value.items() if key != "folder"}
    return value


def execute(job: Job, show: Any) -> None:
    from alsuite.command.run import perform

    config = job[0]["config"]
    groups = ("task_model", "initial", "budget", "oracle", "strategy")
    built = {group: hydra.utils.instantiate(config[group]) for group in groups}
    for group, value in built.items():
        check_options(value, whole=group == "task_model")
    dataset, whole = dataset_of(job)
    about = {**result_of(job), "stand_in": whole is not None}
    perform(
        about,
        job[1],
        seed=config["seed"],
        scale=config["scale"],
        device=config["device"],
        wandb=config["wandb"],
        show=show,
        dataset=dataset,
        whole=whole,
        enlarge=config["enlarge"],
        **built,
    )


def dataset_of(job: Job) -> tuple[Any, int | None]:
    """The data set; or at the smoke scale, where it isn't there, made-up pictures of its shape, and its true size."""
    from alsuite.data.stand_in import load_or_make_up

    config, name = job[0]["config"], job[0]["choices"]["dataset"]
    load = functools.partial(hydra.utils.instantiate, config["dataset"])
    return load_or_make_up(
        name, load, config["scale"]["stand_in"].get(name), config["dataset"].get("extra_tests") or ()
    )


def check_options(factory: Any, whole: bool = False) -> None:
    """A wrong option of what is built later, in each cycle, fails now; one that is missing, where all are given."""
    if isinstance(factory, functools.partial):
        try:
            signature = inspect.signature(factory.func)
            (signature.bind if whole else signature.bind_partial)(*factory.args, **factory.keywords)
        except TypeError as error:
            raise UserError(f"{factory.func.__name__} {error}: see its options with --cfg job") from None
        for value in factory.keywords.values():
            check_options(value)


def one_line(error: Exception) -> str:
    """The innermost cause that says something, without Hydra's frame around it."""
    causes = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)  # type: ignore[arg-type]
    inner = next((cause for cause in causes if isinstance(cause, UserError)), None)
    text = re.split(r"\n(?:To append|Config search path|full_key|Set the environment)", str(inner or error))[0]
    if "Interpolation key 'fair." in text:
        return "protocol=fair has no recipe for this task model: take protocol=paper"
    if missing := re.search(r"Could not find '(.+?)/(.+?)'\s+Available options in '.+?':\s*(.*)", text, re.DOTALL):
        group, wrong, options = missing.groups()
        near = get_close_matches(wrong, options.split(), n=3, cutoff=0.4) or options.split()[:12]
        return f"there is no {group}={wrong}: choose {' or '.join(near)} (--help lists all)"
    return (
        " ".join(line.strip() for line in text.splitlines() if line.strip()) + "; see --help, or --cfg job for all keys"
    )


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
