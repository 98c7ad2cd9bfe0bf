"""Losalka, Singhania and Sun: Active Learning using Deep Generative Models."""

from helpers.settings import Row

M2 = {"task_model": "m2", "task_model.vae.latent": 32, "task_model.discriminator_layers": 3, "pool": 55_000}
WEIGHTS = {"task_model.transductive": 1, "task_model.beta": 1, "task_model.epoch_of": "unlabelled"}
THOUSANDS = {"labels.initial": 1_000, "labels.query": 1_000, "labels.end": 8_000, "initial": "uniform"}
FEW = {"labels.initial": 500, "labels.query": 64, "labels.end": 2_000}
SIXTY_FOURS = {**FEW, "initial.only": [2, 4, 7], "pool": 55_000}
FIFTIES = {"labels.initial": 50, "labels.query": 50, "task_model.net.width": 2, "initial": "uniform"}
BASELINES = ("random", "least_confidence", "entropy")
EQUATIONS = {  # 8 and 9
    "m2_vaal": {"task_model.discriminator": "adversarial"},
    "m2_vaal_no_adv": {"task_model.discriminator": "detached"},
}
ROWS: list[Row] = [
    *(
        (f"strategy={name} dataset=fashion_mnist", "4.1, figure 2a", M2 | WEIGHTS | THOUSANDS | its)
        for name, its in EQUATIONS.items()
    ),
    *(
        (f"experiment=m2vaal_fig2b strategy={name}", "4.1, 4.2.1", M2 | WEIGHTS | SIXTY_FOURS | its)
        for name, its in EQUATIONS.items()
    ),
    ("experiment=m2vaal_fig2b strategy=random", "1: task-agnostic", SIXTY_FOURS | {"task_model": "convnet"}),
    ("experiment=m2vaal_fig2b strategy=vaal", "1: task-agnostic", SIXTY_FOURS | {"task_model": "convnet"}),
    ("experiment=m2vaal_fig2a task_model=m2", "4.2.1", M2 | THOUSANDS),
    *((f"strategy={name} dataset=fashion_mnist", "4.1", M2 | WEIGHTS | FIFTIES) for name in ("m2_alg1", "m2_alg2")),
    ("experiment=m2vaal_fig4", "4.1", M2 | FIFTIES),
    *((f"experiment=m2vaal_fig4 strategy={name}", "4.2.3", M2 | FIFTIES) for name in BASELINES),
    ("experiment=m2vaal_fig2a task_model=convnet", "4.2.1", THOUSANDS | {"pool": 55_000}),
]
