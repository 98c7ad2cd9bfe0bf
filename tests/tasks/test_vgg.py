"""VGG-16's weights and blocks, and the file that keeps features: computed once, whatever becomes of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models.vgg import cfgs, make_layers
from torchvision.transforms.functional import normalize, resize

from alsuite.errors import UserError
from alsuite.pool import Rows
from alsuite.tasks.vgg import CHUNK, VGG16, FeatureStore, convolutions
from helpers.features import Convolutions
from helpers.pools import synthetic_pool

CPU = torch.device("cpu")


def kept(folder: Path, features: Convolutions | None = None) -> FeatureStore:
    return FeatureStore(features or Convolutions(), folder, CPU)


def written(folder: Path) -> Path:
    return folder / "random.rows"


@pytest.fixture
def images() -> Tensor:
    return synthetic_pool(60)[0].images


def expected(images: Tensor) -> Tensor:
    return Convolutions().on(CPU)(images)


def assert_kept(folder: Path, images: Tensor, computed: int) -> None:
    """Another process's view: the right features, of which so many had to be computed."""
    features = Convolutions()
    assert torch.allclose(kept(folder, features)(images), expected(images), atol=1e-6)
    assert features.seen == computed


def test_no_image_is_computed_twice(tmp_path: Path, images: Tensor) -> None:
    features = Convolutions()
    here = kept(tmp_path, features)
    assert torch.allclose(here(images[:40]), expected(images[:40]), atol=1e-6)
    rows = Rows(images, torch.tensor([50, 3, 45, 3]))
    assert torch.allclose(here(rows), expected(images)[rows.indices], atol=1e-6)
    assert features.seen == 42
    assert_kept(tmp_path, images, 18)
    assert_kept(tmp_path, images.flip(0), 0)
    assert torch.allclose(here(images), expected(images), atol=1e-6)
    assert features.seen == 42


def test_a_torn_row_is_computed_again(tmp_path: Path, images: Tensor) -> None:
    kept(tmp_path)(images)
    path = written(tmp_path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 100)
    assert_kept(tmp_path, images, 1)
    assert_kept(tmp_path, images, 0)


def test_damaged_rows_are_computed_again(tmp_path: Path, images: Tensor) -> None:
    kept(tmp_path)(images)
    path = written(tmp_path)
    content, size = bytearray(path.read_bytes()), path.stat().st_size // 60
    content[5 * size + 100] ^= 1
    content[20 * size : 30 * size] = bytes(10 * size)
    path.write_bytes(content)
    assert_kept(tmp_path, images, 11)
    assert_kept(tmp_path, images, 0)


@pytest.mark.parametrize("content", [b"", b"no features", Random(0).randbytes(5000)], ids=["empty", "text", "bytes"])
def test_any_other_file_is_as_good_as_none(tmp_path: Path, images: Tensor, content: bytes) -> None:
    written(tmp_path).write_bytes(content)
    assert_kept(tmp_path, images, 60)
    assert_kept(tmp_path, images, 0)


def test_a_file_that_is_deleted_meanwhile_is_begun_anew(tmp_path: Path, images: Tensor) -> None:
    features = Convolutions()
    here = kept(tmp_path, features)
    here(images[:30])
    written(tmp_path).unlink()
    for _ in range(2):
        assert torch.allclose(here(images), expected(images), atol=1e-6)
    assert features.seen == 30 + 60
    assert_kept(tmp_path, images, 0)


def test_a_file_that_another_run_began_anew_is_read_as_it_is_now(tmp_path: Path, images: Tensor) -> None:
    here = kept(tmp_path, Convolutions())
    here(images[:30])
    written(tmp_path).unlink()
    kept(tmp_path, Convolutions())(images.flip(0))
    for _ in range(2):
        assert torch.allclose(here(images), expected(images), atol=1e-6)


def test_other_weights_have_a_file_of_their_own(tmp_path: Path, images: Tensor) -> None:
    kept(tmp_path)(images)
    other = Convolutions("other")
    kept(tmp_path, other)(images)
    assert other.seen == 60


def test_no_image_is_refused_in_one_line(tmp_path: Path, images: Tensor) -> None:
    with pytest.raises(UserError, match=r"^there is no image to compute anything of"):
        kept(tmp_path)(images[:0])


def scan(folder: Path, pause: float, after: int, counts: multiprocessing.Queue[int]) -> None:
    torch.set_num_threads(1)
    features = Convolutions(pause=pause, after=after)
    kept(folder, features)(synthetic_pool(3000, (1, 8, 8))[0].images)
    counts.put(features.seen)


def test_processes_share_the_work_and_one_that_is_killed_leaves_a_sound_file(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    counts: multiprocessing.Queue[int] = context.Queue()  # type: ignore[assignment]
    killed = context.Process(target=scan, args=(tmp_path, 600, CHUNK, counts))
    killed.start()
    whole = CHUNK * kept(tmp_path).row.itemsize
    while killed.is_alive() and not (written(tmp_path).exists() and written(tmp_path).stat().st_size >= whole):
        time.sleep(0.01)
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    assert written(tmp_path).stat().st_size == whole
    processes = [context.Process(target=scan, args=(tmp_path, 0.02, 0, counts)) for _ in range(2)]
    for process in processes:
        process.start()
    assert sum(counts.get() for _ in processes) == 3000 - CHUNK
    for process in processes:
        process.join()


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return {f"features.{name}": value for name, value in make_layers(cfgs["D"]).state_dict().items()}


@pytest.fixture(scope="module")
def weights(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 59 MB, which no test changes."""
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    torch.save(state, path)
    return str(path)


@pytest.mark.slow
def test_weights_are_read_alike_from_every_place(
    tmp_path: Path, state: dict[str, Tensor], weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vgg16").mkdir()
    arrays: dict[str, Any] = {name: value.numpy() for name, value in state.items()}
    np.savez(tmp_path / "vgg16" / "vgg16_features.npz", **arrays)
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path))
    for path in (None, tmp_path / "vgg16" / "vgg16_features.npz", weights):
        found = convolutions(path)
        assert {f"features.{name}" for name in found} == {*state}
        assert all(torch.equal(found[name.removeprefix("features.")], value) for name, value in state.items())
    assert VGG16(side=32).name == VGG16(weights, side=32).name


@pytest.mark.parametrize("damage", ["cut", "renamed"])
def test_weights_that_cannot_be_read_are_told_in_one_line(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vgg16_features.npz"
    np.savez(path, other=np.zeros(100))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:60])
    monkeypatch.setenv("ALSUITE_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"^the ImageNet weights of VGG-16 cannot be read from .*npz.*fetch") as error:
        convolutions(None)
    assert "\n" not in str(error.value)


def test_every_block_has_its_size_and_sees_floats_as_it_sees_bytes(weights: str) -> None:
    pool, _ = synthetic_pool(6)
    for block in range(1, 6):
        vgg16 = VGG16(weights, side=32, block=block)
        features = vgg16.on(CPU)
        found = features(pool.images)
        assert found.shape == (6, vgg16.size)
        assert torch.allclose(features(pool.images.float() / 255), found, atol=1e-4)
        assert found.min() >= 0
        assert f"block{block}-32" in vgg16.name


@pytest.mark.parametrize(("block", "layers"), [(1, 4), (2, 9)])
def test_features_are_means_of_what_torchvisions_layers_make_of_images_as_imagenets(
    state: dict[str, Tensor], weights: str, block: int, layers: int
) -> None:
    images = torch.randint(0, 256, (5, 3, 50, 50), dtype=torch.uint8)
    net = make_layers(cfgs["D"])
    net.load_state_dict({name.removeprefix("features."): value for name, value in state.items()})
    seen = resize(images / 255, [32, 32], antialias=True)
    seen = normalize(seen, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = net[:layers](seen).mean((2, 3))
    found = VGG16(weights, side=32, block=block).on(CPU)(images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-3)


def test_reading_the_weights_draws_no_random_number(weights: str) -> None:
    before = torch.get_rng_state()
    VGG16(weights).on(CPU)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("option", "value"), [("side", 16), ("block", 0), ("block", 6)])
def test_a_side_or_block_out_of_range_is_refused(option: str, value: int) -> None:
    with pytest.raises(UserError, match=rf"^features\.{option}={value} "):
        VGG16(None, **{option: value})  # type: ignore[arg-type]


def test_images_of_four_channels_are_refused(weights: str) -> None:
    see = VGG16(weights, side=32).on(CPU)
    with pytest.raises(UserError, match="these have 4 channels"):
        see(torch.zeros(1, 4, 8, 8))
