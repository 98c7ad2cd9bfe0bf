"""Strategies: one sweep over all configurations, and exactness against plain computations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor

from alsuite import CONF, scores, tasks
from alsuite.contract import Promise
from alsuite.errors import UserError
from alsuite.loop import seed_all
from alsuite.nets.classifiers import linear
from alsuite.pool import Pool
from alsuite.strategies import Query, Strategy, badge, committee, coreset
from alsuite.strategies.badge import Badge, k_means_plus_plus
from alsuite.strategies.committee import Committee
from alsuite.strategies.coreset import CoreSet, k_center_greedy
from alsuite.strategies.dropout import Dropout
from alsuite.strategies.random import Random
from alsuite.strategies.typiclust import TypiClust
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.tasks import Task
from alsuite.tasks.classification import Classification
from helpers.configs import composed
from helpers.pools import digit_pool
from helpers.tasks import FixedTask, fast_task

STRATEGIES = sorted(path.stem for path in (CONF / "strategy").glob("*.yaml"))
CHANCY = ["random", "full", "badge", "bald", "dbal", "mc_dropout"]
CHANCY += ["dal", "typiclust", "vaal", "vaal_no_vae", "vaal_no_d", "vaal_frozen_vae", "ta_vaal", "aalu", "loss_learn"]
MAKERS = ["acgan", "acgan_filtered", "active_gan"]  # of labelled images
LONG = {"asal", "asal_min_distance", "gaal", "acgan", "acgan_filtered", "active_gan", "ta_vaal", "aalu", "loss_learn"}
LONG |= {"dal", "adv_vae", "adv_vae_prediction", "adv_vae_loss_learn", "vaal_no_d", "vaal_no_vae", "vaal_frozen_vae"}
SMALL = ["scale=smoke", "task_model.net.dropout=0.5"]


def marked(names: list[str]) -> list[Any]:
    """Return the names as parameters, of which those of strategies that train for long are slow."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in names]


def queried(strategy: Strategy, pool: Pool, task: Task, n: int, seed: int) -> Query:
    """Query as the loop does, which takes a strategy at its word."""
    seed_all(seed, 0, part=1)
    promise = Promise(strategy, pool)
    return promise.kept(strategy.query(pool, task, n), n)


@pytest.mark.parametrize("name", marked(STRATEGIES))
def test_every_strategy_gives_unique_unlabelled_indices_that_follow_the_seed(name: str, tmp_path: Path) -> None:
    config = composed(f"strategy={name}", *SMALL, "scale.epochs=5", f"root={tmp_path}")
    strategy = instantiate(config.strategy)
    pool, _ = digit_pool(100, classes=[5, 7] if "min_distance" in name or name == "gaal" else None)
    task, before = instantiate(config.task_model)().learn(pool), pool.labels.clone()
    query, again = (queried(strategy, pool, task, 15, seed=1) for _ in range(2))
    assert query.indices.shape == query.indices.unique().shape == (15,)
    assert query.indices.dtype == torch.int64
    assert torch.equal(pool.labels[: len(before)], before)
    if name in MAKERS:
        assert (pool.labels[query.indices] >= 0).all()
        assert (query.indices >= pool.originals).all()
    else:
        assert torch.isin(query.indices, pool.unlabelled).all()
        assert (pool.labels[len(before) :] == -1).all()
    assert torch.equal(pool.images[again.indices], pool.images[query.indices])
    assert name not in CHANCY or not torch.equal(queried(strategy, pool, task, 15, seed=2).indices, query.indices)
    if query.scores is not None:
        assert query.scores.shape == (15,)
        assert (query.scores.diff() <= 1e-4).all()


@pytest.mark.parametrize("strategy", [Random(), Uncertainty(scores.entropy), CoreSet(), Badge(), TypiClust()])
def test_the_whole_rest_of_the_pool_can_be_asked_for(strategy: Strategy) -> None:
    pool, _ = digit_pool(1400)
    query = strategy.query(pool, fast_task(epochs=1).learn(pool), 37)
    assert torch.equal(query.indices.sort().values, pool.unlabelled)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vaal", "vaal_no_d", "ta_vaal", "aalu", "dal"])
@pytest.mark.parametrize("left", [1, 65])
def test_an_adversary_can_ask_for_the_whole_rest_too(name: str, left: int) -> None:
    config = composed(f"strategy={name}", *SMALL)
    pool, _ = digit_pool(1437 - left)
    query = instantiate(config.strategy).query(pool, instantiate(config.task_model)().learn(pool), left)
    assert torch.equal(query.indices.sort().values, pool.unlabelled)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vaal", "vaal_no_d", "ta_vaal", "aalu"])
@pytest.mark.parametrize("labelled", [1, 2])
def test_an_adversary_can_start_from_hardly_a_label(name: str, labelled: int) -> None:
    config = composed(f"strategy={name}", *SMALL)
    pool, _ = digit_pool(labelled)
    query = instantiate(config.strategy).query(pool, instantiate(config.task_model)().learn(pool), 5)
    assert query.scores is not None
    assert query.scores.isfinite().all()


def test_random_gives_each_unlabelled_sample_the_same_chance() -> None:
    pool, _ = digit_pool(1417)
    task = FixedTask(torch.zeros(1437, 10))
    drawn = torch.cat([Random().query(pool, task, 5).indices for _ in range(1000)])
    counts = torch.bincount(drawn, minlength=1437)[pool.unlabelled]
    assert (counts - 250).abs().max() < 60  # 4 standard deviations


@pytest.mark.parametrize("score", [scores.entropy, scores.margin, scores.least_confidence])
def test_uncertainty_takes_the_largest_scores_of_the_unlabelled(score: Callable[[Tensor], Tensor]) -> None:
    pool, _ = digit_pool(1000)
    log_probs = torch.randn(1437, 10).log_softmax(-1)
    log_probs[pool.labelled] = torch.full((10,), 0.1).log()
    expected = sorted(pool.unlabelled.tolist(), key=lambda i: -float(score(log_probs[i : i + 1])))[:20]
    query = Uncertainty(score).query(pool, FixedTask(log_probs), 20)
    assert query.indices.tolist() == expected
    assert query.scores is not None
    torch.testing.assert_close(query.scores, score(log_probs[expected]))


def greedy_gap(features: Tensor, centres: Tensor, picks: Tensor, distances: Tensor) -> float:
    """How far the picks and their distances stray from those of the plain loop, in double precision."""
    points = features.double()
    nearest = torch.cdist(points, centres.double()).amin(1) if len(centres) else torch.full((len(points),), torch.inf)
    gap = 0.0
    for pick, distance in zip(picks.tolist(), distances.tolist(), strict=True):
        if nearest.isfinite().all():
            gap = max(gap, float(nearest.max() - nearest[pick]), abs(float(nearest[pick]) - distance))
        nearest = torch.minimum(nearest, (points - points[pick]).norm(dim=1))
    return gap


@pytest.mark.parametrize("candidates", [8, 1024])
@pytest.mark.parametrize(
    ("points", "dimensions", "centres", "n"),
    [(30, 2, 1, 30), (200, 16, 20, 60), (1500, 8, 40, 200), (5000, 4, 3, 40), (60, 3, 0, 20)],
)
def test_core_set_is_the_plain_greedy_loop(points: int, dimensions: int, centres: int, n: int, candidates: int) -> None:
    features, first = torch.randn(points, dimensions), torch.randn(centres, dimensions)
    picks, distances = k_center_greedy(features, first, n, candidates)
    assert picks.shape == picks.unique().shape == (n,)
    assert greedy_gap(features, first, picks, distances) < 1e-3


def test_core_set_is_the_same_a_few_centres_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    features, centres = torch.randn(500, 8), torch.randn(60, 8)
    whole = k_center_greedy(features, centres, 40, 16)
    monkeypatch.setattr(coreset, "CENTRES", 7)
    monkeypatch.setattr(coreset, "ROWS", 33)
    monkeypatch.setattr(coreset, "FIRST", 25)
    picks, distances = k_center_greedy(features, centres, 40, 16)
    assert picks.tolist() == whole[0].tolist()
    torch.testing.assert_close(distances, whole[1])


def test_core_set_of_half_precision_is_that_of_the_same_values() -> None:
    features = (torch.randn(300, 512) * 20).half()
    halves, whole = (k_center_greedy(some, some[:5], 50) for some in (features, features.float()))
    assert halves[0].tolist() == whole[0].tolist()


@pytest.mark.parametrize("candidates", [8, 1024])
def test_core_set_with_repeated_points(candidates: int) -> None:
    features = torch.randn(40, 5).repeat(5, 1)
    picks, distances = k_center_greedy(features, features[:3], 100, candidates)
    assert len(picks.unique()) == 100
    assert len((picks[:37] % 40).unique()) == 37
    assert greedy_gap(features, features[:3], picks, distances) < 5e-3


def test_core_set_centres_first_so_that_far_away_features_lose_no_digits() -> None:
    features, centres = torch.randn(300, 8) + 3000, torch.randn(10, 8) + 3000
    picks, distances = k_center_greedy(features, centres, 50, 16)
    assert greedy_gap(features, centres, picks, distances) < 1e-2


def gradients(n: int = 60, classes: int = 4, dimensions: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """Errors p - onehot(argmax p), features, and the embeddings that they stand for."""
    probs = torch.randn(n, classes).softmax(-1)
    errors = probs - torch.nn.functional.one_hot(probs.argmax(1), classes)
    features = torch.randn(n, dimensions)
    return errors, features, torch.einsum("nk,nd->nkd", errors, features).flatten(1)


def test_badge_distances_are_those_of_the_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    errors, features, embedded = gradients()

    def farthest(weights: Tensor, picks: list[int]) -> int:
        expected = torch.cdist(embedded.double(), embedded[picks].double()).square().amin(1).float()
        torch.testing.assert_close(weights, expected, atol=1e-4, rtol=1e-4)
        return int(weights.argmax())

    monkeypatch.setattr(badge, "_draw", farthest)
    picks = k_means_plus_plus(errors, features, 12)
    assert int(picks[0]) == int(embedded.norm(dim=1).argmax())
    assert len(picks.unique()) == 12


def test_badge_picks_the_same_from_tables_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, _ = digit_pool(1400)
    task, found = FixedTask(torch.randn(1437, 10).log_softmax(-1), torch.randn(1437, 6)), []
    for large in (2**28, 36 * 10):
        monkeypatch.setattr(tasks, "LARGE", large)
        torch.manual_seed(0)
        found.append(Badge().query(pool, task, 20).indices.tolist())
    assert found[0] == found[1]
    monkeypatch.setattr(tasks, "LARGE", 0)
    monkeypatch.setattr(badge, "k_means_plus_plus", lambda e, f, n: found.append((e, f)) or torch.arange(n))
    Badge().query(pool, task, 3)
    assert {table.dtype for table in found[-1]} == {torch.float16}


def test_badge_takes_errors_and_features_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, _ = digit_pool(1400)
    log_probs, features = torch.randn(1437, 10).log_softmax(-1), torch.randn(1437, 6)
    given: list[tuple[Tensor, Tensor]] = []
    monkeypatch.setattr(badge, "k_means_plus_plus", lambda e, f, n: given.append((e, f)) or torch.arange(n))
    query = Badge().query(pool, FixedTask(log_probs, features), 3)
    assert torch.equal(query.indices, pool.unlabelled[:3])
    (errors, found) = given[0]
    logits = log_probs[pool.unlabelled].requires_grad_()
    torch.nn.functional.cross_entropy(logits, logits.argmax(1), reduction="sum").backward()
    torch.testing.assert_close(errors, logits.grad)
    assert torch.equal(found, features[pool.unlabelled])


def test_badge_draws_by_squared_distance() -> None:
    """On a line at 0, 1, 3, 4 the first pick is 4; the others are 16, 9 and 1 away."""
    errors, features = torch.tensor([[-0.5, 0.5]]).expand(4, 2), torch.tensor([[0.0], [1.0], [3.0], [4.0]])
    runs = 3000
    picks = torch.stack([k_means_plus_plus(errors, features, 2) for _ in range(runs)])
    assert (picks[:, 0] == 3).all()
    expected = torch.tensor([16, 9, 1, 0]) / 26
    found = torch.bincount(picks[:, 1], minlength=4) / runs
    assert ((found - expected).abs() <= 4 * (expected * (1 - expected) / runs).sqrt()).all()


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_badge_gives_unique_picks_where_gradients_vanish_or_repeat(scale: float) -> None:
    errors = torch.tensor([[0.5, -0.5]]).expand(20, 2) * scale
    picks = k_means_plus_plus(errors, torch.ones(20, 3), 20)
    assert picks.sort().values.tolist() == list(range(20))


def test_committee_members_differ_and_the_first_is_the_cycles_task(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, _ = digit_pool(100)
    task, seen, looks = fast_task(linear, epochs=3).learn(pool), [], []

    def learner() -> Classification:
        looks.append("learns")
        return fast_task(linear, epochs=3)

    def clock(device: torch.device) -> float:
        looks.append("votes" if seen else "looks")
        return float(len(looks))

    def score(votes: Tensor) -> Tensor:
        seen.append(votes)
        return scores.variation_ratio(votes)

    monkeypatch.setattr(committee, "clock", clock)
    query = Committee(learner, score, members=4).query(pool, task, 10)
    assert looks == ["looks", *["learns"] * 3, "looks"]  # what training takes is told apart
    assert query.notes["fit_seconds"] == 4
    assert max(part.shape[1] for part in seen) < 1337  # never a table of all
    votes = torch.cat(seen, dim=1)
    assert votes.shape == (4, 1337, 10)
    assert torch.equal(votes[0], task.log_probs(pool.rows(pool.unlabelled)))
    assert all(not torch.allclose(votes[i], votes[j]) for i in range(4) for j in range(i))
    ratios = scores.variation_ratio(votes)
    assert query.scores is not None
    assert torch.equal(query.scores, ratios.sort(descending=True).values[:10])
    assert torch.equal(query.scores, ratios[torch.searchsorted(pool.unlabelled, query.indices)])


def test_what_cannot_differ_is_refused() -> None:
    with pytest.raises(UserError, match="members=1 must be a whole number from 2"):
        Committee(fast_task, scores.variation_ratio, members=1)
    with pytest.raises(UserError, match="masks=1 must be a whole number from 2"):
        Dropout(scores.mean_std, masks=1)


SCORES = {
    "ensemble": scores.variation_ratio,
    "qbc": scores.bald,
    "bald": scores.bald,
    "dbal": scores.mean_entropy,
    "mc_dropout": scores.mean_std,
    "entropy": scores.entropy,
    "margin": scores.margin,
    "least_confidence": scores.least_confidence,
    "min_distance": scores.min_distance,
}


@pytest.mark.parametrize("name", SCORES)
def test_a_configuration_takes_the_score_of_its_paper(name: str) -> None:
    assert instantiate(composed(f"strategy={name}").strategy).score is SCORES[name]


def test_dropout_scores_the_masks() -> None:
    pool, _ = digit_pool(1400)
    votes = torch.randn(7, 1437, 10).log_softmax(-1)
    passes: list[bool] = []

    class Masks(FixedTask):
        def scored(self, images: Any, score: Callable[[Tensor], Tensor], masks: int = 0, whole: bool = False) -> Tensor:
            passes.append(whole)
            return score(votes[:masks, images.indices])

    expected = scores.bald(votes[:, pool.unlabelled]).topk(5)
    query = Dropout(scores.bald, masks=7).query(pool, Masks(torch.zeros(1437, 10)), 5)
    assert torch.equal(query.indices, pool.unlabelled[expected.indices])
    Dropout(scores.bald, masks=7, whole=True).query(pool, Masks(torch.zeros(1437, 10)), 5)
    assert passes == [False, True]
