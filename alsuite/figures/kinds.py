"""What sets the kinds of panel apart, beside how they are drawn; what they mean is told in `alsuite.figures`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from alsuite.figures.costs import preparation_of, until_cheaper
from alsuite.figures.gains import gains
from alsuite.recorded import Options

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True)
class Kind:
    """One kind of panel.

    shows: curves, values of which a run has one each, shares of classes, a matrix, or pictures or places that one run
        has stored
    usual: fields that its panels have where they name no others
    rows: what makes of the runs' cycles the rows that are shown; None shows these themselves
    logarithmic: whether the axes of its numbers are
    """

    shows: Literal["curves", "values", "classes", "matrix", "pictures", "places"]
    usual: Options = field(default_factory=dict)
    rows: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    logarithmic: bool = False

    @property
    def stored(self) -> bool:
        """Whether it shows what one run has stored."""
        return self.shows in ("pictures", "places")

    @property
    def measures(self) -> bool:
        """Whether it shows the column that a panel names as its `y`."""
        return self.shows in ("curves", "values", "matrix")

    @property
    def by_cycle(self) -> bool:
        """Whether it shows a measure of the runs' cycles, and not rows that are made of these."""
        return self.measures and self.rows is None


KINDS = {
    "accuracy": Kind("curves"),
    "entropy": Kind("curves", {"y": "entropy"}),
    "labels": Kind("classes"),
    "bars": Kind("values"),
    "timing": Kind("values", {"y": "query_seconds", "at": "mean"}, logarithmic=True),
    "preparation": Kind("values", {"x": "pool", "y": "preparation_seconds"}, preparation_of, logarithmic=True),
    "transition": Kind("values", {"x": "pool", "y": "cycles_until_cheaper"}, until_cheaper, logarithmic=True),
    "gains": Kind("values", {"y": "f1_gain"}, gains),
    "images": Kind("pictures"),
    "masks": Kind("pictures"),
    "plane": Kind("places"),
    "aubc": Kind("matrix"),
    "penalty": Kind("matrix"),
}
