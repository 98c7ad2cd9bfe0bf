"""A label per pixel: joint augmentation, an epoch and confusions against the usual ways, and the memory of queries."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from race import Check, Row, Sizes, race
from simulated import CLASSES as MANY
from simulated import IMAGES, STRATEGIES
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, Dataset
from torchmetrics.functional.classification import multiclass_confusion_matrix
from torchvision.transforms import functional as transforms

from alsuite.metrics import measured
from alsuite.nets.segmenters import segnet_small
from alsuite.pool import VOID, Pool
from alsuite.tasks.segmentation import Segmentation

__all__ = ["confusions", "pixel_epoch", "query_memory"]

CLASSES, SIDES, BATCH, WORKERS = 11, (120, 160), 4, 2
MEMORY_LIMIT = 4.0  # GB, of a query in ImageNet's pool
Batches = Iterable[Sequence[Tensor]]


class PilPairs(Dataset):
    """What torchvision's data sets do: image and mask by PIL, flipped together, then tensors."""

    def __init__(self, pool: Pool, targets: Tensor) -> None:
        self.images = pool.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.targets = targets.numpy()
        self.normalise = pool.normalise

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        image, mask = Image.fromarray(self.images[i]), Image.fromarray(self.targets[i])
        if torch.rand(()) < 0.5:
            image, mask = (side.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for side in (image, mask))
        values = transforms.normalize(transforms.to_tensor(image), [*self.normalise.mean], [*self.normalise.std])
        return values, transforms.pil_to_tensor(mask)[0]


def streets(n: int) -> tuple[Pool, Tensor]:
    """Return random images of CamVid's shape at a third of its side, and their masks."""
    targets = torch.randint(CLASSES, (n, 6, 8), dtype=torch.uint8)
    targets = targets.repeat_interleave(SIDES[0] // 6, 1).repeat_interleave(SIDES[1] // 8, 2)
    images = torch.randint(60, (n, 3, *SIDES), dtype=torch.uint8) + 15 * targets[:, None]
    targets[:, :4] = VOID
    pool = Pool(images, CLASSES, [0.4] * 3, [0.25] * 3, label_shape=SIDES)
    pool.label(torch.arange(n), targets)
    return pool, targets


def pixel_epoch(sizes: Sizes) -> Iterator[Row]:
    n = max(32, sizes.masked // 2)
    pool, targets = streets(n)
    task = Segmentation(segnet_small, augment="flip", batch=BATCH, epochs=1)
    loader = DataLoader(PilPairs(pool, targets), BATCH, shuffle=True, num_workers=WORKERS)
    what = f"{n} images {SIDES[0]} x {SIDES[1]} with masks, flipped together"
    against = f"torchvision and PIL, {WORKERS} workers"
    served, given = (partial(total, source) for source in (task._begin(pool), loader))
    yield race(what, against, served, given, same_totals, goal=3, turns=sizes.turns)
    some = pool.normalise(pool.images[:16]), targets[:16].long()
    ours, theirs = lambda: loss_of(task.learn(pool).net, *some), lambda: loss_of(plainly_trained(loader), *some)
    what = f"an epoch of segnet_small, {what}"
    yield race(what, against, ours, theirs, both_learn, goal=1, turns=min(2, sizes.turns))


def total(batches: Batches) -> tuple[float, int]:
    """Return the sum of all pixels, and how many are void."""
    sums = [(float(images.sum()), int((labels == VOID).sum())) for images, labels in batches]
    return sum(value for value, _ in sums), sum(count for _, count in sums)


def same_totals(mine: tuple[float, int], other: tuple[float, int]) -> Check:
    near = math.isclose(mine[0], other[0], rel_tol=1e-3)
    return near and mine[1] == other[1], f"sums {mine[0]:.0f} and {other[0]:.0f}, {mine[1]} void pixels in both"


def plainly_trained(batches: Batches) -> nn.Module:
    net = segnet_small((3, *SIDES), CLASSES)
    steps = torch.optim.Adam(net.parameters(), 1e-3)
    for images, labels in batches:
        loss = F.cross_entropy(net(images), labels.long(), ignore_index=VOID)
        steps.zero_grad()
        loss.backward()
        steps.step()
    return net


def loss_of(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the loss with the batch's own means, since those of an epoch are not settled yet."""
    with torch.no_grad():
        return float(F.cross_entropy(net.train()(images), labels, ignore_index=VOID))


def both_learn(mine: float, other: float) -> Check:
    return max(mine, other) < math.log(CLASSES), f"losses {mine:.2f} and {other:.2f}, by chance {math.log(CLASSES):.2f}"


def confusions(sizes: Sizes) -> Iterator[Row]:
    n = max(16, sizes.masked // 2)
    pool, targets = streets(n)
    task = Segmentation(segnet_small, batch=BATCH, epochs=1).learn(pool)

    def stored() -> Tensor:
        log_probs = task.log_probs(pool.images)
        return multiclass_confusion_matrix(log_probs.movedim(-1, 1), targets.long(), CLASSES, ignore_index=VOID)

    def same(mine: Tensor, other: Tensor) -> Check:
        held, kept = n * CLASSES * math.prod(SIDES) * 4 / 1e6, CLASSES**2 * 8 / 1e3
        iou = measured(mine, pixels=True)["mean_iou"]
        return torch.equal(mine, other), f"mean IoU {iou:.4f} in both; {kept:.1f} KB beside {held:.0f} MB"

    what = f"confusion of {n} images {SIDES[0]} x {SIDES[1]}, while scanning"
    yield race(
        what,
        "torchmetrics on stored log-probabilities",
        partial(task.confusion, pool.images, targets),
        stored,
        same,
        goal=1,
        turns=sizes.turns,
    )


def query_memory(sizes: Sizes) -> Iterator[Row]:
    """The peak of a query among 1.28 M images of 1,000 classes, with 512 features and 10 masks or 5 members."""
    n, script = IMAGES if sizes.points >= Sizes.points else 3 * sizes.points, Path(__file__).with_name("simulated.py")
    for name in STRATEGIES:
        command = [sys.executable, str(script), name, str(n)]
        gigabytes = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        yield Row(
            f"peak of {name}, {n:,} images, {MANY:,} classes",
            "beside torch, its like and the pool",
            gigabytes,
            "GB",
            goal=f"<= {MEMORY_LIMIT:g}",
            verdict="met" if gigabytes <= MEMORY_LIMIT else "missed",
        )
