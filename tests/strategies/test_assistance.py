"""AALU, equations 5 to 9, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from alsuite.nets.vae import discriminator
from alsuite.strategies.aalu import Assistance
from alsuite.training.game import AdversarialRules
from alsuite.training.losses import bound
from helpers.aalu import CLASSES, FEATURES, LATENT, SMALL, informative


def game(
    rules: AdversarialRules | None = None, prediction: bool = True, ranking: float = 10.0, margin: float = 0.1
) -> Assistance:
    assistant = discriminator(LATENT + CLASSES * prediction, 3, 16)
    return Assistance(SMALL((FEATURES,)), assistant, rules or AdversarialRules(), prediction, ranking, margin)


def batch(n: int, labelled: bool = True) -> tuple[Tensor, ...]:
    drawn = torch.randn(n, FEATURES), torch.randn(n, CLASSES).softmax(-1), 3 * torch.rand(n)
    return drawn if labelled else drawn[:2]


def ranked(A: Tensor, losses: Tensor, margin: float) -> Tensor:
    """Eq. 8."""
    n, total = len(A) // 2, torch.zeros(())
    for i in range(n):
        total = total + torch.relu(-torch.sign(losses[i] - losses[n + i]) * (A[i] - A[n + i]) + margin)
    return total / n


@pytest.mark.parametrize("prediction", [True, False])
@pytest.mark.parametrize(("n_labelled", "n_unlabelled"), [(8, 8), (5, 11), (12, 2)])
def test_the_assistants_loss_by_hand(n_labelled: int, n_unlabelled: int, prediction: bool) -> None:
    """Eq. 7 to 9."""
    played = game(prediction=prediction, ranking=4.0, margin=0.3)
    labelled, unlabelled = batch(n_labelled), batch(n_unlabelled, labelled=False)
    A_L, A_U = informative(played, *labelled[:2]), informative(played, *unlabelled)
    expected = -torch.log(1 - A_L).mean() - torch.log(A_U).mean() + 4.0 * ranked(A_L, labelled[2], 0.3)
    torch.testing.assert_close(played.discriminator_loss(labelled, unlabelled), expected)


@pytest.mark.parametrize("prediction", [True, False])
def test_the_loss_of_the_vae_by_hand(prediction: bool) -> None:
    """Eq. 5 and 6."""
    played = game(AdversarialRules(adversarial=2.0), prediction=prediction)
    labelled, unlabelled = batch(4), batch(7, labelled=False)
    torch.manual_seed(3)
    found = played.vae_loss(labelled, unlabelled)
    torch.manual_seed(3)
    noise = torch.randn(11, LATENT).split([4, 7])
    expected = torch.zeros(())
    for (f, p, *_), epsilon in zip((labelled, unlabelled), noise, strict=True):
        mu, logvar = played.vae.encode(f)
        decoded = played.vae.decoder(mu + epsilon * (logvar / 2).exp())
        expected = expected + bound(f, decoded, mu, logvar).mean()
        expected = expected - 2.0 * torch.log(1 - informative(played, f, p)).mean()
    torch.testing.assert_close(found, expected)


def test_without_ranking_the_losses_of_the_task_are_not_read() -> None:
    played, labelled, unlabelled = game(ranking=0), batch(8), batch(8, labelled=False)
    A_L, A_U = informative(played, *labelled[:2]), informative(played, *unlabelled)
    spoilt = (*labelled[:2], torch.full((8,), torch.nan))
    found = played.discriminator_loss(spoilt, unlabelled)
    torch.testing.assert_close(found, -torch.log(1 - A_L).mean() - torch.log(A_U).mean())


def test_ranking_alone_is_equation_8_and_knows_nothing_of_the_unlabelled() -> None:
    played, labelled = game(AdversarialRules(adversarial=0)), batch(8)
    expected = 10 * ranked(informative(played, *labelled[:2]), labelled[2], 0.1)
    for _ in range(2):
        torch.testing.assert_close(played.discriminator_loss(labelled, batch(8, labelled=False)), expected)


def test_the_ranking_moves_the_assistant_alone() -> None:
    played = game(AdversarialRules(adversarial=0))
    played.discriminator_loss(batch(8), batch(8, labelled=False)).backward()
    assert played.discriminator is not None
    assert all(p.grad is None for p in played.vae.parameters())
    assert all(p.grad is not None and p.grad.any() for p in played.discriminator.parameters())
