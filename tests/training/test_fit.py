"""Streams, the one fit and the one inference loop."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from alsuite.errors import UserError
from alsuite.loop import seed_all
from alsuite.nets.classifiers import linear
from alsuite.tasks import classification
from alsuite.training import tamed as tamed_module
from alsuite.training.augment import augmentations, crop, flip, shift
from alsuite.training.descent import optimiser
from alsuite.training.fit import Stream, fit, infer
from alsuite.training.tamed import tamed
from helpers.pools import digit_pool
from helpers.tasks import fast_task

LENGTHS = [(1, 10), (2, 10), (10, 10), (11, 10), (12, 10), (21, 10), (640, 10), (641, 10), (651, 10), (7, 1), (130, 1)]


class Recorder(LightningModule):
    """Writes down the batches that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.weight = nn.Parameter(torch.zeros(1))
        self.batches: list[tuple[tuple[Tensor, ...], ...]] = []
        self.training_seen: set[bool] = set()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return optimiser(self.parameters(), "sgd", 0.1)

    def training_step(self, block: Iterator[Any], _: int) -> None:
        self.training_seen.add(self.training)
        self.batches += list(block)

    def epochs(self, which: int, size: int) -> list[list[int]]:
        """The rows of a stream, `size` steps a list."""
        rows = [batch[which][0].flatten().tolist() for batch in self.batches]
        return [[*chain(*rows[first : first + size])] for first in range(0, len(rows), size)]


def stream(n: int, batch: int, **changes: Any) -> Stream:
    return Stream(torch.arange(n).view(n, 1), torch.arange(n) * 10, batch=batch, **changes)


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rate at each optimiser step of a task model."""
    found: list[float] = []

    def watched(parameters: Iterator[nn.Parameter], **settings: Any) -> torch.optim.Optimizer:
        made = optimiser(parameters, **settings)
        made.register_step_post_hook(lambda *_: found.append(made.param_groups[0]["lr"]))
        return made

    monkeypatch.setattr(classification, "optimiser", watched)
    return found


@pytest.mark.parametrize(("n", "batch"), LENGTHS)
def test_an_epoch_covers_each_index_once(n: int, batch: int) -> None:
    served = stream(n, batch)
    batches = list(served)
    assert len(batches) == len(served)
    expected = [0, 0] if n == 1 < batch else [*range(n)]
    assert sorted(torch.cat([rows for rows, _ in batches]).flatten().tolist()) == expected
    assert all(torch.equal(rows.flatten() * 10, labels) for rows, labels in batches)
    assert all(len(rows) == batch for rows, _ in batches[:-1])
    assert batch == 1 or len(batches[-1][0]) > 1


def test_only_the_given_rows_in_another_order_each_epoch() -> None:
    chosen = torch.arange(3, 90, 2)
    served = stream(100, 8, indices=chosen)
    first, second = (torch.cat([rows for rows, _ in served]).flatten() for _ in range(2))
    assert torch.equal(first.sort().values, chosen)
    assert torch.equal(second.sort().values, chosen)
    assert not torch.equal(first, second)


def test_only_the_images_are_prepared() -> None:
    for rows, labels in stream(30, 4, prepare=lambda images: images + 1000):
        assert torch.equal(rows.flatten() - 1000, labels // 10)


@pytest.mark.parametrize("steps", [1, 9, 64, 131])
def test_streams_of_different_length_are_served_together(steps: int) -> None:
    ours, theirs = stream(10, 5), stream(7, 3)
    recorder = fit(Recorder(), ours, theirs, steps=steps)
    assert len(recorder.batches) == steps
    for which, n in ((0, 10), (1, 7)):
        whole = [sorted(rows) for rows in recorder.epochs(which, 2)]
        assert all(rows == list(range(n)) for rows in whole[: steps // 2])


@pytest.mark.parametrize(("epochs", "steps"), [(1, 7), (3, 21), (20, 140), (0.5, 4), (0.001, 1)])
def test_epochs_are_those_of_the_first_stream(epochs: float, steps: int) -> None:
    recorder = fit(Recorder(), stream(70, 10), stream(1000, 10), epochs=epochs)
    assert len(recorder.batches) == steps
    assert recorder.training_seen == {True}
    assert not recorder.training


@pytest.mark.parametrize(("labelled", "epochs"), [(100, 1), (101, 15), (90, 40)])
def test_the_number_of_optimiser_steps(rates: list[float], labelled: int, epochs: int) -> None:
    pool, _ = digit_pool(labelled)
    fast_task(epochs=epochs, batch=25).learn(pool)
    assert len(rates) == epochs * 4


@pytest.mark.parametrize(
    ("labelled", "epochs_at", "limit", "epochs"),
    [
        (25, 100, None, 16),
        (100, 100, None, 8),
        (400, 100, None, 4),
        (25, 100, 3, 3),
        (100, 100, 20, 8),
        (100, None, 3, 3),
    ],
)
def test_epochs_fall_with_the_root_of_the_labels_and_a_limit_caps_them(
    rates: list[float], labelled: int, epochs_at: int | None, limit: int | None, epochs: int
) -> None:
    fast_task(epochs=8, epochs_at=epochs_at, limit=limit, batch=25).learn(digit_pool(labelled)[0])
    assert len(rates) == epochs * labelled / 25


def test_the_rate_falls_at_its_milestones(rates: list[float]) -> None:
    fast_task(epochs=25, lr=0.1, schedule="steps", milestones=[0.5, 0.9]).learn(digit_pool(100)[0])
    assert rates == pytest.approx([0.1] * 50 + [0.01] * 40 + [0.001] * 10)


def test_the_cosine_rate_falls_to_nothing(rates: list[float]) -> None:
    fast_task(epochs=25, lr=0.1, schedule="cosine").learn(digit_pool(100)[0])
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[50]) == pytest.approx((0.1, 0.05))
    assert 0 < rates[-1] < 1e-4


def test_the_triangle_rises_for_a_fifth_and_falls_to_nothing(rates: list[float]) -> None:
    fast_task(epochs=25, lr=0.1, schedule="triangle").learn(digit_pool(100)[0])
    assert (rates[0], rates[10], rates[20], rates[60]) == pytest.approx((0, 0.05, 0.1, 0.05))
    assert 0 < rates[-1] < 2e-3


def test_training_accuracy_rises() -> None:
    pool, targets = digit_pool(200)
    accuracies = []
    for epochs in (1, 30):
        seed_all(0, 0)
        task = fast_task(epochs=epochs).learn(pool)
        predicted = task.log_probs(pool.rows(pool.labelled)).argmax(1)
        accuracies.append(float((predicted == targets[pool.labelled]).float().mean()))
    assert accuracies[1] > max(0.98, accuracies[0] + 0.1)


def test_a_diverging_fit_says_which_model_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification, "FASTEST", 1e39)
    task = fast_task(linear, optimiser="sgd", lr=1e38)
    with pytest.raises(UserError, match="loss of the task model is not a number: lower its learning rate") as caught:
        task.learn(digit_pool(100)[0])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_a_seed_determines_the_weights(augment: str) -> None:
    pool, _ = digit_pool(100)
    weights = []
    for seed in (3, 3, 4):
        seed_all(seed, 0)
        task = fast_task(epochs=2, augment=augment).learn(pool)
        weights.append(torch.cat([p.detach().flatten() for p in task.net.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("precision", ["16-mixed", "16-true", "half"])
def test_a_precision_that_would_lose_gradients_is_refused(precision: str) -> None:
    with pytest.raises(UserError, match=f"precision={precision} is not trained in here: choose 32-true or bf16-mixed"):
        fast_task(precision=precision).learn(digit_pool(100)[0])


def test_flip_mirrors_about_half() -> None:
    images = torch.randint(0, 256, (2000, 1, 4, 4), dtype=torch.uint8)
    flipped = flip(images)
    kept = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(-1)).flatten(1).all(1)
    assert (kept | mirrored).all()
    assert 0.45 < mirrored.float().mean() < 0.55
    assert flipped.dtype == torch.uint8


@pytest.mark.parametrize(("side", "pad"), [(8, 1), (16, 2), (32, 4), (64, 4)])
def test_crop_shifts_by_every_offset_up_to_its_pad(side: int, pad: int) -> None:
    places = torch.arange(1, 1 + 2 * side**2).view(2, side, side)
    cropped = crop(places.expand(800, -1, -1, -1))
    centre = cropped[:, 0, side // 2, side // 2] - 1
    shifts = torch.stack([centre // side, centre % side], 1) - side // 2 + pad
    padded = nn.functional.pad(places, (pad,) * 4)
    for image, (y, x) in zip(cropped, shifts.tolist(), strict=True):
        assert torch.equal(image, padded[:, y : y + side, x : x + side])
    assert len(shifts.unique(dim=0)) == (2 * pad + 1) ** 2
    assert crop(places.to(torch.uint8)[None]).dtype == torch.uint8


def test_a_shift_moves_mirrored_borders_in() -> None:
    images = torch.randint(0, 256, (50, 2, 6, 9), dtype=torch.uint8)
    padded = nn.functional.pad(images.float(), (2, 2, 2, 2), mode="reflect")
    windows = torch.stack([padded[..., y : y + 6, x : x + 9] for y in range(5) for x in range(5)])
    found = (windows == shift(images)).flatten(2).all(2)
    assert found.any(0).all()
    assert found.any(1).sum() > 15


@pytest.mark.parametrize("sides", [(1, 1), (8, 1), (1, 8), (2, 3)])
def test_a_shift_takes_images_of_a_pixel(sides: tuple[int, int]) -> None:
    images = torch.randint(0, 256, (50, 2, *sides), dtype=torch.uint8)
    moved = shift(images)
    assert moved.shape == images.shape
    assert sides != (1, 1) or torch.equal(moved, images)


def test_augmentations_by_name() -> None:
    known = {"none": (), "flip": (flip,), "crop": (crop,), "crop_flip": (crop, flip), "shift_flip": (shift, flip)}
    assert augmentations == known


@pytest.mark.parametrize("n", [1, 511, 512, 513, 1500])
def test_inference_joins_chunks_in_order(n: int) -> None:
    images = torch.arange(n).view(n, 1, 1, 1).float()
    sizes: list[int] = []

    def function(chunk: Tensor) -> tuple[Tensor, Tensor]:
        sizes.append(len(chunk))
        assert torch.is_inference_mode_enabled()
        return chunk.flatten(1), chunk.flatten(1) * 2

    first, second = infer(function, images)
    assert first.flatten().tolist() == list(range(n))
    assert torch.equal(second, first * 2)
    assert max(sizes) <= 512
    maps = infer(lambda chunk: chunk.expand(-1, 2, 3, 4), images)
    assert torch.equal(maps, images.expand(n, 2, 3, 4))
    assert torch.equal(infer(lambda chunk: chunk.flatten(), images, lambda x: x + 1), first.flatten() + 1)


def test_nothing_to_infer_is_a_users_error() -> None:
    with pytest.raises(UserError, match=r"no image to compute anything of: in a run, lower budget\.end"):
        infer(lambda images: images, torch.empty(0, 1, 8, 8))


class Stopped(Recorder):
    """Gets Ctrl-C in the middle of a block, and looks at what SIGTERM would do."""

    def training_step(self, block: Iterator[Any], _: int) -> None:
        self.at_sigterm = signal.getsignal(signal.SIGTERM)
        self.batches.append(next(block))
        os.kill(os.getpid(), signal.SIGINT)
        self.batches += list(block)


def test_a_signal_ends_a_fit_within_its_block() -> None:
    module, before = Stopped(), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(module, stream(40, 10), steps=20)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(module.batches) == 1
    assert module.at_sigterm is signal.getsignal(signal.SIGTERM), "as before and after the fit"


@pytest.mark.parametrize("rows", [(), (3,), (3, 65), (1, 64)])
def test_what_is_no_row_for_each_image_is_refused(rows: tuple[int, ...]) -> None:
    """A table of uninitialised memory would be filled in part."""
    with pytest.raises(UserError, match=r"64 images has the shape \(.*\): a score, or a network, must give each a"):
        infer(lambda chunk: torch.zeros(rows), torch.zeros(65, 1, 8, 8))


def test_a_lone_label_is_served_twice_for_batch_norms_sake() -> None:
    images = torch.arange(5).view(5, 1, 1, 1)
    batches = list(Stream(images, torch.arange(5), batch=4, indices=torch.tensor([3])))
    assert [(x.flatten().tolist(), y.tolist()) for x, y in batches] == [([3, 3], [3, 3])]


def test_optimisers_by_name() -> None:
    weights = [nn.Parameter(torch.zeros(2))]
    for nesterov in (False, True):
        sgd = optimiser(weights, "sgd", 0.1, 0.2, 0.9, nesterov)
        assert isinstance(sgd, torch.optim.SGD)
        found = [sgd.defaults[key] for key in ("lr", "weight_decay", "momentum", "nesterov")]
        assert found == [0.1, 0.2, 0.9, nesterov]
    assert not optimiser(weights, "sgd", 0.1).defaults["nesterov"]
    assert type(optimiser(weights, "adam", 0.1)) is torch.optim.Adam
    assert type(optimiser(weights, "adamw", 0.1)) is torch.optim.AdamW
    with pytest.raises(UserError, match="optimiser=lion is unknown: choose one of adam, adamw, sgd"):
        optimiser(weights, "lion", 0.1)


def test_any_optimiser_of_torchs_takes_its_own_options() -> None:
    weights = [nn.Parameter(torch.zeros(2))]
    made = optimiser(weights, partial(torch.optim.RMSprop, alpha=0.5), 0.1)
    assert isinstance(made, torch.optim.RMSprop)
    assert [made.defaults[key] for key in ("lr", "alpha", "weight_decay")] == [0.1, 0.5, 0]


@pytest.mark.parametrize(
    ("maker", "expected"),
    [
        (torch.optim.SGD, {"weight_decay": 0.3, "momentum": 0, "nesterov": False}),
        (partial(torch.optim.RMSprop, momentum=0.5), {"weight_decay": 0.3, "momentum": 0.5}),
        (partial(torch.optim.AdamW, weight_decay=0.1), {"weight_decay": 0.1}),
    ],
)
def test_any_class_of_optimiser_gets_the_weight_decay_and_no_momentum(maker: Any, expected: dict[str, float]) -> None:
    settings = {"weight_decay": 0.3, "momentum": 0.9, "nesterov": True}
    made = optimiser([nn.Parameter(torch.zeros(2))], maker, 0.1, **settings)  # type: ignore[arg-type]
    assert {key: made.defaults[key] for key in expected} == expected


def test_nothing_takes_the_place_of_an_optimisers_own_weight_decay() -> None:
    weights = [nn.Parameter(torch.zeros(2))]
    assert optimiser(weights, torch.optim.AdamW, 0.1).defaults["weight_decay"] == 0.01
    with pytest.raises(UserError, match=r"Rprop takes no weight decay: give task_model\.weight_decay=0"):
        optimiser(weights, torch.optim.Rprop, 0.1, weight_decay=0.3)


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        (partial(torch.optim.SGD, lr=1), r"has a rate of its own: give task_model\.lr"),
        (partial(torch.optim.Adam, betas=(2, 2)), r"Adam can't be made \(ValueError: Invalid beta"),
        (torch.optim.LBFGS, "LBFGS takes no plain step"),
        (nn.Linear, r"Linear can't be made \(TypeError"),
    ],
)
def test_what_is_no_optimiser_is_refused(maker: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        optimiser([nn.Parameter(torch.zeros(2))], maker, 0.1)


def test_lightning_is_as_loud_after_a_fit_as_before() -> None:
    logger = logging.getLogger("pytorch_lightning")
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        with tamed():
            assert logger.level == logging.ERROR
        assert logger.level == logging.INFO
    finally:
        logger.setLevel(before)


def test_what_makes_equal_runs_differ_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Warner(Recorder):
        def training_step(self, block: Iterator[Any], _: int) -> None:
            warnings.warn("the workers are few", stacklevel=1)
            warnings.warn("scatter does not have a deterministic implementation, but you set", stacklevel=1)

    monkeypatch.setattr(tamed_module, "_told", set())
    for _ in range(2):
        fit(Warner(), stream(10, 5))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("deterministic=true: scatter sums in no fixed order")


def test_each_step_of_a_block_sees_the_weights_of_the_one_before_in_half_precision() -> None:
    class Halving(Recorder):
        def training_step(self, block: Iterator[Any], _: int) -> None:
            steps, self.losses = self.optimizers(use_pl_optimizer=False), []
            with torch.autocast("cpu", torch.bfloat16):
                for _ in block:
                    loss = nn.functional.linear(torch.ones(1, 1), self.weight).square().sum()
                    self.losses.append(float(loss))
                    self.weight.grad = self.weight.detach() / 2 / 0.1
                    steps.step()  # pyright: ignore[reportAttributeAccessIssue]

    module = Halving()
    module.weight = nn.Parameter(torch.full((1, 1), 4.0))
    fit(module, stream(20, 5))
    assert module.losses == [16, 4, 1, 0.25]


def test_a_fit_within_an_allocation_of_several_tasks_is_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SLURM_NTASKS": "8", "SLURM_JOB_NAME": "train"}.items():
        monkeypatch.setenv(name, value)
    before = signal.getsignal(signal.SIGUSR1)
    assert len(fit(Recorder(), stream(10, 5)).batches) == 2
    assert signal.getsignal(signal.SIGUSR1) == before
