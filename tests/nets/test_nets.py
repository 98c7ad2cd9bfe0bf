"""Classifiers: one sweep over all nets and image shapes, and the sizes that are known from their papers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torchvision
from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.nets.classifiers import allcnn, celeba_cnn, lenet, linear, resnet18, vgg16
from alsuite.nets.fastnet import fastnet
from alsuite.nets.layers import MaxPool
from helpers.nets import on_paper, size

Net = Callable[..., nn.Sequential]
NETS: dict[str, Net] = {
    "linear": linear,
    "lenet": lenet,
    "lenet with dropout": partial(lenet, dropout=0.5),
    "allcnn": partial(allcnn, width=0.125),
    "vgg16": partial(vgg16, width=0.125),
    "vgg16 of vaal": partial(vgg16, width=0.0625, head="vaal"),
    "resnet18": partial(resnet18, width=0.125),
    "celeba_cnn": celeba_cnn,
    "fastnet": fastnet,
    "fastnet with dropout": partial(fastnet, channels=(8, 16), dropout=0.5),
}
SHAPES = [(1, 28, 28), (3, 32, 32), (3, 64, 64)]
SCALED: list[Net] = [allcnn, vgg16, resnet18]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NETS)
def test_a_finite_gradient_reaches_every_parameter(name: str, shape: tuple[int, int, int]) -> None:
    net = NETS[name](shape, 10)
    logits = net(torch.randn(4, *shape))
    assert logits.shape == (4, 10)
    nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.ndim == 1 or parameter.grad.any(), key


@pytest.mark.parametrize("shape", [*SHAPES, (3, 224, 224)])
@pytest.mark.parametrize("name", NETS)
def test_all_but_the_last_module_give_features(name: str, shape: tuple[int, int, int]) -> None:
    net = on_paper(NETS[name], shape, 1)
    images = torch.empty(2, *shape, device="meta")
    features: Tensor = net[:-1](images)
    last = net[-1]
    assert isinstance(last, nn.Linear)
    assert features.shape == (2, last.in_features)
    assert net(images).shape == (2, 1)


@pytest.mark.parametrize(
    ("net", "shape", "outputs", "expected"),
    [
        (linear, (1, 28, 28), 1, 785),
        (lenet, (1, 28, 28), 10, 61_706),  # LeCun et al. with full connections between the two convolutions
        (allcnn, (3, 32, 32), 10, 1_369_738),  # the 1.37 M of All-CNN-C: seven 3 x 3, one 1 x 1, and the classifier
        (resnet18, (3, 32, 32), 10, 11_173_962),  # the 11.17 M of the usual CIFAR version
        (partial(vgg16, head="vaal"), (3, 32, 32), 10, 134_305_738),
    ],
)
def test_parameter_counts(net: Net, shape: tuple[int, int, int], outputs: int, expected: int) -> None:
    assert size(on_paper(net, shape, outputs)) == expected


def test_sizes_as_in_torchvision() -> None:
    theirs = on_paper(torchvision.models.resnet18, num_classes=1000)
    assert size(on_paper(resnet18, (3, 224, 224), 1000)) == size(theirs)
    theirs = on_paper(torchvision.models.vgg16_bn, num_classes=256)
    biases = sum(module.out_channels for module in theirs.modules() if isinstance(module, nn.Conv2d))
    assert size(on_paper(vgg16, (3, 224, 224), 256, head="vaal")) == size(theirs) - biases


@pytest.mark.parametrize("net", SCALED)
def test_width_scales_every_hidden_layer(net: Net) -> None:
    whole, half = (on_paper(net, (3, 32, 32), 10, width=width) for width in (1.0, 0.5))
    pairs = [(a, b) for a, b in zip(whole.parameters(), half.parameters(), strict=True) if a.ndim == 4]
    assert all(a.shape[0] == 2 * b.shape[0] for a, b in pairs)
    assert all(a.shape[1] == 2 * b.shape[1] for a, b in pairs[1:])
    assert half[-1].in_features == whole[-1].in_features // 2  # type: ignore[operator]
    assert half[-1].out_features == 10


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 15)])
def test_lenet_refuses_small_images(shape: tuple[int, int, int]) -> None:
    with pytest.raises(UserError, match=f"not {shape[1]} x {shape[2]}: take task_model=linear"):
        lenet(shape, 10)
    assert on_paper(lenet, (1, 16, 17), 10)(torch.empty(2, 1, 16, 17, device="meta")).shape == (2, 10)


def test_vgg16_refuses_an_unknown_head() -> None:
    with pytest.raises(UserError, match=r"task_model\.net\.head=imagenet is unknown"):
        vgg16((3, 32, 32), 10, head="imagenet")


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_pooling_is_the_same_with_and_without_a_gradient(side: int, memory_format: torch.memory_format) -> None:
    images = torch.randn(3, 6, side, side + 3).contiguous(memory_format=memory_format)
    assert torch.equal(MaxPool()(images), nn.MaxPool2d(2)(images))
    assert torch.equal(MaxPool()(images.clone().requires_grad_()), nn.MaxPool2d(2)(images))


@pytest.mark.parametrize(("name", "least"), [("celeba_cnn", 8), ("lenet", 16), ("allcnn", 9)])
def test_images_that_are_too_small_are_refused_in_one_line(name: str, least: int) -> None:
    assert NETS[name]((3, least, least), 2)(torch.rand(2, 3, least, least)).shape == (2, 2)
    with pytest.raises(UserError, match=f"{name} needs images of {least} x {least} at the least"):
        NETS[name]((3, least, least - 1), 2)
