"""What a run depends on beside its configuration: words may change, code and data may not."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from alsuite import code
from alsuite.code import code_at_work, code_behind
from alsuite.command import identity
from alsuite.command.identity import code_of, data_of, provenance
from alsuite.errors import UserError
from helpers import REPOSITORY
from helpers.configs import composed

STRATEGY = '''
"""Ask for what comes first."""

from collections.abc import Sequence

from own_code.order import ordered


class Mine:
    """Sort once."""

    def query(self, scores: Sequence[float], n: int):
        return ordered(scores)[:n]
'''
ORDER = "def ordered(scores):\n    return sorted(scores, reverse=False)\n"
Change = Callable[..., set[str]]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of the user's own, outside alsuite and not imported."""
    folder = tmp_path / "own_code"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "mine.py").write_text(STRATEGY)
    (folder / "order.py").write_text(ORDER)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    assert not [name for name in sys.modules if name.startswith("own_code")], "nothing is to be executed"


@pytest.fixture
def changed_by(own: Path) -> Change:
    """The modules whose hash differs once a text in a file of the user's own is replaced."""

    def changed(file: str, old: str, new: str) -> set[str]:
        config = {"strategy": {"_target_": "own_code.mine.Mine"}}
        before, path = code_of(config), own / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        after = code_of(config)
        return {name for name in {*before, *after} if before.get(name) != after.get(name)}

    return changed


def resolved(*overrides: str) -> dict[str, Any]:
    OmegaConf.register_new_resolver("or", lambda value, other: value or other, replace=True)
    values = OmegaConf.to_container(composed(*overrides), resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ([], set()),
        (["dataset=mnist"], set()),
        (["enlarge=2000"], {"alsuite.data.enlarged"}),
        (["imbalance={ratio: 0.1}"], {"alsuite.data.imbalanced"}),
    ],
)
def test_what_enlarges_or_thins_a_pool_counts_where_it_does(options: list[str], more: set[str]) -> None:
    found = {name for name in code_of(resolved(*options)) if name.startswith("alsuite.data")}
    assert found == {"alsuite.data.dataset"} | more


@pytest.mark.parametrize(
    ("strategy", "inside", "outside"),
    [
        (["strategy=vaal"], {"strategies.vaal", "nets.vae", "training.game"}, {"strategies.asal", "generators.gan"}),
        (["strategy=margin"], {"strategies.uncertainty", "scores"}, {"strategies.vaal", "nets.vae"}),
        (["strategy=asal"], {"strategies.asal", "generators.gan", "nets.gans"}, {"strategies.vaal", "nets.acgan"}),
        (["task_model=lenet"], {"tasks.classification", "nets.classifiers"}, {"tasks.m2", "tasks.svm"}),
    ],
)
def test_a_run_depends_on_its_own_parts_alone(strategy: list[str], inside: set[str], outside: set[str]) -> None:
    found = {name.removeprefix("alsuite.") for name in code_of(resolved(*strategy))}
    assert inside | {"loop", "metrics", "pool", "data.dataset", "budget", "oracle"} <= found
    assert not outside & found
    assert not {name.split(".")[0] for name in found} & {"errors", "journal", "figures", "results", "command"}


def test_a_changed_sort_is_found_and_so_is_that_of_a_helper(changed_by: Change) -> None:
    assert changed_by("mine.py", "[:n]", "[-n:]") == {"own_code.mine"}
    assert changed_by("order.py", "reverse=False", "reverse=True") == {"own_code.order"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Ask for what comes first.", "Ask for the first."),
        ('    """Sort once."""\n', ""),
        ("return ordered", "# the least come first\n        return ordered"),
        ("scores: Sequence[float], n: int", "scores,   n"),
        ("scores: Sequence[float], n: int", "scores: 'Sequence[float]', n"),
        ("from collections.abc import Sequence\n", "from __future__ import annotations\n"),
    ],
)
def test_words_may_change_freely(changed_by: Change, old: str, new: str) -> None:
    assert changed_by("mine.py", old, new) == set()


def test_an_import_for_annotations_alone_is_not_followed(changed_by: Change) -> None:
    typed = "from own_code import order as theirs\n"
    assert changed_by("mine.py", "from own_code.order", f"{typed}from own_code.order") == {"own_code.mine"}
    assert changed_by("mine.py", "n: int", "n: theirs") == {"own_code.mine"}
    assert changed_by("mine.py", typed, "") == set()


@pytest.mark.parametrize(
    "line",
    ["from . import order", "from .order import ordered", "from own_code.order import *", "import own_code.order"],
)
def test_every_way_to_import_is_followed(changed_by: Change, own: Path, line: str) -> None:
    (own / "mine.py").write_text(f"{line}\n")
    assert changed_by("order.py", "False", "True") == {"own_code.order"}


def test_a_module_that_bears_the_name_of_one_of_pythons_is_followed(changed_by: Change, own: Path) -> None:
    (own / "mine.py").write_text("from .random import ordered\n")
    (own / "order.py").rename(own / "random.py")
    assert changed_by("random.py", "False", "True") == {"own_code.random"}


def test_a_package_around_a_module_counts(changed_by: Change, own: Path) -> None:
    (own / "__init__.py").write_text("SIZE = 1\n")
    assert changed_by("__init__.py", "1", "2") == {"own_code"}


def test_a_function_named_by_its_path_counts(own: Path) -> None:
    score = {"_target_": "hydra.utils.get_method", "path": "own_code.order.ordered"}
    found = code_of({"strategy": {"_target_": "alsuite.strategies.uncertainty.Uncertainty", "score": score}})
    assert "own_code.order" in found
    assert "own_code.mine" not in found


def test_code_that_cannot_be_parsed_has_a_hash_all_the_same(changed_by: Change) -> None:
    assert changed_by("order.py", "def", "def def") == {"own_code.order"}
    assert changed_by("order.py", "def def", "def def def") == {"own_code.order"}


def test_the_hash_is_that_of_every_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What later versions parse or write otherwise: parts of f-strings, their quotes, fields that are empty."""
    written = """
        import functools
        class Some:
            pass
        def told(x, *, digits=2, **kwargs):
            return f"{x:.{digits}f} {x!r} {kwargs['name']} it's" f'{x=}' + ("a" "b")
        async def others(a, /, b: int = 1): return [*a, {**b}, a[1:2, ...], lambda: (yield)]
    """
    (tmp_path / "told_by_all.py").write_text(dedent(written))
    monkeypatch.syspath_prepend(tmp_path)
    found = code_of({"strategy": {"_target_": "told_by_all.told"}})
    assert found["told_by_all"] == "2bb6e3e0c581"  # by 3.11, 3.12 and 3.13


def test_figures_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "alsuite"
    shutil.copytree(Path(code.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    found = code._spec("alsuite")
    assert found is not None
    monkeypatch.setattr(found, "submodule_search_locations", [str(package)])
    monkeypatch.setattr(code.importlib.util, "find_spec", lambda name: found)
    config = {"strategy": {"_target_": "alsuite.strategies.vaal.VAAL"}}
    before = code_of(config)
    for file in ("figures/__init__.py", "errors.py", "journal.py", "command/run.py", "results/statistics.py"):
        (package / file).write_text("raise SystemExit\n")
    assert code_of(config) == before
    (package / "strategies" / "vaal.py").write_text("raise SystemExit\n")
    assert code_of(config)["alsuite.strategies.vaal"] != before["alsuite.strategies.vaal"]


def test_torch_is_not_imported() -> None:
    command = (
        "import sys; from alsuite.command.identity import code_of, data_of\n"
        "code_of({'strategy': {'_target_': 'alsuite.strategies.vaal.VAAL'}})\n"
        "data_of({'_target_': 'alsuite.data.load', 'name': 'nowhere'})\n"
        "data_of({'_target_': 'alsuite.data.folders.folder', 'path': 'docs', 'labelled': 'none'})\n"
        "assert not {'torch', 'alsuite.loop'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", command], check=True, cwd=REPOSITORY)


def test_a_sweep_asks_again_at_no_cost() -> None:
    config = resolved("strategy=asal")
    code_of(config)
    start = time.process_time()
    for _ in range(10):
        code_of(config)
    assert time.process_time() - start < 0.5


def fresh(dataset: dict[str, Any]) -> str:
    """The hash that a new process would find."""
    identity._checksum.cache_clear()
    return data_of(dataset)


def pictures(root: Path) -> dict[str, Any]:
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for i in range(6):
            (root / label / f"{i}.png").write_bytes(bytes([i]) * 9000)
    return {"_target_": "alsuite.data.folders.folder", "path": str(root), "size": 8}


def added(root: Path) -> None:
    (root / "dog" / "6.png").write_bytes(b"new")


def replaced(root: Path) -> None:
    (root / "dog" / "3.png").write_bytes(bytes([7]) * 9000)


def renamed(root: Path) -> None:
    (root / "dog" / "3.png").rename(root / "cat" / "7.png")


def removed(root: Path) -> None:
    (root / "dog" / "3.png").unlink()


@pytest.mark.parametrize("change", [added, replaced, renamed, removed])
def test_a_folder_whose_images_change_is_other_data(tmp_path: Path, change: Callable[[Path], None]) -> None:
    dataset = pictures(tmp_path / "pets")
    before = fresh(dataset)
    assert len(before) == 12
    change(tmp_path / "pets")
    assert fresh(dataset) not in ("", before)


def test_labels_that_are_known_belong_to_the_data(tmp_path: Path) -> None:
    dataset, known = pictures(tmp_path / "pets"), tmp_path / "labels.csv"
    whole = fresh(dataset)
    assert fresh({**dataset, "labelled": "folders"}) == whole
    found = set()
    for label in ("cat", "dog"):
        known.write_text(f"image,label\ncat/0.png,{label}\n")
        found.add(fresh({**dataset, "labelled": str(known)}))
    assert len(found - {whole, ""}) == 2


def test_what_is_no_image_is_no_data_of_a_folder(tmp_path: Path) -> None:
    dataset, known = pictures(tmp_path / "pets"), tmp_path / "labels"
    dataset |= {"labelled": str(known)}
    known.mkdir()
    (known / "a.csv").write_text("image,label\ncat/0.png,cat\n")
    before = fresh(dataset)
    (tmp_path / "pets" / "dog" / "Thumbs.db").write_text("small ones")
    (tmp_path / "pets" / "next.csv").write_text("image,label\n")
    (known / "notes.txt").write_text("none")
    assert fresh(dataset) == before
    (known / "b.csv").write_text("image,label\ncat/1.png,cat\n")
    assert fresh(dataset) != before
    (tmp_path / "empty").mkdir()
    assert fresh({**dataset, "path": str(tmp_path / "empty")}) != before


def test_the_names_of_the_classes_of_masks_belong_to_the_data(tmp_path: Path) -> None:
    dataset = {**pictures(tmp_path / "mine"), "_target_": "alsuite.data.segmentation.folder_masks"}
    found = {fresh(dataset)}
    for name in ("classes.txt", "notes.txt"):
        (tmp_path / "mine" / name).write_text("cell\ntissue\n")
        found.add(fresh(dataset))
    assert len(found) == 2


def test_images_for_testing_belong_to_the_data(tmp_path: Path) -> None:
    dataset, seen = pictures(tmp_path / "pets"), tmp_path / "seen" / "cat" / "0.png"
    seen.parent.mkdir(parents=True)
    found = set()
    for content in (b"one", b"other"):
        seen.write_bytes(content)
        found.add(fresh({**dataset, "labelled": "none", "test": str(tmp_path / "seen")}))
    assert len(found - {""}) == 2


def test_a_folder_is_the_same_data_wherever_and_whenever_it_is_copied(tmp_path: Path) -> None:
    dataset = pictures(tmp_path / "pets")
    shutil.copytree(tmp_path / "pets", tmp_path / "copy", copy_function=shutil.copyfile)
    (tmp_path / "copy" / ".hidden").touch()
    assert fresh({**dataset, "path": str(tmp_path / "copy")}) == fresh(dataset)


def test_a_large_folder_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, read = pictures(tmp_path / "pets"), []
    monkeypatch.setattr(identity, "MOST_FILES", 5)
    monkeypatch.setattr(identity, "_sample", lambda path, blocks: read.append(path) or b"")
    before = fresh(dataset)
    assert len(read) == 4
    added(tmp_path / "pets")
    assert fresh(dataset) != before


def test_code_that_was_edited_after_it_was_imported_trains_nothing_under_its_new_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "edited_meanwhile.py"
    module.write_text("A = 1\n")
    found = code_at_work(["edited_meanwhile"])
    module.write_text("A = 1  # as before\n")
    assert code_at_work(["edited_meanwhile"]) == found
    module.write_text("A = 22\n")
    with pytest.raises(UserError, match="edited_meanwhile changed after this process began"):
        code_at_work(["edited_meanwhile"])


def arrays(root: Path, name: str, seed: int = 0) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    (root / name).mkdir(parents=True)
    for split in ("train", "test"):
        np.save(root / name / f"{split}_images.npy", generator.integers(0, 256, (2000, 1, 16, 16), np.uint8))
        np.save(root / name / f"{split}_targets.npy", generator.integers(0, 10, 2000))
    return {"_target_": "alsuite.data.load", "name": name}


def test_arrays_are_told_apart_and_found_below_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path))
    dataset = arrays(tmp_path, "shapes")
    before = fresh(dataset)
    assert fresh({**dataset, "name": "squares", "source": "shapes"}) == before
    arrays(tmp_path / "elsewhere", "shapes", seed=1)
    assert fresh({**dataset, "root": str(tmp_path / "elsewhere")}) not in ("", before)
    images = tmp_path / "shapes" / "test_images.npy"
    with images.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    assert fresh(dataset) not in ("", before)


def test_data_that_is_not_there_has_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path))
    there, absent = arrays(tmp_path, "shapes"), {"_target_": "alsuite.data.load", "name": "nowhere"}
    assert fresh(absent) == ""
    assert fresh({**there, "extra_tests": {"other": absent}}) == ""
    assert fresh({**there, "extra_tests": {}}) == fresh(there) != ""


def test_extra_tests_belong_to_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path))
    dataset = {**arrays(tmp_path, "shapes"), "extra_tests": {"other": arrays(tmp_path, "other")}}
    before = fresh(dataset)
    np.save(tmp_path / "other" / "test_targets.npy", np.zeros(2000, np.int64))
    assert fresh(dataset) not in ("", before)


def test_embedded_digits_are_always_the_same() -> None:
    assert data_of(resolved()["dataset"]) == "embedded"


def test_paths_of_a_data_set_of_ones_own_are_read(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("1,2\n")
    dataset = {"_target_": "own_code.data", "name": str(tmp_path), "files": [{"table": str(tmp_path / "table.csv")}]}
    before = fresh(dataset)
    (tmp_path / "table.csv").write_text("1,3\n")
    assert fresh(dataset) not in ("", before)
    assert fresh({"_target_": "own_code.data", "kind": "made up"}) == ""


def git(folder: Path, *command: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(
        ["git", "-C", str(folder), *who, *command], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_commits_are_written_down_with_a_mark_for_untracked_files(own: Path) -> None:
    git(own, "init", "-q")
    git(own, "add", ".")
    git(own, "commit", "-qm", "Begin")
    head = git(own, "rev-parse", "HEAD")
    names = ["alsuite.loop", "own_code.mine", "own_code.order"]
    facts = provenance(torch.device("cpu"), names)
    assert facts["own_commits"] == {"own_code": head}
    assert {"commit", "versions", "device", "threads"} <= facts.keys()
    index = (own / ".git" / "index").read_bytes()
    os.utime(own / "mine.py", (1, 1))
    (own / "outputs").mkdir()
    (own / "outputs" / "run.json").touch()
    assert provenance(torch.device("cpu"), names)["own_commits"] == {"own_code": head}
    (own / "more.py").touch()
    assert provenance(torch.device("cpu"), names)["own_commits"] == {"own_code": f"{head}+changes"}
    assert (own / ".git" / "index").read_bytes() == index  # git took no lock, which a kill would leave
    assert "own_commits" not in provenance(torch.device("cpu"), ["alsuite.loop"])


def test_a_network_of_the_users_own_belongs_to_the_code() -> None:
    net = {"_target_": "alsuite.nets.others.network", "name": "helpers.nets.Net"}
    assert "helpers.nets" in code_of({"task_model": {"net": net}})
    assert "helpers.nets" not in code_of({"task_model": {"net": {**net, "name": "resnet50"}}})


def test_modules_are_found_in_folders_without_init(own: Path) -> None:
    """As Python finds them, in a folder of folders."""
    (own / "__init__.py").unlink()
    (own / "deep").mkdir()
    (own / "deep" / "mine.py").write_text(STRATEGY)
    before = code_behind(["own_code.deep.mine.Mine"])
    assert "own_code.deep.mine" in before
    (own / "deep" / "mine.py").write_text(STRATEGY + "\n\nMORE = 1\n")
    assert code_behind(["own_code.deep.mine.Mine"])["own_code.deep.mine"] != before["own_code.deep.mine"]


def test_a_repository_that_only_surrounds_alsuite_is_the_users_own(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(own, "init", "-q")
    git(own, "add", "mine.py")
    git(own, "commit", "-qm", "Begin")
    installed = own / "libs" / "alsuite" / "command" / "identity.py"
    installed.parent.mkdir(parents=True)
    monkeypatch.setattr(identity, "__file__", str(installed))
    facts = provenance(torch.device("cpu"), ["own_code.mine"])
    assert facts["own_commits"] == {"own_code": git(own, "rev-parse", "HEAD") + "+changes"}
    assert facts["commit"] == "unknown"
    noted = SimpleNamespace(version="0", read_text=lambda name: '{"vcs_info": {"vcs": "git", "commit_id": "abc"}}')
    monkeypatch.setattr(identity.metadata, "distribution", lambda name: noted)
    assert provenance(torch.device("cpu"), ["own_code.mine"])["commit"] == "abc"
