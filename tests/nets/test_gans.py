"""The networks against their published tables, and each player's losses by hand."""

from __future__ import annotations

import math
import re
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.optim import SGD

from alsuite.errors import UserError
from alsuite.generators.gan import GANGame, GANRules, consistency, penalty
from alsuite.nets.autoencoders import autoencoder
from alsuite.nets.gans import Critic, Pair, dcgan, res_wgan_gp, sides_of, wgan_gp
from helpers.nets import size

BUILDERS = {"dcgan": dcgan, "wgan_gp": wgan_gp, "res": res_wgan_gp, "ct": partial(res_wgan_gp, dropout=True)}
SHAPES = [(1, 28, 28), (3, 32, 32), (3, 64, 64), (1, 8, 8), (3, 30, 20)]
MNIST, CIFAR, CELEBA = (1, 28, 28), (3, 32, 32), (3, 64, 64)


def sizes(net: nn.Module, *kinds: type[nn.Module]) -> list[tuple[int, int]]:
    """Inputs and outputs of all layers of these kinds."""
    found: list[Any] = [layer for layer in net.modules() if isinstance(layer, kinds)]
    linear = isinstance(found[0], nn.Linear)
    return [(x.in_features, x.out_features) if linear else (x.in_channels, x.out_channels) for x in found]


def names(net: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in net.modules() if not [*layer.children()]]


def convolved(kernel: int, *channels: int) -> int:
    return sum(kernel**2 * a * b + b for a, b in pairwise(channels))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", BUILDERS)
def test_a_pair_makes_and_judges_images_of_any_shape(name: str, shape: tuple[int, int, int]) -> None:
    pair = BUILDERS[name](shape, latent=7, width=1 / 16).eval()
    z = torch.randn(5, 7, requires_grad=True)
    images = pair.images(z)
    assert images.shape == (5, *shape)
    assert 0 <= float(images.detach().min()) < float(images.detach().max()) <= 1
    assert pair.features(images).ndim == 2
    assert pair.discriminator(pair.ranged(images)).shape == (5,)
    images.square().sum().backward()
    assert z.grad is not None
    assert (z.grad != 0).any(dim=1).all()


@pytest.mark.parametrize("shape", [MNIST, CIFAR])
@pytest.mark.parametrize("name", BUILDERS)
def test_a_gradient_reaches_every_parameter(name: str, shape: tuple[int, int, int]) -> None:
    pair = BUILDERS[name](shape, latent=7, width=1 / 16)
    pair.discriminator(pair.generator(torch.randn(4, 7))).square().sum().backward()
    assert [key for key, p in pair.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize(("shape", "low"), [(MNIST, 0.0), (CIFAR, -1.0)])
def test_the_discriminator_sees_bytes_and_floats_alike_in_the_generators_range(
    shape: tuple[int, int, int], low: float
) -> None:
    pair = wgan_gp(shape, width=1 / 16).eval()
    images = torch.randint(0, 256, (3, *shape), dtype=torch.uint8)
    images[0, 0, 0, :2] = torch.tensor([0, 255])
    torch.testing.assert_close(pair.features(images), pair.features(images.float() / 255))
    seen = pair.ranged(images)
    assert (float(seen.min()), float(seen.max())) == (low, 1.0)
    made = pair.generator(torch.randn(2, 128)).detach()
    assert (float(made.min()) < 0) == (low < 0)
    torch.testing.assert_close(pair.ranged(pair.images(torch.ones(2, 128))), pair.generator(torch.ones(2, 128)))


def test_wgan_gp_for_mnist_is_the_release() -> None:
    for pair, norms in ((wgan_gp(MNIST), (0, 0)), (dcgan(MNIST), (2 * (4096 + 128 + 64), 2 * (128 + 256)))):
        generator, finder = pair.generator, pair.discriminator
        assert sizes(generator, nn.Linear) == [(128, 4096)]
        assert sizes(generator, nn.ConvTranspose2d) == [(256, 128), (128, 64), (64, 1)]
        assert sizes(finder, nn.Conv2d) == [(1, 64), (64, 128), (128, 256)]
        assert sizes(finder, nn.Linear) == [(4096, 1)]
        assert any("Norm" in name for name in names(pair)) == any(norms)
        assert size(generator) == 129 * 4096 + convolved(5, 256, 128, 64, 1) + norms[0]
        assert size(finder) == convolved(5, 1, 64, 128, 256) + 4097 + norms[1]
        assert sides_of(MNIST) == [(28, 28), (14, 14), (7, 7), (4, 4)]


def test_wgan_gp_for_cifar_has_batch_norm_in_the_generator_and_dcgan_in_the_discriminator_too() -> None:
    pair, other = wgan_gp(CIFAR), dcgan(CIFAR)
    norms = 2 * 8192 + 2 * (256 + 128)
    assert size(pair.generator) == 129 * 8192 + convolved(5, 512, 256, 128, 3) + norms
    assert size(pair.generator) == size(other.generator)
    assert names(pair.generator)[-1] == "Tanh"
    assert size(pair.discriminator) == convolved(5, 3, 128, 256, 512) + 8193
    assert size(other.discriminator) == size(pair.discriminator) + 2 * (256 + 512)
    assert names(other.discriminator)[:3] == ["Conv2d", "LeakyReLU", "Conv2d"]


def test_asal_tab1_generator_and_discriminator() -> None:
    pair = wgan_gp(CELEBA)
    step = ["ConvTranspose2d", "Crop", "BatchNorm2d", "ReLU"]
    head = ["Linear", "BatchNorm1d", "ReLU", "Unflatten"]
    assert names(pair.generator) == [*head, *step * 3, "ConvTranspose2d", "Crop", "Tanh"]
    assert names(pair.discriminator) == [*["Conv2d", "LeakyReLU"] * 4, "Flatten", "Linear"]
    norms = 2 * (4096 + 256 + 128 + 64)
    assert size(pair.generator) == 129 * 4096 + convolved(5, 256, 256, 128, 64, 3) + norms
    assert size(pair.discriminator) == convolved(5, 3, 128, 256, 512, 512) + 8193


@pytest.mark.parametrize("dropout", [False, True])
def test_the_residual_networks_for_cifar_are_the_release(dropout: bool) -> None:
    pair = res_wgan_gp(CIFAR, dropout=dropout)
    two, one = convolved(3, 128, 128, 128), convolved(1, 128, 128)
    assert size(pair.generator) == 129 * 2048 + 3 * (two + one + 4 * 128) + 2 * 128 + convolved(3, 128, 3)
    first = convolved(3, 3, 128, 128) + convolved(1, 3, 128)
    assert size(pair.discriminator) == first + (two + one) + 2 * two + 129
    assert not any("Norm" in name for name in names(pair.discriminator))
    rates = [x.p for x in pair.discriminator.modules() if isinstance(x, nn.Dropout)]
    assert rates == ([0.2, 0.5, 0.5] if dropout else [])
    assert pair.features(torch.rand(2, *CIFAR)).shape == (2, 128)


def test_asal_tab2_auto_encoder() -> None:
    net = autoencoder(CELEBA, features=256)
    down, up = ["Conv2d", "BatchNorm2d", "ReLU"], ["ConvTranspose2d", "Crop", "BatchNorm2d", "ReLU"]
    assert names(net.encoder) == [*down * 3, "Conv2d", "Flatten"]
    assert names(net.decoder) == ["Unflatten", *up * 3, "ConvTranspose2d", "Crop", "Tanh"]
    norms = 2 * 2 * (128 + 64 + 32)
    assert size(net) == convolved(5, 3, 128, 64, 32, 16) + convolved(5, 16, 32, 64, 128, 3) + norms
    assert autoencoder(CELEBA, features=128).encode(torch.zeros(2, *CELEBA)).shape == (2, 128)


@pytest.mark.parametrize(("shape", "features"), [(MNIST, 64), (MNIST, 192), (CIFAR, 256), (CELEBA, 128)])
def test_the_codes_have_the_papers_sizes(shape: tuple[int, int, int], features: int) -> None:
    net = autoencoder(shape, features)
    assert net.features(torch.randint(0, 256, (2, *shape), dtype=torch.uint8)).shape == (2, features)
    pools = sum(isinstance(layer, nn.MaxPool2d) for layer in net.encoder)
    strides = [layer.stride[0] for layer in net.encoder if isinstance(layer, nn.Conv2d)]
    assert (pools, strides) == {28: (0, [2] * 3), 32: (3, [1] * 3), 64: (0, [2] * 4)}[shape[1]]


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 14, 14), (1, 16, 16), (1, 21, 30), (1, 64, 64)])
@pytest.mark.parametrize("times", [None, 4])
def test_gray_images_of_any_size_have_as_many_features_as_asked_for(shape: tuple[int, int, int], times: Any) -> None:
    pixels = math.prod(sides_of(shape)[-1])
    net = autoencoder(shape, times and times * pixels)
    assert net.features(torch.zeros(2, *shape)).shape == (2, (times or 12) * pixels)


def test_three_times_the_features_are_three_times_the_channels() -> None:
    small, large = (sizes(autoencoder(MNIST, n).encoder, nn.Conv2d) for n in (64, 192))
    assert [3 * out for _, out in small] == [out for _, out in large]


@pytest.mark.parametrize("shape", SHAPES)
def test_auto_encoders_give_images_back_in_their_shape(shape: tuple[int, int, int]) -> None:
    net, images = autoencoder(shape, width=1 / 4), torch.rand(3, *shape)
    decoded = net.decode(net.encode(net.ranged(images)))
    assert decoded.shape == images.shape
    if shape[0] > 1:
        assert net.low <= float(decoded.detach().min()) <= float(decoded.detach().max()) <= 1
    F.mse_loss(decoded, images).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("features", [100, 8, 0])
def test_a_code_that_does_not_fit_the_last_map_is_refused(features: int) -> None:
    with pytest.raises(UserError, match=f"can't have {features}: one of images of 28 x 28 has 16, 2 x 16"):
        autoencoder(MNIST, features)


def test_the_penalty_by_hand() -> None:
    """A linear critic has its weight's norm as slope everywhere; that of |x|^2 / 2 is x itself."""
    weight = torch.randn(1, 3, 4, 4, requires_grad=True)
    real, made = torch.randn(2, 6, 3, 4, 4)
    found = penalty(lambda x: (x * weight).sum((1, 2, 3)), real, made)
    torch.testing.assert_close(found, (weight.norm() - 1).square())
    found.backward()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, 2 * (weight.norm() - 1) * weight.detach() / weight.norm())
    quadratic = penalty(lambda x: x.square().sum((1, 2, 3)) / 2, real, real)
    torch.testing.assert_close(quadratic, (real.flatten(1).norm(dim=1) - 1).square().mean())


def test_the_penalty_looks_at_points_between_real_and_made_images_one_for_each() -> None:
    seen: list[Tensor] = []
    penalty(lambda x: (seen.append(x), x.sum((1, 2, 3)))[1], torch.zeros(200, 1, 2, 2), torch.ones(200, 1, 2, 2))
    places = seen[0].detach().flatten(1)
    assert (places == places[:, :1]).all()
    assert 0 <= float(places.min()) < 0.1
    assert 0.9 < float(places.max()) <= 1
    assert abs(float(places.mean()) - 0.5) < 0.1


class Shifting(nn.Module):
    """Each pass adds one more to half of the features."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return x.flatten(1) + self.passes * torch.tensor([1.0, 0.0])


def test_the_consistency_by_hand() -> None:
    head = nn.Linear(2, 1)
    critic = Critic(Shifting(), head)
    real = torch.randn(5, 2, 1, 1)
    features = critic.features(real)
    values = head(features).squeeze(1)
    expected = head.weight[0, 0] ** 2 + 0.1 * 0.5
    torch.testing.assert_close(consistency(critic, real, values, features), expected)


def match(net: Pair | None = None, **rules: Any) -> GANGame:
    return GANGame(net or wgan_gp((1, 8, 8), latent=4, width=1 / 16), GANRules(**rules))


def seeded(loss: Any, *arguments: Any) -> Tensor:
    torch.manual_seed(3)
    return loss(*arguments)


def test_the_critics_loss_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    net = res_wgan_gp((1, 8, 8), latent=4, width=1 / 16)  # without dropout two passes agree
    played, real, made = match(net, penalty=3.0), torch.rand(6, 1, 8, 8), torch.rand(6, 1, 8, 8)
    monkeypatch.setattr(played, "samples", lambda n: made[:n])
    D = played.net.discriminator
    expected = D(made).mean() - D(real).mean() + 3.0 * seeded(penalty, D, real, made)
    torch.testing.assert_close(seeded(played.discriminator_loss, real), expected)
    monkeypatch.setattr("alsuite.generators.gan.consistency", lambda *_: torch.tensor(0.25))
    with_ct = match(net, penalty=3.0, consistency=2.0)
    monkeypatch.setattr(with_ct, "samples", lambda n: made[:n])
    torch.testing.assert_close(seeded(with_ct.discriminator_loss, real), expected + 0.5)


def test_dropout_makes_the_passes_of_ct_gan_differ() -> None:
    for dropout in (False, True):
        net = res_wgan_gp((1, 8, 8), latent=4, width=1 / 16, dropout=dropout)
        real = torch.rand(6, 1, 8, 8)
        features = net.discriminator.features(real)
        apart = consistency(net.discriminator, real, net.discriminator.head(features).squeeze(1), features)
        assert (float(apart.detach()) > 0) == dropout


def test_dcgans_losses_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    played, real, made = match(loss="cross_entropy"), torch.rand(6, 1, 8, 8), torch.rand(6, 1, 8, 8)
    monkeypatch.setattr(played, "samples", lambda n: made[:n])
    P_real, P_made = (torch.sigmoid(played.net.discriminator(x)) for x in (real, made))
    expected = -(torch.log(P_real).mean() + torch.log(1 - P_made).mean()) / 2
    torch.testing.assert_close(played.discriminator_loss(real), expected)
    torch.testing.assert_close(played.generator_loss(6), -torch.log(P_made).mean())


@pytest.mark.parametrize("loss", ["wasserstein", "cross_entropy"])
def test_a_step_of_a_player_lowers_its_own_loss_and_leaves_the_other_alone(loss: str) -> None:
    played, real = match(loss=loss), torch.rand(20, 1, 8, 8)
    for player, objective in (
        (played.net.generator, "generator_loss"),
        (played.net.discriminator, "discriminator_loss"),
    ):
        before = {key: value.clone() for key, value in played.net.state_dict().items()}
        argument = 20 if objective == "generator_loss" else real
        first = seeded(getattr(played, objective), argument)
        steps = SGD(player.parameters(), 1e-3)
        first.backward(inputs=[*player.parameters()])
        steps.step()
        assert float(seeded(getattr(played, objective), argument).detach()) < float(first.detach())
        other = "discriminator" if objective == "generator_loss" else "generator"
        assert all(torch.equal(before[key], p) for key, p in played.net.state_dict().items() if key.startswith(other))


@pytest.mark.parametrize("loss", ["wasserstein", "cross_entropy"])
def test_the_discriminator_ranks_real_above_made_and_the_generator_climbs(loss: str) -> None:
    played, real = match(loss=loss, critic_steps=1, lr=1e-2, batch=20), torch.full((20, 1, 8, 8), 0.9)
    D = played.net.discriminator
    for _ in range(15):
        played.net.zero_grad()
        played.discriminator_loss(real).backward()
        played.discriminator_optimiser.step()
    with torch.no_grad():
        assert float(D(real).mean()) > float(D(played.samples(20)).mean())
        before = float(D(seeded(played.samples, 20)).mean())
    for _ in range(5):
        played.net.zero_grad()
        seeded(played.generator_loss, 20).backward()
        played.generator_optimiser.step()
    with torch.no_grad():
        assert float(D(seeded(played.samples, 20)).mean()) > before


@pytest.mark.parametrize(("critic_steps", "images", "turns"), [(1, 4, "DG"), (3, 12, "DDDG"), (3, 7, "DDG")])
def test_the_discriminator_moves_several_times_a_turn_on_batches_of_its_own(
    critic_steps: int, images: int, turns: str
) -> None:
    played = match(critic_steps=critic_steps, batch=4)
    moves: list[str] = []
    played.discriminator_optimiser.register_step_post_hook(lambda *_: moves.append("D"))
    played.generator_optimiser.register_step_post_hook(lambda *_: moves.append("G"))
    assert played.batch == 4 * critic_steps
    played.step(torch.rand(images, 1, 8, 8), 0.0)
    assert "".join(moves) == turns


def test_the_generators_batch_may_be_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    for generator_batch in (None, 9):
        played = match(critic_steps=1, batch=4, generator_batch=generator_batch)
        monkeypatch.setattr(
            played, "generator_loss", lambda n, loss=played.generator_loss: (seen.append(n), loss(n))[1]
        )
        played.step(torch.rand(4, 1, 8, 8), 0.0)
    assert seen == [4, 9]


def test_a_decaying_rate_falls_linearly_to_zero() -> None:
    for decay, expected in ((True, 0.25e-3), (False, 1e-3)):
        played = match(decay=decay, lr=1e-3, critic_steps=1, batch=4)
        played.step(torch.rand(4, 1, 8, 8), 0.75)
        assert [group["lr"] for x in played.optimisers for group in x.param_groups] == [expected] * 2


def test_dequantised_bytes_keep_their_value() -> None:
    played = match(wgan_gp(CIFAR, width=1 / 16), dequantise=True)
    images = torch.randint(0, 256, (4, *CIFAR), dtype=torch.uint8)
    seen = (played.prepare(images) + 1) * 128
    torch.testing.assert_close(seen.floor().clamp(max=255), images.float(), atol=0.01, rtol=0)
    assert 0.4 < float((seen - seen.floor()).mean()) < 0.6
    assert -1 <= float(played.prepare(images).min()) <= float(played.prepare(images).max()) <= 1


WRONG = [{"loss": "hinge"}, {"critic_steps": 0}, {"lr": -1.0}, {"batch": "many"}, {"penalty": "x"}, {"consistency": -1}]
WRONG += [{"generator_batch": 0}, {"betas": [0.5, 1.0]}, {"betas": [0.9]}]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_rules_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=re.escape(f"generator.{next(iter(wrong))}={next(iter(wrong.values()))}")):
        GANRules(**wrong)


def test_initial_weights_are_hes_with_strides_counted() -> None:
    pair = wgan_gp(CIFAR)
    for layer in pair.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert layer.bias is not None
            assert not layer.bias.any()
            inputs, outputs = 25 * layer.in_channels, 25 * layer.out_channels
            down = isinstance(layer, nn.Conv2d)
            fans = inputs + outputs / 4 if down else inputs / 4 + outputs
            assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(4 / fans), rel=0.05)
