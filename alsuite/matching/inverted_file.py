"""Lists of the rows nearest to each of some centres (faiss), of which a search reads a few; in memory or on disk.

How many lists a search reads is measured when the index is built: as many as find the nearest of 99 % of rows that the
centres have not seen. Rows that aren't free stay in the lists, and a bitmap leaves them out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from alsuite.errors import UserError, first_line
from alsuite.matching.neighbours import finite
from alsuite.progress import watched

__all__ = ["FILE", "InvertedFile", "inverted_file", "read_index"]

FILE = "inverted_file.faiss"
POINTS = 100  # a list's centre is placed by; with 40 a search reads a quarter more rows for the same recall
PROBES, RECALL = 5000, 0.99  # reached with a confidence of 95 %
Index = Any  # faiss tells no types
CANDIDATES = 10  # for the nearest row, which is told by its true distance


class InvertedFile:
    """Lists of rows in half precision, which are read in half the time and rank as well.

    unit: what values are divided by, so that they lie near one
    nprobe: how many lists a search reads at first
    recall: how often it found the nearest row, as measured

    Half precision keeps 11 bits of what each row is apart from its list's centre.
    """

    def __init__(self, index: Index, unit: float, nprobe: int = 1, recall: float = 0.0) -> None:
        self.index, self.unit, self.nprobe, self.recall = index, unit, nprobe, recall
        self.free = np.full(-(-index.ntotal // 8), 255, np.uint8)  # a bit a row, read by the selector as it is
        self.selector = faiss.IDSelectorBitmap(len(self.free), faiss.swig_ptr(self.free))

    @property
    def nbytes(self) -> int:
        """Return the bytes of the codes, numbers, centres and of the bitmap."""
        index = self.index
        return index.ntotal * (index.code_size + 8) + index.nlist * 4 * index.d + self.free.nbytes

    def mark(self, rows: Tensor, *, free: bool) -> None:
        """Mark rows as free or not, a bit each."""
        places = rows.cpu().numpy()
        bits = np.left_shift(1, places & 7).astype(np.uint8)
        change, bits = (np.bitwise_or, bits) if free else (np.bitwise_and, ~bits)
        change.at(self.free, places >> 3, bits)

    def nearest(self, queries: Tensor, k: int) -> Tensor:
        """Return (n, k) free rows, closest first, then -1.

        It searches rows of any kind, which is sooner done than free ones; then free ones where too few of these are, in
        ever more lists where one finds none.
        """
        values, nprobe = _padded(queries.detach().cpu(), self.unit), self.nprobe
        rows = self._search(values, k, nprobe)
        short = rows[:, -1] < 0
        while short.any():
            rows[short] = self._search(values[short], k, nprobe, self.selector)
            if nprobe == self.index.nlist:
                break
            short, nprobe = rows[:, 0] < 0, min(2 * nprobe, self.index.nlist)
        return torch.from_numpy(rows)

    def _search(self, values: np.ndarray, k: int, nprobe: int, selector: Index = None) -> np.ndarray:
        """Return the free ones among twice as many rows, closest first, then -1.

        selector: leaves out the rows that aren't free within the search itself, which takes longer
        """
        settings = faiss.SearchParametersIVF()
        settings.nprobe, settings.sel = nprobe, selector
        faiss.omp_set_num_threads(torch.get_num_threads())
        rows = self.index.search(values, 2 * k, params=settings)[1]
        rows[(rows < 0) | (self.free[rows >> 3] >> (rows & 7) & 1 == 0)] = -1
        return np.take_along_axis(rows, (rows < 0).argsort(1, kind="stable")[:, :k], 1)


def inverted_file(features: Tensor, folder: Path | None) -> InvertedFile:
    """Build an inverted file of (N, d) features in memory or, given a folder, write it there and map that file."""
    built = _built(features)
    if folder is None or os.name == "nt":  # where faiss cannot map it
        return built
    path = folder / FILE
    try:
        faiss.write_index(built.index, str(path))
    except RuntimeError as error:
        advice = "free some space, or set root to where there is more"
        raise UserError(
            f"the index of the images cannot be written to {folder} ({first_line(error)}): {advice}"
        ) from None
    return InvertedFile(read_index(path), built.unit, built.nprobe, built.recall)


def read_index(path: Path) -> Index:
    """Map a file that faiss has written: a search reads the pages that it needs."""
    index: Index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    lists: Index = faiss.downcast_InvertedLists(index.invlists)
    lists.prefetch_nthread = 0  # 32 threads that read ahead take the cores from the search: 2.5 times as long
    return index


def _padded(features: Tensor, unit: float) -> np.ndarray:
    """Scale to these units, with zeros to the eights of values that are decoded at once."""
    return pad(features.float() / unit, (0, -features.shape[1] % 8)).contiguous().numpy()


def _built(features: Tensor) -> InvertedFile:
    """Build the index in memory from a sample, and measure how many lists it must read on rows outside of it."""
    faiss.omp_set_num_threads(torch.get_num_threads())
    rows = len(features)
    order, seen = torch.randperm(rows, generator=torch.Generator().manual_seed(0)), rows - min(PROBES, rows // 2)
    lists = min(int(4 * rows**0.5), seen)
    sample = finite(features[order[: min(POINTS * lists, seen)].sort().values].float())
    unit = float(sample.std(correction=0)) or 1.0
    index = _trained(_padded(sample, unit), lists)
    for block in watched(features.split(2**20), "index, in million rows"):
        index.add(_padded(finite(block), unit))
    built = InvertedFile(index, unit)
    _tune(built, features, order[min(seen, rows - 1) :].sort().values)
    return built


def _trained(values: np.ndarray, lists: int) -> Index:
    """Place the centres of so many lists by these values, and return the index that holds no row yet."""
    d = values.shape[1]
    index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatL2(d), d, lists, faiss.ScalarQuantizer.QT_fp16)
    index.cp.niter, index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 8, 1, POINTS
    index.train(values)
    return index


def _tune(built: InvertedFile, features: Tensor, rows: Tensor) -> None:
    """Set how many lists are read, from where the nearest other row of each of these is.

    The centres must not have seen them, or they need fewer lists than others do."""
    probes, lists = features[rows].float(), built.index.nlist
    near = torch.from_numpy(faiss.knn(probes.numpy(), features.numpy(), CANDIDATES)[1])
    nearest, distance = _other(features, rows, near)
    needed = _lists_needed(built, probes, features[nearest])
    built.nprobe = _enough(needed, lists)
    _, found = _other(features, rows, built.nearest(probes, 2))
    hidden = (found > distance * (1 + 1e-5)) & (needed <= built.nprobe)  # by half precision
    needed[hidden] = lists + 1
    built.nprobe = _enough(needed, lists)
    built.recall = float((needed <= built.nprobe).double().mean())


def _other(features: Tensor, rows: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """Return the closest of those near each row that is another one, and its squared distance."""
    distances = (features[near] - features[rows, None]).square().sum(-1)
    distances, places = distances.masked_fill((near < 0) | (near == rows[:, None]), torch.inf).min(1)
    return near.gather(1, places[:, None])[:, 0], distances


def _lists_needed(built: InvertedFile, probes: Tensor, nearest: Tensor) -> Tensor:
    """Count the lists whose centres are as near to a probe as that of the list its nearest row is in."""
    centres = torch.from_numpy(built.index.quantizer.reconstruct_n(0, built.index.nlist))
    own = torch.from_numpy(built.index.quantizer.search(_padded(nearest, built.unit), 1)[1])
    counts = []
    for some, lists in zip(torch.from_numpy(_padded(probes, built.unit)).split(256), own.split(256), strict=True):
        distances = torch.cdist(some, centres)
        counts.append((distances <= distances.gather(1, lists)).sum(1))
    return torch.cat(counts)


def _enough(needed: Tensor, lists: int) -> int:
    """Return how many lists to read so that few enough probes need more; all, where these are too few to tell."""
    n = len(needed)
    missed = n * (1 - RECALL) - 1.65 * (n * RECALL * (1 - RECALL)) ** 0.5
    if missed < 0:
        return lists
    return min(int(needed.sort(descending=True).values[int(missed)]), lists)
