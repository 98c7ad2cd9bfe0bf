"""`python -m alsuite.results EXPERIMENT` prints and stores the comparison of an experiment's runs."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from alsuite.command.complaints import complaining
from alsuite.errors import UserError
from alsuite.figures.spec import is_figure, read_panels
from alsuite.results import load_runs, select
from alsuite.results.overall import overall
from alsuite.results.report import report
from alsuite.results.statistics import with_series

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, print the comparison and store its tables.

    arguments: the words of the command line, by default those of this process
    """
    parser = argparse.ArgumentParser(prog="python -m alsuite.results", description="Compare the runs of an experiment.")
    parser.add_argument("experiment", help="a figure, or the folder under the root")
    parser.add_argument("--scale")
    parser.add_argument("--series", nargs="+", default=["strategy"], metavar="COL")
    parser.add_argument("--where", nargs="+", default=[], metavar="COL=VALUE")
    parser.add_argument("--metric", default="accuracy")
    parser.add_argument("--root", type=Path, default=Path("outputs"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    with complaining():
        _compare(options)


def _compare(options: argparse.Namespace) -> None:
    """Select the runs, compare their series, print the text and store each table as CSV.

    The tables go to the folder of the runs' one scale, or to that of the experiment where they are of several.
    """
    if wrong := [item for item in options.where if "=" not in item]:
        raise UserError(f"--where takes COLUMN=VALUE, not {wrong[0]}")
    if "/" in options.experiment.rstrip("/"):
        raise UserError(
            f"{options.experiment} is a path: name the experiment alone, a folder in {options.root}, "
            "and its scale with --scale"
        )
    where: dict[str, list[str]] = {}
    for column, value in (item.split("=", 1) for item in options.where):
        where.setdefault(column, []).append(value)
    experiment = _folder_of(options.experiment.rstrip("/"), options.root)
    wanted = {column: values[0] if len(values) == 1 else values for column, values in where.items()}
    frame = select(load_runs(experiment, options.scale, options.root), wanted)
    text, tables = report(frame, options.series, options.metric)
    more, others = overall(frame, options.series, options.metric)
    scales = frame["scale"].unique()
    base = options.root / str(frame["experiment"].iloc[0]) / (str(scales[0]) if len(scales) == 1 else "")
    folder = options.out or base / "results"
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in {"long": with_series(frame, options.series).drop(columns="options"), **tables, **others}.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    print("\n\n".join(filter(None, (text, more, str(folder)))))


def _folder_of(name: str, root: Path) -> str:
    """Return the folder of the runs that a figure shows; a folder's own name as it is."""
    if (root / name).is_dir() or not is_figure(name):
        return name
    folders = [*dict.fromkeys(panel.experiment for panel in read_panels(name))]
    if len(folders) > 1:
        raise UserError(f"{name} shows runs of {', '.join(folders)}: name one of these")
    return folders[0] if folders else name


if __name__ == "__main__":
    main()
