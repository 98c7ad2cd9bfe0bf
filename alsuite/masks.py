"""Who answers with a label per pixel: noisy oracles and people; `Ideal` knows those as it knows all labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from alsuite.data.images import read_mask
from alsuite.errors import AwaitingLabels, UserError
from alsuite.noise import confusions
from alsuite.palette import picture
from alsuite.pool import VOID, Pool

__all__ = ["HumanMasks", "NoisyMasks"]


class NoisyMasks:
    """It takes a share of the classes that it finds in an image for others, always in the same way for the same image.

    All pixels of a class in an image are mistaken together.
    """

    knows = True

    def __init__(
        self,
        targets: Tensor,
        *,
        flip: float,
        classes: int,
        confusion: Mapping[int, Sequence[int]] | None = None,
        seed: int = 0,
    ) -> None:
        """Make an oracle of true masks.

        Arguments:
            targets: (N, H, W) the true classes
            flip: the share of (image, class) pairs that it mistakes
            classes: how many there are
            confusion: class -> those that it is taken for; None for any other
            seed: decides, with the image's index, which are mistaken
        """
        self.targets = targets
        self.flip = flip
        self.others = confusions(flip, classes, None, confusion)
        self.seed = seed

    def __call__(self, pool: Pool, indices: Tensor) -> Tensor:
        return torch.stack([self._answer(index) for index in indices.tolist()])

    def judge(self, pool: Pool, images: Tensor) -> Tensor | None:
        return None

    def _answer(self, index: int) -> Tensor:
        """Return an image's mask with its mistakes; the draws depend on the seed and the index alone."""
        mask, draw = self.targets[index], Random(f"{self.seed} {index}")
        answer = mask.clone()
        for label, others in enumerate(self.others):
            flipped, taken = draw.random() < self.flip, draw.random()
            if flipped and others:
                answer[mask == label] = others[int(taken * len(others))]
        return answer


class HumanMasks:
    """It writes the queried images, and goes on when each has a mask, if it is started again.

    A mask is a PNG of the image's size, gray or with a palette, whose values are the numbers in classes.csv, or 255
    where a pixel has no class.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.names = list(names)

    def __call__(self, pool: Pool, indices: Tensor) -> Tensor:
        masks = [self.folder / "masks" / f"{index}.png" for index in indices.tolist()]
        missing = [mask for mask in masks if not mask.exists()]
        if missing:
            self._ask(pool, indices.tolist())
            raise AwaitingLabels(
                f"{len(missing)} images in {self.folder / 'images'} await masks, the first {missing[0]}: "
                "draw them with the numbers in classes.csv, then start again"
            )
        shape = tuple(pool.labels.shape[1:])
        return torch.stack([self._answer(mask, shape) for mask in masks])

    def judge(self, pool: Pool, images: Tensor) -> Tensor | None:
        return None

    def _ask(self, pool: Pool, indices: list[int]) -> None:
        """Write the images, and the numbers of the classes."""
        from PIL import Image

        for name in ("images", "masks"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for index in indices:
            target = self.folder / "images" / f"{index}.png"
            target.unlink(missing_ok=True)  # a link there would lead to another file
            Image.fromarray(picture(pool.images[index])).save(target)
        lines = [f"{number},{name}\n" for number, name in [*enumerate(self.names), (VOID, "void")]]
        (self.folder / "classes.csv").write_text("".join(["number,class\n", *lines]), encoding="utf-8")

    def _answer(self, path: Path, shape: tuple[int, ...]) -> Tensor:
        """Return the mask that was drawn; one of another size, or with a number that is no class, is refused."""
        mask = read_mask(path)
        if mask.shape != shape:
            raise UserError(f"{path} is {_size(mask.shape)} pixels large, its image {_size(shape)}: draw it again")
        unknown = mask[(mask >= len(self.names)) & (mask != VOID)]
        if len(unknown):
            raise UserError(
                f"{path} holds the number {unknown[0]}: use those of {self.folder / 'classes.csv'}, or {VOID} for void"
            )
        return torch.from_numpy(mask)


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
