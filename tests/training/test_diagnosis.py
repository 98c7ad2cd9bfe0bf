"""What tells a live game from a dead one: notes by hand, and warnings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alsuite.nets.vae import discriminator, feature_vae, image_vae
from alsuite.notes import warned
from alsuite.training.game import (
    AdversarialGame,
    AdversarialRules,
    adversary_share,
    diagnosed,
    reconstruction,
    separation,
)

FEATURES, LATENT = 6, 3


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "accuracy", "ranking"),
    [
        ([3.0, 1.0], [-2.0, -1.0, -5.0, -1.0], 1.0, 1.0),
        ([-3.0, -1.0], [2.0, 1.0, 5.0, 1.0], 0.0, 0.0),
        ([3.0, 2.0], [1.0, 1.0, 0.5, 0.1], 0.5, 1.0),  # it ranks, though it calls all labelled
        ([1.0, -1.0], [0.5, -0.5, -2.0, -2.0], 0.5 * 0.5 + 0.5 * 0.75, (1 + 0.5) / 2),
        ([1.0], [1.0, 1.0, 1.0, -1.0], 0.5 * 1 + 0.5 * 0.25, (1 + 3 / 2) / 4),  # a tie is luck
        ([2.0] * 3, [2.0] * 5, 0.5, 0.5),
        ([5.0] * 100, [-1.0], 1.0, 1.0),
    ],
)
def test_the_diagnosis_by_hand(labelled: list[float], unlabelled: list[float], accuracy: float, ranking: float) -> None:
    found = separation(torch.tensor(labelled), torch.tensor(unlabelled))
    assert found == {"d_accuracy": pytest.approx(accuracy), "d_ranking": pytest.approx(ranking)}


def test_the_ranking_is_a_share_of_all_pairs() -> None:
    labelled, unlabelled = torch.randn(40) + 0.5, torch.randn(130)
    pairs = np.array([[float(a) > float(b) for b in unlabelled] for a in labelled])
    assert separation(labelled, unlabelled)["d_ranking"] == pytest.approx(pairs.mean())


def test_what_is_watched_by_hand() -> None:
    x, codes, beside = torch.randn(150, FEATURES) + 2, torch.randn(150, LATENT), torch.rand(150, 1)
    codes[:, 1] *= 0.05  # a variance of 0.0025 isn't in use
    vae = feature_vae((FEATURES,), extra=1, latent=LATENT, hidden=8)
    found = reconstruction(vae, x, codes, beside)
    decoded = vae.decoder(torch.cat([codes, beside], 1)).detach().numpy()
    pixels = x.numpy()
    assert found["reconstruction_error"] == pytest.approx(((decoded - pixels) ** 2).mean(), rel=1e-4)
    assert found["mean_sample_error"] == pytest.approx(pixels.var(0).mean(), rel=1e-4)
    assert found["active_latents"] == 2


def test_images_are_watched_value_by_value() -> None:
    vae = image_vae((2, 8, 8), latent=LATENT, width=1 / 16).eval()
    x, codes = torch.randn(70, 2, 8, 8), torch.randn(70, LATENT)
    found = reconstruction(vae, x, codes, codes[:, :0])
    assert found["reconstruction_error"] == pytest.approx(
        float((vae.decoder(codes) - x).detach().square().mean()), 1e-4
    )
    assert found["mean_sample_error"] == pytest.approx(float(x.var(0, correction=0).mean()), 1e-4)


LIVE = {"d_accuracy": 0.5, "d_ranking": 0.6, "reconstruction_error": 0.3, "mean_sample_error": 0.5}


def test_a_warning_where_nothing_was_learned() -> None:
    assert warned(LIVE) == LIVE
    assert warned({}) == {}
    assert "VAE has collapsed" in warned({**LIVE, "reconstruction_error": 0.49})["warning"]
    assert "VAE has collapsed" in warned({**LIVE, "reconstruction_error": 7.0})["warning"]
    for ranking in (0.0, 0.3, 0.5, 0.51):
        found = warned({**LIVE, "d_ranking": ranking})
        assert "can't tell labelled from unlabelled" in found.pop("warning")
        assert found == {**LIVE, "d_ranking": ranking}
    assert "\n" not in warned({**LIVE, "d_ranking": 0.5})["warning"]


def test_an_assistant_that_ranks_losses_need_not_tell_the_pools_apart() -> None:
    for notes in ({"d_ranking": 0.3, "loss_ranking": 0.8}, {"loss_ranking": 0.8}):
        assert warned(notes) == notes
    for notes in ({"d_ranking": 0.3, "loss_ranking": 0.5}, {"loss_ranking": 0.5}):
        assert "can't rank losses" in warned(notes)["warning"]


def test_a_single_sample_says_nothing_of_the_vae() -> None:
    vae, x = feature_vae((FEATURES,), latent=LATENT, hidden=8), torch.randn(1, FEATURES)
    found = reconstruction(vae, x, torch.randn(1, LATENT), x[:, :0])
    assert found["mean_sample_error"] == 0 < found["reconstruction_error"]
    assert warned(found) == found


def test_the_adversarys_share_by_hand() -> None:
    vae, finder = feature_vae((FEATURES,), latent=LATENT, hidden=8), discriminator(LATENT, 3, 16)
    rules = AdversarialRules(adversarial=3.0, transductive=0.5)
    batches = (torch.randn(4, FEATURES),), (torch.randn(7, FEATURES),)
    pulls = []
    for transductive, adversarial in ((0.5, 0.0), (0.0, 3.0)):
        one = AdversarialGame(vae, finder, AdversarialRules(transductive=transductive, adversarial=adversarial))
        torch.manual_seed(1)
        one.vae_loss(*batches).backward()
        pulls.append(
            float(torch.cat([p.grad.flatten() for p in vae.encoder.parameters() if p.grad is not None]).norm())
        )
        vae.zero_grad()
        finder.zero_grad()
    torch.manual_seed(1)
    found = adversary_share(AdversarialGame(vae, finder, rules), *batches)
    assert found == {"adversary_share": pytest.approx(pulls[1] / sum(pulls), rel=1e-4)}
    assert all(p.grad is None or not p.grad.any() for p in (*vae.parameters(), *finder.parameters()))


def test_without_an_adversary_it_has_no_share() -> None:
    vae, batch = feature_vae((FEATURES,), latent=LATENT, hidden=8), (torch.randn(4, FEATURES),)
    assert adversary_share(AdversarialGame(vae, None, AdversarialRules()), batch, batch) == {}
    idle = AdversarialGame(vae, discriminator(LATENT, 3, 16), AdversarialRules(adversarial=0))
    assert adversary_share(idle, batch, batch) == {}


def test_a_diagnosis_tells_how_long_it_took() -> None:
    found = diagnosed({"d_ranking": 0.5}, 0.0, torch.device("cpu"))
    assert found["diagnosis_seconds"] > 0
    assert "can't tell labelled from unlabelled" in found["warning"]
