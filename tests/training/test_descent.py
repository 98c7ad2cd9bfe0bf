"""One step down a loss, and the clock."""

from __future__ import annotations

import pytest
import torch
from torch.optim import SGD

from alsuite.training import clock as timing
from alsuite.training.clock import clock
from alsuite.training.descent import descend


def test_each_optimiser_takes_a_step_and_no_other_parameter_a_gradient() -> None:
    mine, yours, theirs = (torch.tensor([value], requires_grad=True) for value in (1.0, 2.0, 3.0))
    loss = descend((mine * yours * theirs).sum(), SGD([mine], lr=0.1), SGD([yours], lr=1.0))
    assert (float(loss), loss.requires_grad) == (6.0, False)
    assert mine.tolist() == pytest.approx([1 - 0.1 * 6])
    assert yours.tolist() == pytest.approx([2 - 3])
    assert theirs.tolist() == [3.0]
    assert theirs.grad is None


def test_gradients_of_the_step_before_are_forgotten() -> None:
    parameter = torch.tensor([1.0], requires_grad=True)
    optimiser = SGD([parameter], lr=1.0)
    for _ in range(3):
        descend(parameter.sum(), optimiser)
    assert parameter.tolist() == [-2.0]


@pytest.mark.parametrize(("kind", "waits"), [("cpu", 0), ("cuda", 1)])
def test_the_clock_waits_for_a_gpu_alone(kind: str, waits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(timing.torch.cuda, "synchronize", waited.append)
    first, second = clock(torch.device(kind)), clock(torch.device(kind))
    assert second >= first
    assert len(waited) == 2 * waits
