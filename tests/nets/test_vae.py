"""Auto-encoders and discriminators: one sweep over all of them, and the sizes that are known from the papers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from alsuite.errors import UserError
from alsuite.nets.vae import VAE, _OneProduct, discriminator, feature_vae, image_vae, no_vae, patch_vae, small_vae
from alsuite.training.losses import bound
from helpers.nets import on_paper, size

Shape = tuple[int, ...]
IMAGE_SHAPES: list[Shape] = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (2, 31, 31), (1, 15, 33), (3, 40, 9)]
MAKERS: dict[str, Callable[..., VAE]] = {
    "image_vae": partial(image_vae, width=1 / 16),
    "patch_vae": partial(patch_vae, width=1 / 16),
    "small_vae": partial(small_vae, width=0.25),
}
CASES = [(name, shape) for name in MAKERS for shape in IMAGE_SHAPES] + [("feature_vae", (20,))]


def made(name: str, shape: Shape, **options: int) -> VAE:
    return {**MAKERS, "feature_vae": feature_vae}[name](shape, **options)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_every_image_is_decoded_to_its_own_shape_and_a_gradient_reaches_every_parameter(
    name: str, shape: Shape
) -> None:
    vae = made(name, shape, extra=3, latent=5)
    x, beside = torch.randn(6, *shape), torch.randn(6, 3)
    mu, logvar = vae.encode(x)
    assert mu.shape == logvar.shape == (6, vae.latent) == (6, 5)
    decoded = vae.decoder(torch.cat([mu + (0.5 * logvar).exp(), beside], dim=1))
    assert decoded.shape == x.shape
    assert (decoded < 0).any()  # it is linear at the end
    assert (decoded > 0).any()
    bound(x, decoded, mu, logvar).sum().backward()
    for key, parameter in vae.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


@pytest.mark.parametrize("maker", [image_vae, small_vae])
@pytest.mark.parametrize("shape", [(3, 224, 224), (3, 130, 223), (3, 129, 16), (1, 128, 128), (3, 688, 688)])
def test_large_images_at_full_width(maker: Callable[..., VAE], shape: Shape) -> None:
    vae = on_paper(maker, shape, extra=2)
    mu, _ = vae.encode(torch.empty(2, *shape, device="meta"))
    assert mu.shape == (2, 32)
    assert vae.decoder(torch.empty(2, 34, device="meta")).shape == (2, *shape)


@pytest.mark.parametrize("side", [3, 4, 7, 8])
def test_one_product_is_the_convolution(side: int) -> None:
    layer = _OneProduct(6, 5, 4 - side % 2, 2, 1, bias=False)
    images = torch.randn(3, 6, side, side).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(images), nn.functional.conv2d(images, layer.weight, None, 2, 1))


def test_small_maps_of_many_channels_take_one_product() -> None:
    encoder = on_paper(image_vae, (3, 32, 32)).encoder
    assert [type(layer) for layer in encoder.children()][::3][:4] == [nn.Conv2d, nn.Conv2d, _OneProduct, _OneProduct]
    assert not any(isinstance(layer, _OneProduct) for layer in image_vae((3, 32, 32), width=1 / 16).encoder.children())


@pytest.mark.parametrize(("side", "millions"), [(224, 92.7), (688, 73.1)])
def test_larger_images_take_no_more_weights(side: int, millions: float) -> None:
    assert size(on_paper(partial(image_vae, latent=128), (3, side, side))) / 1e6 == pytest.approx(millions, rel=0.03)


@pytest.mark.parametrize("name", [*MAKERS, "feature_vae"])
def test_what_lies_beside_the_code_reaches_the_decoder_and_nothing_else(name: str) -> None:
    shape = (20,) if name == "feature_vae" else (1, 8, 8)
    vae, without = made(name, shape, extra=3, latent=5).eval(), made(name, shape, latent=5)
    assert [p.shape for p in vae.encoder.parameters()] == [p.shape for p in without.encoder.parameters()]
    assert size(vae) > size(without)
    code = torch.randn(1, 5).expand(4, 5)
    one, other = (vae.decoder(torch.cat([code, beside], dim=1)) for beside in (torch.zeros(4, 3), torch.eye(4, 3)))
    changed = (one - other).flatten(1).abs().amax(1) > 1e-6
    assert changed.tolist() == [True, True, True, False]


def test_the_vae_of_vaal_layer_by_layer() -> None:
    vae = on_paper(image_vae, (3, 32, 32))
    found = [
        (m.in_channels, m.out_channels, m.kernel_size, m.stride)
        for m in vae.encoder.modules()
        if isinstance(m, nn.Conv2d)
    ]
    assert found == [(a, b, (4, 4), (2, 2)) for a, b in ((3, 128), (128, 256), (256, 512), (512, 1024))]
    steps = [m for m in vae.decoder.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [(m.in_channels, m.out_channels) for m in steps] == [(1024, 512), (512, 256), (256, 128)]
    assert all((m.kernel_size, m.stride, m.padding) == ((4, 4), (2, 2), (1, 1)) for m in steps)
    ends = [m for net in (vae.encoder, vae.decoder) for m in net.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in ends] == [(4096, 2 * 32), (32, 1024 * 4 * 4)]
    followed = [m for m in vae.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [m.num_features for m in followed] == [128, 256, 512, 1024, 512, 256, 128]
    assert all(m.bias is None for m in vae.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (4, 4))


@pytest.mark.parametrize(("side", "halvings", "left"), [(128, 4, 8), (129, 5, 5), (224, 5, 7), (32, 4, 2)])
def test_a_fifth_halving_above_128_pixels(side: int, halvings: int, left: int) -> None:
    vae = on_paper(image_vae, (3, side, side))
    convolutions = [m for m in vae.encoder.modules() if isinstance(m, nn.Conv2d)]
    (head,) = (m for m in vae.encoder.modules() if isinstance(m, nn.Linear))
    assert (len(convolutions), head.in_features) == (halvings, 1024 * left**2)


def test_the_vae_of_vaal_has_as_many_parameters_as_counted_by_hand() -> None:
    encoder = sum(16 * a * b + 2 * b for a, b in ((3, 128), (128, 256), (256, 512), (512, 1024)))
    decoder = sum(16 * a * b + 2 * b for a, b in ((1024, 512), (512, 256), (256, 128)))
    linear = (4096 * 64 + 64) + (32 * 16384 + 16384)
    assert size(on_paper(image_vae, (3, 32, 32))) == encoder + decoder + linear + (128 * 3 + 3) == 22_835_139


def test_the_convolutions_start_from_kaimings_normal_draw() -> None:
    _, convolution, *_ = (m for m in image_vae((3, 32, 32), width=0.25).modules() if isinstance(m, nn.Conv2d))
    fan_in = convolution.in_channels * 16
    assert float(convolution.weight.detach().std()) == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)


@pytest.mark.parametrize("width", [0.5, 0.0625])
def test_width_scales_the_hidden_channels(width: float) -> None:
    channels = [
        m.num_features for m in image_vae((3, 32, 32), width=width).encoder.modules() if isinstance(m, nn.BatchNorm2d)
    ]
    assert channels == [max(16, int(width * whole)) for whole in (128, 256, 512, 1024)]


def test_the_vae_of_features_has_three_layers_each_way() -> None:
    vae = feature_vae((20,), extra=2, latent=5, hidden=64)
    sizes = [
        [(m.in_features, m.out_features) for m in net.modules() if isinstance(m, nn.Linear)]
        for net in (vae.encoder, vae.decoder)
    ]
    assert sizes == [[(20, 64), (64, 64), (64, 10)], [(7, 64), (64, 64), (64, 20)]]


def test_without_a_vae_the_image_is_its_own_code() -> None:
    vae, x = no_vae((2, 3, 4), extra=1), torch.randn(5, 2, 3, 4)
    mu, logvar = vae.encode(x)
    assert torch.equal(mu, x.flatten(1))
    assert not logvar.any()
    assert (vae.latent, size(vae)) == (24, 0)


def test_the_discriminator_has_five_linear_layers_and_one_logit() -> None:
    net = discriminator(32)
    layers = [(m.in_features, m.out_features) for m in net if isinstance(m, nn.Linear)]
    assert layers == [(32, 512), (512, 512), (512, 512), (512, 512), (512, 1)]
    assert sum(isinstance(m, nn.ReLU) for m in net) == 4
    logits = net(torch.randn(300, 32))
    assert logits.shape == (300,)
    assert (logits < 0).any()  # no ReLU, no sigmoid at its end
    assert (logits > 1).any() or (logits < -1).any()
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


@pytest.mark.parametrize("layers", [1, 3, 5])
def test_the_discriminator_has_as_many_layers_as_asked_for(layers: int) -> None:
    assert sum(isinstance(m, nn.Linear) for m in discriminator(7, layers)) == layers


def test_a_vae_of_features_takes_no_images_and_the_other_way_round() -> None:
    with pytest.raises(UserError, match=r"take generator=vae$"):
        feature_vae((3, 32, 32))
    for build in (image_vae, small_vae):
        with pytest.raises(UserError, match="take generator=feature_vae"):
            build((84,))
