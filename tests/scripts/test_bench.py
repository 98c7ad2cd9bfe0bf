"""The benchmark's gates hold on tiny sizes and can fail; never a timing."""

from __future__ import annotations

import csv
import json
import runpy
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from helpers import REPOSITORY

ADVERSARIAL = ("vaal_iteration", "vaal_scoring", "query_times")
MATCHING = ("matching", "matching_growth")
PIXELS = ("pixel_epoch", "confusions")
BENCH = REPOSITORY / "scripts" / "bench"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.delenv("ALSUITE_DATA", raising=False)
    torch.manual_seed(0)


def tiny() -> Any:
    return import_module("race").Sizes(600, 60, 40, 5, 200, 200, 20, 32, turns=1)


def bench() -> dict[str, Any]:
    return runpy.run_path(str(BENCH / "__main__.py"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["core_set", "scan", "dropout", "epoch", "step", "small_cycle", *ADVERSARIAL, *PIXELS, "large_pool"]
)
def test_both_sides_did_the_same_work(name: str) -> None:
    rows = [row for row in bench()["table"]([name], tiny()) if row.verdict]
    assert rows
    assert {row.verdict for row in rows} <= {"met", "missed", "not installed"}, rows


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MATCHING)
def test_what_is_matched_is_the_nearest(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALSUITE_VECTORS", "1000 2000 4000")
    rows = [row for row in bench()["table"]([name], tiny()) if row.verdict]
    assert len(rows) >= 2
    assert {row.verdict for row in rows} <= {"met", "missed"}, rows


@pytest.mark.slow
def test_seeds_side_by_side_end_where_they_end_one_by_one() -> None:
    (row,) = import_module("training").seeds(tiny())
    assert row.verdict in ("met", "missed"), row


@pytest.mark.slow
def test_two_processes_end_where_one_does() -> None:
    rows = [*import_module("several").several(tiny())]
    assert {row.verdict for row in rows} <= {"met", "missed"}, rows
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("unit", "goal", "value", "verdict"),
    [
        ("x faster", 2, 3, "met"),
        ("x faster", 4, 3, "missed"),
        ("x the time", 0.5, 1 / 3, "met"),
        ("ms more", -3000, -2000, "missed"),
    ],
)
def test_a_value_is_judged_by_its_goal(unit: str, goal: float, value: float, verdict: str) -> None:
    race, scaled = import_module("race").race, import_module("race").Scaled
    ours, theirs = scaled("same", 1.0), scaled("same", 3.0)
    row = race("", "", lambda: ours, lambda: theirs, lambda a, b: (a == b, ""), goal=goal, unit=unit, turns=2)
    assert (row.value, row.verdict) == (pytest.approx(value), verdict)


def test_a_value_without_its_gate_is_void() -> None:
    row = import_module("race").race("", "", lambda: 1, lambda: 2, lambda a, b: (a == b, ""), goal=0, turns=1)
    assert row.verdict == "void"


def test_the_gates_can_fail() -> None:
    scoring, training = import_module("scoring"), import_module("training")
    assert not scoring.same_picks((torch.tensor([3, 1]), torch.zeros(2)), [1, 3])[0]
    logits = torch.randn(50, 4, 10)
    logits[:, 0] += 9
    assert not scoring.same_means(torch.randn(50, 10, 4).log_softmax(-1), logits.numpy())[0]
    assert not training.same_weights((nn.Linear(2, 2), 5), (nn.Linear(2, 2), 5))[0]
    net = nn.Linear(2, 2)
    assert training.same_weights((net, 5), (net, 5))[0]
    assert not training.same_weights((net, 5), (net, 6))[0]
    several, states = import_module("several"), [{"weight": torch.full((2,), value)} for value in (1.0, 1.0001, 1.1)]
    assert several.same_weights([states[0], states[1]], [states[0]])[0]
    assert not several.same_weights([states[0], states[2]], [states[0]])[0]


@pytest.mark.slow
def test_a_peer_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name}", name=name)

    monkeypatch.setattr(import_module("scoring"), "import_module", missing)
    *_, row = bench()["table"](["dropout"], tiny())
    assert (row.verdict, row.against) == ("not installed", "baal.modelwrapper")


@pytest.mark.slow
@pytest.mark.parametrize("folder", [None, "elsewhere"])
@pytest.mark.parametrize("name", ["vaal_iteration", "vaal_scoring"])
def test_a_missing_release_tells_where_it_is(monkeypatch: pytest.MonkeyPatch, name: str, folder: str | None) -> None:
    monkeypatch.delenv("ALSUITE_VAAL_RELEASE", raising=False)
    if folder:
        monkeypatch.setenv("ALSUITE_VAAL_RELEASE", folder)
    *_, row = bench()["table"]([name], tiny())
    assert row.verdict == "not installed"
    assert row.gate.startswith("git clone https://github.com/sinhasam/vaal and set ALSUITE_VAAL_RELEASE")


@pytest.mark.slow
def test_the_release_and_ours_give_the_same_from_the_same_weights() -> None:
    adversarial = import_module("adversarial")
    peer = as_released(adversarial)
    vae, finder = adversarial.same_weights(peer)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        seen = peer.vae.encoder(images)
        expected = peer.vae.fc_mu(seen), peer.vae.fc_logvar(seen)
        assert torch.allclose(torch.stack(vae.encode(images)), torch.stack(expected), atol=1e-4)
        codes = expected[0]
        assert torch.allclose(vae.decoder(codes), peer.vae.decoder(codes), atol=1e-4)
        assert torch.allclose(finder(codes).sigmoid(), peer.discriminator(codes)[:, 0], atol=1e-5)


def as_released(adversarial: Any) -> Any:
    """Networks put together as the release's are: two heads, a last layer that is transposed, a sigmoid."""
    vae, finder = adversarial.image_vae((3, 32, 32)), adversarial.discriminator(32, 3)
    heads = {"fc_mu": nn.Linear(4096, 32), "fc_logvar": nn.Linear(4096, 32)}
    parts = {"encoder": vae.encoder[:-1], "decoder": nn.Sequential(*vae.decoder[:-2], nn.ConvTranspose2d(128, 3, 1))}
    nets = nn.ModuleDict({**parts, **heads}), nn.Sequential(*finder[:-1], nn.Sigmoid())
    return adversarial.Peer(None, None, None, *(net.eval() for net in nets))


def test_the_adversarial_gates_can_fail() -> None:
    adversarial, scores = import_module("adversarial"), torch.tensor([0.2, 0.4])
    assert adversarial.same_scores((scores, torch.tensor([1, 0])), (scores, torch.tensor([0, 1])))[0]
    assert not adversarial.same_scores((scores, torch.tensor([1])), (scores, torch.tensor([0])))[0]
    assert not adversarial.same_scores((scores, torch.tensor([1])), (scores + 0.001, torch.tensor([1])))[0]
    start, other = ([nn.Linear(2, 3), nn.Linear(4, 5)] for _ in range(2))
    assert (adversarial.values(start), adversarial.changed(start, start)) == (34, 0)
    assert adversarial.changed(start, [start[0], other[1]]) == 25
    _, pool, labels = adversarial.pool_of_vaal(40)
    pool.label(torch.arange(4), labels[:4])
    asked = {name: (torch.tensor(picks), pool) for name, picks in (("two", [4, 9]), ("one", [4, 4]), ("known", [3, 9]))}
    assert adversarial.asked(asked["two"], asked["two"])[0]
    assert not adversarial.asked(asked["one"], asked["two"])[0]
    assert not adversarial.asked(asked["two"], asked["known"])[0]


def test_the_matching_gate_can_fail() -> None:
    matching, features = import_module("matching"), torch.randn(2000, 50)
    found = matching.Match(features, matching.FeatureIndex(features, kind="ivf"), features[:1], torch.zeros(2000) > 0)
    assert matching.near(found, queries := torch.randn(100, 50))[0]
    found.matcher.neighbours.nprobe = 1
    assert not matching.near(found, queries)[0]
    assert matching.judged("", 2.0, "", 1.0).verdict == "missed"
    assert matching.judged("", 1.0, "", 2.0, passed=False).verdict == "void"


def test_the_gates_of_pixels_can_fail() -> None:
    pixels = import_module("pixels")
    assert pixels.same_totals((100.0, 5), (100.01, 5))[0]
    assert not pixels.same_totals((100.0, 5), (101.0, 5))[0]
    assert not pixels.same_totals((100.0, 5), (100.0, 6))[0]
    assert pixels.both_learn(1.0, 2.0)[0]
    assert not pixels.both_learn(1.0, 3.0)[0]


def test_the_gate_of_a_large_pool_can_fail() -> None:
    large_pool = import_module("large_pool")
    told = {"scan": [2.0, 1.5], "in order": [1.0, 1.2], "seen": {"scan": 5}, "each once": {"scan": True}}
    assert (large_pool.compared("", told, "scan", 0.6).verdict, large_pool.compared("", told, "scan", 0.7).verdict) == (
        "met",
        "missed",
    )
    assert large_pool.compared("", {**told, "each once": {"scan": False}}, "scan", 0.6).verdict == "void"
    row = large_pool.lost("", [90.0, 88.0], [91.0, 90.0])
    assert (row.value, row.low, row.high, row.gate[-23:]) == (1.5, 1.0, 2.0, "90.00/91.00 88.00/90.00")


@pytest.mark.slow
def test_shuffling_in_blocks_is_compared_with_shuffling_all(monkeypatch: pytest.MonkeyPatch) -> None:
    large_pool = import_module("large_pool")
    monkeypatch.setattr(large_pool, "EPOCHS", 1)
    rows = list(large_pool.block_shuffling(tiny()))
    assert len(rows) == 4
    assert all(0 <= float(pair) <= 100 for row in rows for pair in row.gate.split(": ")[1].split("/"))


@pytest.mark.slow
def test_a_query_that_grows_with_the_square_of_the_pool_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated = import_module("simulated")
    monkeypatch.setattr(simulated, "STRATEGIES", {"margin": None, "asal": None})
    told = {"margin": [[0.1, 1], [1.0, 2], [100.0, 3]], "asal": [[0.1, 1], [0.1, 1], [0.2, 1]]}
    monkeypatch.setattr(
        simulated.subprocess, "run", lambda command, **_: SimpleNamespace(stdout=json.dumps(told[command[2]]))
    )
    quadratic, flat = simulated.query_growth(tiny())
    assert (quadratic.verdict, flat.verdict) == ("missed", "met")
    assert quadratic.gate.endswith("20,000: 100 s, 3.00 GB")
    monkeypatch.undo()
    found = simulated.growth("coreset", [1_500, 3_000])
    assert all(seconds > 0 and gigabytes >= 0 for seconds, gigabytes in found)


def test_the_sizes_of_the_pools_are_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    matching, sizes = import_module("matching"), import_module("race").Sizes
    assert matching.vectors(sizes())[-1] == 16_000_000
    assert matching.vectors(sizes(points=10_000))[-1] == 20_000
    monkeypatch.setenv("ALSUITE_VECTORS", "300 4000")
    assert matching.vectors(sizes()) == [300, 4000]


@pytest.mark.slow
def test_the_table_is_written_as_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = bench()["main"]
    monkeypatch.setitem(main.__globals__, "SMALL", tiny())
    monkeypatch.setattr(
        sys,
        "argv",
        ["bench", "--small", "--only", "step", "--threads", "1", "--out", str(tmp_path / "a" / "bench.csv")],
    )
    main()
    with (tmp_path / "a" / "bench.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] for row in rows] == ["", "", "holds", "holds"]
    assert all(float(row["value"]) > 0 for row in rows)
