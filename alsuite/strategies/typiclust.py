"""TypiClust: the most typical sample of each large cluster that has no label.

G. Hacohen, A. Dekel, D. Weinshall: Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets, 2022.
https://arxiv.org/abs/2202.02794

K-means puts all samples, by features of unit length, into as many clusters as there will be labels after the query, 500
at the most. Of the clusters without a label the largest are asked for that sample x whose typicality is the largest:

    1 / mean over the K nearest neighbours x' in its cluster of |x - x'|,  K = 20, or all others where these are fewer

The paper's features are learned from the images alone (SimCLR), once, so that the first labels are chosen by them, too.
Here they are the task's own unless `features=` says which else: a task that knows few labels clusters by little, which
is not what the paper measured. Those of `features=` stay as they are: an auto-encoder's code, what ImageNet's VGG-16
makes of the images, or their pixels.

Once all clusters have labels those with the fewest come first, then the largest, in as many rounds as it takes, as in
the authors' release, which leaves out clusters of five samples and fewer; here they come last, so that a pool can be
asked for to its end. The release takes typicality among those without a label, and squared distances, where the paper
has plain ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import faiss
import torch
from torch import Tensor
from torch.nn.functional import normalize

from alsuite.errors import UserError, whole_number
from alsuite.matching.features import Discriminator, Features
from alsuite.matching.neighbours import finite, full_precision
from alsuite.notes import FIT_SECONDS
from alsuite.pool import Pool, Rows
from alsuite.strategies import Once, Query
from alsuite.tasks import Task, features_of
from alsuite.training.clock import clock
from alsuite.training.fit import infer

__all__ = ["TypiClust", "k_means", "most_typical", "typicality"]

NEIGHBOURS = 20
SMALL = 5  # samples up to which a cluster comes last
DISTANCES = 2**24  # that are held at once


class TypiClust:
    """Asks for typical samples of the largest clusters without a label.

    features: what images are clustered by; null takes the task's own features
    clusters: how many there are at the most
    """

    def __init__(self, features: Features | None = None, clusters: int = 500) -> None:
        whole_number("strategy.", clusters=clusters)
        if isinstance(features, Discriminator):
            raise UserError(
                "features=discriminator is what a generative model has: take gray, rgb, autoencoder or vgg16"
            )
        self.features = features
        self.clusters = clusters
        self.fixed = Once(self._fixed)

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        labelled, start = pool.labelled, clock(pool.device)
        places = torch.cat([labelled, pool.unlabelled])
        own = self.features is None
        vectors = infer(unit_long, features_of(task, pool.rows(places))) if own else self.fixed(pool)[places]
        seconds = clock(pool.device) - start
        clusters = k_means(vectors, min(len(labelled) + n, self.clusters))
        known = torch.arange(len(places), device=pool.device) < len(labelled)
        picks = most_typical(vectors, clusters, known, n)
        notes = {"clusters": len(clusters.unique()), "clusters_with_labels": len(clusters[known].unique())}
        return Query(places[picks], None, {**notes, FIT_SECONDS: seconds})

    def _fixed(self, pool: Pool) -> Tensor:
        """Return the (N, D) features of all images by what doesn't change."""
        none: Any = None  # since no images are made that they would be compared with
        assert self.features is not None
        everything = torch.arange(pool.originals, device=pool.device)
        extract = self.features.of(pool, none)
        return infer(lambda images: unit_long(extract(images)), Rows(pool.images, everything))


def unit_long(features: Tensor) -> Tensor:
    """Return (B, D) features of unit length."""
    return normalize(finite(features.flatten(1).float()), dim=1)


def k_means(points: Tensor, k: int) -> Tensor:
    """Return for each of (N, D) points the number of its cluster, of k; the seed is drawn from torch's generator."""
    values = points.cpu().contiguous().numpy()
    faiss.omp_set_num_threads(torch.get_num_threads())
    start = faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS
    seed = int(torch.randint(2**31 - 1, ()))
    clustering: Any = faiss.Kmeans(points.shape[1], k, seed=seed, init_method=start, min_points_per_centroid=1)
    clustering.train(values)
    return torch.from_numpy(clustering.assign(values)[1]).to(points.device)


def most_typical(points: Tensor, clusters: Tensor, known: Tensor, n: int) -> Tensor:
    """Return n positions among (N, D) points of unknown label, a cluster's most typical in its turn.

    clusters, known: (N,) the cluster of each, and whether its label is known
    """
    sizes = torch.bincount(clusters).tolist()
    left = torch.bincount(clusters[~known], minlength=len(sizes)).tolist()
    order = sorted(range(len(sizes)), key=lambda c: (sizes[c] <= SMALL, sizes[c] - left[c], -sizes[c]))
    ranked: dict[int, Iterator[int]] = {}
    picks: list[int] = []
    for small in (False, True):
        turns = [c for c in order if left[c] and (sizes[c] <= SMALL) == small]
        while turns and len(picks) < n:
            for cluster in turns[: n - len(picks)]:
                if cluster not in ranked:
                    ranked[cluster] = _ranked(points, torch.nonzero(clusters == cluster).squeeze(1), known)
                picks.append(next(ranked[cluster]))
                left[cluster] -= 1
            turns = [c for c in turns if left[c]]
    return torch.tensor(picks, device=points.device)


def _ranked(points: Tensor, members: Tensor, known: Tensor) -> Iterator[int]:
    """Return the members of a cluster without a label, the most typical first."""
    order = members[typicality(points[members]).argsort(descending=True, stable=True)]
    return iter(order[~known[order]].tolist())


def typicality(points: Tensor) -> Tensor:
    """Return (M,) the inverse of the mean distance of each of a cluster's (M, D) points to its nearest neighbours."""
    near = min(NEIGHBOURS, len(points) - 1)
    centred = points - points.mean(0)  # so that rounding is that of the distances

    def spread(some: Tensor) -> Tensor:  # the nearest is the point itself, which adds nothing
        return torch.cdist(some, centred).topk(near + 1, largest=False).values.sum(1) / max(near, 1)

    with full_precision():
        return 1 / infer(spread, centred, size=max(1, DISTANCES // len(points))).clamp(min=1e-12)
