"""What the ImageNet VGG-16 makes of images, computed once an image and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alsuite import ranks
from alsuite.errors import UserError, reason
from alsuite.files import locked
from alsuite.mapped import parts
from alsuite.nets.pretrained import IMAGENET, read_weights
from alsuite.nets.ranges import unit
from alsuite.places import data_root
from alsuite.pool import Images, Pool
from alsuite.progress import watched
from alsuite.training import rehearsal
from alsuite.training.fit import channels_last, infer

__all__ = ["VGG16", "Extractor", "FeatureStore", "convolutions"]

CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # among torchvision's layers
DIGEST = 16  # bytes
CHUNK = 1024  # images that are looked up at a time


class Extractor(Protocol):
    """A fixed network that gives (B, size) features; `name` tells all that they depend on beside the image."""

    size: int

    @property
    def name(self) -> str: ...

    def on(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Return a function from (B, C, H, W) images, uint8 or in 0..1, to their features."""
        ...


class VGG16:
    """The means of the maps that end a block of VGG-16's convolutions, before its pooling.

    "Very Deep Convolutional Networks for Large-Scale Image Recognition", Karen Simonyan and Andrew Zisserman, 2014,
    https://arxiv.org/abs/1409.1556

    weights: a file with torchvision's, .pth or .npz; with None vgg16_features.npz is looked for under ALSUITE_DATA,
        then torchvision's are downloaded
    side: the pixels a side that images are scaled to
    block: the last of five blocks, or an earlier one
    """

    def __init__(self, weights: str | None = None, side: int = 64, block: int = 5) -> None:
        if side < 32:
            raise UserError(f"features.side={side} is too small for VGG-16: take 32 at the least")
        if block not in range(1, 6):
            raise UserError(f"features.block={block} is none of VGG-16's: take 1 to 5")
        self.weights = weights
        self.side = side
        self.size = (64, 128, 256, 512, 512)[block - 1]
        self.block = block

    def of(self, pool: Pool, trained: object) -> Callable[[Tensor], Tensor]:
        """Return the features as ASAL takes them, whatever model was `trained` to make images."""
        return self.on(pool.device)

    def on(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Return a function from (B, C, H, W) images, uint8 or in 0..1, to their (B, size) features."""
        net = self._net.to(device).to(memory_format=torch.channels_last)

        def means(images: Tensor) -> Tensor:
            if images.shape[1] not in (1, 3):
                raise UserError(f"VGG-16 sees gray or coloured images, and these have {images.shape[1]} channels")
            values = unit(images.to(device))
            values = nn.functional.interpolate(values, (self.side, self.side), mode="bilinear", antialias=True)
            return net(channels_last(IMAGENET(values.expand(-1, 3, -1, -1)))).mean((2, 3))

        return means

    @cached_property
    def name(self) -> str:
        """Tell apart whatever the features depend on beside the image."""
        digest = hashlib.sha256()
        for value in self._net.state_dict().values():
            digest.update(value.cpu().numpy().tobytes())
        return f"vgg16-block{self.block}-{self.side}-{digest.hexdigest()[:12]}"

    @cached_property
    def _net(self) -> nn.Sequential:
        from torchvision.models.vgg import cfgs, make_layers

        with torch.device("meta"):  # no weight is drawn: a run that was resumed draws the same numbers
            net = make_layers(cfgs["D"])
        net.load_state_dict(convolutions(self.weights), assign=True)
        ends = [i for i, layer in enumerate(net) if isinstance(layer, nn.MaxPool2d)]
        return net[: ends[self.block - 1]].eval().requires_grad_(False)


def convolutions(path: str | Path | None) -> dict[str, Tensor]:
    """Return torchvision's weights of VGG-16 that stand before the classifier."""
    from torchvision.models import VGG16_Weights

    url = VGG16_Weights.IMAGENET1K_V1.url
    laid_out = (data_root() / name for name in ("vgg16/vgg16_features.npz", "vgg16_features.npz"))
    path = path or next((file for file in laid_out if file.is_file()), None)
    try:
        return _before_classifier(_loaded(path, url))
    except Exception as error:
        where = "downloaded" if path is None else f"read from {path}"
        raise UserError(
            f"the ImageNet weights of VGG-16 cannot be {where} ({reason(error)}): fetch {url} and set "
            "features.weights, or task_model.features.weights of svm_vgg, to where it lies"
        ) from None


def _loaded(path: str | Path | None, url: str) -> dict[str, Tensor]:
    """Read all of the weights from a file, or download them where there is none."""
    if path is None:
        return torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    return read_weights(path)


def _before_classifier(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Choose the convolutions' weights, and refuse a file that lacks one."""
    state = {name.removeprefix("features."): value for name, value in state.items() if "features." in name}
    if missing := [f"features.{i}.weight" for i in CONVOLUTIONS if f"{i}.weight" not in state]:
        raise ValueError(f"no {missing[0]} in it")
    return state


class FeatureStore:
    """Features of uint8 images, computed once; a file under `folder` holds a row an image, found by its digest.

    The file only grows, under a lock; a row that was torn off or whose checksum is wrong is computed again. What comes
    `passing` is kept in memory alone.
    """

    def __init__(self, features: Extractor, folder: str | Path, device: torch.device) -> None:
        self.function = features.on(device)
        self.path = Path(folder) / f"{features.name}.rows"
        self.row = np.dtype([("digest", "u1", DIGEST), ("checksum", "<u4"), ("features", "<f4", features.size)])
        self.table: NDArray = np.empty(0, self.row)
        self.rows: dict[bytes, int] = {}
        self.memory: dict[bytes, Tensor] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def __call__(self, images: Images) -> Tensor:
        """Return (N, D) features on the CPU."""
        if not len(images):
            raise UserError("there is no image to compute anything of: in a run, lower budget.end")
        chunks = -(-len(images) // CHUNK)
        with rehearsal.lasting():
            shown = watched(rehearsal.few(parts(images, CHUNK), chunks), "features", chunks)
            with ranks.alone():  # of several that lack a row the first one makes it
                found = np.concatenate([self._chunk(some) for some in shown])
        return torch.from_numpy(found if len(found) == len(images) else np.resize(found, (len(images), found.shape[1])))

    def _chunk(self, images: Tensor) -> NDArray[np.float32]:
        """Return the (B, D) features of some images, and compute those that are in no file yet."""
        digests = digests_of(images)
        found, missing = self._looked_up(digests)
        if len(missing):
            with locked(self.path.with_name(f".{self.path.name}.lock")):  # whoever wants the same ones waits for them
                self._refresh()
                found, missing = self._looked_up(digests)
                if len(missing):
                    found[missing] = infer(self.function, images[torch.from_numpy(missing).to(images.device)]).cpu()
                    self._append([digests[i] for i in missing], found[missing])
        return found

    def passing(self, images: Images) -> Tensor:
        """Return (N, D) features of images that no other run will see."""
        return torch.cat([self._passing(some) for some in parts(images, CHUNK)])

    def _passing(self, images: Tensor) -> Tensor:
        digests = digests_of(images)
        missing = [i for i, digest in enumerate(digests) if digest not in self.memory]
        rows = infer(self.function, images[missing]) if missing else ()
        new = dict(zip((digests[i] for i in missing), rows, strict=True))
        if not rehearsal.under_way():
            self.memory |= new
        return torch.stack([new[digest] if digest in new else self.memory[digest] for digest in digests])

    def _looked_up(self, digests: list[bytes]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return (N, D) rows, and the positions of those that are not there."""
        rows = np.array([self.rows.get(digest, -1) for digest in digests])
        found = np.zeros((len(rows), *self.row["features"].shape), np.float32)
        there = rows >= 0
        table = self.table[rows[there]]
        found[there] = table["features"]
        asked = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST)[there]  # a file may be another by now
        whole = table["checksum"] == row_checksums(table["features"])
        there[there] = whole & (table["digest"] == asked).all(1)
        return found, np.flatnonzero(~there)

    def _refresh(self) -> None:
        """Take in what the file holds by now."""
        count = self.path.stat().st_size // self.row.itemsize if self.path.exists() else 0
        if count < len(self.table):
            self.table, self.rows = np.empty(0, self.row), {}
        if count > (old := len(self.table)):
            self.table = np.memmap(self.path, self.row, "r", shape=(count,))
            digests = self.table["digest"][old:].tobytes()
            self.rows |= {digests[DIGEST * i : DIGEST * (i + 1)]: old + i for i in range(count - old)}

    def _append(self, digests: list[bytes], features: NDArray[np.float32]) -> None:
        """Write rows at the end of the file."""
        if rehearsal.under_way():
            return
        new = np.empty(len(digests), self.row)
        new["digest"] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST)
        new["features"] = features
        new["checksum"] = row_checksums(new["features"])
        with self.path.open("ab") as file:
            file.truncate(file.tell() - file.tell() % self.row.itemsize)  # what a killed process left
            file.write(new.tobytes())
        self._refresh()


def digests_of(images: Tensor) -> list[bytes]:
    """Return what tells each image from others."""
    pictures = images.cpu().numpy()
    return [hashlib.blake2b(picture.tobytes(), digest_size=DIGEST).digest() for picture in pictures]


def row_checksums(features: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return (N,) sums that change with any bit of (N, D) features."""
    return np.ascontiguousarray(features).view(np.uint32).sum(axis=1, dtype=np.uint32)
