"""What a run gains class by class (ActiveGAN, figure 2)."""

import pandas as pd

from alsuite.errors import UserError
from alsuite.results.statistics import RUN

__all__ = ["gains"]


def gains(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each run and class, with its `f1_gain`.

    This is the number of points by which the class's F-score in the last cycle exceeds that in the first. The class
    stands in the place of the strategy, so that classes are told apart as series are. Runs of a version that did not
    keep the scores of each class are refused, since their gains can't be made up.
    """
    if "per_class_f1" not in frame or frame["per_class_f1"].isna().to_numpy().any():
        raise UserError("these runs were made before F-scores were kept for each class: delete them to run again")
    runs = frame.sort_values("cycle").groupby([*RUN, "test"], as_index=False)
    first, last = runs.first(), runs.last()
    pairs = zip(first["per_class_f1"], last["per_class_f1"], strict=True)
    each = pd.Series([[100 * (after - before) for before, after in zip(*pair, strict=True)] for pair in pairs])
    table = last.assign(strategy=last["classes"], f1_gain=each).explode(["strategy", "f1_gain"])
    return table.assign(f1_gain=table["f1_gain"].astype(float), run=table["run"] + "," + table["strategy"])
