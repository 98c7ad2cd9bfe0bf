"""What Hydra and the configuration complain of, in one line that says what to do.

Hydra's messages span lines and tell where in its own machinery something went wrong. Here each becomes one line about
the command: messages that are known (`REPHRASED`) are said anew, a name that is no option is met with those that
resemble it, and what is unknown keeps its own first words.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import NoReturn

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from alsuite.errors import AwaitingLabels, UserError, reason

__all__ = ["complaining", "mendable", "one_line", "plainly"]

SHORT = "there is too little memory: end other programs, or take a smaller task_model.batch, then start again"
# oneDNN has found how to compute, and then no room for it; where it finds no way, a "primitive descriptor" is named
OUT_OF_MEMORY = (
    r"out of memory|not enough memory|can't allocate memory|can't start new thread|bad_alloc|STATUS_ALLOC_FAILED"
    r"|could not create a primitive$"
)
LONELY = "Expected more than 1 value per channel"
OF_TWO = "batch norm learns nothing from a batch of one: raise task_model.batch, strategy.batch or generator.batch"
EXTRA = "pip install hydra-joblib-launcher hydra-submitit-launcher hydra-optuna-sweeper brings Hydra's others"
NOISE = r"\n(?:To append|Config search path|    full_key|full_key|Set the environment|    reference_type)"
REPHRASED = {
    r"Interpolation key 'fair\.": "protocol=fair has no recipe for this task model: take protocol=paper",
    r"Ambiguous value for argument '(.+?)=(.+?)'\n": "{0}={1} lists several values: add -m to run each of them",
    r"Error parsing override '(.+?)'\s+missing EQUAL": "{0} has no value: write it as {0}=value",
    r"LexerNoViableAltException: (.+?)=(.+?)\n": "{0}={1} cannot be read: put quotes within quotes, '{0}=\"{1}\"'",
    r"Error parsing override '(.+?)=(.+?)'\n(.+?)\n": "{0}={1} cannot be read ({2}): put it in quotes, '{0}=\"{1}\"'",
    r"Error parsing override '(.+?)'\n(.+?)\n": "{0} cannot be read ({1}): put quotes around the value",
    r"(mismatched input \S+) expecting": "options cannot be read ({0}): write each as name=value, or 'name=\"{{}}\"'",
    r"ConfigLoader is not set": "glob(...) is not looked up here: list its values, as in -m strategy=margin,entropy",
    r"Multiple values for (\S+?)\.": "{0} is given twice: give it once",
    r"Config group override must be a string": "an option of a group cannot be null: leave it out, or name another",
    r"Could not load 'hydra/launcher/submitit_\w+'": "Slurm is reached through pip install hydra-submitit-launcher",
    r"Error in call to target '(.+?)':\s*\w+\([\"'](.+)[\"']\)": "{0}: {1}; see --cfg job, +name=value adds an option",
    r"Additional config directory '(.+?)' not found": "there is no folder {0} to take configurations from",
    r"Cannot find primary config '(.+?)'": "there is no {0}.yaml to start from: leave out --config-name",
}


def one_line(error: Exception, options: Sequence[str] = ()) -> str:
    """Return what an error says, or a `UserError` among its causes, without Hydra's frame around it.

    Arguments:
        error: what Hydra or omegaconf raised
        options: the paths of all options there are, among which the one that was meant is looked for
    """
    causes = [error]
    while isinstance(cause := causes[-1].__cause__, Exception):
        causes.append(cause)
    inner = next((cause for cause in causes if isinstance(cause, UserError)), None)
    whole = str(inner or error)
    text = re.split(NOISE, whole)[0]
    if absent := re.search(r"Missing mandatory value.*?full_key: (\S+)", whole, re.DOTALL):
        return f"{absent[1]} has no value: give one, as {absent[1]}=..."
    if circle := re.search(r"Recursive interpolation.*?full_key: (\S+)", whole, re.DOTALL):
        return f"{circle[1]} refers to itself through ${{...}}: give it a value of its own"
    if located := re.search(r"Error locating target '(.+?)'", text):
        text = _not_located(located[1], causes[-1])
    elif inner is None:
        text = _known(text, options) or text + "; see --help, or --cfg job for all keys"
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _not_located(target: str, cause: Exception) -> str:
    """Return why there is no such target: its module isn't there, or what goes wrong in it as it is imported."""
    absent = isinstance(cause, ModuleNotFoundError) and f"{target}.".startswith(f"{cause.name}.")
    if absent or isinstance(cause, AttributeError):
        return f"there is no {target} to import: check its name, and that its folder is on PYTHONPATH"
    return f"{target} cannot be imported: {reason(cause)}"


def _known(text: str, options: Sequence[str]) -> str:
    """Return a better text for what goes wrong often; "" for the rest."""
    for pattern, better in REPHRASED.items():
        if found := re.search(pattern, text, re.DOTALL):
            return better.format(*found.groups())
    if missing := re.search(r"Could not find '(.+)/(.*?)'\s+Available options in '.+?':\s*(.*)", text, re.DOTALL):
        group, wrong, there = missing.groups()
        return _no_option(group, wrong, there.split())
    if unknown := re.search(r"Could not override '(.+?)'", text):
        return _no_key(unknown[1], options)
    return ""


def _no_option(group: str, wrong: str, there: Sequence[str]) -> str:
    """Say that a group has no such option, and name those that look like it, or else the first ones.

    Arguments:
        group: the group's name, as in `strategy`
        wrong: the option that was asked for
        there: the options that the group has
    """
    if "." in wrong:
        return f"there is no {group}={wrong}: a class of your own is {group}._target_={wrong}"
    near = get_close_matches(wrong, there, n=3, cutoff=0.4) or [*there[:12], "..."][: len(there)]
    extra = f"; {EXTRA}" if group.startswith("hydra/") else ""
    return f"there is no {group}={wrong}: choose {' or '.join(near)} (--help lists all){extra}"


def _no_key(wrong: str, options: Sequence[str]) -> str:
    """Say that there is no such option, and name those that look like it, or else how to see all."""
    alike = [one for one in options if one.count(".") == wrong.count(".") and not one.endswith("_target_")]
    near = get_close_matches(wrong, alike, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else "--cfg job shows all"
    return f"there is no option {wrong}: {hint}" + (f"; +{wrong}=... adds one" if "." in wrong else "")


@contextmanager
def complaining(options: Callable[[], Sequence[str]] = list) -> Iterator[None]:
    """End the process with one line for what a person can mend.

    The exit status is 3 while labels are awaited, so that a script can tell this from a fault, 130 after Ctrl-C, and
    else 2. A broken pipe is passed on, since nobody reads any more; what is not known to be the user's keeps its
    traceback.

    Arguments:
        options: gives the paths of all options; called only when one of Hydra's errors is to be told
    """
    try:
        yield
    except KeyboardInterrupt:
        _end("stopped; the same command goes on after the last finished cycle", 130)
    except Exception as error:
        if not (text := mendable(error, options)):
            raise
        _end(f"alsuite: {text}", 3 if isinstance(error, AwaitingLabels) else 2)


@contextmanager
def plainly() -> Iterator[None]:
    """Raise what a person can mend as a UserError of its one line, which another process will tell."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not (text := mendable(error)):
            raise
        raise UserError(text) from error


def mendable(error: Exception, options: Callable[[], Sequence[str]] = list) -> str:
    """Return a line about what a person can mend; "" for a broken pipe, and for what may be a fault of the code.

    Arguments:
        error: what was raised
        options: as for `complaining`
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, BrokenPipeError):
        return ""
    if short_of_memory(error):
        return SHORT
    if LONELY in str(error):
        return OF_TWO
    if isinstance(error, ModuleNotFoundError):
        return f"{error}: install it, or see that its folder is on PYTHONPATH"
    if isinstance(error, HydraException | OmegaConfBaseException):
        return one_line(error, options())
    return f"{error}: free some space or mend the folder, then start again" if isinstance(error, OSError) else ""


def short_of_memory(error: BaseException | None) -> bool:
    """Tell whether memory ran out, as Python, torch, oneDNN or faiss say it, whatever was made of it afterwards."""
    if error is None or isinstance(error, MemoryError):
        return error is not None
    return bool(re.search(OUT_OF_MEMORY, str(error), re.IGNORECASE)) or short_of_memory(error.__cause__)


def _end(text: str, status: int) -> NoReturn:
    print(text, file=sys.stderr)
    sys.exit(status)
