"""A verdict in words."""

from __future__ import annotations

import math

from alsuite.claims.judging import MANY
from alsuite.figures.reduced import Row

__all__ = ["decimals", "short", "told", "what_was_measured"]


def told(row: Row) -> str:
    """Say the verdict on a claim in two lines: what is claimed, then where, and what was measured.

    Arguments:
        row: of the table that `alsuite.claims.verdicts` makes
    """
    head = f"{row['verdict']:<13} {row['claim']}: {row['says']}"
    return f"{head}\n{'':14}{row['place']}; {what_was_measured(row)}"


def what_was_measured(row: Row) -> str:
    """Say what was measured, at which scale, and how sure it is; or why nothing was."""
    if row["verdict"] == "not measured":
        return str(row["why"])
    space = "" if row["unit"] in ("x", "") else " "
    known = row["effect"] == row["effect"]
    parts = [f"{short(row['effect'])}{space}{row['unit']}" if known else "a curve does not reach that height"]
    if row["low"] == row["low"]:
        parts[0] += f" [{short(row['low'])}, {short(row['high'])}]"
    if row["comparisons"] != 1:
        parts[0] += f" in the weakest of {row['comparisons']:.0f} comparisons"
    if row["published"] == row["published"] and row["published"] is not None:
        parts.append(f"published {row['published']:,.10g}")
    seeds = "1 seed" if row["seeds"] == 1 else f"{row['seeds']:.0f} seeds"
    tested = f", Holm p {row['holm_p']:.2g}" if row["holm_p"] == row["holm_p"] else ""
    tested += f" (alone {row['p']:.2g}, {row['leans']} it)" if isinstance(row["leans"], str) else ""
    parts.append(f"{seeds}, scale={row['scale']}, protocol={row['protocol']}{tested}")
    if row["verdict"] == "undecided" and row["seeds_needed"] == row["seeds_needed"]:
        needed = row["seeds_needed"]
        seeds = f"about {needed:.0f}" if needed <= MANY else f"more than {MANY}"
        parts.append(f"{seeds} seeds would decide an effect as large as this")
    if isinstance(row["why"], str):
        parts.append(row["why"])
    return "; ".join(parts)


def short(value: float) -> str:
    """Write the three digits of a number that count, and no exponent.

    >>> short(12_745), short(10.03), short(-0.41), short(9.996), short(0)
    ('12,700', '10.0', '-0.410', '10.0', '0')
    """
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.{decimals(rounded)}f}" if rounded else "0"


def decimals(value: float) -> int:
    """Return how many decimals show three digits that count."""
    return max(0, 2 - math.floor(math.log10(abs(value)))) if value and math.isfinite(value) else 0
