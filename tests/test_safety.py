"""What is read is never run: no pickle, no code in yaml, no archive that leaves its folder."""

from __future__ import annotations

import ast
import lzma
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from alsuite.data.raw import extract, unpack
from alsuite.data.store import opened
from alsuite.errors import UserError
from alsuite.figures.images import read_rows
from alsuite.journal import Journal
from alsuite.nets.pretrained import read_weights
from alsuite.pick import _array
from alsuite.results.kept import QUERIED, queried
from alsuite.training.weights import read, read_checkpoint
from helpers import REPOSITORY
from helpers.spoiled import Touching, saved, tar_with, telling, zip_with

NEVER = {"eval", "exec", "extractall", "read_pickle", "unsafe_load", "full_load", "Unpickler", "system", "pickle_load"}
SAFELY = {
    ("np", "load"): {"allow_pickle": False},
    ("torch", "load"): {"weights_only": True},
    ("hub", "load_state_dict_from_url"): {"weights_only": True},
}
UNPICKLING = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
OF_SLURM = "slurm_queue.py"  # reads what submitit has written for itself, in the only form that it has


def calls() -> Iterator[tuple[Path, ast.Call]]:
    for folder in ("alsuite", "scripts", "hydra_plugins"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            yield from ((path, node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def name_of(call: ast.Call) -> tuple[str, str]:
    """Return what a call names before its last dot, and after it."""
    words = ast.unparse(call.func).split(".")
    return (words[-2] if len(words) > 1 else ""), words[-1]


def unsafe(call: ast.Call) -> bool:
    owner, name = name_of(call)
    given = {word.arg: ast.unparse(word.value) for word in call.keywords}
    wanted = SAFELY.get((owner, name), {})
    if any(given.get(option) != str(value) for option, value in wanted.items()) or given.get("shell") == "True":
        return True
    return (owner in UNPICKLING and name in ("load", "loads")) or (name in NEVER and (not owner or name != "eval"))


def test_no_call_of_the_project_runs_what_it_reads() -> None:
    found = [(path.name, call.lineno, ast.unparse(call)) for path, call in calls() if unsafe(call)]
    assert [where for where in found if where[0] != OF_SLURM] == []


@pytest.mark.parametrize(
    "line",
    [
        "np.load(path)",
        "torch.load(path, weights_only=False)",
        "pickle.loads(text)",
        "yaml.load(text)",
        "eval(text)",
        "archive.extractall(folder)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_what_would_run_is_noticed(line: str) -> None:
    (statement,) = ast.parse(line).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)
    assert unsafe(statement.value)


def objects(path: Path) -> Path:
    return saved(path, [Touching(path.parent)])


def several(path: Path) -> Path:
    with path.open("wb") as file:
        held = np.array([Touching(path.parent)])
        np.savez(file, allow_pickle=True, **{"weight": held, "run:sizes": held, "run:steps": held})
    return path


def of_torch(path: Path) -> Path:
    torch.save({"weight": Touching(path.parent)}, path)
    return path


def compressed(path: Path) -> Path:
    path.write_bytes(lzma.compress(several(path).read_bytes()))
    return path


def pictures(path: Path) -> object:
    return Journal(path.parent).images(0)


PLACES: dict[str, tuple[str, Callable[[Path], Path], Callable[[Path], object]]] = {
    "arrays: objects": ("train_images.npy", objects, opened),
    "arrays: a pickle": ("train_images.npy", telling, opened),
    "a table: objects": ("table.npy", objects, _array),
    "a table: a pickle": ("table.npy", telling, _array),
    "weights: a pickle": ("w.pth", telling, read_weights),
    "weights: objects": ("w.pth", of_torch, read_weights),
    "weights: arrays of objects": ("w.npz", several, read_weights),
    "a generator: a pickle": ("weights.safetensors", telling, lambda path: read(path, "{}")["weight"]),
    "a checkpoint: a pickle": ("checkpoint.pt", telling, lambda path: read_checkpoint(path, "{}")["weight"]),
    "a checkpoint: objects": ("checkpoint.pt", of_torch, lambda path: read_checkpoint(path, "{}")["weight"]),
    "pictures: objects": ("images_cycle_0000.npz", several, pictures),
    "pictures: a pickle": ("images_cycle_0000.npz", telling, pictures),
    "pictures of a figure": ("images_cycle_0000.npz", several, lambda path: read_rows(path, (), 3)),
    "a query that waits": ("asked.npz", several, lambda path: Journal(path.parent).asked_arrays()),
    "published queries": (QUERIED, compressed, lambda path: queried(path.parent)),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_pickle_is_refused_and_never_run(place: str, tmp_path: Path) -> None:
    name, write, look = PLACES[place]
    with pytest.raises(Exception, match=r"[Pp]ickle|Object arrays|objects|cannot be read|damaged|KeyError|weight"):
        look(write(tmp_path / name))
    assert not (tmp_path / "run").exists()


def test_the_pickle_would_have_run(tmp_path: Path) -> None:
    with np.load(several(tmp_path / "w.npz"), allow_pickle=True) as arrays:
        assert arrays["weight"].shape == (1,)
    assert (tmp_path / "run").is_dir()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.mark.parametrize(
    "members",
    [
        [member("../../outside")],
        [member("tree/../../outside")],
        [member("tree/link", tarfile.SYMTYPE, "../../..")],
        [member("tree/link", tarfile.SYMTYPE, "/etc")],
        [member("tree/link", tarfile.LNKTYPE, "../../outside")],
        [member("tree/device", tarfile.CHRTYPE)],
    ],
)
def test_a_tar_file_never_leaves_its_folder(members: list[tarfile.TarInfo], tmp_path: Path) -> None:
    home = tmp_path / "deep" / "raw"
    home.mkdir(parents=True)
    archive = tar_with(home / "a.tar", member("tree", tarfile.DIRTYPE), *members)
    with pytest.raises(UserError, match=r"a\.tar is damaged \(.*\): delete it and start again"):
        unpack(archive, home / "tree")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "deep", "raw"]


@pytest.mark.parametrize("name", ["../../outside", "/outside", "tree/../../outside"])
def test_an_outer_name_lands_within_the_folder(name: str, tmp_path: Path) -> None:
    home = tmp_path / "deep" / "raw"
    home.mkdir(parents=True)
    extract(zip_with(home / "a.zip", name), home / "into")
    assert [path for path in tmp_path.rglob("outside") if not path.is_relative_to(home / "into")] == []
    assert len([*(home / "into").rglob("outside")]) == 1
    if name == "/outside":
        extract(tar_with(home / "a.tar", member(name)), home / "other")
        assert (home / "other" / "outside").read_text() == "x"
