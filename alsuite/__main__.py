"""`python -m alsuite`: hands the command line to Hydra, and says in one line what goes wrong."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from hydra import version
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from alsuite import CONF
from alsuite.command.complaints import complaining, one_line
from alsuite.command.given import check_given, check_unswept
from alsuite.command.papers import parsed
from alsuite.command.sweeps import CHOSEN, Composer, expanded, loader, swept_here
from alsuite.errors import UserError

__all__ = ["main", "run"]

SAME = {"hydra/launcher=submitit_slurm": "hydra/launcher=slurm"}  # Hydra's own ends all at the first task that fails


PATHS = ("root", "dataset.path", "dataset.test", "dataset.labelled")
OTHERS = ("claims", "figures", "pick", "report", "results")


def main() -> None:
    """Run the command line; an error that a person can mend ends it with one line."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    version.setbase("1.3")
    with complaining(every_option):
        start()


def every_option() -> list[str]:
    """Return the paths of all options that the command line's choices have, to name the one that was meant.

    They are a plain run's where its choices cannot be composed, and [] if that fails, too.
    """
    given = [word for word in sys.argv[1:] if re.fullmatch(r"[a-z_]+=[^=]*", word)]
    for choices in (given, []):
        with contextlib.suppress(Exception):
            return [*_paths(OmegaConf.to_container(Composer(loader(None))(expanded(choices)[0]), resolve=False))]
    return []


def _paths(tree: object, prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of each key of a tree of dicts, those of inner nodes as well."""
    for key, value in tree.items() if isinstance(tree, dict) else ():
        yield f"{prefix}{key}"
        yield from _paths(value, f"{prefix}{key}.")


def start() -> None:
    """Start as Hydra does, with flags anywhere among the options, and with what the strategy's paper sets."""
    if "--version" in sys.argv[1:]:  # Hydra tells its own
        print("alsuite", metadata.version("alsuite"))
        return
    if other := next((word for word in sys.argv[1:2] if word in OTHERS), None):
        raise UserError(f"{other} is a command of its own: python -m alsuite.{other}")
    parser = get_args_parser()
    parser.error = refuse
    arguments = parser.parse_intermixed_args()
    if not (arguments.help or arguments.hydra_help or arguments.shell_completion):
        check_given(arguments.overrides)
        arguments.multirun |= any(one.key_or_group == "hydra/launcher" for one in parsed(arguments.overrides))
        arguments.overrides = [path_kept(str(SAME.get(option, option))) for option in arguments.overrides]
        arguments.overrides = with_paper(arguments)
    try:
        _run_hydra(arguments, parser, run, str(CONF), "config")
    except ValueError as error:  # Hydra's own, of an option that it can't read
        if "override" not in str(error):
            raise
        raise UserError(one_line(error)) from None


def path_kept(option: str) -> str:
    """Return the option as a shell would hand it over if it read `~` behind the sign of equality, too; a folder whose
    name looks like a number keeps it."""
    name, _, path = option.partition("=")
    if name == "root" and path.startswith("~/"):
        return f"{name}='{Path.home()}{path[1:]}'"
    if name not in PATHS or not re.fullmatch(r"[\d._e+,-]+", path):
        return option
    return f"{name}=" + ",".join(f"'{each}'" for each in path.split(","))


def beside_choices(overrides: Sequence[str]) -> list[str]:
    """Return a sweep's overrides, those below a group of which it may choose written as lists of one value.

    Hydra looks at the command line without its lists at first, where what only a choice brings is missing.
    """
    given = parsed(overrides)
    return [_listed(one) if one.key_or_group.startswith(CHOSEN) else str(one.input_line) for one in given]


def _listed(override: Override) -> str:
    """Return an override as one that lists its value, if it has one and is none already."""
    if override.is_sweep_override() or override.is_delete():
        return str(override.input_line)
    return f"{override.get_key_element()}=choice({override.get_value_element_as_str()})"


def refuse(message: str) -> NoReturn:
    """Refuse what the parser of flags cannot read, in place of its own page of usage."""
    raise UserError(f"{message}: see --help")


def run(config: DictConfig) -> float:
    """Run once, and return the accuracy that the run ends with."""
    from alsuite.command.progress import Progress

    with Progress() as progress:
        progress.reading(0, 1)
        from alsuite.command.run import task  # takes seconds
    return task(config)


def with_paper(arguments: argparse.Namespace) -> list[str]:
    """Return the options and those of the strategy's paper, unless alsuite's own sweeper adds these to each job.

    Arguments:
        arguments: the parsed command line; of a sweep whose configuration is asked for, the first run is taken
    """
    composer = Composer(loader(arguments.config_dir))
    options = arguments.overrides
    if arguments.cfg and arguments.multirun:  # the configuration of a sweep is that of its first run
        arguments.multirun, options = False, expanded(options)[0]
    sweep = sweeps(arguments, composer)
    if not (sweep or arguments.cfg or arguments.info):
        check_unswept(options)
    its = beside_choices(options) if sweep else options
    return its if sweep and swept_here(options) else composer.with_paper(its)


def sweeps(arguments: argparse.Namespace, composer: Composer) -> bool:
    """Tell whether the command line starts a sweep: by -m, or since its experiment is one."""
    if arguments.cfg or arguments.info:
        return False
    return arguments.multirun or composer.settled(arguments.overrides)[0].hydra.mode == RunMode.MULTIRUN


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
