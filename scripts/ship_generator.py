"""Let a generator come with alsuite: `python scripts/ship_generator.py mnist57 dcgan scale=laptop`.

It is trained, if it is not kept already, and scored as scripts/score_generator.py does; an auto-encoder
(`mnist57 autoencoder`) by what it gives back of the test images, an annotator of synthetic images (`mnist57 annotator`)
by the share of the test images that it labels right. Its weights are written in half precision to
alsuite/generators/trained/, where every run of just this configuration finds them, and its samples and scores to
outputs/published/generators/, with a page of all that there are.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import torch
from hydra.utils import instantiate
from score_generator import Scored, arguments, prepared, scored

from alsuite.command.complaints import complaining
from alsuite.command.identity import provenance
from alsuite.results.report import markdown
from alsuite.training import shipped
from alsuite.training.fit import infer
from alsuite.training.once import CURVES, PICTURE, WEIGHTS, makers
from alsuite.training.weights import contents

PUBLISHED = Path(__file__).resolve().parent.parent / "outputs" / "published" / "generators"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--trained-on", metavar="DEVICE", help="where what is kept was trained, if not here")
    options = parser.parse_args()
    ship({"autoencoder": reconstructing, "annotator": judging}.get(options.generator, scored)(options), options)
    (PUBLISHED / "README.md").write_text("\n".join(page()))
    print(PUBLISHED / "README.md")


def reconstructing(options: argparse.Namespace) -> Scored:
    """Train an auto-encoder, or find it, and tell what share of the test images' variance it gives back."""
    config, dataset, pool = prepared(options)
    generator = instantiate(config.generator)
    net, home = generator.kept(pool)
    images = net.ranged(next(iter(dataset.tests.values())).images.to(pool.device))
    error = infer(lambda x: (net.decode(net.encode(x)) - x).square().flatten(1).mean(1), images).mean()
    variance = (images - images.mean(0)).square().mean()
    return Scored(makers(generator.net, generator), home, {"explained": (1 - float(error / variance),)})


def judging(options: argparse.Namespace) -> Scored:
    """Train an annotator, or find it, and tell what share of the test images it labels right."""
    config, dataset, pool = prepared(options, "oracle")
    task, home = instantiate(config.oracle)(dataset, Path()).taught(pool)
    test = next(iter(dataset.tests.values()))
    right = task.log_probs(test.images.to(pool.device)).argmax(1).cpu() == test.targets
    return Scored(makers(task.make_net, task), home, {"right": (float(right.float().mean()),)})


def ship(found: Scored, options: argparse.Namespace) -> None:
    """Write the weights for everybody, and the samples beside the page."""
    state, told = contents(found.home / WEIGHTS)
    its = shipped.about(told["about"], found.modules)
    row = [json.loads(its)["epochs"]] if options.generator == "annotator" else trained(found.home)
    made_by = provenance(torch.device("cpu"))
    device = options.trained_on or made_by["device"]
    asked = [options.dataset, options.generator, *(one for one in options.overrides if not one.startswith("root="))]
    command = " ".join(["python", "scripts/ship_generator.py", *asked])
    name = f"{options.dataset}_{options.generator}_{row[0]}"
    told = {"scores": found.scores, "device": device, "commit": made_by["commit"], "command": command}
    shipped.ship(shipped.FOLDER / f"{name}.safetensors", state, its, row, **told)
    PUBLISHED.mkdir(parents=True, exist_ok=True)
    if (found.home / PICTURE).exists():
        shutil.copy(found.home / PICTURE, PUBLISHED / f"{name}.png")


def trained(home: Path) -> list[float]:
    """Return for how many iterations it was trained, the seconds that they took, and the losses at their end."""
    curves = pd.read_csv(home / CURVES)
    return [int(curves.iteration.iloc[-1]), float(curves.seconds.sum()), *map(float, curves.iloc[-1, 2:])]


def page() -> Iterator[str]:
    """Tell of all generators that come with alsuite."""
    yield "# Generators that come with alsuite\n"
    yield "Runs of just these configurations train none of their own. Scores are by a small classifier of the data's"
    yield "own labels, which no strategy sees, with real training images beside: an Inception score up to the number of"
    yield "classes, and a Frechet distance to the test images, of which less is better.\n"
    paths = sorted(shipped.FOLDER.glob("*.safetensors"))
    them = [(path, shipped.read(path)) for path in paths]
    heads = ("generator", "Inception score (real)", "Frechet distance (real)", "iterations", "hours")
    yield table(heads, them, "generated", lambda its: (*quality(its), *pace(its)))
    yield "\nAuto-encoders, whose codes compare images: the share of the test images' variance that they give back.\n"
    heads = ("auto-encoder", "given back", "iterations", "hours")
    yield table(heads, them, "explained", lambda its: (f"{its.told['scores']['explained'][0]:.1%}", *pace(its)))
    yield "\nAnnotators, which label synthetic images in a person's place: the share of test images they get right.\n"
    yield table(("annotator", "right"), them, "right", lambda its: (f"{its.told['scores']['right'][0]:.2%}",))
    yield from (f"\n![{path.stem}]({path.stem}.png)" for path in paths if (PUBLISHED / f"{path.stem}.png").exists())
    yield ""


def table(
    heads: Sequence[str],
    them: Sequence[tuple[Path, shipped.Shipped]],
    score: str,
    cells: Callable[[shipped.Shipped], Sequence[str]],
) -> str:
    """Tell of those that have a score in a line each: the cells, how large they are and what made them."""
    rows = []
    for path, its in them:
        if score in its.told["scores"]:
            made_by = f"`{its.told['command']}` at {its.told['commit'][:7]}, {its.told['device']}"
            rows.append((path.stem, *cells(its), f"{path.stat().st_size / 1e6:.2f}", made_by))
    return markdown((*heads, "megabytes", "made by"), rows)


def quality(its: shipped.Shipped) -> tuple[str, str]:
    """Tell a generator's two scores, with those of real images."""
    (score, distance), (best, least) = its.told["scores"].values()
    return f"{score:.2f} ({best:.2f})", f"{distance:.2f} ({least:.2f})"


def pace(its: shipped.Shipped) -> tuple[str, str]:
    """Tell the iterations and the hours that they took."""
    return f"{int(its.row[0]):,}", f"{its.row[1] / 3600:.2f}"


if __name__ == "__main__":
    with complaining():
        main()
