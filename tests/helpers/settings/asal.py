"""Mayer and Timofte: Adversarial Sampling for Active Learning."""

from helpers.settings import ADAM_1E3, Row

LINEAR = {"task_model": "linear", "task_model.epochs": 10, "task_model.loss": "cross_entropy", **ADAM_1E3}
TENS = {"task_model.batch": 10, "budget.query": 10, "budget.end": 500, "initial": "stratified"}
ASCENT = {"strategy.steps": 100, "strategy.lr": 0.01, "strategy.dimensions": 50, "generator": "wgan_gp"}
FIFTY_K = {"dataset.validation": 10_000, "pool": 9_765}  # fives and sevens of 50,000 digits
HINGE = {"task_model": "linear", "task_model.loss": "hinge"}
GAAL = {"task_model": "linear", "generator": "wgan_gp", "oracle": "annotator", "budget.end": 500}
LENET = {"task_model": "lenet", "task_model.batch": 50, "task_model.epochs": 10, **ADAM_1E3}
TO_10K = {"budget.initial": 100, "budget.query": 50, "budget.end": 10_000, "initial": "stratified"}
SGD = {"task_model.optimiser": "sgd", "task_model.lr": 0.01, "task_model.momentum": 0.9, "task_model.batch": 128}
DECAY = {"task_model.epochs": 150, "task_model.schedule": "steps", "task_model.milestones": [0.8667, 0.9333]}
ALL_CNN = {"task_model": "allcnn", "task_model.nesterov": False, **SGD, **DECAY}  # momentum alone
TO_30K = {"budget.initial": 1000, "budget.query": 1000, "budget.end": 30_000, "initial": "stratified"}
RESIDUAL = {"generator": "res_wgan_ct", "strategy.batch": 100, "features": "rgb"}
USPS = {"dataset.extra_tests.usps.pad": 3, "dataset.extra_tests.usps.size": 28}
FACES = {"task_model": "celeba_cnn", "task_model.batch": 50, "task_model.epochs": 30, **ADAM_1E3}
TO_2K = {"budget.initial": 100, "budget.query": 10, "budget.end": 2000, "initial": "proportional"}
CELEBA = {**FACES, **TO_2K, **ASCENT, "features": "rgb"}
PLAIN = {"task_model.augment": None}  # left out, which means none
GENERATOR = {"generator.lr": 1e-4, "generator.batch.default": 64}  # for CelebA
RUNS = {"14": 5, "24": 3}  # by figure
ROWS: list[Row] = [
    *(
        (f"experiment=asal_fig{figure} strategy=random", "5.2 and A.2: seeds", {"seeds": runs})
        for figure, runs in RUNS.items()
    ),
    *(
        (f"strategy=asal dataset={name}", "5.2: no augmentation", PLAIN)
        for name in ("mnist57", "mnist", "cifar10_two", "cifar10", "celeba_hat")
    ),
    ("strategy=asal dataset=celeba_hat", "A.2: the generator", GENERATOR),
    ("experiment=asal_fig9", "5.2: 50k training images", FIFTY_K),
    ("experiment=asal_fig18 strategy=asal generator=dcgan features=gray", "E: pad by 3, then 28 x 28", USPS),
    ("strategy=asal dataset=mnist57", "5.2, 5.3", LINEAR | TENS | ASCENT | {"features": "gray"} | FIFTY_K),
    ("strategy=asal_min_distance dataset=mnist57", "5.3, equation 1", LINEAR | TENS | ASCENT | HINGE | FIFTY_K),
    ("strategy=gaal dataset=mnist57", "5.3.1", GAAL | FIFTY_K),
    ("strategy=gaal dataset=cifar10_two", "5.4", GAAL | {"task_model.batch": 50, "budget.end": 1000}),
    ("strategy=asal dataset=cifar10_two", "5.4", LINEAR | TENS | ASCENT | {"task_model.batch": 50, "budget.end": 1000}),
    (
        "strategy=asal_min_distance dataset=cifar10_two",
        "5.4, figure 22",
        HINGE | {"task_model.batch": 50, "features": "rgb"},
    ),
    ("strategy=asal dataset=mnist", "5 and 5.5", LENET | TO_10K | ASCENT | {"features": "gray", "pool": 50_000}),
    ("strategy=asal dataset=cifar10", "5.6", ALL_CNN | TO_30K | ASCENT | RESIDUAL),
    ("strategy=asal dataset=celeba_hat", "A.2", CELEBA),
    ("strategy=asal dataset=celeba_bangs", "A.2", CELEBA),
    ("strategy=asal dataset=celeba_blond", "A.2", CELEBA),
]
