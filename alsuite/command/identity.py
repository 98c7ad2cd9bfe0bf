"""What a run's numbers depend on beside its configuration: the code of its parts, its data, versions and machine.

Code and data are compared when a run is started again, by hashes that cost little; commits, versions and the machine
are only written down.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from alsuite.code import code_behind, digest, own_file
from alsuite.places import at_home, data_root, place_of
from alsuite.recorded import Options
from alsuite.walk import SUFFIXES, below

if TYPE_CHECKING:
    import torch

__all__ = ["FOLDERS", "code_of", "data_of", "provenance"]

GROUPS = ("strategy", "task_model", "initial", "budget", "oracle", "dataset")
ALWAYS = ("alsuite.loop", "alsuite.data.dataset")
EMBEDDED = "alsuite.data.digits.digits"  # in a package
POOLS = {"enlarge": "alsuite.data.enlarged", "imbalance": "alsuite.data.imbalanced"}  # by the option that asks for it
FOLDERS = ("alsuite.data.folders.folder", "alsuite.data.segmentation.folder_masks")  # all images below dataset.path
MOST_FILES, FEW_FILES, BLOCK = 20_000, 64, 4096
PACKAGES = (
    "alsuite",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "hydra-core",
    "numpy",
    "pandas",
    "faiss-gpu",
    "faiss-cpu",
)


def code_of(config: Mapping[str, object]) -> dict[str, str]:
    """Return module name -> hash of the code that a run's result depends on.

    It covers the modules that are named in the configuration's parts, what they import, and the loop itself, wherever
    the modules are alsuite's or the user's own. Code that only shows or keeps results is left out.

    Arguments:
        config: a run's resolved configuration, as plain values
    """
    pools = [module for option, module in POOLS.items() if config.get(option)]
    return code_behind([*ALWAYS, *pools, *(name for group in GROUPS for name in _named(config.get(group)))])


def _named(value: object) -> Iterator[str]:
    """Yield the dotted names of what the configuration builds, at any depth.

    Hydra's own helpers that look something up (`hydra.utils.get_method`, `get_class`) are passed over for what they
    look up, which is what the result depends on.
    """
    if isinstance(value, Mapping):
        target = str(value.get("_target_", ""))
        named = value.get("path", "") if target.startswith("hydra.utils.get_") else target
        own = value.get("name", "") if target == "alsuite.nets.others.network" else ""
        yield from filter(None, [str(named), str(own) if "." in str(own) else ""])
        for part in value.values():
            yield from _named(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _named(part)


def data_of(dataset: Options) -> str:
    """Return a hash of the files of a data set and of its extra tests; "" where they aren't there, or unknown.

    Arguments:
        dataset: the configuration's node that says what builds the data set, and from where
    """
    found = [_own_data(dataset), *map(data_of, (dataset.get("extra_tests") or {}).values())]
    return "" if "" in found else "+".join(found)


def _own_data(dataset: Options) -> str:
    """Return a hash of the files of a data set without its extra tests; "" where there are none."""
    target = dataset["_target_"]
    if target == EMBEDDED:
        return "embedded"
    paths = [*FILES.get(target, _paths)(dataset)]
    found = (_checksum(path, images=target in FOLDERS) for path in paths)
    return digest("".join(found).encode()) if any(path.exists() for path in paths) else ""


def _folders(dataset: Options) -> Iterator[Path]:
    """Find a data set's folders of images, and the files of labels that are known."""
    known = dataset.get("labelled")
    sheets = [] if known in (None, "folders", "none") else [known]
    if sheets and place_of(known).is_dir():
        sheets = [str(sheet) for sheet in sorted(place_of(known).glob("*.csv"))]
    return _paths([dataset["path"], dataset.get("test"), *sheets])


def _masks(dataset: Options) -> Iterator[Path]:
    """Find the folder of a data set's images and masks, and the file of their classes."""
    return _paths([dataset["path"], f"{dataset['path']}/classes.txt"])


def _shards(dataset: Options) -> Iterator[Path]:
    """Find a data set's shards, and the file of its names, but no URLs: these aren't looked at."""
    from alsuite.data.shards import matching

    given = [dataset["train"], dataset["test"], dataset.get("names") or []]
    every = [pattern for each in given for pattern in ([each] if isinstance(each, str) else each)]
    return _paths([shard for pattern in every if "://" not in pattern for shard in matching(pattern)])


def _arrays(dataset: Options) -> Iterator[Path]:
    """Find the folder that the arrays of a data set are kept in, as `alsuite.data.store` does."""
    yield data_root(dataset.get("root")) / (dataset.get("source") or dataset["name"])


def _paths(value: object) -> Iterator[Path]:
    """Find the files and folders that a configuration names."""
    if isinstance(value, Mapping):
        for key in sorted(value.keys() - {"_target_", "name", "extra_tests"}):
            yield from _paths(value[key])
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _paths(part)
    elif isinstance(value, str) and value and at_home(value).exists():
        yield place_of(value)


FILES: Mapping[str, Callable[[Options], Iterator[Path]]] = {  # of what builds a data set, where its options don't tell
    **dict.fromkeys(("alsuite.data.load", "alsuite.data.store.load"), _arrays),
    "alsuite.data.folders.folder": _folders,
    "alsuite.data.segmentation.folder_masks": _masks,
    "alsuite.data.shards.shards": _shards,
}


@functools.cache
def _checksum(path: Path, images: bool = False) -> str:
    """Return a hash of a folder's names, and of sizes and samples of its files, of which maybe only `images` count.

    Reading all of ImageNet would take longer than many a run. So each file gives its size and two blocks, or 64 where
    the files are few, and of more than 20 000 files every so many is read.
    """
    files = [path] if path.is_file() else sorted(Path(one.path) for one in below(path) if not one.is_dir())
    if images and files != [path]:
        files = [file for file in files if file.suffix.lower() in SUFFIXES]
    sampled = files[:: -(-len(files) // MOST_FILES) or 1]
    blocks = 64 if len(files) <= FEW_FILES else 2
    names = "\n".join(file.relative_to(path).as_posix() for file in files)
    return digest(names.encode(errors="surrogateescape"), *(_sample(file, blocks) for file in sampled))


def _sample(path: Path, blocks: int) -> bytes:
    """Return a file's size and evenly spaced blocks of it, the first and the last among them."""
    try:
        file = path.open("rb")
    except FileNotFoundError:  # a link to nothing, which whoever reads the data tells of
        return b""
    with file:
        size = os.fstat(file.fileno()).st_size
        if size <= blocks * BLOCK:
            return b"%d:" % size + file.read()
        parts = [b"%d:" % size]
        for i in range(blocks):
            file.seek(i * (size - BLOCK) // (blocks - 1))
            parts.append(file.read(BLOCK))
    return b"".join(parts)


def provenance(device: torch.device, code: Iterable[str] = ()) -> dict[str, object]:
    """Return commits, package versions and machine.

    Arguments:
        device: where the run computes
        code: the names of the modules that it depends on; the repositories of those that aren't alsuite's count, too
    """
    import torch

    from alsuite import ranks

    by = torch.backends.cpu.get_cpu_capability()  # rounding differs: two points of accuracy, trained on 1,000 images
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu {platform.machine()} {by}"
    home = _home()
    own = _own_commits(code, home)
    return {
        "commit": _commit(Path(home)) if home else _installed_from(),
        **({"own_commits": own} if own else {}),
        "versions": {"python": platform.python_version(), **dict(_versions())},
        "device": name,
        "threads": torch.get_num_threads(),
        **({"processes": ranks.count()} if ranks.count() > 1 else {}),
    }


def _versions() -> Iterator[tuple[str, str]]:
    """Yield the name and version of each package that numbers may depend on, if it is installed."""
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            yield package, metadata.version(package)


def _own_commits(code: Iterable[str], home: str) -> dict[str, str]:
    """Return the commit of each repository but alsuite's, by its folder's name, that holds modules beside alsuite's."""
    files = filter(None, (own_file(name) for name in code if not name.startswith("alsuite.")))
    roots = {_git(folder, "rev-parse", "--show-toplevel") for folder in {file.parent for file in files}}
    others = sorted(roots - {"", home})
    return {Path(root).name: _commit(Path(root)) for root in others}


def _home() -> str:
    """Return the repository that alsuite's files belong to; "" where they only lie in the folder of another."""
    here = Path(__file__).parent
    return _git(here, "rev-parse", "--show-toplevel") if _git(here, "ls-files", ".") else ""


def _installed_from() -> str:
    """Return the commit that pip has noted of a package that it took from a repository."""
    with contextlib.suppress(metadata.PackageNotFoundError, LookupError, ValueError):
        told = metadata.distribution("alsuite").read_text("direct_url.json") or ""
        return str(json.loads(told)["vcs_info"]["commit_id"])
    return "unknown"


def _commit(folder: Path) -> str:
    """Return the commit that is checked out, with a mark where files were changed or added since, but for outputs."""
    if not (head := _git(folder, "rev-parse", "HEAD")):
        return "unknown"
    return head + ("+changes" if _git(folder, "status", "--porcelain", "--", ":/", ":(top,exclude)outputs") else "")


def _git(folder: Path, *command: str) -> str:
    """Return what a git command prints; "" where there is no git, or no repository."""
    words = ["git", "--no-optional-locks", "-C", str(folder), *command]  # a lock would outlive a killed process
    try:
        done = subprocess.run(words, capture_output=True, encoding="utf-8", errors="surrogateescape", check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
