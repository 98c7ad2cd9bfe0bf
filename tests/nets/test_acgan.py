"""The class-conditional networks against their tables, and the Gaussian policy."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from alsuite.nets.acgan import Gaussian, acgan
from helpers.nets import size

MNIST, CIFAR = (1, 28, 28), (3, 32, 32)
SHAPES = [MNIST, CIFAR, (1, 8, 8), (3, 8, 8), (3, 64, 64), (3, 30, 21), (1, 21, 30)]


def convolved(kernel: int, *channels: int, bias: bool = True) -> int:
    return sum(kernel**2 * a * b + b * bias for a, b in pairwise(channels))


def dense(*sizes: int) -> int:
    return convolved(1, *sizes)


def norms(*sizes: int) -> int:
    return 2 * sum(sizes)


def dropouts(net: nn.Module) -> list[float]:
    return [layer.p for layer in net.modules() if isinstance(layer, nn.Dropout)]


def channels(net: nn.Module, kind: type[nn.Conv2d] | type[nn.ConvTranspose2d]) -> list[tuple[int, int, int]]:
    found = [layer for layer in net.modules() if isinstance(layer, kind)]
    return [(layer.in_channels, layer.out_channels, layer.stride[0]) for layer in found]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_pair_makes_and_judges_images_of_any_shape(shape: tuple[int, int, int]) -> None:
    pair = acgan(shape, 7, latent=5, width=1 / 16).eval()
    z, labels = torch.randn(6, 5, requires_grad=True), torch.tensor([0, 1, 2, 3, 6, 6])
    images = pair(z, labels)
    assert images.shape == (6, *shape)
    assert 0 <= float(images.detach().min()) < float(images.detach().max()) <= 1
    source, logits = pair.judged(images)
    assert (source.shape, logits.shape) == ((6,), (6, 7))
    images.square().sum().backward()
    assert z.grad is not None
    assert (z.grad != 0).any(dim=1).all()


@pytest.mark.parametrize("shape", [MNIST, CIFAR])
def test_a_gradient_reaches_every_parameter(shape: tuple[int, int, int]) -> None:
    pair = acgan(shape, 3, latent=5, width=1 / 16)
    source, logits = pair.judged(pair(torch.randn(9, 5), torch.arange(9) % 3))
    (source.square().sum() + logits.square().sum()).backward()
    dead = {key for key, p in pair.named_parameters() if p.grad is None or not p.grad.any()}
    assert dead == set()


@pytest.mark.parametrize("shape", [MNIST, CIFAR])
def test_the_label_and_the_noise_change_the_image(shape: tuple[int, int, int]) -> None:
    pair = acgan(shape, 3, width=1 / 16).eval()
    z, zero = torch.randn(2, pair.latent), torch.tensor([0, 0])
    assert not torch.equal(pair(z, zero), pair(z, zero + 1))
    assert not torch.equal(pair(z, zero)[0], pair(z, zero)[1])
    assert torch.equal(pair(z, zero), pair(z, zero))


@pytest.mark.parametrize(("shape", "low"), [(MNIST, 0.0), (CIFAR, -1.0)])
def test_the_discriminator_sees_bytes_and_floats_alike_in_the_generators_range(
    shape: tuple[int, int, int], low: float
) -> None:
    pair, seen = acgan(shape, 2, width=1 / 16).eval(), []
    pair.discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    images = torch.randint(0, 256, (3, *shape), dtype=torch.uint8)
    images[0, 0, 0, :2] = torch.tensor([0, 255])
    torch.testing.assert_close(pair.judged(images), pair.judged(images / 255))
    assert (float(seen[0].min()), float(seen[0].max())) == (low, 1.0)


def test_acgan_for_cifar_is_the_papers() -> None:
    pair = acgan(CIFAR, 10)
    assert pair.latent + pair.classes == 110
    assert channels(pair.generator, nn.ConvTranspose2d) == [(384, 192, 2), (192, 96, 2), (96, 3, 2)]
    made = dense(110, 384 * 16) + convolved(5, 384, 192, 96, 3) + norms(192, 96)
    assert size(pair.generator) == made
    sizes = (3, 16, 32, 64, 128, 256, 512)
    assert channels(pair.discriminator, nn.Conv2d) == list(zip(sizes, sizes[1:], (2, 1) * 3, strict=False))
    judged = convolved(3, *sizes, bias=False) + norms(*sizes[2:]) + dense(512 * 16, 11)
    assert size(pair.discriminator) == judged
    assert dropouts(pair) == [0.5] * 6
    convolutions = [layer for layer in pair.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    assert [float(layer.weight.detach().std()) for layer in convolutions] == pytest.approx([0.02] * 9, rel=0.15)
    assert {layer.negative_slope for layer in pair.modules() if isinstance(layer, nn.LeakyReLU)} == {0.2}


def test_the_networks_for_mnist_are_infogans_without_codes() -> None:
    pair = acgan(MNIST, 10)
    assert pair.latent == 62
    assert channels(pair.generator, nn.ConvTranspose2d) == [(128, 64, 2), (64, 1, 2)]
    flat = 128 * 7 * 7
    assert size(pair.generator) == dense(72, 1024, flat) + convolved(4, 128, 64, 1) + norms(1024, flat, 64)
    assert channels(pair.discriminator, nn.Conv2d) == [(1, 64, 2), (64, 128, 2)]
    body = convolved(4, 1, 64, 128) + dense(flat, 1024) + norms(128, 1024)
    assert size(pair.discriminator) == body + dense(1024, 1) + dense(1024, 128, 10) + norms(128)


def test_a_quarter_of_the_width_is_a_quarter_of_the_channels() -> None:
    narrow = acgan(CIFAR, 10, width=0.25)
    assert channels(narrow.generator, nn.ConvTranspose2d) == [(96, 48, 2), (48, 32, 2), (32, 3, 2)]
    assert dropouts(narrow) == [0.125] * 6
    narrow = acgan(MNIST, 10, width=0.25)
    assert channels(narrow.generator, nn.ConvTranspose2d) == [(32, 16, 2), (16, 1, 2)]


def test_the_policy_begins_as_the_prior_and_its_spread_ignores_the_state() -> None:
    policy = Gaussian(12, 4)
    mean, log_spread = policy(torch.randn(5, 3, 2, 2))
    assert not mean.any()
    assert not log_spread.any()
    assert (mean.shape, log_spread.shape) == ((5, 4), (4,))
    for parameter in policy.mean.parameters():
        nn.init.normal_(parameter)
    mean, log_spread = policy(torch.randn(5, 3, 2, 2))
    assert not torch.equal(mean[0], mean[1])
    assert not log_spread.any()
