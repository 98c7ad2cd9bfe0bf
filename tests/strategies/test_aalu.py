"""AALU and its ablations: what is asked for, what the assistant sees, and what it is never shown."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from alsuite import tasks
from alsuite.errors import UserError
from alsuite.loop import seed_all
from alsuite.nets.vae import feature_vae
from alsuite.pool import Images, Pool, evenly
from alsuite.strategies import Query, aalu
from alsuite.strategies.aalu import AALU, Assistance, standardised
from alsuite.training.fit import Stream
from alsuite.training.game import separation
from helpers.aalu import CLASSES, FEATURES, LATENT, SMALL, informative
from helpers.configs import composed
from helpers.pools import digit_pool
from helpers.tasks import FixedTask

FAST: dict[str, Any] = {"limit": 25, "batch": 32, "lr": 1e-3, "discriminator_lr": 1e-3}


class Counted(FixedTask):
    """Counts how many images it was asked about."""

    def __init__(self, log_probs: Tensor, features: Tensor) -> None:
        super().__init__(log_probs, features)
        self.asked: list[int] = []

    def outputs(self, images: Images) -> tuple[Tensor, Tensor]:
        self.asked.append(len(images))
        return super().outputs(images)

    def log_probs(self, images: Images) -> Tensor:
        raise AssertionError("the predictions come with the features")


class Kept(AALU):
    """Keeps what it trained, and how it was fed."""

    def trained(self, pool: Pool, features: Tensor, probs: Tensor, losses: Tensor) -> Assistance:
        self.given = features, probs, losses
        self.game = super().trained(pool, features, probs, losses)
        return self.game


def task_and_pool(labelled: int = 150) -> tuple[Counted, Pool]:
    pool, targets = digit_pool(labelled)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1437, FEATURES, generator=generator) * 3 + targets[:, None] / 5
    return Counted(torch.randn(1437, CLASSES, generator=generator).log_softmax(-1), features), pool


def queried(strategy: AALU, n: int = 20, seed: int = 1) -> Query:
    task, pool = task_and_pool()
    seed_all(seed, 0, part=1)
    return strategy.query(pool, task, n)


@pytest.mark.slow
def test_the_assistant_learns_to_rank_by_the_tasks_losses() -> None:
    """By predictions whose entropy is the loss."""
    pool, _ = digit_pool(400)
    log_probs = (torch.rand(1437, 1) * 4 * torch.randn(1437, CLASSES)).log_softmax(-1)
    pool.labels[pool.labelled] = log_probs[pool.labelled].argmax(1)
    task = FixedTask(log_probs, torch.randn(1437, FEATURES))
    strategy = AALU(SMALL, adversarial=0, limit=300, batch=64, lr=1e-3, discriminator_lr=1e-3)
    query = strategy.query(pool, task, 1037)
    assert query.scores is not None
    assert query.notes["loss_ranking"] > 0.7
    doubt = -log_probs[query.indices].amax(1)
    assert float(torch.corrcoef(torch.stack([query.scores.argsort().argsort().float(), doubt]))[0, 1]) > 0.6


def test_features_and_predictions_are_computed_once_a_query() -> None:
    task, pool = task_and_pool()
    AALU(SMALL, **FAST).query(pool, task, 10)
    assert sum(task.asked) == 1437


def test_the_largest_a_come_first() -> None:
    strategy = Kept(SMALL, **FAST)
    query, (task, pool) = queried(strategy), task_and_pool()
    with torch.no_grad():
        A = informative(strategy.game.eval(), task.features, task.predicted.exp())
    expected = sorted(pool.unlabelled.tolist(), key=lambda i: -float(A[i]))[:20]
    torch.testing.assert_close(A[query.indices], A[expected], atol=1e-5, rtol=0)
    assert query.scores is not None
    assert (query.scores.diff() <= 0).all()
    torch.testing.assert_close(torch.sigmoid(query.scores), A[query.indices], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("standardise", [False, True])
def test_tables_in_half_precision_rank_as_whole_ones_do(standardise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = queried(AALU(SMALL, standardise=standardise, **FAST), n=200)
    monkeypatch.setattr(tasks, "LARGE", 0)
    strategy = Kept(SMALL, standardise=standardise, **FAST)
    half = queried(strategy, n=200)
    assert [table.dtype for table in strategy.given] == [torch.float16, torch.float16, torch.float32]
    assert torch.isin(half.indices, whole.indices).sum() >= 180  # 31 by chance


@pytest.mark.parametrize("standardise", [False, True])
def test_the_features_are_the_tasks_and_the_losses_are_those_of_the_labels(standardise: bool) -> None:
    strategy = Kept(SMALL, standardise=standardise, **FAST)
    queried(strategy)
    task, pool = task_and_pool()
    features, probs, losses = strategy.given
    unit = (task.features - task.features.mean(0)) / task.features.std(0)
    torch.testing.assert_close(features, unit if standardise else task.features)
    torch.testing.assert_close(probs, task.predicted.softmax(1))
    known = pool.labelled
    torch.testing.assert_close(losses[known], -task.predicted[known, pool.labels[known]])


@pytest.mark.parametrize("planted", [0, 9])
def test_what_stands_where_labels_are_unknown_is_never_read(planted: int) -> None:
    expected = queried(AALU(SMALL, **FAST))
    task, pool = task_and_pool()
    pool.labels[pool.unlabelled] = planted
    seed_all(1, 0, part=1)
    found = AALU(SMALL, **FAST).query(pool, task, 20)
    assert torch.equal(found.indices, expected.indices)
    assert found.scores is not None
    assert expected.scores is not None
    assert torch.equal(found.scores, expected.scores)


def test_the_labels_of_the_labelled_are_read() -> None:
    expected = queried(AALU(SMALL, **FAST))
    task, pool = task_and_pool()
    pool.labels[pool.labelled] = (pool.labels[pool.labelled] + 1) % 10
    seed_all(1, 0, part=1)
    found = AALU(SMALL, **FAST).query(pool, task, 20)
    assert found.scores is not None
    assert expected.scores is not None
    assert not torch.equal(found.scores, expected.scores)


@pytest.mark.parametrize("prediction", [True, False])
def test_the_assistant_sees_the_prediction_or_the_code_alone(prediction: bool) -> None:
    """The same task but for its predictions: only what A sees, and the ranking, may change the scores."""
    strategy = Kept(SMALL, prediction=prediction, ranking=0, **FAST)
    first = queried(strategy)
    assert strategy.game.discriminator is not None
    (layer, *_) = (m for m in strategy.game.discriminator.modules() if isinstance(m, nn.Linear))
    assert layer.in_features == LATENT + CLASSES * prediction
    task, pool = task_and_pool()
    task.predicted = task.predicted.flip(1)
    seed_all(1, 0, part=1)
    second = strategy.query(pool, task, 20)
    assert first.scores is not None
    assert second.scores is not None
    assert torch.equal(first.scores, second.scores) != prediction


def test_the_game_is_played_with_the_batch_and_the_margin_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: set[int] = set()
    play = aalu.play

    def noted(game: Assistance, *streams: Stream) -> Assistance:
        sizes.update(stream.batch for stream in streams)
        return play(game, *streams)

    monkeypatch.setattr(aalu, "play", noted)
    strategy = Kept(SMALL, **{**FAST, "limit": 2, "batch": 20}, margin=0.7, ranking=4)
    queried(strategy)
    assert (strategy.game.margin, strategy.game.ranking, sizes) == (0.7, 4, {20})


@pytest.mark.parametrize("option", ["ranking", "margin"])
def test_weights_below_zero_are_refused(option: str) -> None:
    wrong: dict[str, Any] = {option: -1}
    with pytest.raises(UserError, match=rf"^strategy\.{option}=-1 must be a number from 0"):
        AALU(SMALL, **wrong)


@pytest.mark.parametrize("layers", [3, 4])
def test_the_assistant_has_three_layers_unless_told(layers: int) -> None:
    strategy = Kept(SMALL, **FAST) if layers == 3 else Kept(SMALL, assistant_layers=layers, **FAST)
    queried(strategy)
    assert strategy.game.discriminator is not None
    assert sum(isinstance(m, nn.Linear) for m in strategy.game.discriminator.modules()) == layers


def test_the_notes_by_hand() -> None:
    strategy = Kept(SMALL, **FAST)
    query, (_, pool) = queried(strategy), task_and_pool()
    features, probs, _ = strategy.given
    assert strategy.game.discriminator is not None
    with torch.no_grad():
        codes, _ = strategy.game.vae.encode(features)
        logits = strategy.game.discriminator(torch.cat([codes, probs], dim=1))
        rest = pool.unlabelled
        error = (strategy.game.vae.decoder(codes[rest]) - features[rest]).square().mean()
    expected = separation(logits[pool.labelled], logits[rest])
    assert {key: query.notes[key] for key in expected} == {k: pytest.approx(v, abs=1e-3) for k, v in expected.items()}
    assert query.notes["reconstruction_error"] == pytest.approx(float(error), rel=1e-3)
    assert query.notes["mean_sample_error"] == pytest.approx(
        float(features[rest].var(0, correction=0).mean()), rel=1e-3
    )
    assert query.notes["active_latents"] == int((codes[rest].var(0) > 0.01).sum())


def test_the_adversarys_share_is_measured_over_all_of_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[Tensor] = []
    monkeypatch.setattr(aalu, "adversary_share", lambda _, *given: batches.extend(x for x, _ in given) or {})
    strategy = Kept(SMALL, **FAST)
    queried(strategy)
    features, (_, pool) = strategy.given[0], task_and_pool()
    for some, indices in zip(batches, (pool.labelled, pool.unlabelled), strict=True):
        assert torch.equal(some, features[evenly(indices, 32)])
        assert torch.equal(some[-1], features[indices[-1]])


def test_how_often_losses_are_ranked_by_hand() -> None:
    losses = torch.tensor([1.0, 2, 3, 4, 0, 4, 2, 4, 9])  # pairs of the first four and the next
    assert aalu.loss_ranking(torch.tensor([5.0, 1, 1, 7, 4, 2, 2, 0, 9]), losses) == {"loss_ranking": 0.5}
    assert aalu.loss_ranking(torch.ones(9), losses) == {"loss_ranking": 0}
    assert aalu.loss_ranking(losses[:1], losses[:1]) == {}


def test_only_what_is_ranked_is_told() -> None:
    assert "loss_ranking" not in queried(AALU(SMALL, ranking=0, **FAST)).notes
    notes = queried(AALU(SMALL, adversarial=0, **FAST)).notes
    assert "loss_ranking" in notes
    assert "d_ranking" not in notes
    assert "can't tell" not in notes.get("warning", "")


@pytest.mark.slow
def test_a_collapsed_vae_is_warned_of_and_a_live_one_is_not() -> None:
    pool, targets = digit_pool(0)
    chosen = torch.nonzero(targets < 7).squeeze(1)[:200]
    pool.label(chosen, targets[chosen])
    features = torch.randn(10, 64)[targets] + 0.1 * torch.randn(1437, 64)
    task = FixedTask(torch.randn(1437, CLASSES).log_softmax(-1), features)
    vae = partial(feature_vae, latent=8, hidden=64)
    live, collapsed = (
        AALU(vae, limit=100, batch=32, lr=3e-3, discriminator_lr=1e-3, **changes)
        for changes in ({}, {"kl_reduction": "sum", "beta": 10})
    )
    assert "warning" not in live.query(pool, task, 5).notes
    assert "the VAE has collapsed" in collapsed.query(pool, task, 5).notes["warning"]


def test_standardised_columns_have_zero_mean_and_unit_spread() -> None:
    features = torch.randn(500, 4) * torch.tensor([1.0, 2.0, 0.5, 3.0]) + torch.tensor([0.0, 100.0, -5.0, 1.0])
    found = standardised(features)
    torch.testing.assert_close(found.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.std(0), torch.ones(4))


def test_a_constant_column_becomes_nothing_and_a_nearly_dead_one_never_towers() -> None:
    features = torch.randn(1000, 8)
    features[:, 1] = 7
    features[:, 2] = 0
    features[0, 2] = 0.05
    found = standardised(features)
    assert found.isfinite().all()
    assert not found[:, 1].any()
    assert float(found[:, 2].abs().max()) < 1 < 30 < float((features[:, 2] / features[:, 2].std()).max())
    alive = [0, 3, 4, 5, 6, 7]
    torch.testing.assert_close(found[:, alive].std(0), torch.ones(6))


def test_features_that_are_all_the_same_stay_finite() -> None:
    assert not standardised(torch.full((20, 3), 4.0)).any()


def test_wrong_rules_give_one_clear_line() -> None:
    with pytest.raises(UserError, match="the assistant learns nothing"):
        AALU(SMALL, ranking=0, adversarial=0)
    with pytest.raises(UserError, match=r"^strategy\.batch=0 must be a whole number from 1"):
        AALU(SMALL, batch=0)


@pytest.mark.parametrize(
    ("name", "prediction", "ranking", "adversarial"),
    [
        ("aalu", True, 10, 1),
        ("adv_vae", False, 0, 1),
        ("adv_vae_prediction", True, 0, 1),
        ("loss_learn", True, 10, 0),
        ("adv_vae_loss_learn", False, 10, 1),
    ],
)
def test_the_configurations_are_section_3_and_table_1(
    name: str, prediction: bool, ranking: float, adversarial: float
) -> None:
    found = composed(f"strategy={name}")
    strategy = found.strategy
    assert (strategy.prediction, strategy.ranking, strategy.adversarial) == (prediction, ranking, adversarial)
    assert (strategy.margin, strategy.assistant_layers, strategy.epochs, strategy.batch) == (0.1, 3, 100, 128)
    assert (strategy.lr, strategy.discriminator_lr, strategy.kl_reduction) == (5e-4, 5e-4, "elbo")
    assert found.generator._target_.endswith(".feature_vae")
