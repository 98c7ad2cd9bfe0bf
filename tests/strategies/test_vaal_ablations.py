"""VAAL without a part of it (section 5.1): no discriminator, a frozen VAE, no VAE."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import Tensor

from alsuite.command.complaints import one_line
from alsuite.nets.vae import VAE, no_vae
from alsuite.strategies.vaal import VAAL, NoDiscriminator, Seen, wasserstein
from alsuite.training.game import AdversarialRules
from helpers.configs import composed
from helpers.pools import digit_pool
from helpers.vaal import BLIND, FAST, VAE_OF_DIGITS, state, trained


def test_wasserstein_is_the_distance_of_gaussians() -> None:
    """In numpy, with matrix square roots; the labelled codes are one Gaussian with the moments of their mixture."""
    mu, logvar, labelled_mu, labelled_logvar = (torch.randn(n, 4, dtype=torch.float64) for n in (6, 6, 30, 30))
    centre = labelled_mu.numpy().mean(0)
    variance = np.exp(labelled_logvar.numpy()).mean(0) + labelled_mu.numpy().var(0)
    expected = []
    for m, v in zip(mu.numpy(), np.exp(logvar.numpy()), strict=True):
        root = scipy.linalg.sqrtm(np.diag(v))
        cross = scipy.linalg.sqrtm(root @ np.diag(variance) @ root)
        square = ((m - centre) ** 2).sum() + np.trace(np.diag(v) + np.diag(variance) - 2 * np.real(cross))
        expected.append(square**0.5)
    found = wasserstein(mu, logvar, labelled_mu, labelled_logvar)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-8)


def test_the_moments_of_the_labelled_codes_are_those_of_draws_from_them() -> None:
    labelled_mu, labelled_logvar = torch.randn(50, 3), torch.randn(50, 3)
    draws = labelled_mu + torch.randn(20_000, 50, 3) * (labelled_logvar / 2).exp()
    flat = draws.flatten(0, 1)
    same = wasserstein(flat.mean(0)[None], flat.var(0).log()[None], labelled_mu, labelled_logvar)
    assert float(same) < 0.02


def test_without_a_discriminator_the_farthest_come_first() -> None:
    """Labelled are zeros and ones; a far image is bright all over."""
    pool, targets = digit_pool(0)
    pool.images = pool.images.clone()
    pool.images[1000:1005] = 255
    chosen = torch.nonzero(targets[:1000] < 2).squeeze(1)
    pool.label(chosen, targets[chosen])
    strategy = NoDiscriminator(no_vae, transductive=0, adversarial=0)
    game = Seen(no_vae(pool.images.shape[1:]), None, AdversarialRules(transductive=0))
    scores, notes = strategy.scored(game, pool, torch.empty(1437, 0))
    assert sorted(pool.unlabelled[scores.topk(5).indices].tolist()) == [*range(1000, 1005)]
    assert notes.keys() == {"diagnosis_seconds"}


def test_no_discriminator_trains_none_and_asks_for_the_largest_distances() -> None:
    pool, _ = digit_pool(200)
    strategy = NoDiscriminator(VAE_OF_DIGITS, limit=5, adversarial=0)
    query = strategy.query(pool, BLIND, 20)
    assert query.scores is not None
    assert (query.scores.diff() <= 0).all()
    assert (query.scores > 0).all()
    assert strategy.make_discriminator(8, pool.device) is None
    assert "d_ranking" not in query.notes


def test_a_frozen_vae_is_the_one_that_was_drawn() -> None:
    drawn: list[VAE] = []

    def vae(shape: tuple[int, ...], extra: int) -> VAE:
        drawn.append(VAE_OF_DIGITS(shape, extra=extra))
        before.update(state(drawn[0]))
        return drawn[0]

    before: dict[str, Tensor] = {}
    strategy = VAAL(vae, **FAST, transductive=0, adversarial=0)
    query = strategy.query(digit_pool(200)[0], BLIND, 5)
    assert all(torch.equal(value, drawn[0].state_dict()[key]) for key, value in before.items())
    assert query.notes.keys() == {"d_accuracy", "d_ranking", "fit_seconds", "diagnosis_seconds"}


def test_without_a_vae_the_discriminator_sees_the_pixels() -> None:
    game, pool, beside = trained(VAAL(no_vae, **FAST, transductive=0, adversarial=0))
    scores, notes = VAAL(no_vae, transductive=0, adversarial=0).scored(game, pool, beside)
    with torch.no_grad():
        logits = game.discriminator(pool.normalise(pool.images[pool.unlabelled]).flatten(1))  # type: ignore[misc]
    torch.testing.assert_close(scores, -logits, atol=1e-4, rtol=1e-4)
    assert "reconstruction_error" not in notes


@pytest.mark.parametrize("strategy", ["vaal", "ta_vaal", "vaal_no_d"])
def test_a_game_is_refused_where_there_is_no_vae_to_train(strategy: str) -> None:
    config = composed(f"strategy={strategy}", "generator=no_vae").strategy
    with pytest.raises(InstantiationException) as told:
        instantiate(config)
    assert one_line(told.value).startswith("generator=no_vae has nothing to train: take strategy=vaal_no_vae")


@pytest.mark.parametrize(
    ("name", "transductive", "adversarial", "kind"),
    [("vaal_no_vae", 0, 0, "VAAL"), ("vaal_frozen_vae", 0, 0, "VAAL"), ("vaal_no_d", 1, 0, "NoDiscriminator")],
)
def test_the_ablations_of_section_5_1(name: str, transductive: int, adversarial: int, kind: str) -> None:
    strategy = composed(f"strategy={name}").strategy
    assert (strategy.transductive, strategy.adversarial) == (transductive, adversarial)
    assert strategy._target_.endswith(f".{kind}")
    assert strategy.vae._target_.endswith(".no_vae" if name == "vaal_no_vae" else ".image_vae")
    instantiate(strategy).make_vae((1, 8, 8), extra=0)
