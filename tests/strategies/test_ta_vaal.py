"""TA-VAAL and the learning loss: what the predicted losses decide."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.nets.vae import VAE, small_vae
from alsuite.strategies.ta_vaal import TAVAAL, LearningLoss, predicted_losses, thinned
from alsuite.tasks.ranked import Ranked
from alsuite.training.augment import augmentations
from alsuite.training.game import AdversarialRules
from helpers.pools import digit_pool
from helpers.tasks import dropout_net, fast_task
from helpers.vaal import FAST, VAE_OF_DIGITS, logits_by_hand, spy


class Fixed:
    """Predicts the losses that it is told, a row an image of the pool."""

    def __init__(self, losses: Tensor) -> None:
        self.losses = losses

    def predicted_losses(self, images: Any) -> Tensor:
        return self.losses[images.indices]


@pytest.mark.parametrize("ranker", ["predicted", "learned"])
def test_ta_vaal_sees_each_predicted_loss_between_0_and_1(ranker: str) -> None:
    pool, _ = digit_pool(200)
    losses = 5 + 3 * torch.randn(1437)
    task: Any = Fixed(losses)
    if ranker == "learned":
        task = Ranked(dropout_net, epochs=3, batch=25).learn(pool)
        losses = task.predicted_losses(pool.images)
    beside = TAVAAL(VAE_OF_DIGITS).conditioning(pool, task)
    assert beside.shape == (1437, 1)
    assert ((beside > 0) & (beside < 1)).all()
    expected = torch.sigmoid((losses - losses.mean()) / losses.std())
    torch.testing.assert_close(beside.squeeze(1), expected, atol=1e-4, rtol=1e-4)


def test_ta_vaal_with_equal_losses_is_finite() -> None:
    beside = TAVAAL(VAE_OF_DIGITS).conditioning(digit_pool(200)[0], Fixed(torch.ones(1437)))  # type: ignore[arg-type]
    assert torch.equal(beside, torch.full((1437, 1), 0.5))


def test_the_predicted_loss_reaches_decoder_and_discriminator() -> None:
    pool, _ = digit_pool(200)
    seen: dict[str, list[Tensor]] = {"decoder": [], "D": []}

    def vae(shape: tuple[int, ...], extra: int) -> VAE:
        made = VAE_OF_DIGITS(shape, extra=extra)
        made.decoder.register_forward_pre_hook(lambda _, inputs: seen["decoder"].append(inputs[0][:, 8:].clone()))
        return made

    class Watching(TAVAAL):
        def make_discriminator(self, inputs: int, device: torch.device) -> nn.Module | None:
            made = super().make_discriminator(inputs, device)
            assert made is not None
            made.register_forward_pre_hook(lambda _, inputs: seen["D"].append(inputs[0][:, 8:].clone()))
            return made

    strategy = Watching(vae, limit=4, batch=50)
    beside = torch.where(pool.known, 0.75, 0.25)[:, None]  # whatever is labelled is known by it
    game = strategy.trained(pool, beside)
    expected = torch.cat([torch.full((50, 1), 0.75), torch.full((50, 1), 0.25)])
    assert len(seen["decoder"]) == 4
    assert len(seen["D"]) == 8
    assert all(torch.equal(found, expected) for found in (*seen["decoder"], *seen["D"]))
    one, other = (strategy.scored(game, pool, value)[0] for value in (beside, 1 - beside))
    assert not torch.allclose(one, other)
    torch.testing.assert_close(one, -logits_by_hand(game, pool, pool.unlabelled, beside), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("strategy", [LearningLoss(), TAVAAL(small_vae)])
def test_a_task_that_does_not_rank_gives_one_clear_line(strategy: Any) -> None:
    pool, _ = digit_pool(200)
    with pytest.raises(UserError, match="needs a task model that predicts its loss") as caught:
        strategy.query(pool, fast_task(epochs=1).learn(pool), 5)
    assert "\n" not in str(caught.value)


def test_the_learning_loss_asks_for_the_largest_predicted_losses() -> None:
    pool, _ = digit_pool(200)
    losses = torch.randn(1437)
    losses[pool.labelled] = 100
    query = LearningLoss().query(pool, Fixed(losses), 10)  # type: ignore[arg-type]
    assert query.indices.tolist() == sorted(pool.unlabelled.tolist(), key=lambda i: -float(losses[i]))[:10]
    assert query.scores is not None
    torch.testing.assert_close(query.scores, losses[query.indices])
    assert torch.equal(predicted_losses(Fixed(losses), pool.rows(pool.labelled[:3])), torch.full((3,), 100.0))  # type: ignore[arg-type]


@pytest.mark.parametrize(("n", "among"), [(10, 300), (500, 500)])
def test_both_ask_among_a_part_of_the_unlabelled_that_is_drawn_anew(n: int, among: int) -> None:
    pool, _ = digit_pool(200)
    asked = []
    for seed in range(2):
        torch.manual_seed(seed)
        part = thinned(pool, 300, n)
        assert len(part.unlabelled) == among
        assert torch.isin(part.unlabelled, pool.unlabelled).all()
        assert torch.equal(part.labelled, pool.labelled)
        torch.manual_seed(seed)
        query = LearningLoss(subset=300).query(pool, Fixed(torch.arange(1437.0)), n)  # type: ignore[arg-type]
        assert torch.equal(query.indices, part.unlabelled.flip(0)[:n])
        torch.manual_seed(seed)
        query = TAVAAL(VAE_OF_DIGITS, subset=300, limit=2, batch=20).query(pool, Fixed(torch.rand(1437)), n)  # type: ignore[arg-type]
        assert len(query.indices.unique()) == n
        asked.append(set(query.indices.tolist()))
        assert not torch.equal(part.unlabelled, pool.unlabelled[:among])
    assert asked[0] != asked[1]
    assert len(pool.unlabelled) == 1237
    assert thinned(pool, None, 5) is pool


@pytest.mark.parametrize("subset", [0.5, 0, "abc"])
def test_what_is_no_number_of_images_to_ask_among_is_refused(subset: Any) -> None:
    for made in (LearningLoss, partial(TAVAAL, VAE_OF_DIGITS)):
        with pytest.raises(UserError, match=rf"strategy\.subset={subset} must be a whole number from 1"):
            made(subset=subset)


def test_ta_vaal_asks_among_what_it_plays_with(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, _ = digit_pool(200)
    parts = []
    monkeypatch.setattr("alsuite.strategies.ta_vaal.thinned", lambda *given: parts.append(thinned(*given)) or parts[-1])
    strategy = TAVAAL(VAE_OF_DIGITS, subset=60, limit=2, batch=20)
    query = strategy.query(pool, Fixed(torch.rand(1437)), 50)  # type: ignore[arg-type]
    assert len(parts[0].unlabelled) == 60
    assert torch.isin(query.indices, parts[0].unlabelled).all()


def test_the_options_of_vaal_reach_it_through_ta_vaal() -> None:
    strategy = TAVAAL(VAE_OF_DIGITS, augment="crop_flip", discriminator_layers=4, beta=0.5)
    assert (strategy.augment, strategy.layers) == (augmentations["crop_flip"], 4)
    assert strategy.rules == AdversarialRules(beta=0.5)


@pytest.mark.slow
def test_only_the_training_of_ta_vaal_is_augmented() -> None:
    augmented: list[int] = []
    pool, _ = digit_pool(200)
    strategy = TAVAAL(VAE_OF_DIGITS, **FAST)
    strategy.augment = spy(augmented)
    beside = strategy.conditioning(pool, Fixed(torch.rand(1437)))  # type: ignore[arg-type]
    assert not augmented
    strategy.scored(strategy.trained(pool, beside), pool, beside)
    assert sum(augmented) >= 2 * 30 * 30
