"""`python -m alsuite.pick`: the images that are best labelled next, by any strategy, without a run.

`query` does the same in a notebook. What is labelled already goes in, and no answer is kept between two calls.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from alsuite.contract import Promise
from alsuite.data.dataset import statistics
from alsuite.data.unlabelled import named_classes
from alsuite.errors import UserError
from alsuite.files import written_whole
from alsuite.foreign import Foreign, read
from alsuite.labelling.known import Known, by_position, classes_of, read_labels
from alsuite.labelling.sheet import Sheet
from alsuite.loop import seed_all
from alsuite.pool import Pool
from alsuite.progress import Lines, displayed, say
from alsuite.strategies import Query, Strategy, makes_images
from alsuite.strategies.random import Random
from alsuite.tasks import Task

__all__ = ["main", "query"]


def query(
    images: str | Path | ArrayLike | None = None,
    labels: Mapping[Any, object] | ArrayLike | str | Path | None = (),
    strategy: str | Strategy = "entropy",
    n: int = 100,
    *,
    features: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    options: Sequence[str] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """Return the n images that are best labelled next: a table by position, best first, with file and score.

    Arguments:
        images: a folder of images, at any depth, or uint8 images, or floats in 0..1, (N, C, H, W) or (N, H, W)
        labels: those that are known: position or file -> class, or one for each image, None or -1 where it is unknown;
            a pandas Series tells positions by its index; or a CSV, or a table, with the columns image and label
        strategy: as in `python -m alsuite strategy=...`, or one of your own: the dotted path of its class, or itself
        n: how many
        features: (N, D) of a model of your own, in place of images or beside them, a folder's by their names' order
        log_probs: (N, K) of the same; a label that is a number is that of a column
        options: of the command line, such as task_model=linear, scale=laptop or dataset.classes=[cat,dog]
        seed: decides all random draws
    """
    from alsuite.command.outside import as_in_a_run, composed

    config = composed([*_named(strategy), *([options] if isinstance(options, str) else options), f"seed={seed}"])
    with as_in_a_run():
        own = None if features is None and log_probs is None and images is not None else Foreign.of(features, log_probs)
        shown, names = (own.stand_ins(), None) if own and images is None else read(images, config)
        if own and len(own) != len(shown):
            raise UserError(f"{len(shown):,} images are given beside rows of {len(own):,}: give each its own")
        return _best(config, strategy, own, shown, names, labels, n, seed)


def _best(
    config: Mapping[str, Any],
    strategy: str | Strategy,
    own: Foreign | None,
    shown: Tensor,
    names: Sequence[str] | None,
    labels: object,
    n: int,
    seed: int,
) -> pd.DataFrame:
    """Return the table of the n best of the images, which may have names."""
    known = by_position(labels, len(shown), names)
    named = config["dataset"]["classes"]
    classes = classes_of(known.values()) if named is None else named_classes(named)
    pool = _pool(shown, known, own.count(classes) if own else classes, config["device"])
    if not (left := len(pool.unlabelled)):
        raise UserError(f"all {len(pool):,} images are labelled, or left out as unsure: there is none to pick")
    if not (isinstance(n, int | np.integer) and 0 < n <= left):
        raise UserError(f"n={n}: {left:,} of {len(pool):,} images have no label; give a number from 1 to {left:,}")
    chosen = _chosen(config, strategy, own, pool, int(n), seed)
    if len(pool) > len(shown):
        raise UserError(f"{_called(strategy)} makes images of its own and picks none of yours: take another")
    scores = None if chosen.scores is None else chosen.scores.tolist()
    places = chosen.indices.tolist()
    files = {} if names is None else {"image": [names[place] for place in places]}
    return pd.DataFrame({**files, "score": scores}, index=pd.Index(places, name="index"))


def _named(strategy: str | Strategy) -> list[str]:
    """Return the options that name a strategy; one of the user's own stands in the place of another."""
    if not isinstance(strategy, str):
        if isinstance(strategy, type) or not callable(getattr(strategy, "query", None)):
            raise UserError(f"{strategy!r} is no strategy: give an object with query(pool, task, n), such as Mine()")
        return ["strategy=random"]
    return ["strategy=random", f"strategy._target_={strategy}"] if "." in strategy else [f"strategy={strategy}"]


def _called(strategy: str | Strategy) -> str:
    """Return what messages call a strategy."""
    return f"strategy={strategy}" if isinstance(strategy, str) else type(strategy).__name__


def _chosen(
    config: Mapping[str, Any], given: str | Strategy, own: Foreign | None, pool: Pool, n: int, seed: int
) -> Query:
    """Train what the strategy looks at, unless it is given, and ask the strategy once, as a run does in a cycle."""
    from alsuite.command.complaints import plainly
    from alsuite.command.setting import Parts

    with plainly():
        parts = Parts.of(config)
    strategy, name = parts.strategy if isinstance(given, str) else given, _called(given)
    learns = not isinstance(strategy, Random)
    if makes_images(strategy):
        raise UserError(f"{name} makes images of its own and picks none of yours: take strategy=asal")
    if own is not None:
        own.check(strategy, name)
    elif learns and not len(pool.labelled):
        raise UserError(f"{name} learns from labels, and none is known: give some, or take strategy=random")
    if own is None and learns and (config["scale"]["name"], pool.device.type) == ("paper", "cpu"):
        say("networks of the papers' sizes are trained on a CPU: scale=laptop takes less")
    seed_all(seed, 0)
    task: Task = own or (parts.task_model().learn(pool) if learns else Foreign())
    seed_all(seed, 0, part=1)
    promise = Promise(strategy, pool)
    return promise.kept(strategy.query(pool, task, n), n)


def _pool(images: Tensor, known: Known, classes: Sequence[str], on: str) -> Pool:
    """Return a pool of the images with the labels that are known, on the device that a run would take."""
    from alsuite.command.machine import onto, tried_device

    if not len(images):
        raise UserError("there are no images to pick from: give some")
    device = tried_device(on)
    pool = Pool(onto(images, device), max(2, len(classes)), *statistics(images), device)
    sheet = Sheet(Path("labels"), classes)  # by which a label is told by its number, too
    labels = {place: sheet.label(known[place], f"the label of {place}") for place in sorted(known)}
    places = [place for place in labels if labels[place] != -1]
    pool.label(torch.tensor(places, dtype=torch.int64), torch.tensor([labels[place] for place in places]).long())
    pool.leave_out(torch.tensor([place for place in labels if labels[place] == -1], dtype=torch.int64))
    return pool


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, and write the table of what is best labelled next, with a column to fill in."""
    parser = argparse.ArgumentParser(prog="python -m alsuite.pick", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("images", nargs="*", help="a folder, or an array file.npy; then options such as scale=laptop")
    parser.add_argument(
        "--labels",
        nargs="+",
        type=Path,
        default=[],
        help="CSVs with columns image or index, and label, or folders of them",
    )
    parser.add_argument("--features", type=Path, help="an array file.npy (N, D), in place of images")
    parser.add_argument("--log-probs", type=Path, help="an array file.npy (N, K), in place of images")
    parser.add_argument("--strategy", default="entropy", help="as in python -m alsuite strategy=...")
    parser.add_argument("-n", type=int, default=100, help="how many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="the CSV to write; by default it is printed")
    given = parser.parse_intermixed_args(arguments)
    from alsuite.command.complaints import complaining

    with complaining(), displayed(Lines(partial(print, file=sys.stderr))):  # beside the table, which may be printed
        _picked(given)


def _picked(given: argparse.Namespace) -> None:
    """Pick as the command line says, and write the table."""
    places = [word for word in given.images if "=" not in word or Path(word).exists()]
    options = [word for word in given.images if word not in places]
    if len(places) > 1:
        raise UserError(f"{places[1]} is one too many: name one folder, or one array file.npy")
    if given.out is not None:
        _check_free(given.out)
    source = places[0] if places else None
    images = _array(Path(source)) if source and source.endswith(".npy") else source
    arrays = {
        name: path and _array(path) for name, path in (("features", given.features), ("log_probs", given.log_probs))
    }
    table = query(
        images, read_labels(given.labels), given.strategy, given.n, **arrays, options=options, seed=given.seed
    )
    table.insert(len(table.columns) - 1, "label", "")
    if given.out is None:
        print(table.to_csv(lineterminator="\n"), end="")
        return
    with written_whole(given.out) as part:
        table.to_csv(part)
        _check_free(given.out)  # it took a while
    print(f"{len(table)} images to label: {given.out}", file=sys.stderr)


def _check_free(out: Path) -> None:
    """Refuse a file that is there already, which may hold labels, and one that no folder is there for."""
    if out.exists():
        raise UserError(f"{out} is there already, and may hold what you have labelled: name another file")
    if not out.absolute().parent.is_dir():
        raise UserError(f"there is no folder {out.parent} for {out.name}: make it, or name another")


def _array(path: Path) -> np.ndarray:
    """Read an array file."""
    try:
        with path.open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} cannot be read as an array ({error}): save it with numpy.save") from None


if __name__ == "__main__":
    main()
