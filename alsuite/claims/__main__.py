"""`python -m alsuite.claims [PAPER] [--scale S]`: what the measured runs say to what the papers claim.

It prints each claim with its verdict and what was measured. With neither a paper nor a scale it also writes the table
of all to outputs/claims.csv; scripts/publish.py writes that of what is published alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from alsuite import CONF
from alsuite.claims import read_claims, verdicts
from alsuite.claims.told import told
from alsuite.claims.verdicts import VERDICTS, measured_runs
from alsuite.command.complaints import complaining
from alsuite.errors import UserError, one_of

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the verdicts that the command line asks for.

    Arguments:
        arguments: those after the module's name; None takes the process's own
    """
    parser = argparse.ArgumentParser(prog="python -m alsuite.claims", description="Judge what the papers claim.")
    parser.add_argument("paper", nargs="?", help="one paper's claims alone, such as vaal")
    parser.add_argument("--scale", help="judge runs of this scale alone")
    parser.add_argument("--root", type=Path, default=Path("outputs"))
    options = parser.parse_args(arguments)
    with complaining():
        if not options.root.is_dir():
            raise UserError(f"there is no folder {options.root}: name that of the runs as --root")
        if options.scale is not None and not any(options.root.glob(f"*/{options.scale}/")):  # nor one of your own
            one_of("--scale", options.scale, [path.stem for path in sorted((CONF / "scale").glob("*.yaml"))])
        _judge(options)


def _judge(options: argparse.Namespace) -> None:
    """Judge the claims, print the verdicts, and store the table where it is of all."""
    table = verdicts(read_claims(paper=options.paper), measured_runs(options.root, options.scale))
    for paper, part in table.groupby("paper", sort=False):
        print(f"\n{paper}\n" + "\n".join(told(row) for row in part.to_dict("records")))
    print("\n" + verdicts_counted(table).to_string(na_rep="0"))
    if options.paper is None and options.scale is None:
        path = options.root / "claims.csv"
        table.round(5).to_csv(path, index=False)
        print(f"\n{path}")


def verdicts_counted(table: pd.DataFrame) -> pd.DataFrame:
    """Count the verdicts on each paper's claims."""
    counts = pd.crosstab(table["paper"], table["verdict"]).reindex(columns=VERDICTS, fill_value=0)
    return counts.loc[[*dict.fromkeys(table["paper"])]]


if __name__ == "__main__":
    main()
