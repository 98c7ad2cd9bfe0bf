"""Image data sets as plain arrays: every one a train split, test splits and the names of its classes."""

from alsuite.data.dataset import Dataset, Split
from alsuite.data.store import load

__all__ = ["Dataset", "Split", "load"]
