"""The configuration: every choice composes and can be built, every experiment's sweeps fit their data."""

import inspect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import hydra
import pytest
import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Generator, nn

from alsuite import CONF
from alsuite.__main__ import beside_choices, path_kept
from alsuite.budget import Budget
from alsuite.command.setting import Parts
from alsuite.command.sweeps import expanded, jobs_of
from alsuite.data import Dataset
from alsuite.data.digits import digits
from alsuite.data.made_up import made_up, made_up_masks
from alsuite.errors import UserError
from alsuite.figures.spec import panels_of, read_panels
from alsuite.labelling.human import Human
from alsuite.metrics import counted
from alsuite.oracle import Annotator, Ideal, Noisy
from alsuite.tasks.classification import Classification
from alsuite.tasks.segmentation import Segmentation
from alsuite.training.descent import optimiser
from helpers.configs import GROUPS, HELD, TRAIN_IMAGES, composer
from helpers.configs import lines as asked

CHOICES = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
RUNS = sorted(path.stem for path in (CONF / "experiment" / "runs").glob("*.yaml"))
FIGURES = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
SCALES = ("paper", "laptop", "smoke")
together = pytest.mark.xdist_group("experiments")  # in one process, which composes each of them once
MEANT_FOR = {
    "aalu": ["cifar10", "cifar100", "svhn", "caltech256"],
    **{f"active_gan_{n}": ["cifar10", "fashion_mnist", "tiny_imagenet"] for n in (500, 1000, 5000, 10000, 20000)},
    "asal_celeba": ["celeba_hat", "celeba_bangs", "celeba_blond"],
    "asal_cifar10": ["cifar10"],
    "asal_cifar10_two": ["cifar10_two"],
    "asal_mnist": ["mnist"],
    "asal_mnist57": ["mnist57"],
    "digits": ["digits"],
    **{f"m2vaal_{n}": ["fashion_mnist"] for n in (50, 500, 1000)},
    "vaal": ["cifar10", "cifar100", "caltech256", "imagenet"],
    "vaal_10": ["cifar100", "camvid"],
    "vaal_bdd100k": ["bdd100k"],
    "vaal_caltech256": ["caltech256"],
    "vaal_cityscapes": ["cityscapes"],
    "vaal_imagenet": ["imagenet"],
}


@dataclass(frozen=True)
class Composed:
    config: DictConfig
    values: dict[str, Any]  # the same, resolved; gaps where a value is mandatory
    choices: dict[str, str]


@cache
def composed(*overrides: str) -> Composed:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose("config", [*overrides], return_hydra_config=True)
    choices = dict(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    values = OmegaConf.to_container(config, resolve=True)
    return Composed(config, cast(dict[str, Any], values), choices)


def built(group: str, *overrides: str) -> Any:
    return hydra.utils.instantiate(composed(*overrides).config[group])


def choices_of(group: str) -> list[str]:
    return [choice for other, choice in CHOICES if other == group]


@cache
def lines(experiment: str) -> tuple[tuple[str, ...], ...]:
    """Return the command lines of an experiment's sweeps; of a file that adds panels alone, those of its runs."""
    file = cast(DictConfig, OmegaConf.load(CONF / "experiment" / f"{experiment}.yaml"))
    added = {f"experiment={experiment}": f"experiment={file.defaults[0]}"} if {*file} == {"defaults", "figure"} else {}
    return tuple(tuple(added.get(a, a) for a in line) for line in asked([f"experiment={experiment}"]))


@cache
def plainly(line: tuple[str, ...]) -> DictConfig:
    return composer()([option for option in line if "," not in option])


@cache
def swept(experiment: str) -> tuple[Composed, ...]:
    """Return one configuration for each combination of an experiment's sweeps, at the first seed."""
    found = []
    for line in lines(experiment):
        sides = [argument.split("=", 1) for argument in line if "=" in argument and not argument.startswith("seed=")]
        values = [[f"{key}={value}" for value in text.split(",")] for key, text in sides]
        found += [composed(*overrides) for overrides in itertools.product(*values)]
    return tuple(found)


def test_every_file_is_short() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in CONF.rglob("*.yaml") if path.stem != "claims"}
    assert len(sizes) > 100
    assert {path: size for path, size in sizes.items() if size > 33} == {}


def test_no_line_is_too_long_to_read() -> None:
    lines = [(path.name, line) for path in CONF.rglob("*.yaml") for line in path.read_text().splitlines()]
    assert [(name, line) for name, line in lines if len(line) > 120] == []


@pytest.mark.parametrize("choice", sorted({*choices_of("task_model")} - {"svm_vgg", "lite_unet"}))
@pytest.mark.parametrize("protocol", choices_of("protocol"))
def test_every_task_model_builds_a_network(choice: str, protocol: str) -> None:
    task = built("task_model", f"task_model={choice}", f"protocol={protocol}", "scale=smoke")()
    assert isinstance(task, Classification)
    assert task.settings["weight_decay"] > 0 or protocol == "paper"
    net = task.make_net((3, 32, 32), 7)
    assert isinstance(net, nn.Sequential)
    sides = (32, 32) if isinstance(task, Segmentation) else ()
    assert net.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 7, *sides)


@pytest.mark.parametrize("choice", sorted({*choices_of("task_model")} - {"svm_vgg"}))
def test_the_fair_protocol_gives_a_task_model_all_of_its_recipe(choice: str) -> None:
    config = composed(f"task_model={choice}", "protocol=fair").config
    names = ("epochs", "batch", "optimiser", "lr", "momentum", "nesterov", "weight_decay", "schedule", "augment")
    for name in (*names, "net.dropout"):
        expected = OmegaConf.select(config.fair, name, throw_on_missing=True)
        assert OmegaConf.select(config.task_model, name) == expected is not None, name


def test_the_command_line_takes_any_optimiser_with_its_own_options() -> None:
    values = composed("task_model.optimiser={_target_: torch.optim.RMSprop, alpha: 0.5}", "task_model.lr=0.1").values
    task = cast(Classification, Parts.of(values).task_model())
    made = optimiser([nn.Parameter(torch.zeros(2))], **task.settings)
    assert isinstance(made, torch.optim.RMSprop)
    assert (made.defaults["alpha"], made.defaults["lr"]) == (0.5, 0.1)
    values["task_model"]["optimiser"]["alhpa"] = 1
    with pytest.raises(UserError, match="RMSprop got an unexpected keyword argument 'alhpa'"):
        Parts.of(values)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ensemble", "qbc", "suggestive", "acgan_filtered"])
def test_an_optimiser_of_any_class_is_made_for_each_of_several_networks(strategy: str) -> None:
    chosen = ("task_model.optimiser={_target_: torch.optim.RMSprop, alpha: 0.5}", f"strategy={strategy}")
    held = Parts.of(composed(*chosen).values).strategy
    (make,) = (each for each in vars(held).values() if getattr(each, "func", None) is Classification)
    assert isinstance(optimiser([nn.Parameter(torch.zeros(2))], **make().settings), torch.optim.RMSprop)


@pytest.mark.parametrize(("choice", "shape"), [("vae", (3, 32, 32)), ("feature_vae", (20,))])
def test_generators_are_built_for_the_shape_of_their_data(choice: str, shape: tuple[int, ...]) -> None:
    vae = built("generator", f"generator={choice}", "scale=smoke")(shape, extra=2)
    x = torch.zeros(3, *shape)
    codes, _ = vae.encode(x)
    assert codes.shape == (3, 32)
    assert vae.decoder(torch.zeros(3, 34)).shape == x.shape


def test_a_strategy_brings_its_generator_unless_the_command_line_has_another() -> None:
    chosen = {name: composed(f"strategy={name}").choices["generator"] for name in ("random", "vaal", "ta_vaal", "aalu")}
    assert chosen == {"random": "none", "vaal": "vae", "ta_vaal": "vae", "aalu": "feature_vae"}
    assert composed("strategy=vaal", "generator=feature_vae").choices["generator"] == "feature_vae"
    assert composed("generator=feature_vae", "strategy=vaal").values["strategy"]["vae"]["hidden"] == 512


@pytest.mark.slow
def test_only_strategies_that_need_the_ranking_train_it() -> None:
    tasks = {choice: composed(f"strategy={choice}").values["task_model"] for choice in choices_of("strategy")}
    rankings = {choice: task["ranking"] for choice, task in tasks.items() if task["_target_"].endswith(".Ranked")}
    assert rankings == {"learning_loss": "hinge", "ta_vaal": "logistic"}


@pytest.mark.parametrize("choice", sorted({*choices_of("initial")} - {"coreset"}))
def test_every_initial_draw_gives_different_images(choice: str) -> None:
    targets = torch.arange(600) % 6
    indices = built("initial", f"initial={choice}")(targets, 61, Generator().manual_seed(0))
    assert len(indices.unique()) == 61
    assert len(targets[indices].unique()) == (3 if choice == "biased" else 6)


def test_images_that_are_spread_are_drawn_by_features_kept_below_the_root(tmp_path: Path) -> None:
    features = ("~initial.features", "+initial.features._target_=helpers.features.Convolutions")
    draw = built("initial", "initial=coreset", f"root={tmp_path}", *features)
    train = digits().train
    indices = draw(train.targets[:200], 9, Generator().manual_seed(0), images=train.images[:200])
    assert len(indices.unique()) == 9
    assert [*(tmp_path / "features").iterdir()]


@pytest.mark.parametrize("choice", choices_of("oracle"))
def test_every_oracle_is_made_for_a_dataset(choice: str, tmp_path: Path) -> None:
    oracle = built("oracle", f"oracle={choice}")(digits(), tmp_path)
    assert isinstance(oracle, {"ideal": Ideal, "noisy": Noisy, "annotator": Annotator, "human": Human}[choice])


@pytest.mark.parametrize("choice", choices_of("strategy"))
def test_every_strategy_is_built_without_another_option(choice: str) -> None:
    assert callable(built("strategy", f"strategy={choice}").query)
    sizes = built("budget", f"strategy={choice}").of(1_437)
    assert (sizes.next(1_437), sizes.initial) == (0, 1_437 if choice == "full" else 20)


def test_every_scale_limits_the_same_things() -> None:
    scales = {choice: composed(f"scale={choice}").values["scale"] for choice in choices_of("scale")}
    assert {*scales} == {*SCALES} == {scale["name"] for scale in scales.values()}
    assert all(scale.keys() == scales["paper"].keys() for scale in scales.values())
    assert all(value in ("paper", "image_vae", 1.0, None, {}) for value in scales["paper"].values())
    assert not scales["laptop"]["stand_in"]


@pytest.mark.slow
@together
def test_smoke_has_pictures_for_the_data_of_every_experiment() -> None:
    shapes = composed("scale=smoke").values["scale"]["stand_in"]
    used = {composed(f"experiment={stem}").choices["dataset"] for stem in choices_of("experiment")}
    assert used - {"digits"} <= {*shapes}
    for name, (channels, height, width, classes, whole, *of_pixels) in shapes.items():
        made = (made_up_masks if of_pixels else made_up)(name, shapes[name][:4])
        assert whole == TRAIN_IMAGES[name]
        assert (*made.train.images.shape[1:], len(made.classes)) == (channels, height, width, classes)
        assert counted(made.train.targets, classes).min() >= 2


@pytest.mark.parametrize("choice", choices_of("dataset"))
def test_every_dataset_names_functions_that_take_its_options(choice: str) -> None:
    found = composed(f"dataset={choice}")
    own = {"folder": {"dataset.path"}, "folder_masks": {"dataset.path"}, "shards": {"dataset.train", "dataset.test"}}
    assert OmegaConf.missing_keys(found.config) == own.get(choice, set())
    dataset = found.values["dataset"]
    if "build" in dataset:
        assert dataset["name"] == choice
        assert dataset.get("source", choice) == dataset["build"]["_target_"].rpartition(".")[2]
    for node in (dataset, dataset.get("build", {})):
        if "_target_" in node:
            options = {key: value for key, value in node.items() if not key.startswith("_")}
            signature = inspect.signature(hydra.utils.get_method(node["_target_"]))
            signature.bind_partial(**options) if node.get("_partial_") else signature.bind(**options)


@pytest.mark.data
@pytest.mark.parametrize("choice", TRAIN_IMAGES)
def test_the_datasets_that_lie_here_are_built(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alsuite.data.store.build_once", lambda folder, *_: pytest.skip(f"{folder.name} is not here"))
    dataset = built("dataset", f"dataset={choice}")
    assert isinstance(dataset, Dataset)
    assert 0 < len(dataset.train.targets) <= TRAIN_IMAGES[choice]


@pytest.mark.parametrize("choice", choices_of("budget"))
def test_every_budget_fits_the_data_it_is_meant_for(choice: str) -> None:
    budget = built("budget", f"budget={choice}")
    for dataset in MEANT_FOR[choice]:
        size = TRAIN_IMAGES[dataset]
        counts = budget.of(size)
        assert 0 < counts.initial <= counts.end <= size
        for pool, cycles in ((5_000, 20), (500, 2)):
            cut = budget.of(min(pool, size), size, cycles)
            assert 0 < cut.initial <= cut.end <= pool


@pytest.mark.slow
@together
@pytest.mark.parametrize("figure", FIGURES)
def test_every_experiment_composes_and_has_a_figure(figure: str) -> None:
    found = composed(f"experiment={figure}").values
    panels = [replace(panel, swept=()) for panel in read_panels(figure, CONF)]
    assert panels_of(found["figure"], figure, found["experiment"]) == panels != []
    assert found["sweeps"]


@pytest.mark.slow
@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("scale", SCALES[1:])
def test_the_runs_of_every_experiment_compose_at_reduced_scales(runs: str, scale: str) -> None:
    found = composed(f"experiment=runs/{runs}", f"scale={scale}").values
    assert (found["experiment"], found["scale"]["name"]) == (runs, scale)
    assert found["sweeps"]


@pytest.mark.slow
@together
@pytest.mark.parametrize("figure", FIGURES)
def test_the_sweeps_of_an_experiment_compose_and_fit_their_data(figure: str) -> None:
    for found in swept(figure):
        values = found.values
        name, held = values["dataset"].get("name", "digits"), int(values["dataset"].get("validation", 0))
        size = TRAIN_IMAGES[name] - HELD.get((name, held), held)
        budget = Budget(*(values["budget"][name] for name in ("initial", "query", "end")))
        for name in SCALES:
            limits = composed(f"scale={name}").values["scale"] | values["at_scale"].get(name, {})
            cut = budget.of(min(limits["pool"] or size, size), size, limits["cycles"])
            assert bool(cut.next(int(cut.initial))) == (found.choices["strategy"] not in ("full", "svm")), name


@pytest.mark.slow
@together
@pytest.mark.parametrize("figure", FIGURES)
def test_each_sweep_composes_without_the_options_that_it_sweeps(figure: str) -> None:
    """Hydra wants it: an option of a group that is swept itself can't be set beside it."""
    for line in lines(figure):
        assert plainly(line).sweeps


@pytest.mark.slow
@together
@pytest.mark.parametrize("figure", FIGURES)
def test_every_panel_shows_runs_that_the_experiment_makes(figure: str) -> None:
    rows = [row for found in swept(figure) for row in columns(found)]
    for panel in read_panels(figure, CONF):
        where = {"experiment": panel.experiment, **panel.where}
        wanted = {key: value if isinstance(value, list | tuple) else [value] for key, value in where.items()}
        shown = [row for row in rows if all(row.get(key) in values for key, values in wanted.items())]
        assert shown, wanted
        assert all(any(name in row for row in shown) for name in panel.series), panel.series


def test_what_is_given_several_times_is_run_once() -> None:
    assert len(jobs_of(["experiment=demo", "seed=0,0", "strategy=random,badge,random"], composer())) == 2


@pytest.mark.parametrize("experiment", [[], ["experiment=vaal_fig2_cifar10", "seed=0"]])
def test_an_option_that_all_values_of_another_bring_may_stand_beside_them(experiment: list[str]) -> None:
    jobs = jobs_of([*experiment, "strategy=vaal,ta_vaal", "strategy.batch=64"], composer())
    assert [[one for one in job if one.startswith("strategy")] for job in jobs] == [
        ["strategy=vaal", "strategy.batch=64"],
        ["strategy=ta_vaal", "strategy.batch=64"],
    ]


def test_a_root_in_the_own_folder_is_what_it_is_in_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert [path_kept(one) for one in ("root=~/runs", "root=a~/b", "task_model=~/x", "root=~")] == [
        "root='/home/me/runs'",
        "root=a~/b",
        "task_model=~/x",
        "root=~",
    ]


def test_options_below_a_group_are_listed_since_hydra_looks_without_its_lists_at_first() -> None:
    given = ["strategy=vaal,ta_vaal", "strategy.batch=64", "+strategy.more=[1,2]", "strategy.lr=0.1,0.2", "~strategy.d"]
    listed = ["strategy.batch=choice(64)", "+strategy.more=choice([1,2])"]
    assert beside_choices([*given, "seed=2"]) == [given[0], *listed, *given[3:], "seed=2"]


@pytest.mark.parametrize("option", ["strategy.alpha=1", "strategy.alpha=choice(1)"])
def test_an_option_that_the_strategy_of_the_sweeps_alone_has_needs_no_strategy_beside_it(option: str) -> None:
    jobs = jobs_of(["experiment=runs/active_gan_rewards", "seed=0", option], composer())
    assert [{"strategy=active_gan", "strategy.alpha=1.0"} <= {*job} for job in jobs] == [True]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            ["strategy=vaal,random", "strategy.batch=64"],
            "strategy=random has no option strategy.batch: it has none, and [+]strategy.batch=",
        ),
        (["strategy=vaal,aalu", "strategy.bach=64"], "strategy=vaal has no option strategy.bach: it has batch"),
    ],
)
def test_an_option_that_a_swept_strategy_lacks_is_told_before_any_run(given: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        jobs_of([*given, "dataset=digits"], composer())


@pytest.mark.parametrize(
    "data",
    [
        ["dataset=folder", "dataset.path=photos"],
        ["dataset=folder_masks", "dataset.path=photos"],
        ["dataset=shards", "dataset.train=train.tar", "dataset.classes=[cat,dog]"],
    ],
)
def test_strategies_are_compared_on_ones_own_data(data: list[str]) -> None:
    jobs = jobs_of([*data, "strategy=random,margin"], composer())
    assert [{*data} <= {*job} for job in jobs] == [True, True]
    with pytest.raises(UserError, match=rf"{data[0]} has no option dataset\.paht: it has (path|classes)"):
        jobs_of([data[0], "dataset.paht=photos", "strategy=random,margin"], composer())


def test_values_that_the_sweeps_lack_are_run_as_each_is_alone() -> None:
    def runs(*given: str) -> set[frozenset[str]]:
        return {frozenset(run) for line in asked(["experiment=asal_fig17", "seed=0", *given]) for run in expanded(line)}

    strategies, features = ("random", "asal", "badge"), ("gray", "vgg16")
    alone = [runs(f"strategy={strategy}", f"features={each}") for strategy in strategies for each in features]
    assert runs("strategy=random,asal,badge", "features=gray,vgg16") == set().union(*alone)


def columns(found: Composed) -> Iterator[dict[str, Any]]:
    """What the results of a run will be told apart by, a row per test set."""
    flat: dict[str, Any] = {**found.choices, **{key: found.values[key] for key in ("experiment", "seed")}}
    for group in GROUPS:
        node = found.values.get(group)
        flat |= {f"{group}.{key}": value for key, value in node.items()} if isinstance(node, dict) else {}
    dataset = found.values["dataset"]
    for test in (dataset.get("name", "digits"), *(dataset.get("extra_tests") or {})):
        yield {**flat, "test": test}


@pytest.mark.slow
def test_the_sweeps_of_an_experiment_become_runs_in_folders_of_their_own() -> None:
    compose = composer()
    folders = set()
    jobs = jobs_of(["experiment=asal_fig17", "scale=smoke", "root=/tmp/runs"], compose)
    for job in jobs:
        config = compose(job)
        folders.add(f"{config.hydra.sweep.dir}/{config.hydra.sweep.subdir}")
    assert len(folders) == len(jobs) == 22
    assert {str(Path(folder).parent) for folder in folders} == {"/tmp/runs/asal_mnist57/smoke"}


def test_the_command_line_narrows_every_sweep_of_an_experiment() -> None:
    narrowed = asked(["experiment=asal_fig17", "strategy=random", "seed=7"])
    assert len(narrowed) == 2
    assert all("seed=7" in line and "strategy=random" in line for line in narrowed)
    assert not any(argument.startswith(("seed=range", "strategy=full")) for line in narrowed for argument in line)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["strategy=random"], [["task_model.loss=cross_entropy", "strategy=random"], ["task_model.loss=hinge"]]),
        (["strategy=random,asal"], [["strategy=random"], ["strategy=random"], ["strategy=asal", "oracle=annotator"]]),
        (["strategy=badge"], [["task_model.loss=cross_entropy", "strategy=badge"], ["task_model.loss=hinge"]]),
        (
            ["strategy=random,badge"],
            [
                ["task_model.loss=cross_entropy", "strategy=random"],
                ["task_model.loss=hinge", "strategy=random"],
                ["task_model.loss=cross_entropy", "strategy=badge"],
                ["task_model.loss=hinge", "strategy=badge"],
            ],
        ),
        (["task_model.loss=hinge", "strategy=entropy"], [["task_model.loss=hinge", "strategy=entropy"]]),
        (["strategy=asal", "features=gray"], [["strategy=asal", "features=gray", "generator=wgan_gp,dcgan"]]),
    ],
)
def test_what_is_given_keeps_the_sweeps_that_have_it(given: list[str], expected: list[list[str]]) -> None:
    """And a strategy that none of them has runs once in each of the settings."""
    found = asked(["experiment=asal_fig17", *given])
    assert len(found) == len(expected)
    for line, wanted in zip(found, expected, strict=True):
        assert {*wanted} <= {*line}
        assert len({argument.split("=")[0] for argument in line}) == len(line)


@pytest.mark.slow
def test_a_figure_that_draws_on_other_experiments_makes_their_runs_too() -> None:
    made = {argument for line in asked(["experiment=asal_fig4"]) for argument in line}
    assert {"experiment=asal_fig4", "experiment=runs/asal_mnist", "experiment=runs/asal_cifar10_two"} <= made
