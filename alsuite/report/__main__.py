"""`python -m alsuite.report [EXPERIMENT...]`: write the site of what was measured to ROOT/report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from alsuite import CONF
from alsuite.command.complaints import complaining
from alsuite.places import check_folder

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, write the site and print where it starts.

    Arguments:
        arguments: those after the module's name; None takes the process's own
    """
    parser = argparse.ArgumentParser(prog="python -m alsuite.report", description="Write a site of what was measured.")
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="show its runs below ROOT, too")
    parser.add_argument("--root", type=Path, default=Path("outputs"))
    parser.add_argument("--config-dir", type=Path, default=CONF, help="a folder with your own experiment/NAME.yaml")
    options = parser.parse_args(arguments)
    try:
        from alsuite.report.pages import write_report
    except ModuleNotFoundError as error:
        sys.exit(f"alsuite: the report needs {error.name}: pip install jinja2 plotly")
    with complaining():
        check_folder(options.config_dir)
        print(write_report(options.root, options.root / "report", options.experiments, options.config_dir))


if __name__ == "__main__":
    main()
