"""`python -m alsuite.figures STEM --scale S`: draw a figure from the runs there are."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from alsuite import CONF
from alsuite.errors import UserError
from alsuite.figures import draw

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m alsuite.figures", description="Draw a figure from its runs.")
    parser.add_argument("stem", help="the name of an experiment, a file in conf/experiment")
    parser.add_argument("--scale", required=True)
    parser.add_argument("--root", type=Path, default=Path("outputs"))
    parser.add_argument("--out", type=Path, help="the folder for the figure; by default ROOT/figures/SCALE")
    parser.add_argument("--config-dir", type=Path, default=CONF, help="a folder with your own experiment/STEM.yaml")
    options = parser.parse_args(arguments)
    try:
        paths = draw(options.stem, options.scale, options.root, options.out, configuration=options.config_dir)
    except UserError as error:
        sys.exit(str(error))
    print(*reversed(paths), sep="\n")


if __name__ == "__main__":
    main()
