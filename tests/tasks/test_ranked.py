"""Classification that predicts its own loss: which maps it reads, who learns from the ranking, and that it ranks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from alsuite.data.digits import digits
from alsuite.errors import UserError
from alsuite.loop import seed_all
from alsuite.nets.classifiers import allcnn, convnet, lenet, linear, resnet18, vgg16
from alsuite.tasks.ranked import LossModule, Ranked, Ranker, mapped
from alsuite.training.descent import optimiser
from alsuite.training.fit import Stream
from alsuite.training.losses import cross_entropy, ranking_hinge, ranking_logistic
from helpers.nets import on_paper
from helpers.pools import digit_pool, synthetic_pool
from helpers.tasks import dropout_net, fast_task

NETS: dict[str, tuple[Callable[..., nn.Sequential], tuple[int, ...], list[tuple[int, ...]]]] = {
    "resnet18": (resnet18, (3, 32, 32), [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]),
    "resnet18, 224 pixels": (
        resnet18,
        (3, 224, 224),
        [(64, 112, 112), (64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)],
    ),
    "lenet": (lenet, (1, 28, 28), [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5)]),
    "convnet": (convnet, (1, 28, 28), [(32, 14, 14), (64, 7, 7)]),
    "linear": (linear, (1, 8, 8), [(64, 1)]),
    "dropout": (dropout_net, (1, 8, 8), [(32, 1)]),
}
SMALL = {
    "allcnn": partial(allcnn, width=0.1),
    "vgg16": partial(vgg16, width=0.1),
    "resnet18": partial(resnet18, width=0.1),
    "linear": linear,
}
SETTINGS: dict[str, Any] = {"name": "adam", "lr": 1e-2}
ABOVE_CHANCE = 0.55


@pytest.mark.parametrize("name", NETS)
def test_the_last_map_of_each_size_is_read(name: str) -> None:
    net, shape, expected = NETS[name]
    maps, outputs = mapped(on_paper(net, shape, 10), torch.empty(2, *shape, device="meta"))
    assert [tuple(x.shape[1:]) for x in maps] == expected
    assert outputs.shape == (2, 10)


def test_the_maps_of_resnet18_are_those_of_its_stages() -> None:
    net, x = resnet18((3, 32, 32), 10, width=0.25).eval(), torch.randn(2, 3, 32, 32)
    maps, outputs = mapped(net, x)
    for found, depth in zip(maps, (5, 7, 9, 11), strict=True):  # the stem and its two blocks, then two blocks each
        assert torch.equal(found, net[:depth](x))
    assert torch.equal(outputs, net(x))


@pytest.mark.parametrize("name", SMALL)
def test_a_finite_gradient_reaches_the_network_and_every_reader(name: str) -> None:
    pool, _ = synthetic_pool()
    task = Ranked(SMALL[name], ranking="logistic", epochs=1, batch=20).learn(pool)
    module = task._module().train()
    module.zero_grad()
    images, labels = task._prepare(pool.images[:40]), torch.arange(40) % 10
    maps, outputs = mapped(module.net, images)
    found = module.loss_module(maps)
    assert found.shape == (40,)
    ranking_logistic(found, cross_entropy(outputs, labels, reduction="none").detach()).backward()
    assert len(module.loss_module.readers) == len(maps)
    for key, parameter in module.loss_module.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
    assert any(p.grad is not None and p.grad.any() for p in module.net.parameters()) == (name != "linear")


def test_the_loss_module_by_hand() -> None:
    module = LossModule([3, 5], hidden=4)
    maps = [torch.randn(2, 3, 6, 6), torch.randn(2, 5, 2, 2)]
    read = []
    for reader, x in zip(module.readers, maps, strict=True):
        assert isinstance(reader, nn.Sequential)
        weight, bias = reader[0].parameters()
        read.append((x.mean((2, 3)) @ weight.T + bias).clamp(min=0))
    expected = (torch.cat(read, 1) @ module.predict.weight.T + module.predict.bias).squeeze(1)
    torch.testing.assert_close(module(maps), expected)
    assert [m.out_features for m in LossModule([64, 128]).modules() if isinstance(m, nn.Linear)] == [128, 128, 1]


def ranker(step: int, ranking: str = "hinge", weight: float = 100.0) -> tuple[Ranker, Tensor, Tensor]:
    seed_all(0, 0)
    module = Ranker(LossModule([32]), ranking, weight, dropout_net((1, 8, 8), 10, 0.0), cross_entropy, SETTINGS)
    module.total_steps, module.step = 10, step
    return module, torch.randn(20, 1, 8, 8), torch.arange(20) % 10


@pytest.mark.parametrize("ranking", ["hinge", "logistic"])
def test_the_objective_by_hand(ranking: str) -> None:
    module, images, labels = ranker(0, ranking, weight=0.3)
    features = module.net[:-1](images)
    losses = torch.stack([-row.log_softmax(0)[label] for row, label in zip(module.net(images), labels, strict=True)])
    predicted = module.loss_module([features[..., None]])
    pairs = {"hinge": ranking_hinge, "logistic": ranking_logistic}[ranking]
    torch.testing.assert_close(module.objective(images, labels), losses.mean() + 0.3 * pairs(predicted, losses))


def test_the_true_losses_are_only_compared_with() -> None:
    """At a huge weight the last layer learns as without a ranking: it comes after what the loss module reads."""
    module, images, labels = ranker(0)
    module.objective(images, labels).backward()
    found = module.net[-1].weight.grad
    module.zero_grad()
    cross_entropy(module.net(images), labels).backward()
    torch.testing.assert_close(found, module.net[-1].weight.grad)


@pytest.mark.parametrize(("step", "attached"), [(0, True), (5, True), (6, False), (9, False)])
def test_for_the_last_two_fifths_the_network_learns_nothing_of_the_ranking(step: int, attached: bool) -> None:
    module, images, labels = ranker(step)
    module.objective(images, labels).backward()
    ranked = [parameter.grad for parameter in module.net.parameters()]
    assert module.loss_module.predict.weight.grad is not None
    assert module.loss_module.predict.weight.grad.any()
    for parameter in module.net.parameters():
        parameter.grad = None
    cross_entropy(module.net(images), labels).backward()
    plain = [parameter.grad for parameter in module.net.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(ranked, plain, strict=True)) != attached  # type: ignore[arg-type]


def test_a_whole_training_detaches_its_last_two_fifths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alsuite.training.fit.BLOCK_STEPS", 7)
    seen: list[bool] = []
    forward = LossModule.forward
    monkeypatch.setattr(
        LossModule, "forward", lambda self, maps: seen.append(maps[0].requires_grad) or forward(self, maps)
    )
    Ranked(dropout_net, epochs=5, batch=25).learn(digit_pool(100)[0])
    assert seen == [True] * 12 + [False] * 8


def test_the_network_is_in_training_mode_all_along() -> None:
    modes: list[bool] = []

    def net(*shape: Any) -> nn.Sequential:
        made = dropout_net(*shape)
        made[0].register_forward_hook(lambda layer, *_: modes.append(layer.training))
        return made

    Ranked(net, epochs=5, batch=25).learn(digit_pool(100)[0])
    assert modes == [False] + [True] * 20  # at first its maps are counted


def test_network_and_loss_module_are_both_trained() -> None:
    pool, _ = digit_pool(100)
    seed_all(0, 0)
    task = Ranked(dropout_net, epochs=1, batch=25)
    task._begin(pool)
    before = [p.clone() for p in (*task.net.parameters(), *task.loss_module.parameters())]
    seed_all(0, 0)
    task.learn(pool)
    after = (*task.net.parameters(), *task.loss_module.parameters())
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def correlation(one: Tensor, other: Tensor) -> float:
    """Of ranks."""
    ranks = torch.stack([values.argsort().argsort().double() for values in (one, other)])
    return float(torch.corrcoef(ranks)[0, 1])


@pytest.mark.slow
@pytest.mark.parametrize("ranking", ["hinge", "logistic"])
def test_predicted_losses_follow_the_true_ones_on_unseen_digits(ranking: str) -> None:
    """Rank correlations at each of 3 seeds; measured at 6: 0.66 to 0.89."""
    test = digits().tests["digits"]
    for seed in range(3):
        seed_all(seed, 0)
        task = Ranked(dropout_net, ranking=ranking, epochs=30, batch=25, lr=1e-2).learn(digit_pool(300, seed=seed)[0])
        true = -task.log_probs(test.images).gather(1, test.targets[:, None]).squeeze(1)
        assert correlation(task.predicted_losses(test.images), true) > ABOVE_CHANCE


@pytest.mark.slow
def test_an_untrained_loss_module_follows_nothing() -> None:
    """The measure itself, with the ranking left out; measured: -0.31 to 0.44."""
    test = digits().tests["digits"]
    found = []
    for seed in range(10):
        seed_all(seed, 0)
        task = Ranked(dropout_net, weight=0, epochs=15, batch=25, lr=1e-2).learn(digit_pool(300, seed=seed)[0])
        true = -task.log_probs(test.images).gather(1, test.targets[:, None]).squeeze(1)
        found.append(correlation(task.predicted_losses(test.images), true))
    assert sum(found) / 10 < ABOVE_CHANCE


def test_a_predicted_loss_is_the_same_alone_and_in_any_batch() -> None:
    pool, _ = synthetic_pool()
    task = Ranked(SMALL["resnet18"], epochs=2, batch=20).learn(pool)
    before = {key: value.clone() for key, value in task.net.state_dict().items()}
    predicted = task.predicted_losses(pool.images)
    assert predicted.shape == (120,)
    for chosen in ([17], [99, 17, *range(40)]):
        alone = task.predicted_losses(pool.rows(torch.tensor(chosen)))
        torch.testing.assert_close(alone, predicted[chosen], atol=1e-4, rtol=1e-3)
    assert all(torch.equal(value, task.net.state_dict()[key]) for key, value in before.items())


def test_a_ranked_task_classifies_as_well() -> None:
    pool, targets = digit_pool(300)
    task = Ranked(dropout_net, epochs=30, batch=25, lr=1e-2).learn(pool)
    assert (task.log_probs(pool.images).argmax(1) == targets).float().mean() > 0.85
    features, log_probs = task.outputs(pool.images[:5])
    assert (features.shape, log_probs.shape) == ((5, 32), (5, 10))


def test_two_classes_are_ranked_by_their_one_output() -> None:
    pool, _ = digit_pool(60, classes=[5, 7])
    assert Ranked(linear, epochs=3, batch=20).learn(pool).predicted_losses(pool.images).isfinite().all()
    assert Ranked(linear, loss="hinge", epochs=3, batch=20).learn(pool).predicted_losses(pool.images).isfinite().all()


def test_an_unknown_ranking_is_refused() -> None:
    with pytest.raises(UserError, match=r"task_model\.ranking=margin is unknown: choose one of hinge, logistic"):
        Ranked(linear, ranking="margin")


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_plain_classification_is_the_plain_loop(dropout: float) -> None:
    pool, _ = digit_pool(110)
    seed_all(3, 0)
    task = fast_task(partial(dropout_net, dropout=dropout), epochs=4).learn(pool)
    seed_all(3, 0)
    net = dropout_net((1, 8, 8), 10, dropout).train()
    stream = Stream(pool.images, pool.labels, batch=25, indices=pool.labelled, prepare=pool.normalise)
    adam = optimiser(net.parameters(), "adam", 1e-2)
    for images, labels in islice(stream.endless(), 4 * 5):
        adam.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        adam.step()
    for ours, theirs in zip(task.net.parameters(), net.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_another_kind_of_task_model_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="take a plain classifier"):
        Ranked(dropout_net, vae=dropout_net)


@pytest.mark.parametrize("mirrored", [True, False])
def test_losses_are_predicted_of_the_views_that_a_task_sees(mirrored: bool) -> None:
    pool, _ = digit_pool(100)
    task = Ranked(convnet, epochs=1, batch=50, lr=1e-3, mirrored=mirrored).learn(pool)
    found, theirs = (task.predicted_losses(images) for images in (pool.images[:20], pool.images[:20].flip(-1)))
    assert torch.allclose(found, theirs, atol=1e-5) == mirrored
