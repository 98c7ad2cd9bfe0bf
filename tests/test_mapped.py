"""Images that stay in their file: what is read, in what order, and that a run sees no other images than in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from alsuite import mapped
from alsuite.data import load
from alsuite.data.dataset import Split, drawn, statistics
from alsuite.errors import UserError
from alsuite.limits import memory
from alsuite.mapped import Mapped, in_windows, large, parts, windows
from alsuite.nets.classifiers import linear
from alsuite.pool import Pool, Rows
from alsuite.scores import entropy
from alsuite.strategies.coreset import CoreSet
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.tasks import features_of
from alsuite.training.fit import Stream, infer
from alsuite.training.weights import fingerprint
from helpers.commands import Command, records, started
from helpers.data_files import write_npy
from helpers.tasks import fast_task

ROW = 3 * 4 * 5
CHOICES = {
    "in order": torch.arange(300),
    "backwards": torch.arange(299, -1, -1),
    "with small gaps": torch.arange(0, 300, 2),
    "with large gaps": torch.arange(5, 300, 50),
    "at random": torch.randperm(300, generator=Generator().manual_seed(0))[:111],
    "twice": torch.tensor([7, 7, 299, 0, 7]),
    "twice, in as many rows as lie between": torch.tensor([5, 5, 7]),
    "none": torch.arange(0),
}


@pytest.fixture
def file(tmp_path: Path) -> NDArray[np.uint8]:
    """A file of 300 different images, mapped."""
    images = np.random.default_rng(0).integers(0, 256, (300, 3, 4, 5), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that make little images be read as large ones are: 10 a block, 40 a window."""
    for name, rows in {"BLOCK": 10, "WINDOW": 40, "AHEAD": 16, "GAP": 3}.items():
        monkeypatch.setattr(mapped, name, rows * ROW)


def both(file: NDArray[np.uint8]) -> tuple[Mapped, Tensor]:
    return Mapped(cast(np.memmap, file), most=0), torch.from_numpy(np.array(file))


def as_pool(images: Any, labelled: int = 60) -> Pool:
    pool = Pool(images, 10, [0.5] * 3, [0.25] * 3)
    pool.label(torch.arange(0, 3 * labelled, 3), torch.arange(labelled) % 10)
    return pool


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("choice", CHOICES)
def test_the_rows_that_are_read_are_those_asked_for(file: NDArray[np.uint8], choice: str) -> None:
    held, whole = both(file)
    rows = CHOICES[choice]
    assert torch.equal(held.index_select(0, rows), whole[rows])
    assert torch.equal(held[rows], whole[rows])
    assert torch.equal(held.at(torch.arange(10, 300))[:7], whole[10:17])


def test_it_is_as_much_of_a_tensor_as_it_takes(file: NDArray[np.uint8]) -> None:
    held, whole = both(file)
    assert (held.shape, held.dtype, held.nbytes, len(held)) == (whole.shape, whole.dtype, whole.nbytes, 300)
    assert held[:] is held
    assert torch.equal(held[:300], whole)
    assert torch.equal(held[::1], whole)
    assert fingerprint(cast(Tensor, held)) == fingerprint(whole)
    assert torch.equal(held[290:400], whole[290:])
    assert torch.equal(held[::7], whole[::7])
    assert torch.equal(held[-1], whole[-1])
    assert torch.equal(held[whole[:, 0, 0, 0] > 99], whole[whole[:, 0, 0, 0] > 99])
    assert statistics(cast(Tensor, held)) == statistics(whole)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("choice", ["in order", "with small gaps", "at random"])
def test_a_scan_sees_all_images_in_their_order(file: NDArray[np.uint8], choice: str) -> None:
    held, whole = both(file)
    rows = CHOICES[choice]
    for size in (1, 7, 64, 1000):
        found = [part.clone() for part in parts(Rows(cast(Tensor, held), rows), size)]
        assert [len(part) for part in found] == [len(part) for part in rows.split(size)]
        assert torch.equal(torch.cat(found), whole[rows])
    means = infer(lambda images: images.float().mean((1, 2, 3)), held, size=11)
    assert torch.equal(means, whole.float().mean((1, 2, 3)))


@pytest.mark.usefixtures("small")
def test_a_scan_that_ends_early_leaves_no_thread(file: NDArray[np.uint8]) -> None:
    import threading

    held, _ = both(file)
    before = threading.active_count()
    scan = parts(cast(Tensor, held), 8)
    next(scan)
    assert threading.active_count() > before
    scan.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("n", "batch"), [(300, 7), (299, 10), (101, 10), (201, 20), (64, 1)])
def test_an_epoch_in_blocks_has_each_image_once_in_batches_like_any_other(
    file: NDArray[np.uint8], n: int, batch: int
) -> None:
    held, whole = both(file)
    indices = torch.arange(300)[300 - n :].flip(0)
    streams = [
        Stream(cast(Tensor, images), torch.arange(300), batch=batch, indices=indices) for images in (held, whole)
    ]
    assert streams[0].in_windows
    blocks, full = ([*stream] for stream in streams)
    assert [len(rows) for _, rows in blocks] == [len(rows) for _, rows in full]
    served = torch.cat([rows for _, rows in blocks])
    assert torch.equal(served.sort().values, indices.sort().values)
    assert torch.equal(torch.cat([images for images, _ in blocks]), whole[served])


@pytest.mark.usefixtures("small")
def test_a_window_holds_whole_blocks_and_mixes_them(file: NDArray[np.uint8]) -> None:
    held, _ = both(file)
    epochs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        epochs.append([rows.clone() for rows, _ in windows(held, torch.arange(300), 8)])
    assert [len(rows) for rows in epochs[0]] == [40] * 7 + [20]
    assert all(torch.equal(a, b) for a, b in zip(*epochs[:2], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(epochs[0], epochs[2], strict=True))
    for rows in epochs[0][:7]:
        assert len((rows // 10).unique()) == 4
        assert len((rows[:8] // 10).unique()) > 1
    order = torch.cat(epochs[0]) // 10
    assert not torch.equal(order.unique_consecutive().sort().values, order.unique_consecutive())


def test_what_fits_into_a_window_is_shuffled_as_in_memory(file: NDArray[np.uint8]) -> None:
    held, whole = both(file)
    assert not in_windows(held, 300)
    chosen = CHOICES["at random"]
    epochs = []
    for images in (held, whole):
        torch.manual_seed(3)
        epochs.append([*Stream(cast(Tensor, images), torch.arange(300), batch=10, indices=chosen)])
    for (images, rows), (others, same) in zip(*epochs, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(rows, same)


@pytest.mark.parametrize("strategy", [Uncertainty(entropy), CoreSet()])
def test_a_query_chooses_as_in_memory(file: NDArray[np.uint8], strategy: Any) -> None:
    picks, features = [], []
    for images in both(file):
        torch.manual_seed(0)
        pool = as_pool(images)
        task = fast_task(linear, epochs=2).learn(pool)
        picks.append(strategy.query(pool, task, 9).indices)
        features.append(features_of(task, pool.rows(pool.unlabelled)))
    assert torch.equal(*picks)
    assert torch.equal(*features)


def test_images_that_would_fill_half_of_the_memory_stay_in_their_file(
    file: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert file.nbytes < memory() < 2**50
    assert large(file) is None
    assert large(np.array(file), "blocks") is None
    assert isinstance(large(file, "blocks"), Mapped)
    monkeypatch.setattr(mapped, "memory", lambda: 1.9 * file.nbytes)
    found = large(file)
    assert isinstance(found, Mapped)
    assert isinstance(found.at(torch.arange(290)), Mapped)
    assert isinstance(found.at(torch.arange(200)), Tensor)
    assert large(file, "full") is None
    with pytest.raises(UserError, match=r"dataset\.shuffle=some is unknown: choose one of auto, full, blocks"):
        large(file, "some")


def test_a_data_set_in_its_file_has_the_images_of_one_in_memory(tmp_path: Path) -> None:
    write_npy(tmp_path / "made", classes=4, shape=(3, 6, 6))
    options: dict[str, Any] = {"root": tmp_path, "classes": [3, 1], "validation": 2}
    in_file, in_memory = (load("made", print, shuffle=shuffle, **options) for shuffle in ("blocks", "full"))
    assert isinstance(in_file.train.images, Mapped)
    assert isinstance(in_memory.train.images, Tensor)
    for ours, theirs in ((in_file.train, in_memory.train), (drawn(in_file.train, 3), drawn(in_memory.train, 3))):
        assert torch.equal(Split(ours.images, ours.targets).images[torch.arange(len(ours.targets))], theirs.images)
        assert torch.equal(ours.targets, theirs.targets)
    assert (in_file.mean, in_file.std) == (in_memory.mean, in_memory.std)
    sizes = [load("made", print, shuffle=s, root=tmp_path, size=3).train.images for s in ("blocks", "full")]
    assert torch.equal(*sizes)


def test_nothing_joins_a_pool_that_stays_in_its_file(file: NDArray[np.uint8]) -> None:
    pool = as_pool(both(file)[0])
    with pytest.raises(UserError, match=r"read from its file takes no synthetic images: set \+\+dataset\.shuffle=full"):
        pool.extend(torch.zeros(1, 3, 4, 5, dtype=torch.uint8))


def test_a_file_that_has_become_shorter_is_told(file: NDArray[np.uint8]) -> None:
    held, _ = both(file)
    with Path(str(cast(np.memmap, file).filename)).open("r+b") as shorter:
        shorter.truncate(5000)
    with pytest.raises(UserError, match=r"images\.npy has become shorter: delete its folder and start again"):
        held.index_select(0, torch.arange(250, 300))


@pytest.mark.slow
def test_a_run_says_that_it_shuffles_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path))
    monkeypatch.setattr(mapped, "WINDOW", 8 * 28 * 28)
    monkeypatch.setattr(mapped, "BLOCK", 2 * 28 * 28)
    write_npy(tmp_path / "mnist", classes=10, shape=(1, 28, 28))
    alsuite: Command = started(tmp_path / "outputs", monkeypatch, capsys)
    command = [
        "dataset=mnist",
        "strategy=entropy",
        "budget.initial=10",
        "budget.query=5",
        "budget.end=15",
        "+dataset.shuffle=blocks",
    ]
    told = "2.35e-05 GB of images stay in their file and are shuffled in blocks; ++dataset.shuffle=full shuffles all"
    last = alsuite(*command)
    assert last.err == ""
    assert told in last.out
    (run,) = (path.parent for path in tmp_path.rglob("run.json") if '"shuffle": "blocks"' in path.read_text())
    assert [record["labelled"] for record in records(run)] == [10, 15]
