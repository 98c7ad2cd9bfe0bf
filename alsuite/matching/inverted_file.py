"""Lists of the rows nearest to each of some centres (faiss), of which a search reads a few; in memory or on disk."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from filelock import FileLock
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from alsuite.errors import UserError
from alsuite.matching.neighbours import Exact, finite

__all__ = ["InvertedFile", "inverted_file"]

POINTS = 100  # a list's centre is placed by; with 40 a search reads a quarter more rows for the same recall
PROBES, RECALL = 5000, 0.99  # reached with a confidence of 95 %


class InvertedFile:
    """Lists of rows in half precision, which are read in half the time and rank as well: 11 bits of what each row is
    apart from its list's centre, in units that keep the values near one."""

    def __init__(self, index: Any, unit: float, nprobe: int = 1, recall: float = 0.0) -> None:
        self.index, self.unit, self.nprobe, self.recall = index, unit, nprobe, recall
        self.free = np.full(-(-index.ntotal // 8), 255, np.uint8)  # a bit a row, read by the selector as it is
        self.selector = faiss.IDSelectorBitmap(len(self.free), faiss.swig_ptr(self.free))

    @property
    def nbytes(self) -> int:
        index = self.index
        return index.ntotal * (index.code_size + 8) + index.nlist * 4 * index.d + self.free.nbytes

    def mark(self, rows: Tensor, *, free: bool) -> None:
        places = rows.cpu().numpy()
        bits = np.left_shift(1, places & 7).astype(np.uint8)
        change, bits = (np.bitwise_or, bits) if free else (np.bitwise_and, ~bits)
        change.at(self.free, places >> 3, bits)

    def nearest(self, queries: Tensor, k: int) -> Tensor:
        """Rows of any kind are found sooner than free ones; where too few of these are free, these are looked for."""
        values, nprobe = _padded(queries.detach().cpu(), self.unit), self.nprobe
        rows = self._search(values, k, nprobe)
        short = rows[:, -1] < 0
        while short.any():
            rows[short] = self._search(values[short], k, nprobe, self.selector)
            if nprobe == self.index.nlist:
                break
            short, nprobe = rows[:, 0] < 0, min(2 * nprobe, self.index.nlist)
        return torch.from_numpy(rows)

    def _search(self, values: np.ndarray, k: int, nprobe: int, selector: Any = None) -> np.ndarray:
        """The free ones among twice as many rows, closest first, then -1."""
        settings = faiss.SearchParametersIVF()
        settings.nprobe, settings.sel = nprobe, selector
        faiss.omp_set_num_threads(torch.get_num_threads())
        rows = self.index.search(values, 2 * k, params=settings)[1]
        rows[(rows < 0) | (self.free[rows >> 3] >> (rows & 7) & 1 == 0)] = -1
        return np.take_along_axis(rows, (rows < 0).argsort(1, kind="stable")[:, :k], 1)


def _padded(features: Tensor, unit: float) -> np.ndarray:
    """In these units, with zeros to the eights of values that are decoded at once."""
    return pad(features.float() / unit, (0, -features.shape[1] % 8)).contiguous().numpy()


def _built(features: Tensor) -> InvertedFile:
    rows = len(features)
    order, seen = torch.randperm(rows, generator=torch.Generator().manual_seed(0)), rows - min(PROBES, rows // 2)
    lists = min(int(4 * rows**0.5), seen)
    sample = finite(features[order[: min(POINTS * lists, seen)].sort().values].float())
    unit = float(sample.std(correction=0)) or 1.0
    values = _padded(sample, unit)
    d = values.shape[1]
    index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatL2(d), d, lists, faiss.ScalarQuantizer.QT_fp16)
    index.cp.niter, index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 8, 1, POINTS
    index.train(values)
    for block in tqdm(features.split(2**20), "index", leave=False, disable=None, delay=5, unit=" million rows"):
        index.add(_padded(block, unit))
    return _tuned(InvertedFile(index, unit), features, order[min(seen, rows - 1) :].sort().values)


def _tuned(built: InvertedFile, features: Tensor, rows: Tensor) -> InvertedFile:
    """It probes as many lists as it takes that the nearest other row of these is found, and knows how often it is.

    The centres must not have seen them, or it is found too often."""
    probes, lists = features[rows].float(), built.index.nlist

    def distances(of: Tensor, near: Tensor) -> Tensor:
        gaps = (features[near.clamp(min=0)] - probes[of, None]).square().sum(-1)
        return gaps.masked_fill((near < 0) | (near == rows[of, None]), torch.inf).amin(1)

    def missed(of: Tensor, nprobe: int) -> Tensor:
        built.nprobe = nprobe
        return of[distances(of, built.nearest(probes[of], 2)) > truth[of]]

    left = torch.arange(len(rows))  # what fewer lists miss; what they find needs no further look
    truth = distances(left, Exact(features).nearest(probes, 2)) * (1 + 1e-5)
    allowed = len(rows) * (1 - RECALL) - 1.65 * (len(rows) * RECALL * (1 - RECALL)) ** 0.5
    few, many = 0, 1
    while len(still := missed(left, many)) > allowed and many < lists:
        few, many, left = many, min(2 * many, lists), still
    while many - few > max(1, many // 16):
        middle = (few + many) // 2
        if len(between := missed(left, middle)) > allowed:
            few, left = middle, between
        else:
            many, still = middle, between
    built.nprobe, built.recall = many, 1 - len(still) / len(rows)
    return built


def inverted_file(features: Tensor, folder: Path | None) -> InvertedFile:
    """In memory; or, given a folder, written there by the first to ask and a memory map of that file."""
    if folder is None:
        return _built(features)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"ivf-{_fingerprint(features)}.faiss"
    facts = path.with_suffix(".json")
    with FileLock(path.with_suffix(".lock")):
        if not (path.exists() and facts.exists()):
            built, part = _built(features), path.with_suffix(".part")
            faiss.write_index(built.index, str(part))
            values = {"unit": built.unit, "nprobe": built.nprobe, "recall": built.recall, "sha256": _checksum(part)}
            facts.unlink(missing_ok=True)
            os.replace(part, path)
            part.write_text(json.dumps(values))
            os.replace(part, facts)
    try:
        values = json.loads(facts.read_text())
        if values.pop("sha256") != _checksum(path):
            raise ValueError
        index: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        lists: Any = faiss.downcast_InvertedLists(index.invlists)
        lists.prefetch_nthread = 0  # 32 threads that read ahead take the cores from the search: 2.5 times as long
        _in_small_pages(int(lists.ptr), int(lists.totsize))
        return InvertedFile(index, **values)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        raise UserError(f"the index {path} or its {facts.name} is damaged; delete both, they are built anew") from None


def _in_small_pages(address: int, size: int) -> None:
    """Of a memory map: else each row that is read may bring two megabytes around it into memory."""
    with contextlib.suppress(OSError, AttributeError):
        no_huge_page, page = 15, os.sysconf("SC_PAGESIZE")
        before = address % page
        ctypes.CDLL("libc.so.6").madvise(
            ctypes.c_void_p(address - before), ctypes.c_size_t(size + before), no_huge_page
        )


def _fingerprint(features: Tensor) -> str:
    """Of the shape and a few rows, since reading all would bring them into memory."""
    chosen = features[torch.linspace(0, len(features) - 1, min(len(features), 30)).long()]
    return hashlib.sha256(
        repr((features.shape, features.dtype)).encode() + chosen.float().numpy().tobytes()
    ).hexdigest()[:16]


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
