"""All that computes on a GPU, on one that is pretended and, where there is one, on a real one.

Nothing lies on the wrong device, nothing waits at each step, and what draws no random numbers there finds what a CPU
finds.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from torch import Generator, Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from alsuite import CONF, mapped, nets, scores
from alsuite.budget import Budget
from alsuite.command import machine
from alsuite.generators.acgan import ACGANGame, ACGANRules, trained_on_labelled
from alsuite.generators.autoencoder import Reconstruction
from alsuite.generators.gan import GANGame, GANRules
from alsuite.journal import Journal
from alsuite.loop import Run, seed_all
from alsuite.matching.index import FeatureIndex
from alsuite.matching.neighbours import Exact
from alsuite.matching.projection import pca
from alsuite.nets.acgan import Conditional, acgan
from alsuite.nets.autoencoders import AutoEncoderNet, autoencoder
from alsuite.nets.classifiers import convnet, lenet
from alsuite.nets.fastnet import Whitening, fastnet
from alsuite.nets.gans import Pair, res_wgan_gp
from alsuite.nets.vae import VAE, discriminator, small_vae
from alsuite.oracle import Ideal
from alsuite.pool import Pool, Rows, gather
from alsuite.strategies.coreset import k_center_greedy
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.tasks import classification
from alsuite.tasks.m2 import M2
from alsuite.tasks.ranked import Ranked
from alsuite.tasks.segmentation import mask_pictures
from alsuite.training.augment import augmentations, flip_together
from alsuite.training.fit import Stream, chunk_size, infer
from alsuite.training.game import AdversarialGame, AdversarialRules, play
from helpers.configs import composed
from helpers.features import svm
from helpers.masks import fast_segmentation, mask_pool
from helpers.nets import lite_weights
from helpers.pools import digit_pool, synthetic_pool
from helpers.pretended import CUDA, MEMORY, PretendedGPU, RealGPU, pretended, real
from helpers.tasks import dropout_net, fast_task

SMALL = ["scale=smoke", "scale.epochs=2", "scale.steps=4", "scale.gan_steps=4", "task_model.net.dropout=0.5"]
STRATEGIES = sorted(path.stem for path in (CONF / "strategy").glob("*.yaml"))
TASKS = sorted(path.stem for path in (CONF / "task_model").glob("*.yaml"))
OF_PIXELS = {"drn", "segnet_small", "lite_unet"}


HERE = pytest.param("real", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"))


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedGPU]:
    with pretended(monkeypatch) as gpu:
        yield gpu


@pytest.fixture(params=["pretended", HERE])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedGPU | RealGPU]:
    with pretended(monkeypatch) if request.param == "pretended" else real() as gpu:
        yield gpu


def on(device: str, pool: Pool) -> Pool:
    """Return the pool as it is made on a device."""
    normalise, shape = pool.normalise, pool.labels.shape[1:]
    other = Pool(pool.images.to(device), pool.classes, normalise.mean, normalise.std, torch.device(device), shape)
    other.label(pool.labelled, pool.labels[pool.labelled])
    return other


MISTAKES: dict[str, Callable[[Tensor], Any]] = {
    "a sum": lambda x: x + torch.ones(3),
    "a product": lambda x: x @ torch.ones(3, 2),
    "joined": lambda x: torch.cat([x, torch.ones(1, 3)]),
    "numbers joined": lambda x: torch.stack([x.sum(), torch.tensor(1.0)]),
    "rows at places of the other device": lambda x: x.index_select(0, torch.arange(2)),
    "a mask of the GPU on the CPU": lambda x: torch.ones(4, 3)[x > 0],
    "values put from the CPU": lambda x: x.__setitem__(torch.tensor([0]), torch.ones(1, 3)),
    "a layer that stayed": lambda x: nn.Linear(3, 2)(x),
    "a loss of labels that stayed": lambda x: nn.functional.cross_entropy(x, torch.zeros(4, dtype=torch.int64)),
    "an array": lambda x: x.numpy(),
    "a generator of the CPU": lambda x: torch.randperm(4, generator=Generator(), device="cuda"),
    "random numbers without a device": lambda x: torch.lerp(x, x, torch.rand(4, 1)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_a_gpu_refuses_is_refused(mistake: str, gpu: PretendedGPU | RealGPU) -> None:
    x = torch.randn(4, 3, device="cuda")
    with pytest.raises((RuntimeError, TypeError)):
        MISTAKES[mistake](x)


def test_what_a_gpu_takes_is_taken(gpu: PretendedGPU | RealGPU) -> None:
    x, there = torch.randn(4, 3).to("cuda"), torch.zeros(4, 3, device="cuda")
    net = nn.Linear(3, 2).to("cuda")
    there[:2], there[2:] = torch.ones(2, 3), x[torch.arange(2)]
    (net(x) * torch.tensor(2.0)).sum().backward()
    assert net.weight.grad is not None
    assert {each.device for each in (x, there, net.weight, net.weight.grad, x.new_zeros(2), x[x > 0])} == {CUDA}
    assert x.cpu().device == torch.device("cpu")
    assert gpu.waits == 2 or not gpu.exact  # for a mask, and for what was brought back; a real one says so of any copy


def builders() -> dict[str, Callable[..., nn.Module]]:
    """Return all that builds a network from an image's shape."""
    modules = [importlib.import_module(f"{nets.__name__}.{each.name}") for each in pkgutil.iter_modules(nets.__path__)]
    found = {name: make for each in modules for name, make in inspect.getmembers(each, inspect.isfunction)}
    of_shapes = {name: make for name, make in found.items() if [*inspect.signature(make).parameters][:1] == ["shape"]}
    return {
        name: make
        for name, make in of_shapes.items()
        if not name.startswith("_") and name not in ("sides_of", "lite_unet", "network")
    }


NETS = builders()


def test_all_networks_are_there() -> None:
    assert {"vgg16", "fastnet", "drn", "res_wgan_gp", "acgan", "autoencoder", "image_vae"} <= NETS.keys()


def passed(net: nn.Module, x: Tensor) -> list[Tensor]:
    """Return what a network gives by all of its ways."""
    z = torch.randn(len(x), getattr(net, "latent", 1), device="cuda")
    match net:
        case VAE():
            return [*net.encode(x), net.decoder(z)]
        case Pair():
            return [net.images(z), net.features(x), net.discriminator(net.ranged(x))]
        case Conditional():
            return [net(z, torch.zeros(len(x), dtype=torch.int64, device="cuda")), *net.judged(x)]
        case AutoEncoderNet():
            return [net.features(x), net.decode(net.features(x))]
    return [net(x)]


@pytest.mark.parametrize("name", NETS)
def test_every_network_by_torchs_own_rules(name: str) -> None:
    make, shape = NETS[name], (6,) if name == "feature_vae" else (3, 32, 32)
    classes = [10] if {"outputs", "classes"} & {*inspect.signature(make).parameters} else []
    with FakeTensorMode():
        with torch.device("cuda"):
            net, x = make(shape, *classes), torch.rand(4, *shape)
        for mode in (net.train(), net.eval()):
            assert {each.device.type for each in passed(mode, x)} == {"cuda"}


def task_of(name: str, folder: Path) -> tuple[Any, Pool]:
    """Return a task model as a configuration makes it, and a pool for it."""
    pool = mask_pool(40, 32)[0] if name in OF_PIXELS else synthetic_pool(60, (3, 16, 16))[0]
    if name == "svm_vgg":
        return svm(folder), pool
    if name == "ranked":
        return Ranked(dropout_net, epochs=2), pool
    weights = [f"task_model.net.weights={lite_weights(folder)}"] if name == "lite_unet" else []
    config = composed(f"task_model={name}", "scale=smoke", "scale.epochs=2", "++task_model.epochs=2", *weights)
    return instantiate(config.task_model)(), pool


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TASKS, "ranked"])
def test_every_task_learns_and_predicts_as_on_a_cpu(name: str, tmp_path: Path, gpu: PretendedGPU | RealGPU) -> None:
    found = {}
    for device in ("cpu", "cuda"):
        task, pool = task_of(name, tmp_path / device)
        pool = on(device, pool)
        seed_all(3, 0)
        task.learn(pool)
        images = pool.rows(pool.unlabelled)
        results = [*task.outputs(images), task.log_probs(images), task.scored(images, scores.entropy)]
        results += [task.scored(images, scores.bald, masks=2)] if any_dropout(task) else []
        results += [task.predicted_losses(images)] if name == "ranked" else []
        results += [*task.codes(images), task.reconstructed(images).float()] if name == "m2" else []
        results += measured(task, pool) if name in OF_PIXELS else []
        assert {each.device.type for each in results} == {device}
        found[device] = [each.cpu() for each in results]
    for cpu, there in zip(found["cpu"], found["cuda"], strict=True):
        assert there.shape == cpu.shape
        assert there.float().isfinite().all()
        if gpu.exact:
            torch.testing.assert_close(there, cpu, rtol=1e-2, atol=1e-3)


def measured(task: Any, pool: Pool) -> list[Tensor]:
    """Return what a segmentation makes of images whose masks are known."""
    images, masks = pool.rows(pool.labelled), gather(pool.labels, pool.labelled.cpu())
    assert mask_pictures(pool, task, pool.labelled[:2])["prediction"].shape[0] == 2
    return [task.confusion(images, masks), task.losses(images, masks)]


def any_dropout(task: Any) -> bool:
    layers = task.net if isinstance(getattr(task, "net", None), nn.Sequential) else ()
    return any(isinstance(layer, nn.Dropout) and layer.p > 0 for layer in layers)


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_picks_what_it_does_on_a_cpu(
    name: str, tmp_path: Path, gpu: PretendedGPU | RealGPU, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classification, "chunk_size", lambda *_, **__: 64)  # dropout draws its masks a chunk at a time
    found = {}
    for device in ("cpu", "cuda"):
        config = composed(f"strategy={name}", *SMALL, f"root={tmp_path / device}")
        pool, _ = digit_pool(100, classes=[5, 7] if "min_distance" in name or name == "gaal" else None)
        pool, strategy = on(device, pool), instantiate(config.strategy)
        seed_all(3, 0)
        task = instantiate(config.task_model)().learn(pool)
        query = strategy.query(pool, task, 10)
        assert query.indices.device.type == device
        found[device] = pool.rows(query.indices)[:].cpu()
    assert len(found["cuda"]) == len(found["cpu"])
    if gpu.exact:
        torch.testing.assert_close(found["cuda"], found["cpu"], rtol=0, atol=2)


@pytest.mark.parametrize("of_pixels", [False, True])
def test_a_run_asks_for_what_it_does_on_a_cpu(of_pixels: bool, tmp_path: Path, gpu: PretendedGPU | RealGPU) -> None:
    pool, targets = mask_pool(40, 0) if of_pixels else digit_pool(0)
    make = partial(fast_segmentation, epochs=1) if of_pixels else partial(fast_task, epochs=1)
    budget, asked = Budget(initial=12, query=6, end=24), {}
    for device in ("cpu", "cuda"):
        there, journal = on(device, pool), Journal(tmp_path / device)
        tests = {"test": (pool.images[:9].to(device), targets[:9])}
        first = torch.arange(12).to(device)
        Run(there, tests, make, Uncertainty(scores.entropy), Ideal(targets), budget, first, journal, seed=0).go()
        asked[device] = [(record["metrics"], record["label_counts"], record["queried"]) for record in journal.records]
        journal.close()
    assert len(asked["cpu"]) == len(asked["cuda"]) == 3
    assert asked["cpu"] == asked["cuda"] or not gpu.exact


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*TASKS, "ranked"} - {"svm_vgg", "m2"}))
def test_no_step_of_a_task_waits_for_the_gpu(name: str, tmp_path: Path, gpu: PretendedGPU | RealGPU) -> None:
    """An epoch, of eight steps and more, may wait for its order."""
    waits = []
    for epochs in (1, 2):
        task, pool = task_of(name, tmp_path)
        task.epochs, task.epochs_at, task.batch, start = epochs, None, 4, gpu.waits
        task.learn(on("cuda", pool))
        waits.append(gpu.waits - start)
    assert waits[1] <= waits[0] + 3


def games() -> dict[str, Callable[[int], object]]:
    """Return what plays so many steps."""
    pool = on("cuda", digit_pool(100)[0])

    def vaal(steps: int) -> object:
        vae = small_vae((1, 8, 8), latent=4, width=0.1).to("cuda")
        rows = (
            Stream(pool.images, batch=8, indices=its, prepare=pool.normalise)
            for its in (pool.unlabelled, pool.labelled)
        )
        return play(AdversarialGame(vae, discriminator(4, 2).to("cuda"), AdversarialRules(limit=steps, batch=8)), *rows)

    def conditional(steps: int) -> object:
        chosen = ACGANRules(partial(acgan, width=0.1), batch=8, limit=steps)
        return trained_on_labelled(ACGANGame(chosen.net((1, 8, 8), 10), chosen), pool)

    def iterated(game: Any, steps: int) -> None:
        for _ in range(steps):
            game.step(game.prepare(pool.images[: game.batch]), 0.5)

    def gan(steps: int, **its: Any) -> None:
        iterated(GANGame(res_wgan_gp((1, 8, 8), 8, 0.1, dropout=True).to("cuda"), GANRules(batch=4, **its)), steps)

    def m2(steps: int) -> object:
        vae = partial(small_vae, latent=4, width=0.1)
        return M2(convnet, vae, discriminator="adversarial", steps=steps, batch=8, schedule="cosine").learn(pool)

    return {
        "vaal": vaal,
        "m2": m2,
        "acgan": conditional,
        "gan": partial(gan, loss="cross_entropy", critic_steps=1),
        "critic": partial(gan, consistency=2.0, dequantise=True, critic_steps=2),
        "autoencoder": lambda steps: iterated(Reconstruction(autoencoder((1, 8, 8)).to("cuda"), 8, 1e-3), steps),
    }


@pytest.mark.parametrize("name", ["vaal", "m2", "acgan", "gan", "critic", "autoencoder"])
def test_no_step_of_a_game_waits_for_the_gpu(name: str, gpu: PretendedGPU | RealGPU) -> None:
    waits = []
    for steps in (2, 6):
        game, start = games()[name], gpu.waits
        game(steps)
        waits.append(gpu.waits - start)
    assert waits[0] == waits[1]


@pytest.mark.parametrize("name", augmentations)
def test_images_are_changed_where_they_lie(name: str, gpu: PretendedGPU | RealGPU) -> None:
    images = torch.zeros(5, 3, 16, 16, dtype=torch.uint8, device="cuda")
    for change in augmentations[name]:
        images = change(images)
    assert {each.device for each in (images, *flip_together(images.clone(), images[:, 0].clone()))} == {CUDA}


def test_images_that_stay_behind_are_served_on_the_gpu(gpu: PretendedGPU | RealGPU) -> None:
    images, masks = torch.zeros(9, 3, 4, 4, dtype=torch.uint8), torch.zeros(9, 4, 4, dtype=torch.uint8)
    stream = Stream(images, masks, batch=4, indices=torch.arange(9, device="cuda"), joint=flip_together)
    assert {each.device for batch in stream for each in batch} == {CUDA}


class AtOnce(ThreadPoolExecutor):
    """Does all in the thread that asks, since a pretended GPU is not there in any other."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.parametrize("window", [2**28, 2000])
def test_images_in_a_file_come_to_the_gpu_from_pinned_memory(
    window: int, gpu: PretendedGPU | RealGPU, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "WINDOW", window)
    monkeypatch.setattr(mapped, "BLOCK", 200)
    if isinstance(gpu, PretendedGPU):
        monkeypatch.setattr(mapped, "ThreadPoolExecutor", AtOnce)
    images = torch.randint(256, (90, 1, 6, 6), dtype=torch.uint8)
    np.save(tmp_path / "images.npy", images.numpy())
    file: Any = mapped.Mapped(np.load(tmp_path / "images.npy", mmap_mode="r"), most=0)
    chosen = torch.arange(0, 90, 2, device="cuda")
    found = infer(lambda some: some.float().flatten(1), Rows(file, chosen), size=8)
    assert found.device.type == "cuda"
    assert torch.equal(found.cpu(), images[::2].float().flatten(1))
    served = [*Stream(file, torch.arange(90, device="cuda"), batch=4, indices=chosen)]
    assert all(rows.device.type == places.device.type == "cuda" for rows, places in served)
    places = torch.cat([places.cpu() for _, places in served])
    assert torch.equal(torch.cat([rows.cpu() for rows, _ in served]), images[places])
    assert places.sort().values.tolist() == [*range(0, 90, 2)]
    assert isinstance(gpu, RealGPU) or gpu.pinned > 1


@pytest.mark.parametrize("kind", ["exact", "ivf"])
def test_matching_is_the_same(kind: str, gpu: PretendedGPU | RealGPU) -> None:
    features, known = torch.randn(300, 12), torch.zeros(300, dtype=torch.bool)
    known[::3] = True
    found = []
    for device in ("cpu", "cuda"):
        there = features.to(device)
        project = pca(there, 8)
        index = FeatureIndex(project(there), kind=kind)
        assert kind == "ivf" or isinstance(index.neighbours, Exact)
        found += [index.search(project(there[:9] + 0.01), known.to(device)).tolist() for _ in range(2)]
    assert found[:2] == found[2:]


def test_core_set_waits_for_the_gpu_once_for_many_picks(gpu: PretendedGPU | RealGPU) -> None:
    features, waits, found = torch.randn(300, 8), [], []
    for n in (20, 60):
        start = gpu.waits
        found.append(k_center_greedy(features[3:].to("cuda"), features[:3].to("cuda"), n)[0].tolist())
        waits.append(gpu.waits - start)
    assert waits[0] == waits[1]
    assert found[0] == found[1][:20] == k_center_greedy(features[3:], features[:3], 20)[0].tolist()


@pytest.mark.parametrize(("share", "moved"), [(0.4, True), (0.6, False)])
def test_images_that_fill_more_than_half_of_what_is_free_stay_behind(
    share: float, moved: bool, pretended_gpu: PretendedGPU, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.zeros(10, 3, 8, 8, dtype=torch.uint8)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (round(images.nbytes / share), 10**9))
    assert (machine.onto(images, torch.device("cuda")).device.type == "cuda") == moved


@pytest.mark.parametrize("net", [fastnet, lenet])
def test_half_precision_trains_a_network(net: Callable[..., nn.Sequential]) -> None:
    task = fast_task(net, epochs=1, precision="bf16-mixed").learn(synthetic_pool()[0])
    assert all(each.isfinite().all() for each in task.net.parameters())


def test_half_precision_whitens_in_single() -> None:
    images, alone, within = torch.rand(20, 3, 8, 8), Whitening(3), Whitening(3)
    alone.fit(images)
    with torch.autocast("cpu", torch.bfloat16):
        within.fit(images)
    assert torch.equal(alone.weight, within.weight)


@pytest.mark.parametrize(("side", "cpu", "free", "scarce"), [(8, 64, 512, 512), (224, 64, 64, 1), (2048, 1, 1, 1)])
def test_a_gpu_takes_as_many_images_at_once_as_its_free_memory_holds(
    side: int, cpu: int, free: int, scarce: int, pretended_gpu: PretendedGPU, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.empty(3, 3, 1, 1, dtype=torch.uint8).expand(3, 3, side, side)
    there = images.to("cuda")
    assert (chunk_size(images), chunk_size(there), chunk_size(images, CUDA)) == (cpu, free, free)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (MEMORY // 64, MEMORY))
    assert chunk_size(there) == scarce
    assert chunk_size(there, steady=True) == min(512, 1 << max(0, (2**27 // images[0].numel()).bit_length() - 1))


def test_a_gpu_sums_in_a_fixed_order_where_it_is_asked_to(
    pretended_gpu: PretendedGPU, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[bool, bool]] = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda on, warn_only: asked.append((on, warn_only)))
    monkeypatch.setattr(torch, "set_float32_matmul_precision", lambda precision: None)
    monkeypatch.setattr(machine.os, "environ", {})
    for deterministic, calls in ((False, []), (True, [(True, True)])):
        assert machine.choose_device("auto", deterministic).type == "cuda"
        assert asked == calls
    assert machine.os.environ == {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
