"""Let a generator come with alsuite: `python scripts/ship_generator.py mnist57 dcgan scale=laptop`.

It is trained, if it is not kept already, and scored as scripts/score_generator.py does. Its weights are written in half
precision to alsuite/generators/trained/, where every run of just this configuration finds them, and its samples and
scores to outputs/published/generators/, with a page of all that there are.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch
from hydra.errors import HydraException
from safetensors import safe_open
from score_generator import Scored, arguments, one_line, scored

from alsuite.command.identity import provenance
from alsuite.errors import UserError
from alsuite.training import shipped
from alsuite.training.once import CURVES, WEIGHTS, makers

PUBLISHED = Path(__file__).resolve().parent.parent / "outputs" / "published" / "generators"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--trained-on", metavar="DEVICE", help="where what is kept was trained, if not here")
    options = parser.parse_args()
    ship(scored(options), options)
    (PUBLISHED / "README.md").write_text("\n".join(page()))
    print(PUBLISHED / "README.md")


def ship(found: Scored, options: argparse.Namespace) -> None:
    """Write the weights for everybody, and the samples beside the page."""
    with safe_open(found.home / WEIGHTS, "pt") as file:
        state, facts = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()["about"]  # noqa: SIM118
    curves = pd.read_csv(found.home / CURVES)
    row = [int(curves.iteration.iloc[-1]), float(curves.seconds.sum()), *map(float, curves.iloc[-1, 2:])]
    its = shipped.about(facts, makers(found.generator.net, type(found.generator).__module__))
    made_by = provenance(torch.device("cpu"))
    device = options.trained_on or made_by["device"]
    asked = [options.dataset, options.generator, *(one for one in options.overrides if not one.startswith("root="))]
    command = " ".join(["python", "scripts/ship_generator.py", *asked])
    name = f"{options.dataset}_{options.generator}_{row[0]}"
    told = {"scores": found.scores, "device": device, "commit": made_by["commit"], "command": command}
    shipped.ship(shipped.FOLDER / f"{name}.safetensors", state, its, row, **told)
    PUBLISHED.mkdir(parents=True, exist_ok=True)
    shutil.copy(found.home / "samples.png", PUBLISHED / f"{name}.png")


def page() -> Iterator[str]:
    """Tell of all generators that come with alsuite."""
    yield "# Generators that come with alsuite\n"
    yield "Runs of just these configurations train none of their own. Scores are by a small classifier of the data's"
    yield "own labels, which no strategy sees, with real training images beside: an Inception score up to the number of"
    yield "classes, and a Frechet distance to the test images, of which less is better.\n"
    yield "| generator | iterations | hours | Inception score (real) | Frechet distance (real) | megabytes | made by |"
    yield "|---|---|---|---|---|---|---|"
    paths = sorted(shipped.FOLDER.glob("*.safetensors"))
    for path in paths:
        its = shipped.read(path)
        (score, distance), (best, least) = its.told["scores"].values()
        cells = [path.stem, f"{int(its.row[0]):,}", f"{its.row[1] / 3600:.2f}", f"{score:.2f} ({best:.2f})"]
        cells += [f"{distance:.2f} ({least:.2f})", f"{path.stat().st_size / 1e6:.1f}"]
        cells += [f"`{its.told['command']}` at {its.told['commit'][:7]}, {its.told['device']}"]
        yield f"| {' | '.join(cells)} |"
    yield from (f"\n![{path.stem}]({path.stem}.png)" for path in paths)
    yield ""


if __name__ == "__main__":
    try:
        main()
    except (UserError, HydraException) as error:
        sys.exit(f"ship_generator: {one_line(error)}")
