"""Networks of torchvision's and of a user's own, cut where their features are."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.nets.others import GRAY, network
from alsuite.nets.pretrained import IMAGENET
from alsuite.strategies.coreset import CoreSet
from helpers.pools import digit_pool
from helpers.tasks import fast_task

COLOUR, GREY = (3, 32, 32), (1, 32, 32)
OWN = f"{__name__}.Own"


class Own(nn.Module):
    """A network as a user writes it."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 6, 3)
        self.last = nn.Linear(6, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.convolution(x).relu().mean((2, 3)))


class Normalised(Own):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).log_softmax(1)


class Remembering(Own):
    """Keeps what it makes at its first pass."""

    def forward(self, x: Tensor) -> Tensor:
        self.mask = getattr(self, "mask", x.new_ones(1, 6, 1, 1).mul(0.5))
        return self.last((self.convolution(x) * self.mask).relu().mean((2, 3)))


class Twelve(Own):
    def __init__(self, num_classes: int) -> None:
        super().__init__(12)


class Fixed(nn.Module): ...


def function(num_classes: int) -> int:
    return num_classes


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets this module be found by its name, as a user's is on PYTHONPATH."""
    monkeypatch.setitem(__import__("sys").modules, __name__, __import__("types").SimpleNamespace(**globals()))


@pytest.mark.parametrize("shape", [COLOUR, GREY])
def test_a_network_of_torchvisions_gives_logits_and_features(shape: tuple[int, int, int]) -> None:
    net = network(shape, 7, "shufflenet_v2_x0_5", dropout=0.5).eval()
    x = torch.randn(2, *shape)
    assert net(x).shape == (2, 7)
    assert net[:-1](x).shape == (2, net[-1].in_features)
    assert isinstance(net[1], nn.Dropout)


def test_its_weights_come_from_a_file_and_its_head_starts_anew(tmp_path: Path) -> None:
    saved = torchvision.models.shufflenet_v2_x0_5(num_classes=1000).eval()
    torch.save(saved.state_dict(), tmp_path / "saved.pth")
    save_file(saved.state_dict(), tmp_path / "saved.safetensors")
    x = torch.randn(2, 3, 32, 32)
    features: list[Tensor] = []
    saved.fc.register_forward_pre_hook(lambda _, given: features.append(given[0]))
    saved(x)
    for file in ("saved.pth", "saved.safetensors"):
        net = network(COLOUR, 4, "shufflenet_v2_x0_5", str(tmp_path / file)).eval()
        torch.testing.assert_close(net[:-1](x), features[0])
        assert net[-1].out_features == 4
    assert network(GREY, 4, "shufflenet_v2_x0_5", str(tmp_path / "saved.pth"))[0].normalise == GRAY
    whole = network(COLOUR, 1000, "shufflenet_v2_x0_5", str(tmp_path / "saved.pth")).eval()
    torch.testing.assert_close(whole(x), saved(x))


def test_images_are_normalised_as_weights_of_torchvisions_want_it_and_no_others(tmp_path: Path) -> None:
    for name, net in (("theirs", torchvision.models.shufflenet_v2_x0_5()), ("own", Own(4))):
        torch.save(net.state_dict(), tmp_path / f"{name}.pth")
    assert network(COLOUR, 4, "shufflenet_v2_x0_5", str(tmp_path / "theirs.pth"))[0].normalise == IMAGENET
    assert not hasattr(network(COLOUR, 4, "shufflenet_v2_x0_5")[0], "normalise")
    assert not hasattr(network(GREY, 4, OWN, str(tmp_path / "own.pth"))[0], "normalise")


def test_a_network_of_the_users_own_learns_and_has_features() -> None:
    pool, _ = digit_pool(40)
    task = fast_task(partial(network, name=OWN), epochs=1).learn(pool)
    assert isinstance(task.net[-1], nn.Linear)
    features, log_probs = task.outputs(pool.images[:5])
    assert features.shape == (5, 6)
    torch.testing.assert_close(task.net[-1](features).log_softmax(1), log_probs)
    assert len(CoreSet().query(pool, task, 3).indices) == 3


def test_what_a_network_keeps_of_its_first_pass_is_fit_to_learn_with() -> None:
    net = network((1, 8, 8), 10, f"{__name__}.Remembering")
    net(torch.rand(2, 1, 8, 8)).sum().backward()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet51", r"name=resnet51 is none of torchvision's: choose one such as resnet50, "),
        ("mylab.nets.Mine", r"name=mylab\.nets\.Mine can't be imported: .* PYTHONPATH"),
        ("squeezenet1_0", "name=squeezenet1_0 has no linear layer"),
        (f"{__name__}.Twelve", "Twelve gives 12 logits for 3 classes: have it use num_classes"),
        (f"{__name__}.Fixed", r"Fixed can't be made \(.*num_classes.*: have it take num_classes"),
        (f"{__name__}.function", "function makes no network .int.: name what makes a torch.nn.Module"),
        (f"{__name__}.Normalised", "does more behind its last linear layer: have it return the logits"),
    ],
)
def test_a_name_that_gives_no_classifier_is_refused(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        network(GREY, 3, name)


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(UserError, match=r"Own can't see images of 1 x 2 x 2 \(RuntimeError: .*: choose another"):
        network((1, 2, 2), 3, OWN)


def test_a_file_of_other_weights_is_refused(tmp_path: Path) -> None:
    torch.save(Own(3).state_dict(), tmp_path / "other.pth")
    (tmp_path / "broken.pth").write_bytes(b"nothing")
    for file in ("other.pth", "broken.pth", "absent.safetensors"):
        with pytest.raises(
            UserError, match=rf"net\.weights=.*{file} does not hold the weights of this network \(.*null$"
        ):
            network(COLOUR, 3, "shufflenet_v2_x0_5", str(tmp_path / file))
