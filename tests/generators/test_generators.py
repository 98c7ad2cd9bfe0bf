"""What is trained once is kept, found again, told apart from others, and goes on to the same bits after a stop."""

from __future__ import annotations

import csv
import json
import re
import resource
import runpy
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from torch import nn

from alsuite import code
from alsuite.errors import UserError
from alsuite.generators.autoencoder import AutoEncoder
from alsuite.generators.gan import GAN, GANGame, GANRules
from alsuite.nets.autoencoders import autoencoder
from alsuite.nets.gans import dcgan, res_wgan_gp, wgan_gp
from alsuite.pool import Pool
from alsuite.training import once
from alsuite.training.once import chosen
from alsuite.training.weights import fingerprint, write, write_checkpoint
from helpers import REPOSITORY, importing
from helpers.configs import composed
from helpers.pools import digit_pool, synthetic_pool

SCRIPT = REPOSITORY / "scripts" / "score_generator.py"
GANS = ("dcgan", "wgan_gp", "res_wgan_gp", "res_wgan_ct")
COLOURED = (3, 8, 8)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "EVERY", 3)


def gan(root: Path, dataset: str = "digits", net: Callable[..., Any] = wgan_gp, **changes: Any) -> GAN:
    options = {"name": "wgan_gp", "iterations": 8, "batch": 5, "critic_steps": 2, **changes}
    return GAN(partial(net, latent=4, width=1 / 16), folder=f"{root}/pretrained/{dataset}", **options)


def encoder(root: Path, dataset: str = "digits", **changes: Any) -> AutoEncoder:
    options = {"name": "autoencoder", "epochs": 1.0, "batch": 15, **changes}
    return AutoEncoder(partial(autoencoder, width=1 / 4), folder=f"{root}/pretrained/{dataset}", **options)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"lr": -1.0}, {"batch": 0}, {"features": 0}, {"limit": 1.5}])
def test_wrong_options_of_an_auto_encoder_are_told_by_their_path(tmp_path: Path, wrong: dict[str, Any]) -> None:
    ((name, value),) = wrong.items()
    elsewhere: dict[str, Any] = {name: {"usps": 1}}
    with pytest.raises(UserError, match=re.escape(f"features.autoencoder.{name}={value} must be")):
        encoder(tmp_path, **wrong)
    with pytest.raises(UserError, match=rf"features\.autoencoder\.{name} has no value for digits"):
        encoder(tmp_path, **elsewhere)


def pool_of(shape: tuple[int, int, int] = (1, 8, 8), n: int = 120) -> Pool:
    return synthetic_pool(n, shape)[0]


def same(one: nn.Module, other: nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[key]) for key, value in one.state_dict().items())


def stopped(monkeypatch: pytest.MonkeyPatch, after: int, work: Callable[[], Any]) -> None:
    """As if killed in a part that follows `after` whole ones."""
    fit, parts = once.fit, []

    def interrupted(*given: Any, **options: Any) -> Any:
        parts.append(options["steps"])
        if len(parts) > after:
            raise KeyboardInterrupt
        return fit(*given, **options)

    with monkeypatch.context() as patched:
        patched.setattr(once, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            work()


def refuse_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "fit", lambda *_, **__: pytest.fail("it was trained again"))


@pytest.mark.parametrize("made", [gan, encoder])
def test_a_second_call_trains_nothing_and_says_nothing(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = pool_of()
    first = made(tmp_path).trained(pool)
    said, home = capsys.readouterr().out, made(tmp_path).kept(pool).home
    assert said == f"training {first_word(home)} on digits: 8 iterations on 120 images, kept in {home}\n"
    files = ["curves.csv", "metadata.json", "samples.png", "weights.safetensors"]
    assert sorted(path.name for path in home.iterdir()) == files
    refuse_to_train(monkeypatch)
    again = made(tmp_path)
    assert again.trained(pool) is again.trained(pool)
    assert same(first, again.trained(pool))
    assert not again.trained(pool).training
    assert not any(p.requires_grad for p in again.trained(pool).parameters())
    assert capsys.readouterr().out == ""


def first_word(home: Path) -> str:
    return home.name.rpartition("-")[0]


def test_the_metadata_says_what_was_trained_on_what(tmp_path: Path) -> None:
    pool = pool_of()
    facts = json.loads((gan(tmp_path).kept(pool).home / "metadata.json").read_text())
    expected = {"dataset": "digits", "name": "wgan_gp", "shape": [1, 8, 8], "images": 120, "iterations": 8, "seed": 0}
    assert {key: facts[key] for key in expected} == expected
    assert facts["net"] == {"name": "wgan_gp", "latent": 4, "width": 1 / 16}
    assert facts["fingerprint"] == fingerprint(pool.images)
    assert len(facts["checksum"]) == 64


@pytest.mark.parametrize(
    "changes", [{"iterations": 7}, {"seed": 1}, {"lr": 1e-3}, {"penalty": 5.0}, {"net": dcgan}, {"name": "other"}]
)
def test_other_configurations_are_kept_apart(changes: dict[str, Any], tmp_path: Path) -> None:
    pool = pool_of()
    one, other = gan(tmp_path).kept(pool), gan(tmp_path, **changes).kept(pool)
    assert one.home != other.home
    assert one.home.parent == other.home.parent


@pytest.mark.slow
def test_other_pools_are_kept_apart(tmp_path: Path) -> None:
    pool, changed = pool_of(), pool_of()
    changed.images[7, 0, 3, 3] += 1
    homes = {gan(tmp_path).kept(each).home for each in (pool, changed, pool_of(n=119), pool_of((1, 9, 8)))}
    assert len(homes) == 4


def changing(module: str, changed: Path) -> Callable[[str], Path | None]:
    """Find each module's file, of one a copy with a line more."""
    find, path = code.own_file, code.own_file(module)
    assert path is not None
    changed.write_text(f"{path.read_text()}\nMORE = {module!r}\n")
    return lambda name: changed if name == module else find(name)


@pytest.mark.slow
def test_other_code_is_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss, a network and a step each count."""
    homes = {gan(tmp_path).kept(pool_of()).home}
    for module in ("generators.gan", "nets.gans", "training.descent"):
        with monkeypatch.context() as patch:
            patch.setattr(code, "_first", {})  # as in a new process
            patch.setattr(code, "own_file", changing(f"alsuite.{module}", tmp_path / "changed.py"))
            homes.add(gan(tmp_path).kept(pool_of()).home)
    assert len(homes) == 4


def test_data_sets_of_the_same_images_share_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As CelebA's attributes do."""
    first = gan(tmp_path, "celeba_hat").kept(pool_of())
    refuse_to_train(monkeypatch)
    assert gan(tmp_path, "celeba_bangs").kept(pool_of()).home == first.home


def test_one_object_serves_pools_one_after_another(tmp_path: Path) -> None:
    made, one, other = gan(tmp_path), pool_of(), pool_of(n=60)
    first, second = made.trained(one), made.trained(other)
    assert not same(first, second)
    assert same(made.trained(one), first)


def test_a_pool_that_has_grown_keeps_its_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of()
    first = gan(tmp_path).trained(pool)
    pool.extend(torch.zeros(5, 1, 8, 8, dtype=torch.uint8))
    refuse_to_train(monkeypatch)
    assert same(gan(tmp_path).trained(pool), first)


@pytest.mark.parametrize(("changes", "told"), [({"iterations": 7}, "iterations 7 instead of 8"), ({}, "images 60")])
def test_a_folder_in_anothers_place_is_refused_by_name(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    home = gan(tmp_path).kept(pool_of()).home
    theirs = gan(tmp_path, **changes).kept(pool_of(n=120 if changes else 60)).home
    (theirs / "weights.safetensors").replace(home / "weights.safetensors")
    with pytest.raises(UserError, match=rf"{home.name} was trained for something else \(.*{told}.*move it back"):
        gan(tmp_path).trained(pool_of())


def test_weights_of_other_layers_are_refused(tmp_path: Path) -> None:
    gan(tmp_path).trained(pool_of())

    def changed(shape: Any, **_: Any) -> Any:
        return wgan_gp(shape, latent=4, width=1 / 2)

    changed.__name__, changed.__module__ = "wgan_gp", wgan_gp.__module__
    with pytest.raises(UserError, match="holds other layers than this version builds: delete it"):
        gan(tmp_path, net=changed).trained(pool_of())


def damaged(content: bytes, how: str) -> bytes:
    place = {"length": 0, "header": 40, "middle": len(content) // 2, "end": len(content) - 1}.get(how)
    if place is None:
        return {"truncated": content[:-1], "half": content[: len(content) // 2], "empty": b""}[how]
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("how", ["length", "header", "middle", "end", "truncated", "half", "empty"])
def test_damaged_weights_are_noticed_and_trained_again_after_saying_so(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = pool_of()
    first = gan(tmp_path).kept(pool)
    path = first.home / "weights.safetensors"
    path.write_bytes(damaged(path.read_bytes(), how))
    capsys.readouterr()
    again = gan(tmp_path).trained(pool)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{path} is damaged (")
    assert said[0].endswith("what it held is trained again")
    assert said[1].startswith("training wgan_gp on digits: 8 iterations")
    assert len(said) == 2
    assert same(first.net, again)


def curves(home: Path) -> list[list[str]]:
    return list(csv.reader((home / "curves.csv").read_text().splitlines()))


def losses(home: Path) -> list[list[str]]:
    """Without the seconds."""
    return [[first, *(f"{float(x):.6g}" if i else x for x in rest)] for i, (first, _, *rest) in enumerate(curves(home))]


MAKERS = {
    "wgan_gp": gan,
    "coloured dcgan": partial(gan, net=dcgan, loss="cross_entropy", critic_steps=1),
    "res_wgan_ct": partial(gan, net=partial(res_wgan_gp, dropout=True), consistency=2.0, decay=True, dequantise=True),
    "autoencoder": encoder,
}


@pytest.mark.slow
@pytest.mark.parametrize("parts", [0, 1, 2])
@pytest.mark.parametrize("name", MAKERS)
def test_after_a_stop_it_goes_on_to_the_same_bits(
    name: str, parts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made, pool = MAKERS[name], pool_of((1, 8, 8) if name == "wgan_gp" else COLOURED)
    whole = made(tmp_path / "whole").trained(pool)
    stopped(monkeypatch, parts, lambda: made(tmp_path / "stopped").trained(pool))
    capsys.readouterr()
    torch.manual_seed(99)
    again = made(tmp_path / "stopped").kept(pool)
    assert same(again.net, whole)
    kept = [losses(home) for home in (again.home, made(tmp_path / "whole").kept(pool).home)]
    assert kept[0] == kept[1]
    assert [row[0] for row in kept[0][1:]] == ["3", "6", "8"]
    assert again.net.spent.seconds == pytest.approx(sum(float(row[1]) for row in curves(again.home)[1:]))
    assert again.net.spent.whole_seconds == again.net.spent.seconds
    assert (f"going on after {3 * parts}" in capsys.readouterr().out) == (parts > 0)


@pytest.mark.parametrize("room", [2_000, 0])
def test_weights_that_the_disk_has_no_room_for_are_an_error_of_the_disk(room: int, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_checkpoint(tmp_path / "checkpoint.pt", {"weights": torch.zeros(9_000)}, "{}")
        with pytest.raises(OSError, match="File too large"):
            write(tmp_path / "weights.safetensors", torch.nn.Linear(90, 90), "{}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [*tmp_path.iterdir()] == []


def test_a_damaged_checkpoint_is_left_aside_after_saying_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = pool_of()
    whole = gan(tmp_path / "whole").trained(pool)
    stopped(monkeypatch, 2, lambda: gan(tmp_path).trained(pool))
    (path,) = tmp_path.glob("pretrained/*/*/checkpoint.pt")
    path.write_bytes(damaged(path.read_bytes(), "middle"))
    capsys.readouterr()
    assert same(gan(tmp_path).trained(pool), whole)
    said = capsys.readouterr().out
    assert said.startswith(f"{path} is damaged")
    assert "going on" not in said


def test_those_who_follow_a_training_are_told_its_losses_part_by_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, dict[str, float], bool]] = []
    monkeypatch.setattr(
        once, "followers", [lambda name, values, picture: told.append((name, values, picture.exists()))]
    )
    home = gan(tmp_path).kept(pool_of()).home
    assert [(name, values["iteration"], drawn) for name, values, drawn in told] == [
        ("wgan_gp", iteration, True) for iteration in (3, 6, 8)
    ]
    assert [[*values] for _, values, _ in told] == [curves(home)[0]] * 3


@pytest.mark.parametrize("made", [gan, encoder])
def test_a_run_draws_the_same_numbers_whether_there_was_a_training_or_not(made: Any, tmp_path: Path) -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(5)
        np.random.seed(5)
        made(tmp_path).trained(pool_of())
        drawn.append((float(torch.rand(())), float(np.random.rand())))
    assert drawn[0] == drawn[1]


def test_the_weights_depend_on_the_seed_of_the_generator_alone(tmp_path: Path) -> None:
    pool, found = pool_of(), []
    for run, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(len(found))
        found.append(gan(tmp_path / run, seed=seed).trained(pool))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


@pytest.mark.slow
def test_two_processes_train_one_once(tmp_path: Path) -> None:
    code = (
        "import torch; torch.set_num_threads(1); from test_generators import gan, pool_of; from pathlib import Path; "
        f"print(gan(Path({str(tmp_path)!r}), iterations=100).kept(pool_of()).home)"
    )
    command = [sys.executable, "-c", code]
    environment = importing(Path(__file__).parent)
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(text.count("training wgan_gp") for text in said) == 1
    assert said[0].splitlines()[-1] == said[1].splitlines()[-1]


def test_a_limit_caps_the_iterations_and_a_data_set_takes_what_its_name_begins_with(tmp_path: Path) -> None:
    options = {"mnist57": 40, "mnist": 100, "cifar10_two": 3, "cifar10": 200, "default": 7}
    names = ("mnist57", "mnist", "cifar10_two", "cifar100", "usps")
    assert [chosen("iterations", options, name) for name in names] == [40, 100, 3, 200, 7]
    assert chosen("iterations", 9, "usps") == 9
    assert gan(tmp_path, "mnist57", iterations=options, limit=30).config["iterations"] == 30
    assert gan(tmp_path, "usps", iterations=options, limit=30).config["iterations"] == 7
    assert gan(tmp_path, "mnist57", iterations=options, limit={"mnist": 20, "default": 1}).config["iterations"] == 20
    with pytest.raises(UserError, match=r"generator\.iterations has no value for usps: set"):
        chosen("iterations", {"mnist": 3}, "usps")


def test_a_training_that_was_cut_tells_what_all_of_it_would_take(tmp_path: Path) -> None:
    cut = gan(tmp_path, limit=4).kept(pool_of()).net.spent
    assert (cut.iterations, cut.whole_seconds) == (4, 2 * cut.seconds)
    assert cut.seconds > 0
    cut = encoder(tmp_path, limit=2).kept(pool_of()).net.spent
    assert (cut.iterations, cut.whole_seconds) == (2, 4 * cut.seconds)


def test_epochs_become_iterations(tmp_path: Path) -> None:
    made = encoder(tmp_path, epochs={"digits": 2.5, "default": 1.0})
    facts = json.loads((made.kept(pool_of()).home / "metadata.json").read_text())
    assert facts["iterations"] == 20
    assert encoder(tmp_path, limit=4).kept(pool_of()).home != made.kept(pool_of()).home


def test_a_failing_training_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the loss of the generator is not a number: lower its learning rate"):
        gan(tmp_path, lr=1e30).trained(pool_of())


@pytest.mark.slow
def test_a_generator_learns_how_bright_the_images_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "EVERY", 500)
    pool, options = Pool(torch.full((60, 1, 8, 8), 230, dtype=torch.uint8), 2, [0.5], [0.5]), {"lr": 5e-3, "batch": 20}
    before, after = (
        float(gan(tmp_path, iterations=n, **options).trained(pool).images(torch.randn(50, 4)).mean()) for n in (1, 60)
    )
    assert before < 0.6 < 0.65 < after


@pytest.mark.slow
def test_an_auto_encoder_learns_to_give_images_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "EVERY", 500)
    digits = digit_pool()[0].images[:300]
    pool, errors = Pool(digits, 10, [0.5], [0.5]), []
    images = digits.float() / 255
    for epochs in (0.01, 10):
        net = encoder(tmp_path, epochs=epochs, batch=20, lr=1e-2).trained(pool)
        errors.append(float((net.decode(net.features(images)) - images).square().mean()))
    assert errors[1] < 0.4 * errors[0]
    assert errors[1] < 0.6 * float(images.var(0).mean())


@pytest.mark.parametrize(("critic_steps", "n"), [(1, 11), (2, 21), (2, 16)])
def test_an_image_that_is_left_over_joins_those_before_it(critic_steps: int, n: int, tmp_path: Path) -> None:
    """Batch norm, which the generator of coloured images has, can do nothing with one."""
    trained = gan(tmp_path, critic_steps=critic_steps, iterations=2 * n // (5 * critic_steps))
    assert trained.trained(pool_of(COLOURED, n)).images(torch.randn(2, 4)).isfinite().all()


@pytest.mark.parametrize("n", [7, 10, 19])
def test_a_critic_has_all_its_steps_however_few_images_there_are(
    n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    step = GANGame.discriminator_loss
    monkeypatch.setattr(GANGame, "discriminator_loss", lambda game, real: sizes.append(len(real)) or step(game, real))
    gan(tmp_path, batch=5, critic_steps=4, iterations=3).trained(pool_of(n=n))
    assert sizes == [5] * 12


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("choice", [*GANS, "autoencoder"])
def test_every_configuration_trains(choice: str, shape: tuple[int, int, int], tmp_path: Path) -> None:
    config = composed(f"generator={choice}", "scale=smoke", "scale.gan_steps=1", f"root={tmp_path}")
    pool = pool_of(shape, n=70)
    net = instantiate(config.generator).trained(pool)
    images = torch.rand(2, *shape) if choice == "autoencoder" else net.images(torch.randn(2, net.latent))
    assert images.shape == (2, *shape)
    features = net.features(images)
    assert features.shape == net.features(pool.images[:2]).shape
    assert features.isfinite().all()
    assert [path.name[: len(choice)] for path in (tmp_path / "pretrained" / "images").iterdir()] == [choice]


def built(choice: str, dataset: str, root: Path, *more: str) -> Any:
    return instantiate(composed(f"generator={choice}", f"dataset={dataset}", f"root={root}", *more).generator)


@pytest.mark.slow
def test_the_configurations_follow_their_papers(tmp_path: Path) -> None:
    rules = {choice: built(choice, "cifar10", tmp_path).rules for choice in GANS}
    assert {choice: each.loss for choice, each in rules.items()} == {
        **dict.fromkeys(GANS, "wasserstein"),
        "dcgan": "cross_entropy",
    }
    assert [(each.lr, *each.betas) for each in rules.values()] == [
        (2e-4, 0.5, 0.999),
        (1e-4, 0.5, 0.9),
        *[(2e-4, 0.0, 0.9)] * 2,
    ]
    assert [each.critic_steps for each in rules.values()] == [1, 5, 5, 5]
    assert [each.consistency for each in rules.values()] == [0, 0, 0, 2]
    assert [each.decay for each in rules.values()] == [False, False, True, True]
    assert built("res_wgan_ct", "cifar10", tmp_path).net.keywords["dropout"]
    limits = {"mnist57": 10_000, "cifar10_two": 10_000, "cifar100": 3_000, "celeba_bangs": 10_000, "svhn": 3_000}
    limited = {name: built("wgan_gp", name, tmp_path, "scale=laptop").config["iterations"] for name in limits}
    assert limited == limits
    residual = [built("res_wgan_ct", name, tmp_path, "scale=laptop") for name in ("cifar10", "svhn")]
    assert [each.config["iterations"] for each in residual] == [4_000, 3_000]


def test_both_networks_of_a_gan_learn_at_the_rate_and_with_the_momenta_of_the_rules() -> None:
    game = GANGame(dcgan((1, 8, 8), latent=4, width=1 / 16), GANRules(lr=0.1, betas=(0.3, 0.4)))
    assert [(each.defaults["lr"], each.defaults["betas"]) for each in game.optimisers] == [(0.1, (0.3, 0.4))] * 2


def test_a_game_is_told_how_far_its_training_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    step = GANGame.step
    monkeypatch.setattr(GANGame, "step", lambda self, images, done: told.append(done) or step(self, images, done))
    gan(tmp_path, iterations=8).trained(pool_of())
    assert told == [i / 8 for i in range(8)]


def test_the_inception_score_counts_the_classes_that_are_told_clearly() -> None:
    score = runpy.run_path(str(SCRIPT))["inception_score"]
    assert score(torch.full((40, 10), 0.1).log()) == pytest.approx(1)
    certain = nn.functional.one_hot(torch.arange(40) % 4, 10).float().log()
    assert score(certain) == pytest.approx(4)
    assert score(certain[:1].expand(40, 10)) == pytest.approx(1)


def test_the_frechet_distance_of_known_gaussians() -> None:
    distance = runpy.run_path(str(SCRIPT))["frechet_distance"]
    x = torch.randn(500, 3, dtype=torch.float64)
    assert distance(x, x) == pytest.approx(0, abs=1e-6)
    assert distance(x + torch.tensor([1.0, 2.0, 0.0]), x) == pytest.approx(5)
    spread = float(torch.cov(x.T, correction=0).trace())
    mean = float(x.mean(0).square().sum())
    assert distance(3 * x, x) == pytest.approx(4 * (spread + mean), rel=1e-6)


def scores(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["score_generator", *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_a_generator_is_scored_beside_real_images_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["scale=smoke", "scale.gan_steps=3", f"root={tmp_path}", "--images", "200", "--epochs", "2"]
    scores(monkeypatch, "digits", "wgan_gp", *small)
    _, generated, real, picture = capsys.readouterr().out.splitlines()
    assert generated.startswith("generated")
    assert real.startswith("training images")
    (inception, distance), (best, least) = (
        [float(word) for word in line.split() if "." in word] for line in (generated, real)
    )
    assert 1 <= inception < best <= 10
    assert distance > least > 0
    assert Path(picture).stat().st_size > 1000
    assert (Path(picture).parent / "weights.safetensors").is_file()


def test_what_makes_no_images_cannot_be_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        scores(monkeypatch, "digits", "autoencoder", "scale=smoke", f"root={tmp_path}")
    assert "generator=autoencoder makes no images of its own: choose dcgan" in capsys.readouterr().err
