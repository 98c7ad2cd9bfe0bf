"""What comes with alsuite is not trained again, unless it would be another network."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from safetensors import safe_open

from alsuite import code
from alsuite.generators.gan import GAN
from alsuite.nets.gans import dcgan
from alsuite.pool import Pool
from alsuite.tasks.classification import Classification
from alsuite.training import once, rehearsal, shipped
from alsuite.training.once import CURVES, WEIGHTS, Kept
from alsuite.training.weights import contents
from helpers.configs import composed
from helpers.pools import laid_out, synthetic_pool

SHIPPED = sorted(shipped.FOLDER.glob("*.safetensors"))
POOL = ("dataset.validation=10000",)  # as ASAL has it
MODULES = ("alsuite.nets.gans", "alsuite.generators.gan")
OTHERS = {
    "autoencoder": ("alsuite.nets.autoencoders", "alsuite.generators.autoencoder"),
    "annotator": ("alsuite.nets.classifiers", "alsuite.tasks.classification"),
}


def gan(root: Path, **changes: object) -> GAN:
    options = {"name": "dcgan", "iterations": 4, "batch": 5, "critic_steps": 1, "loss": "cross_entropy", **changes}
    return GAN(partial(dcgan, latent=4, width=1 / 16), folder=f"{root}/pretrained/digits", **options)  # type: ignore[arg-type]


@pytest.fixture
def pool() -> Pool:
    return synthetic_pool(40, (1, 8, 8))[0]


@pytest.fixture
def made(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """A trained generator that was shipped, with its 50 seconds."""
    kept = gan(tmp_path / "theirs").kept(pool)
    state, told = contents(kept.home / WEIGHTS)
    its = shipped.about(told["about"], MODULES)
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    shipped.ship(tmp_path / "shipped" / "it.safetensors", state, its, [4, 50.0, 0.1, 0.2])
    return kept


def refuse_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "_train", lambda *_: pytest.fail("it is trained again"))


def test_what_is_shipped_is_kept_from_then_on_and_not_trained(
    made: Kept, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_train(monkeypatch)
    kept = gan(tmp_path).kept(pool)
    for one, its in zip(made.net.state_dict().values(), kept.net.state_dict().values(), strict=True):
        assert its.dtype == one.dtype
        torch.testing.assert_close(its, one, rtol=1e-3, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in kept.net.parameters())
    assert kept.net.spent[:2] == (4, 50.0)
    assert kept.home.name == made.home.name
    assert sorted(path.name for path in kept.home.iterdir()) == [CURVES, "metadata.json", WEIGHTS]
    monkeypatch.setattr(shipped, "found", lambda its: pytest.fail("it is kept already"))
    assert gan(tmp_path).kept(pool).net.spent.seconds == 50.0


def test_an_estimate_counts_no_training_and_writes_nothing(
    made: Kept, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_train(monkeypatch)
    with rehearsal.rehearsing() as clock:
        gan(tmp_path).kept(pool)
    assert clock.skipped == 0
    assert not (tmp_path / "pretrained").exists()


@pytest.mark.parametrize("changes", [{"iterations": 5}, {"seed": 1}, {"lr": 1e-3}, {"batch": 6}])
def test_another_configuration_trains_its_own(
    made: Kept, changes: dict[str, object], pool: Pool, tmp_path: Path
) -> None:
    assert gan(tmp_path, **changes).kept(pool).net.spent.seconds != 50.0


@pytest.mark.parametrize("module", MODULES)
def test_another_network_or_game_is_trained_anew(
    module: str, made: Kept, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, path = code.own_file, code.own_file(module)
    assert path is not None
    (tmp_path / "changed.py").write_text(f"{path.read_text()}\nMORE = 1\n")
    monkeypatch.setattr(code, "_first", {})  # as in a new process
    monkeypatch.setattr(code, "own_file", lambda name: tmp_path / "changed.py" if name == module else find(name))
    assert gan(tmp_path).kept(pool).net.spent.seconds != 50.0


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_each_that_comes_with_alsuite_is_todays_in_half_precision_and_small(path: Path) -> None:
    its = json.loads(shipped.about_of(path))
    modules = OTHERS.get(its["name"], MODULES)
    iterations = its["epochs"] if its["name"] == "annotator" else its["iterations"]
    assert its["code"] == json.loads(shipped.about(shipped.about_of(path), modules))["code"], (
        "train it anew: ship_generator.py"
    )
    assert path.stem == f"{path.stem.rpartition('_')[0]}_{iterations}"
    assert path.stat().st_size < 1e7
    with safe_open(path, "pt") as file:
        kinds = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert kinds <= {torch.half, torch.int64}
    told = shipped.read(path)
    assert told.row[0] == iterations
    assert told.told["command"].startswith("python scripts/ship_generator.py")
    assert len(told.told["commit"]) >= 40


def test_all_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED) < 4e7


@pytest.mark.data
@pytest.mark.parametrize(
    "path",
    [path for path in SHIPPED if path.stem.startswith("mnist") and "annotator" not in path.stem],
    ids=lambda path: path.stem,
)
def test_the_laptop_scale_starts_from_it(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out("mnist")
    refuse_to_train(monkeypatch)
    dataset, _, rest = path.stem.partition("_")
    config = composed(
        f"dataset={dataset}", f"generator={rest.rpartition('_')[0]}", "scale=laptop", *POOL, f"root={tmp_path}"
    )
    images = instantiate(config.dataset).train.images
    net: Any = instantiate(config.generator).kept(Pool(images, 10, (0.5,), (0.5,))).net
    codes = net.encode(net.ranged(images[:20])) if rest.startswith("autoencoder") else torch.randn(20, net.latent)
    made = net.decode(codes) if rest.startswith("autoencoder") else net.images(codes)
    assert float(made.std()) > 0.1


@pytest.mark.data
@pytest.mark.parametrize("dataset", ["mnist", "mnist57"])
def test_the_laptop_scale_asks_an_annotator_that_comes_with_alsuite(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out("mnist")
    monkeypatch.setattr(Classification, "learn", lambda *_: pytest.fail("it is taught again"))
    config = composed(f"dataset={dataset}", "oracle=annotator", "scale=laptop", *POOL, f"root={tmp_path}")
    data = instantiate(config.dataset)
    test = next(iter(data.tests.values()))
    pool = Pool(data.train.images, len(data.classes), data.mean, data.std)
    with rehearsal.rehearsing():
        instantiate(config.oracle)(data, tmp_path).judge(pool, test.images[:10])
    assert not [*tmp_path.iterdir()]
    found = instantiate(config.oracle)(data, tmp_path).judge(pool, test.images)
    assert float((found == test.targets).float().mean()) > 0.98
    assert [path.name for path in tmp_path.rglob(WEIGHTS)] == [WEIGHTS]
