"""ASAL and GAAL: codes climb the task's uncertainty, their images find real ones next to them or join the pool."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import Generator, Tensor
from torchvision.models.vgg import cfgs, make_layers

from alsuite import scores
from alsuite.__main__ import one_line
from alsuite.budget import Budget, uniform
from alsuite.data.digits import digits
from alsuite.errors import UserError
from alsuite.loop import seed_all
from alsuite.matching import index, projection
from alsuite.matching.features import Code, Discriminator, Features, Pixels
from alsuite.matching.index import FeatureIndex
from alsuite.nets.classifiers import linear
from alsuite.oracle import annotator
from alsuite.pool import Pool
from alsuite.strategies import Query
from alsuite.strategies import ascent as module
from alsuite.strategies.asal import ASAL, GAAL, Ascent
from alsuite.strategies.random import Random
from alsuite.tasks.classification import Classification
from alsuite.tasks.vgg import VGG16
from helpers.commands import lasting
from helpers.configs import composed
from helpers.generators import Gaussian, Trainer
from helpers.pools import digit_pool, synthetic_pool
from helpers.runs import perform
from helpers.tasks import FixedTask, dropout_net, fast_task


class Copies:
    """Makes some real images, whatever the code."""

    latent = 2

    def __init__(self, images: Tensor) -> None:
        self.copied = images

    def images(self, z: Tensor) -> Tensor:
        return self.copied[: len(z)].float() / 255 + 0 * z.sum()

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)


class Nearest:
    """Of each query the closest row that is neither known nor taken, in order."""

    def __init__(self, features: Tensor) -> None:
        self.features = features

    def search(self, queries: Tensor, known: Tensor) -> Tensor:
        distances = torch.cdist(queries, self.features)
        distances[:, known[: len(self.features)]] = torch.inf
        found: list[int] = []
        for row in distances:
            row[found] = torch.inf
            found.append(int(row.argmin()))
        return torch.tensor(found)


class Anything(Nearest):
    """Takes rows at random."""

    def search(self, queries: Tensor, known: Tensor) -> Tensor:
        among = torch.nonzero(~known[: len(self.features)]).squeeze(1)
        return among[torch.randperm(len(among))[: len(queries)]]


def asal(generator: Any = None, features: Features | None = None, find: Any = Nearest, **changes: Any) -> ASAL:
    options = {"score": scores.entropy, **changes}
    return ASAL(generator or Trainer(), features or Pixels(gray=True), find, **options)


def learned(seed: int = 0, classes: Any = None, n: int = 100) -> tuple[Pool, Classification]:
    seed_all(seed, 0)
    pool, _ = digit_pool(n, classes, seed)
    return pool, fast_task(linear, epochs=30).learn(pool)


def advantage(strategy: ASAL) -> list[float]:
    """By how much the entropy of 50 picks exceeds that of random ones, at each of 5 seeds."""
    found = []
    for seed in range(5):
        pool, task = learned(seed)
        picks = strategy.query(pool, task, 50).indices, Random().query(pool, task, 50).indices
        ours, chance = (float(scores.entropy(task.log_probs(pool.rows(indices))).mean()) for indices in picks)
        found.append(ours - chance)
    return found


@pytest.mark.slow
def test_matches_have_a_higher_entropy_than_random_picks() -> None:
    """Measured: 0.34 to 0.46 nats, where random picks have 0.53 to 0.65; -0.42 to -0.54 with the wrong sign."""
    assert min(advantage(asal())) > 0.2
    assert max(advantage(asal(score=lambda log_probs: -scores.entropy(log_probs)))) < -0.2


@pytest.mark.slow
def test_without_ascent_or_with_random_matches_the_advantage_is_gone() -> None:
    """The measure itself. Measured: -0.04 to 0.11, and -0.12 to 0.12."""
    assert max(advantage(asal(steps=0))) < 0.2
    assert max(advantage(asal(find=Anything))) < 0.2


@pytest.mark.slow
def test_matches_lie_closer_to_the_plane_of_two_classes_than_random_picks() -> None:
    """Measured: by 0.4 to 1.0, where random picks lie 2.7 to 3.5 away."""
    for seed in range(5):
        pool, task = learned(seed, [5, 8], 30)
        strategy = asal(score=scores.min_distance, lr=0.05)
        picks = strategy.query(pool, task, 20).indices, Random().query(pool, task, 20).indices
        ours, chance = (scores.min_distance(task.log_probs(pool.rows(indices))).mean() for indices in picks)
        assert float(ours) > float(chance) + 0.2


def test_a_query_asks_for_unlabelled_images_once_and_keeps_what_it_saw() -> None:
    pool, task = learned()
    known, labelled = pool.known.clone(), pool.labelled.clone()
    query = asal().query(pool, task, 12)
    assert query.indices.shape == (12,)
    assert query.indices.dtype == torch.int64
    assert len(query.indices.unique()) == 12
    assert not pool.known[query.indices].any()
    assert torch.equal(pool.known, known)
    assert torch.equal(pool.labelled, labelled)
    matched = scores.entropy(task.log_probs(pool.rows(query.indices))).mean()
    assert query.notes["entropy_matched"] == pytest.approx(float(matched))
    assert query.notes["entropy_generated"] > query.notes["entropy_matched"]
    assert {name: picture.shape for name, picture in query.images.items()} == {
        **dict.fromkeys(("generated", "matched"), (10, 1, 8, 8)),
        "matched_captions": (10,),
    }
    assert torch.equal(torch.from_numpy(query.images["matched"]), pool.images[query.indices[:10]])
    assert query.images["generated"].dtype == query.images["matched"].dtype == "uint8"
    assert query.images["matched_captions"].tolist() == [f"#{i}" for i in query.indices[:10].tolist()]


@pytest.mark.parametrize("find", [Nearest, partial(index.FeatureIndex, kind="auto")], ids=["plain", "faiss"])
@pytest.mark.parametrize("dimensions", [10, 50, 500])
def test_a_copy_matches_its_original_or_where_that_is_taken_the_next_one(find: Any, dimensions: int) -> None:
    pool, task = learned()
    free = pool.unlabelled
    originals = torch.cat([free[[7, 3, 99]], pool.labelled[:2]])
    strategy = asal(Trainer(lambda images: Copies(images[originals])), find=find, dimensions=dimensions)
    first = strategy.query(pool, task, 5).indices
    assert torch.equal(first[:3], originals[:3])
    assert not torch.isin(first[3:], originals).any()
    pool.label(first, torch.zeros(5, dtype=torch.int64))
    again = strategy.query(pool, task, 5).indices
    assert not torch.isin(again, first).any()
    distances = torch.cdist(pool.images[originals[:1]].flatten(1).float(), pool.images.flatten(1).float())[0]
    closest = torch.where(pool.known, torch.inf, distances).argsort()[: 1 if dimensions > 10 else 20]
    assert again[0] in closest


def test_components_may_be_found_from_fewer_images(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, task = learned()
    monkeypatch.setattr(projection, "PCA_VALUES", 64 * 300)
    rows, pca = [], projection.pca
    monkeypatch.setattr(projection, "pca", lambda *given: rows.append(len(given[0])) or pca(*given))
    originals = pool.unlabelled[[7, 3, 99]]
    strategy = asal(Trainer(lambda images: Copies(images[originals])))
    assert torch.equal(strategy.query(pool, task, 3).indices, originals)
    assert rows == [288]


@pytest.mark.slow
def test_what_joins_the_pool_later_is_never_matched() -> None:
    pool, task = learned()
    trainer, built = Trainer(), []
    strategy = asal(trainer, find=lambda features: built.append(len(features)) or Nearest(features))
    strategy.query(pool, task, 5)
    pool.extend(pool.images.clone())
    indices = strategy.query(pool, task, 200).indices
    assert int(indices.max()) < 1437
    assert trainer.sizes == built == [1437]
    other, task = learned(1)
    strategy.query(other, task, 5)
    assert built == [1437, 1437]


def test_picks_are_the_same_whether_or_not_the_generator_was_trained_before() -> None:
    pool, task = learned()
    fresh, used = asal(), asal()
    seed_all(3, 0)
    used.query(pool, task, 8)
    queries = []
    for strategy in (fresh, used):
        seed_all(0, 1, part=1)
        queries.append(strategy.query(pool, task, 8).indices)
    assert torch.equal(*queries)
    seed_all(0, 2, part=1)
    assert not torch.equal(used.query(pool, task, 8).indices, queries[0])


def climbed(n: int = 10, **changes: Any) -> Tensor:
    pool, task = learned()
    seed_all(5, 0)
    ascent = Ascent(**{"score": scores.entropy, **changes})
    return ascent.codes(Gaussian(pool.images), task.differentiable_log_probs, n, pool.device)[1]


@pytest.mark.slow
def test_codes_start_normal_and_climb_alike_in_batches_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    start = climbed(1000, steps=0)
    assert float(start.mean()) == pytest.approx(0, abs=0.02)
    assert float(start.std()) == pytest.approx(1, abs=0.02)
    whole = climbed()
    assert torch.allclose(climbed(batch=3), whole, atol=1e-4)
    monkeypatch.setattr(module, "AT_ONCE", 7)
    assert torch.allclose(climbed(), whole, atol=1e-4)
    assert float((whole - climbed(steps=0)).abs().mean()) > 0.3


@pytest.mark.parametrize("far", [10, 500])
def test_codes_climb_to_the_plane_however_far_it_is(far: float) -> None:
    def log_probs(images: Tensor) -> Tensor:
        f = far + images.flatten(1).sum(1)
        return torch.stack([torch.zeros_like(f), f], -1).log_softmax(-1)

    trained: Any = SimpleNamespace(latent=4, images=lambda z: z)
    start, end = Ascent(scores.min_distance, steps=20, lr=0.05).codes(trained, log_probs, 6, torch.device("cpu"))
    assert (start - end - 1).abs().max() < 0.05


def test_no_more_codes_than_a_batch_climb_at_once() -> None:
    pool, task = learned()
    sizes: list[int] = []

    def log_probs(images: Tensor) -> Tensor:
        sizes.append(len(images))
        return task.differentiable_log_probs(images)

    climbs: list[tuple[int, dict[str, Any]]] = [(10, {"batch": 4}), (100, {}), (100, {"diversity": 0.1})]
    for n, options in climbs:
        Ascent(scores.entropy, 2, **options).codes(Gaussian(pool.images), log_probs, n, pool.device)
    assert sizes == [4, 4, 4, 4, 2, 2, *[64, 36] * 2, 100, 100]


def test_the_notes_tell_what_the_ascent_has_gained() -> None:
    """Nothing where the task is so sure that no gradient is left, or where no step is made."""
    pool, task = learned()
    notes = asal().query(pool, task, 30).notes
    assert notes["entropy_generated"] > notes["entropy_started"] + 0.5
    still = asal(steps=0).query(pool, task, 30).notes
    assert still["entropy_generated"] == still["entropy_started"]
    for parameter in task.net.parameters():
        parameter.data *= 1000
    sure = asal().query(pool, task, 30).notes
    assert sure["entropy_generated"] == pytest.approx(sure["entropy_started"], abs=0.05)


def test_no_image_is_matched_twice_where_all_synthetic_ones_are_alike() -> None:
    """Neither in a query nor in a later one; the nearest goes first."""
    pool, task = learned()
    strategy = asal(Trainer(lambda images: Copies(images[:1].expand(50, -1, -1, -1))), find=FeatureIndex)
    distances = (pool.images[:1].float() - pool.images[: pool.originals].float()).flatten(1).norm(dim=1)
    nearest = [row for row in distances.argsort(stable=True).tolist() if not pool.known[row]]
    for first in (0, 20, 40):
        indices = strategy.query(pool, task, 20).indices
        assert distances[indices].tolist() == pytest.approx(distances[nearest[first : first + 20]].tolist(), rel=1e-3)
        pool.label(indices, torch.zeros(20, dtype=torch.int64))


@pytest.mark.slow
def test_diversity_keeps_the_codes_apart_and_is_off_by_default() -> None:
    def distance(codes: Tensor) -> float:
        return float(torch.pdist(codes).mean())

    plain = climbed()
    assert torch.equal(climbed(diversity=0.0), plain)
    assert distance(climbed(diversity=0.1)) > distance(plain) + 0.5
    assert torch.isfinite(climbed(1, diversity=1.0)).all()


@pytest.mark.parametrize("classes", [None, [5, 8]])
def test_the_task_gives_its_log_probabilities_with_gradients(classes: Any) -> None:
    pool, _ = digit_pool(100, classes)
    task = fast_task(dropout_net, epochs=2).learn(pool)
    images = (pool.images[:7].float() / 255).requires_grad_()
    found = task.differentiable_log_probs(images)
    assert torch.allclose(found, task.log_probs(pool.images[:7]), atol=1e-5)
    (gradient,) = torch.autograd.grad(found[:, 0].sum(), [images])
    assert bool((gradient.flatten(1).abs().amax(1) > 0).all())


def test_codes_whose_softmax_saturates_stay_finite() -> None:
    pool, task = learned()
    for parameter in task.net.parameters():
        parameter.data *= 1000
    query = asal().query(pool, task, 5)
    assert query.notes["entropy_generated"] < 1


def test_gaal_adds_images_to_the_pool_that_the_task_is_unsure_of() -> None:
    pool, task = learned()
    queries = [GAAL(Trainer(), score=scores.entropy, steps=steps).query(pool, task, 12) for steps in (100, 0)]
    ascended, random = (float(scores.entropy(task.log_probs(pool.rows(q.indices))).mean()) for q in queries)
    assert ascended > random + 0.5
    assert [query.indices.tolist() for query in queries] == [[*range(1437, 1449)], [*range(1449, 1461)]]
    assert len(pool) == 1461
    assert not pool.known[1437:].any()
    assert ascended == pytest.approx(queries[0].notes["entropy_generated"], abs=0.02)
    assert torch.equal(torch.from_numpy(queries[0].images["generated"]), pool.images[1437:1447])


@pytest.mark.parametrize("make", [asal, partial(GAAL, score=scores.entropy)])
def test_a_generator_never_learns_from_synthetic_images(make: Callable[[Any], Any]) -> None:
    """Not even where a run goes on, whose pool has them from the start."""
    pool, task = learned()
    pool.extend(pool.images[:40])
    trainer = Trainer()
    query = make(trainer).query(pool, task, 5)
    assert trainer.sizes == [1437]
    assert not ((query.indices >= 1437) & (query.indices < 1477)).any()


def run(folder: Path, strategy: Any) -> list[dict[str, Any]]:
    """Four cycles; what the journal holds, without the times."""
    task_model = partial(Classification, linear, epochs=3, batch=10)
    perform(
        {"config": {"experiment": "test", "seed": 3}},
        folder,
        dataset=digits(),
        task_model=task_model,
        initial=uniform,
        budget=Budget(0.05, 0.025, 0.125),
        oracle=partial(annotator, task_model=task_model),
        strategy=strategy,
        seed=3,
        scale={"pool": 400, "test": 100, "side": None, "cycles": None},
    )
    return lasting(folder)


@pytest.mark.slow
@pytest.mark.parametrize("make", [asal, partial(GAAL, score=scores.entropy)])
def test_a_run_that_was_stopped_goes_on_alike(make: Callable[[Any], Any], tmp_path: Path) -> None:
    whole = run(tmp_path, make(Trainer()))
    assert len(whole) == 4
    path = tmp_path / "cycles.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    assert run(tmp_path, make(Trainer())) == whole


@pytest.mark.slow
def test_an_annotator_judges_what_asal_matches(tmp_path: Path) -> None:
    """Synthetic images that are copies of the pool's are judged as these are labelled."""
    judged = [record["queried"] for record in run(tmp_path, asal(Trainer()))[:-1]]
    assert all(len(one["generated_labels"]) == 10 for one in judged)
    assert "generated_labels" not in run(tmp_path / "gaal", GAAL(Trainer(), score=scores.entropy))[0]["queried"]


def test_pixels_are_gray_values_or_colours_of_either_kind_of_image() -> None:
    images = torch.randint(0, 256, (4, 3, 5, 5), generator=Generator().manual_seed(0)).to(torch.uint8)
    pool, made = Pool(images, 2, [0.5] * 3, [0.5] * 3), Copies(images)
    gray, rgb = (Pixels(gray=gray).of(pool, made) for gray in (True, False))
    assert torch.equal(rgb(images), images.float().flatten(1) / 255)
    assert gray(images).shape == (4, 25)
    assert torch.allclose(gray(images), gray(images.float() / 255))
    assert torch.allclose(gray(images[:, :1].expand(-1, 3, -1, -1)), images[:, 0].flatten(1) / 255, atol=1e-6)
    assert torch.equal(gray(images[:, :1]), rgb(images[:, :1]))
    primaries = torch.eye(3).view(3, 3, 1, 1)
    assert gray(primaries).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])


def brightness_gaps(query: Query) -> Tensor:
    made, matched = (torch.from_numpy(query.images[name]).float() for name in ("generated", "matched"))
    return (made.sum((1, 2, 3)) - matched.sum((1, 2, 3))).abs()


def test_features_of_the_discriminator_and_of_an_auto_encoder_decide_the_matches() -> None:
    """The sum of the pixels: the matches are as bright as the images made."""
    pool, task = learned()
    for features in (Discriminator(), Code(Trainer())):
        query = asal(features=features).query(pool, task, 10)
        assert float(brightness_gaps(query).max()) < 60  # of about 5000
    assert float(brightness_gaps(asal().query(pool, task, 10)).max()) > 200


def test_vgg16_reads_its_weights_and_tells_images_apart(tmp_path: Path) -> None:
    state = make_layers(cfgs["D"]).state_dict()
    path = tmp_path / "vgg16.pth"
    torch.save(
        {**{f"features.{name}": value for name, value in state.items()}, "classifier.0.bias": torch.ones(3)}, path
    )
    pool, _ = synthetic_pool(6)
    for images in (pool.images, pool.images[:, :1]):
        features = VGG16(str(path), side=32).of(pool, Gaussian(pool.images))
        found = features(images)
        assert found.shape == (6, 512)
        assert torch.allclose(features(images.float() / 255), found, atol=1e-4)
        assert torch.pdist(found).min() > 0
    with pytest.raises(UserError, match=r"^the ImageNet weights of VGG-16 cannot be read .*features\.weights") as error:
        VGG16(str(tmp_path / "none.pth")).of(pool, Gaussian(pool.images))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": -1}, r"strategy\.steps=-1"),
        ({"steps": 0.5}, r"strategy\.steps=0\.5"),
        ({"lr": 0}, r"strategy\.lr=0 "),
        ({"batch": 0}, r"strategy\.batch=0 "),
        ({"batch": -3}, r"strategy\.batch=-3 "),
    ],
)
def test_wrong_numbers_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        asal(**changes)


def test_min_distance_is_refused_for_ten_classes_before_anything_is_trained() -> None:
    pool, task = learned()
    for make in (asal, GAAL):
        trainer = Trainer()
        with pytest.raises(UserError, match="min_distance needs two classes, not 10"):
            make(trainer, score=scores.min_distance).query(pool, task, 5)
        assert not trainer.sizes


def test_a_task_without_gradients_is_refused() -> None:
    pool, _ = digit_pool(100)
    with pytest.raises(UserError, match="task model with gradients"):
        asal().query(pool, FixedTask(torch.zeros(1437, 10)), 5)


@pytest.mark.slow
def test_more_images_than_are_left_are_refused_and_all_that_are_left_are_found() -> None:
    pool, task = learned(n=1430)
    with pytest.raises(UserError, match=r"8 images are to be matched, but 7 are left: lower budget\.query"):
        asal().query(pool, task, 8)
    assert asal().query(pool, task, 7).indices.sort().values.tolist() == pool.unlabelled.tolist()


@pytest.mark.parametrize("strategy", ["asal", "asal_min_distance", "gaal"])
@pytest.mark.parametrize("generator", ["none", "vae", "autoencoder"])
def test_a_generator_of_another_kind_is_refused(strategy: str, generator: str) -> None:
    config = composed(f"strategy={strategy}", f"generator={generator}")
    with pytest.raises(InstantiationException) as error:
        instantiate(config.strategy)
    assert one_line(error.value).startswith("this strategy needs a generative model of the images: take generator=")


@pytest.mark.parametrize(
    ("choice", "kind"),
    [("gray", Pixels), ("rgb", Pixels), ("discriminator", Discriminator), ("autoencoder", Code), ("vgg16", VGG16)],
)
def test_features_are_chosen_by_name(choice: str, kind: type) -> None:
    config = composed("strategy=asal", f"features={choice}", "generator=none")
    features = instantiate(config.strategy.features)
    assert isinstance(features, kind)
    assert getattr(features, "gray", True) is (choice != "rgb")


def test_gaal_brings_the_annotator_and_others_no_features() -> None:
    for name, oracle in (("gaal", "annotator"), ("asal", "ideal"), ("random", "ideal")):
        config = composed(f"strategy={name}", "generator=none")
        assert config.oracle._target_.endswith(f".{oracle}")
        assert ("features" in config) is (name == "asal")
