"""The numbers behind a panel, as tables."""

from dataclasses import replace

import pandas as pd

from alsuite.figures.parts import Part, derived, part_named, per_run
from alsuite.figures.spec import Panel
from alsuite.results.intervals import interval
from alsuite.results.measures import factor, largest
from alsuite.results.report import report

__all__ = ["named", "tabled"]


def named(frame: pd.DataFrame, panel: Panel) -> Part:
    """Call the series as the picture does, each value of its x axis a series of its own."""
    columns = panel.series if panel.x == "labelled" else (*panel.series, panel.x)
    return part_named(replace(panel, series=columns), frame)


def tabled(frame: pd.DataFrame, panel: Panel) -> tuple[str, dict[str, pd.DataFrame]]:
    """Compare the series by the panel's own measure: as curves, or by a value for each run; pictures have no table."""
    if not panel.of.measures:
        return "", {}
    if panel.x == "labelled" and (panel.of.shows in ("curves", "matrix") or panel.y == "aubc"):
        y = panel.y.replace("aubc", "accuracy")
        return report(named(frame, panel).frame, ["series"], y)
    frame = derived(frame, panel)
    part = named(frame, panel)
    table = interval(per_run(part.frame, panel), ["series"], panel.y, largest(panel.y, frame))
    table = table.sort_values("series", key=lambda names: names.map(part.order.index))
    numbers = ["mean", "sd", "low", "high"]
    shown = table.assign(**{name: factor(panel.y) * table[name] for name in numbers})  # fractions in percent
    return shown.to_string(index=False, na_rep="", float_format="{:.4g}".format), {
        "values": table.assign(measure=panel.y)
    }
