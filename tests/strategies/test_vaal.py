"""VAAL and its ablations: what they ask for, recomputed; what they leave alone; what they warn of."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.loop import seed_all
from alsuite.nets.vae import VAE
from alsuite.pool import Pool, evenly
from alsuite.strategies import vaal
from alsuite.strategies.vaal import VAAL, NoDiscriminator
from alsuite.training import fit
from alsuite.training.augment import augmentations
from alsuite.training.game import AdversarialGame
from helpers.configs import composed
from helpers.pools import digit_pool
from helpers.vaal import BLIND, FAST, VAE_OF_DIGITS, logits_by_hand, spy, state, trained


@pytest.fixture(scope="module")
def one_game() -> tuple[AdversarialGame, Pool, Tensor]:
    seed_all(0, 0)
    return trained(VAAL(VAE_OF_DIGITS, **FAST))


@pytest.mark.slow
def test_the_least_likely_labelled_come_first(one_game: tuple[AdversarialGame, Pool, Tensor]) -> None:
    game, pool, beside = one_game
    scores, _ = VAAL(VAE_OF_DIGITS).scored(game, pool, beside)
    logits = logits_by_hand(game, pool, pool.unlabelled, beside)
    torch.testing.assert_close(scores, -logits, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_a_query_takes_the_lowest_probabilities_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy, (pool, _), games = VAAL(VAE_OF_DIGITS, **FAST), digit_pool(200), []
    train = strategy.trained
    monkeypatch.setattr(strategy, "trained", lambda *given: games.append(train(*given)) or games[0])
    query = strategy.query(pool, BLIND, 25)
    probabilities = torch.full((1437,), 2.0)
    rest = pool.unlabelled
    probabilities[rest] = torch.sigmoid(logits_by_hand(games[0], pool, rest, torch.empty(1437, 0)))
    torch.testing.assert_close(probabilities[query.indices], probabilities.sort().values[:25], atol=1e-4, rtol=0)
    assert query.scores is not None
    assert (query.scores.diff() <= 0).all()
    torch.testing.assert_close(torch.sigmoid(-query.scores), probabilities[query.indices], atol=1e-4, rtol=1e-3)
    assert query.notes["fit_seconds"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_score_is_the_same_in_any_batch(
    size: int, one_game: tuple[AdversarialGame, Pool, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy, expected = VAAL(VAE_OF_DIGITS), VAAL(VAE_OF_DIGITS).scored(*one_game)[0]
    monkeypatch.setattr(fit, "chunk_size", lambda _: size)
    torch.testing.assert_close(strategy.scored(*one_game)[0], expected, atol=1e-4, rtol=1e-4)


def test_scoring_changes_nothing(one_game: tuple[AdversarialGame, Pool, Tensor]) -> None:
    before = state(one_game[0])
    strategy = VAAL(VAE_OF_DIGITS)
    first, second = (strategy.scored(*one_game)[0] for _ in range(2))
    assert torch.equal(first, second)
    after = one_game[0].state_dict()
    assert any("running_var" in key for key in after)
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert not any(module.training for module in one_game[0].modules())


def test_the_decoder_sees_no_more_than_what_is_watched(one_game: tuple[AdversarialGame, Pool, Tensor]) -> None:
    game, pool, _ = one_game
    large = Pool(pool.images.repeat(8, 1, 1, 1), 10, pool.normalise.mean, pool.normalise.std)
    large.label(pool.labelled, pool.labels[pool.labelled])
    seen: list[int] = []
    hook = game.vae.decoder.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    VAAL(VAE_OF_DIGITS).scored(game, large, torch.empty(len(large), 0))
    hook.remove()
    assert 500 < sum(seen) < 1200 < len(large.unlabelled)


def test_a_selection_is_timed_by_the_unlabelled_images_alone(
    one_game: tuple[AdversarialGame, Pool, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    game, pool, beside = one_game
    seen: list[int] = []
    timed: list[int] = []
    monkeypatch.setattr(vaal, "clock", lambda device: timed.append(sum(seen)) or 0.0)
    hook = game.vae.encoder.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    VAAL(VAE_OF_DIGITS).scored(game, pool, beside)
    hook.remove()
    assert timed == [len(pool.unlabelled)]  # where the diagnosis begins
    assert sum(seen) > len(pool)


@pytest.mark.slow
def test_only_the_training_is_augmented() -> None:
    augmented: list[int] = []
    strategy = VAAL(VAE_OF_DIGITS, **FAST)
    strategy.augment = spy(augmented)
    game, pool, beside = trained(strategy)
    assert sum(augmented) >= 2 * 30 * 30  # both pools
    augmented.clear()
    strategy.scored(game, pool, beside)
    assert not augmented


def test_the_game_is_played_with_normalised_images_of_both_pools() -> None:
    pool, _ = digit_pool(200)
    batches: list[Tensor] = []

    class Watching(VAAL):
        def make_discriminator(self, inputs: int, device: torch.device) -> nn.Module | None:
            return None

    def vae(shape: tuple[int, ...], extra: int) -> VAE:
        made = VAE_OF_DIGITS(shape, extra=extra)
        made.encoder.register_forward_pre_hook(lambda _, inputs: batches.append(inputs[0].clone()))
        return made

    Watching(vae, limit=22, batch=64).trained(pool, torch.empty(1437, 0))
    rows = torch.cat(batches).flatten(1)
    ours = pool.normalise(pool.images).flatten(1)
    nearest = torch.cdist(rows, ours).min(1)
    assert float(nearest.values.max()) < 1e-2
    found = pool.known[nearest.indices]
    assert found[:64].all()
    assert not found[64:128].any()
    assert len(nearest.indices[found].unique()) == 200
    assert len(nearest.indices.unique()) > 1400


def test_the_training_is_augmented_as_it_was_told() -> None:
    assert VAAL(VAE_OF_DIGITS, augment="crop_flip").augment == augmentations["crop_flip"]
    assert VAAL(VAE_OF_DIGITS).augment == ()


def test_an_unknown_augmentation_is_refused() -> None:
    with pytest.raises(UserError, match=r"strategy\.augment=blur is unknown: choose one of none, flip"):
        VAAL(VAE_OF_DIGITS, augment="blur")


@pytest.mark.parametrize("layers", [3, 5])
def test_the_discriminator_sees_the_code(layers: int) -> None:
    game, _, _ = trained(VAAL(VAE_OF_DIGITS, discriminator_layers=layers, limit=1))
    assert game.discriminator is not None
    sizes = [m.in_features for m in game.discriminator.modules() if isinstance(m, nn.Linear)]
    assert sizes == [8] + [512] * (layers - 1)


def test_the_notes_by_hand(one_game: tuple[AdversarialGame, Pool, Tensor]) -> None:
    game, pool, beside = one_game
    _, notes = VAAL(VAE_OF_DIGITS).scored(game, pool, beside)
    ours, theirs = (logits_by_hand(game, pool, i, beside) for i in (pool.labelled, pool.unlabelled))
    assert notes["d_accuracy"] == pytest.approx(
        float(0.5 * (ours > 0).float().mean() + 0.5 * (theirs < 0).float().mean())
    )
    assert notes["d_ranking"] == pytest.approx(float((ours[:, None] > theirs).float().mean()), abs=1e-4)
    x = pool.normalise(pool.images[evenly(pool.unlabelled, 1000)])
    with torch.no_grad():
        mu = game.vae.encode(x)[0]
        error = (game.vae.decoder(mu) - x).square().mean()
    assert notes["reconstruction_error"] == pytest.approx(float(error), rel=1e-3)
    assert notes["mean_sample_error"] == pytest.approx(float((x - x.mean(0)).square().mean()), rel=1e-3)
    assert notes["active_latents"] == int((mu.var(0) > 0.01).sum())


def test_the_adversarys_share_is_measured_over_all_of_a_pool() -> None:
    pool, _ = digit_pool(200)
    beside = torch.arange(1437.0)[:, None]
    strategy = VAAL(VAE_OF_DIGITS, batch=64)
    for indices in (torch.arange(127), pool.unlabelled):
        assert strategy.batch(pool, beside, indices)[1][-1] == indices[-1]


def test_the_adversarys_share_is_noted_of_labelled_and_then_of_unlabelled_images(
    one_game: tuple[AdversarialGame, Pool, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[tuple[Tensor, Tensor]] = []
    monkeypatch.setattr(vaal, "adversary_share", lambda _, *given: batches.extend(given) or {"adversary_share": 0.25})
    game, pool, beside = one_game
    _, notes = VAAL(VAE_OF_DIGITS, batch=64).scored(game, pool, beside)
    assert notes["adversary_share"] == 0.25
    for (images, _), indices in zip(batches, (pool.labelled, pool.unlabelled), strict=True):
        assert torch.equal(images, pool.normalise(pool.images[evenly(indices, 64)]))


def dark(shape: tuple[int, ...], extra: int = 0) -> VAE:
    """Its decoder gives nothing, whatever it learns."""
    vae = VAE_OF_DIGITS(shape, extra=extra)
    vae.decoder.register_forward_hook(lambda *given: 0 * given[-1])
    return vae


class Dumb(VAAL):
    """Its discriminator says the same of all."""

    def make_discriminator(self, inputs: int, device: torch.device) -> nn.Module | None:
        made = super().make_discriminator(inputs, device)
        assert isinstance(made, nn.Sequential)
        made.register_forward_hook(lambda *given: 0 * given[-1] - 1)
        return made


LIVE = {**FAST, "limit": 60, "lr": 3e-3}


def warning(strategy: VAAL) -> str:
    """Of 200 labelled digits from 0 to 6."""
    seed_all(0, 0)
    pool, targets = digit_pool(0)
    chosen = torch.nonzero(targets < 7).squeeze(1)[:200]
    pool.label(chosen, targets[chosen])
    return strategy.query(pool, BLIND, 5).notes.get("warning", "")


@pytest.mark.slow
def test_a_live_game_gives_no_warning() -> None:
    assert warning(VAAL(VAE_OF_DIGITS, **LIVE)) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy",
    [
        VAAL(VAE_OF_DIGITS, **LIVE, kl_reduction="sum", beta=30),
        VAAL(VAE_OF_DIGITS, **LIVE, beta=1000),
        VAAL(dark, **LIVE),
        NoDiscriminator(dark, **LIVE, adversarial=0),
    ],
)
def test_a_collapsed_vae_is_warned_of(strategy: VAAL) -> None:
    assert "the VAE has collapsed to the mean" in warning(strategy)


@pytest.mark.slow
def test_a_discriminator_that_says_the_same_of_all_is_warned_of() -> None:
    assert "can't tell labelled from unlabelled" in warning(Dumb(VAE_OF_DIGITS, **LIVE))


def test_the_configuration_says_what_table_3_of_vaal_does_not() -> None:
    found = composed("strategy=vaal", "task_model=vgg16").strategy
    assert [found[name] for name in ("vae_steps", "augment", "kl_reduction", "limit")] == [1, "flip", "elbo", None]
    assert composed("strategy=vaal", "task_model=linear").strategy.augment == "none"
