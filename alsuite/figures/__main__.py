"""`python -m alsuite.figures STEM --scale S`: draw a figure from the runs there are; `--published`: from those kept."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from alsuite import CONF
from alsuite.command.complaints import complaining
from alsuite.figures import draw
from alsuite.places import check_folder

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, draw the figure and print the paths of its files, the PNG first.

    arguments: the words of the command line, by default those of this process

    A mistake of the user's ends the process with its one line instead of a traceback.
    """
    parser = argparse.ArgumentParser(prog="python -m alsuite.figures", description="Draw a figure from its runs.")
    parser.add_argument("stem", help="the name of an experiment, a file in conf/experiment")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--scale", help="draw from the runs of this scale below ROOT")
    source.add_argument("--published", action="store_true", help="draw from the published table in ROOT/published/STEM")
    parser.add_argument("--root", type=Path, default=Path("outputs"))
    parser.add_argument(
        "--out",
        type=Path,
        help="the folder for the figure; by default ROOT/figures/SCALE or that of the published table",
    )
    parser.add_argument("--config-dir", type=Path, default=CONF, help="a folder with your own experiment/STEM.yaml")
    options = parser.parse_args(arguments)
    with complaining():
        check_folder(options.config_dir)
        folder = options.root / "published" / options.stem if options.published else None
        out = options.out or folder
        told = "" if folder else _claims(options.stem, options.root, options.scale)
        conf = options.config_dir
        paths = draw(options.stem, options.scale, options.root, out, configuration=conf, published=folder, beneath=told)
    print(*reversed(paths), sep="\n")


def _claims(stem: str, root: Path, scale: str | None) -> str:
    """Tell how the paper's claims came out by the runs below the root that this figure shows; of published ones the
    page tells.
    """
    from alsuite.claims import below_a_picture, live_runs, verdicts_on

    return below_a_picture(verdicts_on(stem, live_runs(root, scale)))


if __name__ == "__main__":
    main()
