"""The game: its losses recomputed by hand, who moves when, and what stays as it is."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from alsuite.errors import UserError
from alsuite.loop import seed_all
from alsuite.nets.vae import discriminator, feature_vae, image_vae
from alsuite.strategies.aalu import AALU
from alsuite.strategies.vaal import VAAL
from alsuite.training import game as adversary
from alsuite.training.fit import Stream
from alsuite.training.game import AdversarialGame, AdversarialRules, Conditioning, play
from alsuite.training.losses import bound
from helpers.vaal import state

FEATURES, LATENT = 6, 3
SIZES = [(4, 4), (3, 9), (8, 2)]


class Recorded(AdversarialGame):
    """Writes down which of the players moved, and whether the other one stayed."""

    def configure_optimizers(self) -> list[Optimizer]:
        self.moves: list[str] = []
        made = super().configure_optimizers()
        for name, players in (("vae", self.vae_optimisers), ("D", self.discriminator_optimisers)):
            for player in players:
                player.register_step_post_hook(partial(self.record, name))
        return made

    def record(self, name: str, *_: Any) -> None:
        self.moves.append(name)


def game(
    rules: AdversarialRules | None = None, extra: int = 0, kind: type[AdversarialGame] = AdversarialGame
) -> AdversarialGame:
    vae = feature_vae((FEATURES,), extra=extra, latent=LATENT, hidden=8)
    return kind(vae, discriminator(LATENT + extra, 3, 16), rules or AdversarialRules())


def image_game(rules: AdversarialRules, kind: type[AdversarialGame] = AdversarialGame) -> AdversarialGame:
    vae = image_vae((1, 8, 8), latent=LATENT, width=1 / 16)
    return kind(vae, discriminator(LATENT, 3, 16), rules)


def finder(of: AdversarialGame) -> nn.Module:
    assert of.discriminator is not None
    return of.discriminator


def streams(unlabelled: int = 30, labelled: int = 10, batch: int = 5, *shape: int) -> tuple[Stream, Stream]:
    shape = shape or (FEATURES,)
    return Stream(torch.randn(unlabelled, *shape), batch=batch), Stream(torch.randn(labelled, *shape) + 1, batch=batch)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one)


def step(played: AdversarialGame, *batches: tuple[Tensor, Tensor]) -> None:
    """One block of unlabelled and labelled batches."""
    played.configure_optimizers()
    played.train()
    played.training_step(iter([((u,), (x,)) for u, x in batches]), 0)


@pytest.mark.parametrize(("n_labelled", "n_unlabelled"), SIZES)
@pytest.mark.parametrize("reduction", ["elbo", "elbo_per_value", "sample", "mean", "sum"])
def test_the_hiding_loss_by_hand(n_labelled: int, n_unlabelled: int, reduction: str) -> None:
    """VAAL eq. 1, 2 and 4, an expectation over each pool."""
    rules = AdversarialRules(transductive=0.7, adversarial=3.0, beta=2.0, kl_reduction=reduction)
    played, x_L, x_U = game(rules), torch.randn(n_labelled, FEATURES), torch.randn(n_unlabelled, FEATURES)
    torch.manual_seed(5)
    found = played.vae_loss((x_L,), (x_U,))
    torch.manual_seed(5)
    noise = torch.randn(n_labelled + n_unlabelled, LATENT).split([n_labelled, n_unlabelled])
    expected = torch.zeros(())
    for x, epsilon in zip((x_L, x_U), noise, strict=True):
        mu, logvar = played.vae.encode(x)
        decoded = played.vae.decoder(mu + epsilon * torch.exp(logvar / 2))
        expected = expected + 0.7 * bound(x, decoded, mu, logvar, 2.0, reduction).mean()
        expected = expected - 3.0 * torch.log(torch.sigmoid(finder(played)(mu))).mean()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("n_labelled", "n_unlabelled"), SIZES)
def test_the_finding_loss_by_hand(n_labelled: int, n_unlabelled: int) -> None:
    """VAAL eq. 3: 1 is labelled."""
    played, x_L, x_U = game(), torch.randn(n_labelled, FEATURES), torch.randn(n_unlabelled, FEATURES)
    D_L, D_U = (torch.sigmoid(finder(played)(played.vae.encode(x)[0])) for x in (x_L, x_U))
    expected = -torch.log(D_L).mean() - torch.log(1 - D_U).mean()
    torch.testing.assert_close(played.discriminator_loss((x_L,), (x_U,)), expected)


def test_both_pools_weigh_the_same_whatever_their_batches_hold() -> None:
    played, x_L, x_U = game(AdversarialRules(transductive=0)), torch.randn(4, FEATURES), torch.randn(4, FEATURES)
    for loss in (played.discriminator_loss, played.vae_loss):
        expected = loss((x_L,), (x_U,))
        torch.testing.assert_close(loss((x_L.repeat(5, 1),), (x_U,)), expected)
        torch.testing.assert_close(loss((x_L,), (x_U.repeat(5, 1),)), expected)


@pytest.mark.parametrize("name", ["vae_loss", "discriminator_loss"])
def test_both_batches_pass_the_networks_as_one(name: str) -> None:
    """Batch norm over each pool alone would take away what tells them apart."""
    played, seen = image_game(AdversarialRules()).train(), []
    for module in played.vae.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    getattr(played, name)((torch.randn(4, 1, 8, 8),), (torch.randn(7, 1, 8, 8),))
    assert {*seen} == {11}


def test_decoder_and_discriminator_each_see_their_own_beside_the_code() -> None:
    class Both(AdversarialGame):
        def conditioning(self, x: Tensor, *given: Tensor) -> Conditioning:
            return Conditioning(given[0], given[1])

    played = Both(
        feature_vae((FEATURES,), extra=2, latent=LATENT, hidden=8), discriminator(LATENT + 1, 3, 16), AdversarialRules()
    )
    seen: dict[str, list[Tensor]] = {"decoder": [], "D": []}
    played.vae.decoder.register_forward_pre_hook(lambda _, inputs: seen["decoder"].append(inputs[0]))
    finder(played).register_forward_pre_hook(lambda _, inputs: seen["D"].append(inputs[0]))
    labelled, unlabelled = ((torch.randn(n, FEATURES), torch.randn(n, 2), torch.randn(n, 1)) for n in (3, 4))
    played.vae_loss(labelled, unlabelled)
    played.discriminator_loss(labelled, unlabelled)
    (decoded,), found = seen["decoder"], seen["D"]
    assert torch.equal(decoded[:, LATENT:], torch.cat([labelled[1], unlabelled[1]]))
    for inputs in found:
        assert torch.equal(inputs[:, LATENT:], torch.cat([labelled[2], unlabelled[2]]))
        assert torch.equal(inputs[:, :LATENT], played.vae.encode(torch.cat([labelled[0], unlabelled[0]]))[0])  # mu
    assert len(found) == 2


def test_a_hiding_step_changes_the_vae_alone_and_a_finding_step_the_discriminator_alone() -> None:
    batch = torch.randn(5, FEATURES), torch.randn(5, FEATURES)
    hiding = game(AdversarialRules(vae_steps=2))  # D's turn doesn't come
    vae, found = state(hiding.vae), state(finder(hiding))
    step(hiding, batch)
    assert same(found, state(finder(hiding)))
    assert not any(torch.equal(value, hiding.vae.state_dict()[key]) for key, value in vae.items() if "weight" in key)
    assert all(p.grad is None for p in finder(hiding).parameters())
    finding = game(AdversarialRules(transductive=0, adversarial=0))
    vae, found = state(finding.vae), state(finder(finding))
    step(finding, batch)
    assert same(vae, state(finding.vae))
    assert not any(torch.equal(value, finder(finding).state_dict()[key]) for key, value in found.items())
    assert all(p.grad is None for p in finding.vae.parameters())


def test_the_discriminator_learns_what_is_labelled_and_the_vae_makes_all_seem_so() -> None:
    unlabelled, labelled = torch.randn(40, FEATURES), torch.randn(40, FEATURES) + 2
    played = game(AdversarialRules(transductive=0, adversarial=0, discriminator_lr=1e-2))

    def logits(x: Tensor) -> Tensor:
        return finder(played)(played.vae.encode(x)[0])

    step(played, *[(unlabelled, labelled)] * 60)
    assert float((logits(labelled) > 0).float().mean()) > 0.8
    assert float((logits(unlabelled) < 0).float().mean()) > 0.8
    step(
        AdversarialGame(played.vae, finder(played), AdversarialRules(transductive=0, vae_steps=1000, lr=1e-2)),
        *[(unlabelled, labelled)] * 60,
    )
    assert float((logits(torch.cat([unlabelled, labelled])) > 0).float().mean()) > 0.95


@pytest.mark.parametrize("name", ["vae_loss", "discriminator_loss"])
def test_a_loss_reaches_only_its_player_through_the_others_network(name: str) -> None:
    played = game(AdversarialRules(transductive=0))
    getattr(played, name)((torch.randn(5, FEATURES),), (torch.randn(5, FEATURES),)).backward()
    reached = any(p.grad is not None and p.grad.any() for p in played.vae.encoder.parameters())
    assert reached == (name == "vae_loss")


def test_without_an_adversarial_weight_the_vae_never_asks_the_discriminator() -> None:
    batch = (torch.randn(5, FEATURES),), (torch.randn(5, FEATURES),)
    played = game(AdversarialRules(adversarial=0))
    asked: list[int] = []
    finder(played).register_forward_hook(lambda *_: asked.append(1))
    torch.manual_seed(1)
    loss = played.vae_loss(*batch)
    assert not asked
    torch.manual_seed(1)
    torch.testing.assert_close(loss, AdversarialGame(played.vae, None, AdversarialRules()).vae_loss(*batch))
    loss.backward()
    assert all(p.grad is None for p in finder(played).parameters())


@pytest.mark.parametrize(
    ("vae_steps", "expected"),
    [(1, ["vae", "D"] * 6), (2, ["vae", "vae", "D"] * 3), (5, ["vae"] * 5 + ["D", "vae"])],
)
@pytest.mark.parametrize("labelled", [5, 10, 60])
def test_the_players_take_turns(vae_steps: int, expected: list[str], labelled: int) -> None:
    played = play(game(AdversarialRules(epochs=1, vae_steps=vae_steps), kind=Recorded), *streams(labelled=labelled))
    assert isinstance(played, Recorded)
    assert played.moves == expected
    assert not played.training


def test_a_game_too_short_for_a_turn_of_the_discriminator_is_refused() -> None:
    rules = AdversarialRules(epochs=1, vae_steps=7)
    with pytest.raises(UserError, match="vae_steps=7 leaves D no turn in a game of 6 steps: lower it"):
        play(game(rules), *streams())
    alone = game(rules)
    alone.discriminator = None
    assert play(alone, *streams()).done == 6


def test_the_turns_go_on_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alsuite.training.fit.BLOCK_STEPS", 3)
    played = play(game(AdversarialRules(epochs=1, vae_steps=2), kind=Recorded), *streams(40))
    assert isinstance(played, Recorded)
    assert played.moves == ["vae", "vae", "D"] * 4


def test_a_frozen_vae_stays_as_it_is_buffers_and_all() -> None:
    played = image_game(AdversarialRules(epochs=2, transductive=0, adversarial=0), kind=Recorded)
    before, found = state(played.vae), state(finder(played))
    play(played, *streams(30, 10, 5, 1, 8, 8))
    assert isinstance(played, Recorded)
    assert {*played.moves} == {"D"}
    assert any("running_mean" in key for key in before)
    assert same(before, state(played.vae))
    assert not same(found, state(finder(played)))


@pytest.mark.parametrize("hides", [True, False])
def test_all_that_learns_is_in_training_mode_from_the_first_step_to_the_last(hides: bool) -> None:
    played = image_game(AdversarialRules(epochs=3, transductive=float(hides), adversarial=float(hides))).eval()
    modes: dict[str, list[bool]] = {"vae": [], "D": []}
    played.vae.encoder.register_forward_hook(lambda net, *_: modes["vae"].append(net.training))
    finder(played).register_forward_hook(lambda net, *_: modes["D"].append(net.training))
    play(played, *streams(30, 10, 5, 1, 8, 8))
    assert (len(modes["vae"]), {*modes["vae"]}, {*modes["D"]}) == (18 * (1 + hides), {hides}, {True})


@pytest.mark.parametrize(
    "rules", [AdversarialRules(epochs=2, adversarial=0), AdversarialRules(epochs=2, transductive=0)]
)
def test_a_vae_with_one_weight_in_the_game_moves(rules: AdversarialRules) -> None:
    played = image_game(rules)
    before = state(played.vae)
    play(played, *streams(30, 10, 5, 1, 8, 8))
    changed = [key for key, value in before.items() if not torch.equal(value, played.vae.state_dict()[key])]
    assert any(key.startswith("encoder") for key in changed)
    assert any("running_mean" in key for key in changed)


def test_a_game_without_a_discriminator_trains_the_vae() -> None:
    played, (unlabelled, labelled) = AdversarialGame(game().vae, None, AdversarialRules(epochs=30, lr=1e-2)), streams()
    batches = labelled.tensors, unlabelled.tensors
    before = float(played.vae_loss(*batches).detach())
    assert float(play(played, unlabelled, labelled).vae_loss(*batches).detach()) < before / 2


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_game_is_played_at_its_precision(precision: str) -> None:
    played = game(AdversarialRules(epochs=1, precision=precision))
    mixed: list[bool] = []
    finder(played).register_forward_hook(lambda *_: mixed.append(torch.is_autocast_enabled("cpu")))
    play(played, *streams())
    assert {*mixed} == {precision == "bf16-mixed"}
    assert all(p.isfinite().all() for p in played.parameters())


@pytest.mark.parametrize("labelled", [3, 10, 100])
@pytest.mark.parametrize(
    ("epochs", "limit", "steps"), [(2, None, 12), (2, 100, 12), (100, 7, 7), (0.001, None, 1), (2.5, None, 15)]
)
def test_an_epoch_is_one_of_the_unlabelled_pool_up_to_the_limit(
    epochs: float, limit: int | None, steps: int, labelled: int
) -> None:
    assert play(game(AdversarialRules(epochs=epochs, limit=limit)), *streams(labelled=labelled)).done == steps


def test_a_seed_determines_the_game() -> None:
    found = []
    for seed in (3, 3, 4):
        seed_all(0, 0)
        both = streams()
        seed_all(seed, 0)
        found.append(state(play(game(AdversarialRules(epochs=2)), *both)))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", -1),
        ("epochs", float("nan")),
        ("epochs", "many"),
        ("limit", 0),
        ("limit", -3),
        ("limit", 2.5),
        ("batch", 0),
        ("lr", -1e-3),
        ("discriminator_lr", 0.0),
        ("vae_steps", 0),
        ("kl_reduction", "max"),
    ],
)
def test_wrong_rules_give_one_clear_line(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"\b{name}={value} ") as caught:
        AdversarialRules(**{name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["lr", "discriminator_lr"])
def test_a_diverging_game_says_so_in_one_line(name: str) -> None:
    expected = r"the VAE or of the discriminator is not a number: lower its learning rate$"
    with pytest.raises(UserError, match=expected) as caught:
        play(game(AdversarialRules(epochs=3, **dict[str, Any]({name: 1e30}))), *streams())
    assert "\n" not in str(caught.value)


def test_the_game_is_a_lightning_module_that_steps_by_itself() -> None:
    assert isinstance(game(), LightningModule)
    assert not game().automatic_optimization
    assert adversary.REDUCTIONS == ("elbo", "elbo_per_value", "sample", "mean", "sum")


def test_a_strategy_without_its_vae_says_so_at_once() -> None:
    for strategy in (VAAL, AALU):
        with pytest.raises(UserError, match="take generator=vae"):
            strategy(vae={})  # type: ignore[arg-type]
