"""Image data sets as plain arrays: every one a train split, test splits and the names of its classes.

`raw` brings the files of the authors, `digits`, `cifar`, `celeba`, `folders` and `segmentation` turn them into arrays,
`store` keeps these on disk and opens them, and `dataset` checks and prepares what a run then sees.
"""

from alsuite.data.dataset import Dataset, Split
from alsuite.data.store import load

__all__ = ["Dataset", "Split", "load"]
