"""Strategies with a label per pixel: what they choose means the same, and those that can't choose say so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from torch import Generator, Tensor

from alsuite import CONF
from alsuite.data import load
from alsuite.data.dataset import no_larger
from alsuite.data.segmentation import camvid
from alsuite.errors import UserError
from alsuite.loop import seed_all
from alsuite.nets.vae import no_vae, small_vae
from alsuite.pool import Pool
from alsuite.scores import entropy
from alsuite.strategies import Query, Strategy
from alsuite.strategies.coreset import CoreSet
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.strategies.vaal import VAAL
from helpers.configs import composed
from helpers.masks import fast_segmentation, mask_pool
from helpers.pools import laid_out

REFUSED = ["badge", "asal", "gaal", "active_gan", "acgan", "m2_alg1", "m2_alg2", "m2_vaal"]
REFUSED_AS_TASKS = ["ta_vaal", "learning_loss"]
OTHERS = ["acgan_filtered", "asal_min_distance", "m2_vaal_no_adv", "min_distance", "svm"]
WORKING = sorted({path.stem for path in (CONF / "strategy").glob("*.yaml")} - {*REFUSED, *REFUSED_AS_TASKS, *OTHERS})
SMALL = ["dataset=camvid", "scale=smoke", "scale.epochs=1", "scale.steps=3"]


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKING)
def test_a_strategy_asks_for_images_with_unlabelled_pixels(name: str) -> None:
    config = composed(f"strategy={name}", *SMALL, "task_model.net.channels=[8,16]")
    pool, _ = mask_pool()
    task = instantiate(config.task_model)().learn(pool)
    seed_all(0, 0, part=1)
    query = instantiate(config.strategy).query(pool, task, 9)
    assert query.indices.shape == query.indices.unique().shape == (9,)
    assert torch.isin(query.indices, pool.unlabelled).all()


@pytest.mark.parametrize("name", REFUSED)
def test_a_strategy_that_cannot_is_refused_in_a_line(name: str, tmp_path: Path) -> None:
    config = composed("task_model=segnet_small", *SMALL, f"strategy={name}", f"root={tmp_path}")
    pool, _ = mask_pool()
    task = fast_segmentation(epochs=1).learn(pool)
    with pytest.raises(UserError, match=r"take strategy=entropy|take task_model=m2") as refusal:
        instantiate(config.strategy).query(pool, task, 5)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", REFUSED_AS_TASKS)
def test_a_strategy_that_needs_another_task_is_refused_in_a_line(name: str) -> None:
    config = composed(f"strategy={name}", *SMALL)
    with pytest.raises(UserError, match="take a plain classifier"):
        instantiate(config.task_model)()


def test_uncertainty_takes_the_largest_means_over_pixels() -> None:
    pool, _ = mask_pool()
    task = fast_segmentation().learn(pool)
    means = entropy(task.log_probs(pool.images)).mean((1, 2))
    expected = sorted(pool.unlabelled.tolist(), key=lambda i: -float(means[i]))[:5]
    assert Uncertainty(entropy).query(pool, task, 5).indices.tolist() == expected


def sequences(labelled: int = 30, each: int = 60) -> tuple[Pool, Tensor]:
    """Return frames of four sequences, each of its own layout and light, the first of which has all labels; and the
    sequence of each frame."""
    generator = Generator().manual_seed(0)
    layouts = torch.randint(0, 3, (4, 4, 6), generator=generator, dtype=torch.uint8)
    which = torch.arange(4).repeat_interleave(each)
    targets = layouts[which].repeat_interleave(4, 1).repeat_interleave(4, 2)
    light = torch.tensor([0, 40, 80, 20])[which].view(-1, 1, 1, 1)
    noise = torch.randint(0, 25, (4 * each, 3, 16, 24), generator=generator)
    images = (noise + light + 50 * targets[:, None].long()).to(torch.uint8)
    pool = Pool(images, 3, [0.4] * 3, [0.25] * 3, label_shape=targets.shape[1:])
    pool.label(torch.arange(labelled), targets[:labelled])
    return pool, which


class Turned:
    """Asks for what a strategy would ask for last."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy

    def query(self, pool: Pool, task: object, n: int) -> Query:
        whole = self.strategy.query(pool, task, len(pool.unlabelled))  # type: ignore[arg-type]
        return Query(whole.indices.flip(0)[:n])


OTHERS_FRAMES = 62 + 101  # of the first two sequences of CamVid's training images; the third has 204
VAE_OF_FRAMES = {"epochs": 12, "batch": 16, "lr": 1e-3, "discriminator_lr": 1e-3}


def strategies() -> dict[str, Strategy]:
    return {"vaal": VAAL(small_vae, discriminator_layers=3, **VAE_OF_FRAMES), "coreset": CoreSet()}


def share_of_others(strategy: Strategy) -> float:
    """Return how many of 30 picks are from the three sequences without a label; by chance it is 0.86."""
    pool, which = sequences()
    seed_all(0, 0)
    task = fast_segmentation(epochs=6).learn(pool)
    seed_all(0, 0, part=1)
    return float((which[strategy.query(pool, task, 30).indices] > 0).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vaal", "coreset"])
def test_frames_of_other_sequences_are_found(name: str) -> None:
    assert share_of_others(strategies()[name]) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vaal", "coreset"])
def test_a_turned_sort_finds_them_no_more(name: str) -> None:
    assert share_of_others(Turned(strategies()[name])) < 0.75


def camvid_frames() -> tuple[Pool, Tensor]:
    """Return CamVid's training frames, of whose last sequence alone 60 have labels; and whether each is of another."""
    laid_out("camvid")
    data = load("camvid", camvid, names=[str(label) for label in range(11)])
    frames = no_larger(data.train, 64)
    pool = Pool(frames.images, 11, data.mean, data.std, label_shape=frames.targets.shape[1:])
    labelled = torch.arange(OTHERS_FRAMES, len(pool))[::3][:60]
    pool.label(labelled, frames.targets[labelled])
    return pool, (torch.arange(len(pool)) < OTHERS_FRAMES).long()


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "seeds", "most", "least"), [("vaal", 1, 0.8, 0.3), ("coreset", 3, 0.65, 0.6)])
def test_other_sequences_of_real_streets_are_found(name: str, seeds: int, most: float, least: float) -> None:
    """By chance 53 % of the frames are of others; those that are asked for last are what a turned sort would pick."""
    pool, others = camvid_frames()
    first, last = [], []
    for seed in range(seeds):
        seed_all(seed, 0)
        task = fast_segmentation(epochs=2).learn(pool)
        seed_all(seed, 0, part=1)
        asked = others[strategies()[name].query(pool, task, len(pool.unlabelled)).indices]
        first.append(asked[:30])
        last.append(asked[-30:])
    assert torch.cat(first).float().mean() > most
    assert torch.cat(last).float().mean() < least


def test_a_large_image_is_its_own_code_at_a_smaller_size() -> None:
    assert no_vae((3, 688, 688)).latent == 3 * 43 * 43
    assert no_vae((3, 32, 48)).latent == 3 * 32 * 48
    codes, _ = no_vae((1, 160, 200)).encode(torch.full((2, 1, 160, 200), 3.0))
    assert codes.shape == (2, 40 * 50)
    assert (codes == 3).all()
