"""Groups of samples on one plane by t-SNE (van der Maaten & Hinton 2008), as ActiveGAN's figure 4 shows them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

__all__ = ["plane"]


def plane(groups: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Place each group's (N, D) features on a plane, embedded together, and return (N, 2) places; a group may be empty.

    The names begin with "plane_", by which a figure knows them among what a run has stored. The seed is fixed.
    """
    from sklearn.manifold import TSNE

    values = torch.cat([group.flatten(1).float().cpu() for group in groups.values()]).numpy()
    perplexity = min(30.0, (len(values) - 1) / 3)
    places = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(values).astype(np.float32)
    ends = np.cumsum([len(group) for group in groups.values()])[:-1]
    return {f"plane_{name}": part for name, part in zip(groups, np.split(places, ends), strict=True)}
