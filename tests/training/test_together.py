"""What several ranks train and scan together is what one process does."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from alsuite.nets.vae import discriminator, image_vae
from alsuite.tasks.classification import Classification
from alsuite.training.fit import Stream
from alsuite.training.game import AdversarialGame, AdversarialRules, play
from helpers import ranks
from helpers.ranks import SHAPE, normed, on_ranks, pool_with

pytestmark = pytest.mark.slow
ALL = torch.tensor([True])


def same(one: dict[str, list[float]], other: dict[str, list[float]]) -> bool:
    """Whether weights are the same to rounding; Adam makes a step of what rounding leaves of no gradient at all.

    What a layer of batch norm keeps of its images no optimiser touches: all of it is the same.
    """
    assert one.keys() == other.keys()
    near = {name: (torch.tensor(one[name]) - torch.tensor(other[name])).abs() < 1e-5 for name in one}
    kept = torch.cat([close for name, close in near.items() if "running" in name or "tracked" in name] or [ALL])
    return bool(kept.all()) and float(torch.cat([*near.values()]).float().mean()) > 0.99


@pytest.mark.parametrize(("batch", "count"), [(10, 2), (20, 2), (12, 3)])
def test_a_training_is_that_of_one_process(batch: int, count: int) -> None:
    """Weights, and the statistics of batch norm, which are those of whole batches."""
    by_one = ranks.classified(batch)
    for each in on_ranks(partial(ranks.classified, batch), count):
        assert same(each, by_one)
    assert not same(by_one, ranks.classified(batch, steps=7))


def test_a_penalty_that_would_be_lost_in_silence_is_refused() -> None:
    refused = "a gradient penalty through batch norm cannot be shared by processes: take devices=1, or a discriminator"
    assert [told.startswith(refused) for told in on_ranks(ranks.penalised)] == [True, True]
    assert ranks.penalised() == ""


def test_what_is_drawn_after_a_training_is_not_its_order() -> None:
    one, other = on_ranks(ranks.dice)
    assert one == other
    assert one[0] != one[1]


def test_an_odd_batch_leaves_all_ranks_alike() -> None:
    one, other = on_ranks(partial(ranks.classified, 15))
    assert one == other


def test_each_rank_has_its_part_of_every_batch_and_of_each_step_in_it() -> None:
    one, other = on_ranks(partial(ranks.served, 8))
    assert one == [[0, 1, 2, 3], [8, 9, 10, 11], [16, 17]]
    assert other == [[4, 5, 6, 7], [12, 13, 14, 15], [18, 19]]
    one, other = on_ranks(partial(ranks.served, 9, 3))
    assert one == [[0, 1, 3, 4, 6, 7], [9, 10, 12, 13, 15, 16], [18]]
    assert other == [[2, 0, 5, 3, 8, 6], [11, 9, 14, 12, 17, 15], [19]]


def test_an_epoch_has_each_image_once_on_one_of_the_ranks() -> None:
    one, other = on_ranks(partial(ranks.epoch, 24, 8))
    assert sorted(one + other) == [*range(24)]
    assert sorted(one) != one


def test_each_step_of_a_gan_has_its_part_of_a_batch_on_each_rank() -> None:
    assert on_ranks(partial(ranks.gan_steps, 6, 10, 3)) == [([3, 3, 3], [5])] * 2
    assert ranks.gan_steps(6, 10, 3) == ([6, 6, 6], [10])


@pytest.mark.parametrize("reduction", ["elbo", "sum"])
def test_a_game_is_that_of_one_process(reduction: str) -> None:
    by_one = ranks.played(reduction)
    for each in on_ranks(partial(ranks.played, reduction)):
        assert same(each, by_one)


def test_a_discrimination_is_that_of_one_process_and_ends_with_it() -> None:
    by_one, steps = ranks.discriminated()
    assert steps < 256
    for weights, its in on_ranks(ranks.discriminated):
        assert same(weights, by_one)
        assert its == steps


@pytest.mark.parametrize("weighted", [False, True])
def test_a_segmentation_is_that_of_one_process(weighted: bool) -> None:
    """Whose ranks have masks of which more or less is void."""
    by_one = ranks.segmented(8, weighted)
    for each in on_ranks(partial(ranks.segmented, 8, weighted)):
        assert same(each, by_one)


@pytest.mark.parametrize("detached", [False, True])
def test_m2_is_that_of_one_process(detached: bool) -> None:
    by_one = ranks.semi_supervised(detached)
    for each in on_ranks(partial(ranks.semi_supervised, detached)):
        assert same(each, by_one)


@pytest.mark.parametrize("kind", ["dcgan", "wgan_gp", "autoencoder"])
def test_what_is_trained_once_is_written_once_and_the_same_on_all_ranks(kind: str, tmp_path: Path) -> None:
    one, other = on_ranks(partial(ranks.made, tmp_path, kind))
    assert one == other == ranks.made(tmp_path, kind)
    (curves,) = tmp_path.rglob("curves.csv")
    assert len(curves.read_text().splitlines()) == 2
    assert len([*tmp_path.rglob("weights.safetensors")]) == 1


@pytest.mark.parametrize(("images", "size"), [(200, 16), (30, 16), (10, 16), (101, 0)])
def test_a_scan_is_that_of_one_process_to_the_bit(images: int, size: int) -> None:
    by_one = ranks.scanned(images, size)
    for each in on_ranks(partial(ranks.scanned, images, size), 3):
        assert all(map(torch.equal, each[:2], by_one[:2]))
        assert each[2] == by_one[2]


@pytest.mark.parametrize(("images", "size"), [(101, 8), (10, 16)])
def test_a_scan_is_told_the_place_of_each_chunk(images: int, size: int) -> None:
    assert [ranks.placed(images, size), *on_ranks(partial(ranks.placed, images, size), 3)] == [[*range(images)]] * 4


def test_a_scan_that_draws_does_so_on_each_rank_and_leaves_them_alike() -> None:
    one, other = on_ranks(partial(ranks.drawn, 40))
    assert one == other
    assert len({*one[0]}) == 40


def test_a_scan_within_a_scan_is_each_ranks_own() -> None:
    assert on_ranks(partial(ranks.nested, 35)) == [ranks.nested(35)] * 2


def test_the_first_rank_works_for_all(tmp_path: Path) -> None:
    found = on_ranks(partial(ranks.told, tmp_path))
    assert [place for place, _ in found] == [0, 1]
    assert len({value for _, value in found}) == 1
    assert len([*tmp_path.iterdir()]) == 1


@pytest.mark.parametrize("name", [*ranks.STRATEGIES])
def test_the_same_weights_pick_the_same(name: str) -> None:
    pool = pool_with(40)
    task = Classification(normed, epochs=3, batch=10).learn(pool)
    weights = task.net.state_dict()
    by_one = ranks.picked(name, weights)
    assert len(by_one) == 30
    assert on_ranks(partial(ranks.picked, name, weights)) == [by_one, by_one]


def test_the_same_weights_pick_the_same_by_vaal() -> None:
    pool = pool_with(40)
    nets = image_vae(SHAPE, latent=4, width=1 / 16), discriminator(4, 2)
    streams = (
        Stream(pool.images, batch=10, indices=indices, prepare=pool.normalise)
        for indices in (pool.unlabelled, pool.labelled)
    )
    game = play(AdversarialGame(*nets, AdversarialRules(limit=3, batch=10)), *streams)
    by_one = ranks.judged(game.state_dict())
    assert on_ranks(partial(ranks.judged, game.state_dict())) == [by_one, by_one]
