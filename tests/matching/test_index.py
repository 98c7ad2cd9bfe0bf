"""The index against brute force: who is nearest, never twice, never a known one, and what is written and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from alsuite.errors import UserError
from alsuite.matching import inverted_file
from alsuite.matching.index import FeatureIndex
from alsuite.matching.inverted_file import InvertedFile
from alsuite.matching.neighbours import Exact, full_precision
from alsuite.matching.projection import pca

KINDS = ("exact", "ivf")


def cloud(n: int = 1500, d: int = 8, seed: int = 1) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def nothing_known(n: int) -> Tensor:
    return torch.zeros(n, dtype=torch.bool)


def brute(features: Tensor, queries: Tensor, known: Tensor) -> list[int]:
    """The definition: one query after another, each row once."""
    distances, picks = torch.cdist(queries.double(), features.double()), []
    distances[:, known[: len(features)]] = torch.inf
    for row in distances:
        row[picks] = torch.inf
        picks.append(int(row.argmin()))
    return picks


def exhaustive(index: FeatureIndex) -> FeatureIndex:
    """An inverted file that leaves no list out is exact."""
    if isinstance(index.neighbours, InvertedFile):
        index.neighbours.nprobe = index.neighbours.index.nlist
    return index


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "queries"), [(1500, 10), (1500, 70), (130, 100), (33, 33), (1, 1)])
def test_each_query_gets_its_nearest_row_that_is_left(kind: str, n: int, queries: int) -> None:
    features, known = cloud(n), torch.rand(n) < 0.2
    known[torch.randperm(n)[:queries]] = False
    asked = cloud(queries, seed=2)
    assert exhaustive(FeatureIndex(features, kind=kind)).search(asked, known).tolist() == brute(features, asked, known)


@pytest.mark.parametrize("kind", KINDS)
def test_queries_that_are_alike_get_different_rows_closest_first(kind: str) -> None:
    features, known = cloud(), nothing_known(1500)
    asked = cloud(1, seed=2).expand(150, -1)
    picks = exhaustive(FeatureIndex(features, kind=kind)).search(asked, known)
    distances = torch.cdist(asked[:1], features)[0]
    assert len(picks.unique()) == 150
    rounding = 1e-3 if kind == "ivf" else 0  # its rows are kept in half precision
    torch.testing.assert_close(distances[picks], distances.sort().values[:150], rtol=rounding, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_cycle_after_cycle_nothing_known_is_given_and_nothing_is_forgotten(kind: str) -> None:
    features, known = cloud(300), torch.rand(300) < 0.1
    index = exhaustive(FeatureIndex(features, kind=kind))
    for cycle in range(20):
        asked = cloud(12, seed=cycle)
        picks = index.search(asked, known)
        assert picks.tolist() == brute(features, asked, known)
        known[picks[cycle % 5 :]] = True  # some that were given are never labelled
        if cycle % 3 == 0:
            known[torch.randint(300, (2,))] = True  # and some are labelled that weren't asked for
        known = torch.cat([known, torch.rand(5) < 0.5])  # the pool grows


@pytest.mark.parametrize("kind", KINDS)
def test_another_run_starts_from_its_own_labels(kind: str) -> None:
    features, asked = cloud(200), cloud(5, seed=2)
    index, masks = exhaustive(FeatureIndex(features, kind=kind)), [torch.rand(200) < share for share in (0.9, 0.3)]
    masks.append(masks[0].roll(1))  # as many as in the first
    for known in masks:
        assert index.search(asked, known).tolist() == brute(features, asked, known)


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_rows_are_given_and_more_are_refused(kind: str) -> None:
    features, known = cloud(), ~nothing_known(1500)
    known[[3, 700, 1499]] = False
    index = FeatureIndex(features, kind=kind)
    assert set(index.search(cloud(3, seed=2), known).tolist()) == {3, 700, 1499}
    with pytest.raises(UserError, match="4 samples are to be matched but the pool has only 3 left"):
        index.search(cloud(4, seed=2), known)
    with pytest.raises(UserError, match="only 0 left"):
        index.search(cloud(1, seed=2), ~nothing_known(1500))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_alike_are_given_one_by_one(kind: str) -> None:
    features = cloud(100).repeat(20, 1)
    picks = exhaustive(FeatureIndex(features, kind=kind)).search(features[[7] * 20 + [8]], nothing_known(2000))
    assert sorted(picks.tolist()[:20]) == list(range(7, 2000, 100))
    assert int(picks[20]) % 100 == 8


def test_of_rows_that_are_alike_the_first_is_given() -> None:
    picks = FeatureIndex(torch.zeros(70, 3)).search(torch.ones(5, 3), nothing_known(70))
    assert picks.tolist() == [0, 1, 2, 3, 4]
    features = torch.full((70, 3), 9.0)
    features[[0, 41]], features[40] = 1.0, 0.0
    assert FeatureIndex(features).search(torch.zeros(3, 3), nothing_known(70)).tolist() == [40, 0, 41]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_is_found_again(kind: str) -> None:
    features, asked, known = cloud(3000), cloud(40, seed=2), torch.rand(3000) < 0.3
    first, again = (FeatureIndex(features, kind=kind) for _ in range(2))
    picks = first.search(asked, known)
    assert picks.equal(again.search(asked, known))
    assert picks.equal(first.search(asked, known))


def test_no_query_gets_no_row() -> None:
    assert FeatureIndex(cloud(9)).search(torch.empty(0, 8), nothing_known(9)).tolist() == []


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "offset"), [(0.0, 0.0), (1.0, 0.0), (0.0, 30.0)])
@pytest.mark.parametrize("size", [1.0, 1e-6, 1e6])
def test_an_inverted_file_finds_99_nearest_rows_of_100(spread: float, offset: float, size: float) -> None:
    scale, offset = size * torch.arange(1, 51).pow(-spread), size * offset
    features, asked = cloud(6000, 50) * scale + offset, cloud(20_000, 50, seed=2) * scale + offset
    index = FeatureIndex(features, kind="ivf").neighbours
    assert isinstance(index, InvertedFile)
    assert index.recall >= 0.99
    assert index.nprobe < index.index.nlist
    exact = Exact(features).nearest(asked, 1)
    assert (index.nearest(asked, 1) == exact).float().mean() >= 0.99
    index.nprobe = 1
    assert (index.nearest(asked, 1) == exact).float().mean() < 0.9


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_exact_is_exact_far_from_the_origin(offset: float) -> None:
    features, asked = cloud(5000, 50) + offset, cloud(50, 50, seed=2) + offset
    picks = FeatureIndex(features).search(asked, nothing_known(5000))
    assert picks.tolist() == brute(features, asked, nothing_known(5000))


def test_products_are_of_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, product, index = [], torch.addmm, FeatureIndex(cloud(100))

    def addmm(*factors: Tensor, **options: float) -> Tensor:
        seen.append(torch.get_float32_matmul_precision())
        return product(*factors, **options)

    monkeypatch.setattr(torch, "addmm", addmm)
    torch.set_float32_matmul_precision("medium")
    try:
        index.search(cloud(2), nothing_known(100))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == ["highest"]


def test_a_precision_that_was_set_in_the_newer_way_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    matmul = torch.backends.cuda.matmul
    monkeypatch.setattr(matmul, "fp32_precision", "tf32")  # from here on torch refuses to name it in the older way
    with full_precision():
        assert torch.get_float32_matmul_precision() == "highest"
    assert matmul.fp32_precision == "tf32"


def test_a_large_pool_is_indexed_by_an_inverted_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert FeatureIndex(cloud(1000)).kind == "exact"
    monkeypatch.setattr("alsuite.matching.index.EXACT", 999)
    assert FeatureIndex(cloud(1000)).kind == "ivf"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_grows_with_what_is_new(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    features, known = cloud(5000), torch.rand(5000) < 0.5
    index, written = FeatureIndex(features, kind=kind), []
    mark = index.neighbours.mark
    monkeypatch.setattr(
        index.neighbours, "mark", lambda rows, *, free: (written.append(len(rows)), mark(rows, free=free))
    )
    picks = index.search(cloud(10, seed=2), known)
    assert sum(written) == int(known.sum()) + 10
    for seed in range(3, 6):
        known[picks] = True
        written.clear()
        picks = index.search(cloud(10, seed=seed), known)
        assert sum(written) == 10


def test_a_cleared_bit_is_one_row() -> None:
    index = FeatureIndex(cloud(100), kind="ivf").neighbours
    assert isinstance(index, InvertedFile)
    before = index.free
    rows = torch.tensor([0, 1, 7, 8, 99])
    index.mark(rows, free=False)
    bits = np.unpackbits(index.free, bitorder="little")[:100]
    assert index.free is before
    assert np.flatnonzero(bits == 0).tolist() == rows.tolist()
    index.mark(rows[1:3], free=True)
    assert np.flatnonzero(np.unpackbits(index.free, bitorder="little")[:100] == 0).tolist() == [0, 8, 99]


def test_a_row_set_free_is_as_before() -> None:
    exact, rows = Exact(cloud(100) + 3), torch.tensor([4, 50])
    before = exact.squares.clone()
    exact.mark(rows, free=False)
    assert exact.squares.isinf().nonzero().squeeze(1).equal(rows)
    exact.mark(rows, free=True)
    assert exact.squares.allclose(before)


def test_a_disk_without_room_for_the_index_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("Error in faiss: write error")

    monkeypatch.setattr(inverted_file.faiss, "write_index", full)
    with pytest.raises(UserError, match=r"cannot be written to .* free some space, or set root"):
        FeatureIndex(torch.randn(500, 8), kind="ivf", folder=tmp_path)


def test_a_file_in_the_folder_is_read_as_a_memory_map(tmp_path: Path) -> None:
    features, asked, known = cloud(3000), cloud(20, seed=2), torch.rand(3000) < 0.3
    expected = FeatureIndex(features, kind="ivf")
    index = FeatureIndex(features, kind="ivf", folder=tmp_path)
    (path,) = tmp_path.iterdir()
    maps = Path("/proc/self/maps")
    assert not maps.exists() or str(path) in maps.read_text()
    path.unlink()  # a map outlives its name
    assert index.search(asked, known).equal(expected.search(asked, known))
    assert (index.nbytes, settings(index)) == (expected.nbytes, settings(expected))


def settings(index: FeatureIndex) -> tuple[float, int, float]:
    assert isinstance(index.neighbours, InvertedFile)
    return index.neighbours.unit, index.neighbours.nprobe, index.neighbours.recall


def test_of_many_rows_that_are_alike_the_nearest_are_found_in_few_lists() -> None:
    index = FeatureIndex(cloud(300).repeat(20, 1), kind="ivf").neighbours
    assert isinstance(index, InvertedFile)
    assert index.recall >= 0.99
    assert index.nprobe < index.index.nlist // 4


def test_too_few_rows_to_tell_have_all_lists_read() -> None:
    index = FeatureIndex(cloud(200), kind="ivf").neighbours
    assert isinstance(index, InvertedFile)
    assert index.nprobe == index.index.nlist


@pytest.mark.parametrize("kind", KINDS)
def test_features_that_are_no_number_are_refused(kind: str) -> None:
    features = cloud(1000)
    features[900, 3] = torch.nan
    with pytest.raises(UserError, match="some features of the pool are infinite or no number"):
        FeatureIndex(features, kind=kind)


def test_wrong_arguments_are_refused() -> None:
    index = FeatureIndex(cloud(100))
    for queries in (torch.full((2, 8), torch.nan), torch.full((2, 8), 1e30)):
        with pytest.raises(UserError, match="some generated samples have features that are infinite"):
            index.search(queries, nothing_known(100))
    with pytest.raises(ValueError, match="8 dimensions"):
        index.search(cloud(2, 7), nothing_known(100))
    with pytest.raises(ValueError, match="100 rows needs a mask over as many"):
        index.search(cloud(2), nothing_known(99))
    with pytest.raises(UserError, match=r"^strategy\.index\.kind=tree is unknown: choose one of auto, exact, ivf"):
        FeatureIndex(cloud(2), kind="tree")
    with pytest.raises(ValueError, match=r"\(N, d\) features, not \(0, 8\)"):
        FeatureIndex(torch.empty(0, 8))


def test_pca_keeps_the_directions_of_largest_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    features = cloud(2000, 20) @ cloud(20, 20) + 1000
    monkeypatch.setattr("alsuite.matching.projection.BLOCK", 20 * 300)
    projection = pca(features, 5)
    centred = features.double() - features.double().mean(0)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:5].T
    assert projection.axes.shape == (20, 5)
    assert (projection.axes.double() * axes).sum(0).abs().sub(1).abs().max() < 1e-5
    shown = projection(features)
    assert shown.mean(0).abs().max() < 1e-2
    variances = shown.double().var(0)
    assert variances.equal(variances.sort(descending=True).values)
    assert torch.allclose((centred @ axes).abs(), shown.double().abs(), atol=1e-2)
    assert (projection.axes.gather(0, projection.axes.abs().argmax(0, keepdim=True)) > 0).all()


def test_pca_of_many_values_makes_no_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    spectrum = torch.arange(1, 601).pow(-0.7)  # of the standard deviations: about as images in colour
    features = cloud(900, 600) * spectrum @ torch.linalg.qr(cloud(600, 600))[0] + 3
    whole = pca(features, 20).axes
    monkeypatch.setattr("alsuite.matching.projection.WHOLE", 500)
    monkeypatch.setattr("alsuite.matching.projection.BLOCK", 600 * 250)
    torch.manual_seed(5)
    few = pca(features, 20).axes
    assert few.equal(pca(features, 20).axes)
    assert not few.equal(whole)
    assert (few * whole).sum(0).min() > 1 - 1e-6


@pytest.mark.parametrize("images", [8, 40, 120])
@pytest.mark.parametrize("copies", [1, 5])
def test_axes_stand_upright_where_images_span_fewer_directions(
    monkeypatch: pytest.MonkeyPatch, images: int, copies: int
) -> None:
    monkeypatch.setattr("alsuite.matching.projection.WHOLE", 500)
    features = (cloud(images, 600) * torch.arange(1, 601).pow(-0.7) + 3).repeat(copies, 1)
    projection = pca(features, 20)
    axes = projection.axes.double()
    assert (axes.T @ axes - torch.eye(axes.shape[1])).abs().max() < 1e-5
    norms = projection(features).norm(dim=1)
    lengths = (features - features.mean(0)).norm(dim=1)
    assert (norms < lengths + 1e-3).all()
    assert images > 8 or torch.allclose(norms, lengths, atol=1e-3)
    assert axes.shape[1] == min(20, len(features))


def test_pca_of_images_in_a_memory_map(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (90, 1, 6, 6), dtype=torch.uint8)
    images.numpy().tofile(tmp_path / "images")
    read = torch.from_numpy(np.memmap(tmp_path / "images", np.uint8, "c", shape=(90, 1, 6, 6)))
    projection = pca(read)
    assert projection(images).shape == (90, 36)
    shown, plain = projection(images).double(), images.flatten(1).double()
    assert torch.allclose(torch.cdist(shown, shown), torch.cdist(plain, plain), atol=0.01)
    assert projection(images[:0]).shape == (0, 36)


@pytest.mark.parametrize(("shape", "kept"), [((7, 30), 7), ((60, 3), 3), ((1, 4), 1), ((200, 60), 50)])
def test_pca_keeps_what_there_is(shape: tuple[int, int], kept: int) -> None:
    assert pca(cloud(*shape))(cloud(4, shape[1])).shape == (4, kept)


def test_pca_refuses_what_it_cannot_use() -> None:
    with pytest.raises(UserError, match="at least one image"):
        pca(torch.empty(0, 10))
    with pytest.raises(UserError, match="infinite or no number"):
        pca(torch.tensor([[1.0, 2.0], [torch.inf, 0.0]]))
    with pytest.raises(ValueError, match="a projection of 8 values"):
        pca(cloud(100))(cloud(4, 9))
