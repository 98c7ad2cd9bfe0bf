"""M2-VAAL: eq. 8 and 9, algorithms 1 and 2.

A. Losalka, D. Singhania, X. Sun: Active Learning using Deep Generative Models, about 2020; a report of the National
University of Singapore, without an address that we know.

All of it happens in the task: the discriminator over code and prediction [z, y'], and the codes (`task_model=m2`).
Distances are those of the codes z alone, and a cluster is a predicted class.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from alsuite.errors import UserError
from alsuite.pool import Pool, Rows, evenly
from alsuite.strategies import Query
from alsuite.tasks import Task, chunked
from alsuite.tasks.m2 import M2
from alsuite.training.clock import clock
from alsuite.training.game import adversary_share, diagnosed, reconstruction, separation

__all__ = ["M2VAAL", "M2Alg1", "M2Alg2", "most_apart", "quotas", "total_distances"]

WATCHED = 1000  # images whose reconstruction is measured
SHOWN = 10  # picks whose reconstructions are kept, from the first to the last of them
ANCHORS = 512  # whose distances are held at once


class M2VAAL:
    """Asks for the images that D thinks least likely to be labelled.

    discriminator: how the task must train it: adversarial, eq. 8, or detached, eq. 9
    """

    def __init__(self, discriminator: str = "adversarial") -> None:
        self.discriminator = discriminator

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        task, unlabelled = on_m2(task), pool.unlabelled
        if task.discriminator != self.discriminator:
            raise UserError(
                f"task_model.discriminator={task.discriminator} is not what the strategy wants ({self.discriminator}): "
                "choose strategy=m2_vaal (adversarial) or strategy=m2_vaal_no_adv (detached) and leave it out"
            )
        logits = task.labelled_logits(pool.rows(unlabelled))
        return with_diagnoses(Query.best(unlabelled, -logits, n), pool, task, logits)


class M2Alg1:
    """Asks for as many of each predicted class, those with the largest total distance to its anchors.

    Anchors are the labelled samples of the class, its centre if there are none, and what was picked before.
    """

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        task = on_m2(task)
        codes, _, clusters = located(pool, task, pool.unlabelled)
        totals, _ = total_distances(codes, clusters, *anchors(pool, task), pool.classes)
        shares = quotas(torch.bincount(clusters, minlength=pool.classes).tolist(), n)
        picks = []
        for cluster, share in enumerate(shares):
            members = torch.nonzero(clusters == cluster).squeeze(1)
            picks.append(members[most_apart(codes[members], totals[members], share)])
        turns = torch.cat([torch.arange(share) for share in shares]).sort(stable=True).indices
        return with_diagnoses(Query(pool.unlabelled[torch.cat(picks)[turns.to(pool.device)]]), pool, task)


class M2Alg2:
    """Asks each time for the largest (1 - max_k p_k) d, d the mean distance to the anchors of the predicted class.

    To divide all d by the largest, too, would change no pick.
    """

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        task = on_m2(task)
        codes, doubts, clusters = located(pool, task, pool.unlabelled)
        totals, counts = total_distances(codes, clusters, *anchors(pool, task), pool.classes)
        picks = doubtful_and_apart(codes, clusters, doubts, totals, counts, n)
        return with_diagnoses(Query(pool.unlabelled[picks]), pool, task)


def on_m2(task: Task) -> M2:
    if not isinstance(task, M2):
        raise UserError("this strategy works on the codes of M2: take task_model=m2")
    return task


def located(pool: Pool, task: M2, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (M, Z) codes, (M,) doubts 1 - max_k p_k, and (M,) predicted classes."""

    def each(some: Rows) -> tuple[Tensor, Tensor, Tensor]:
        codes, log_probs = task.codes(some)
        return codes, -log_probs.amax(1).expm1(), log_probs.argmax(1)

    return chunked(pool.rows(indices), each)


def anchors(pool: Pool, task: M2) -> tuple[Tensor, Tensor]:
    """Return codes and classes of the labelled."""
    return located(pool, task, pool.labelled)[0], pool.labels[pool.labelled]


def quotas(sizes: list[int], n: int) -> list[int]:
    """Divide n into parts as equal as the sizes allow; what can't be divided goes to the largest."""
    parts = [0] * len(sizes)
    for taken, cluster in enumerate(sorted(range(len(sizes)), key=lambda k: sizes[k])):
        parts[cluster] = min(sizes[cluster], (n - sum(parts)) // (len(sizes) - taken))
    return parts


def total_distances(
    codes: Tensor, clusters: Tensor, anchor_codes: Tensor, anchor_clusters: Tensor, classes: int
) -> tuple[Tensor, Tensor]:
    """Return (U,) sums of distances to the anchors of each code's cluster, and (K,) how many anchors it has."""
    totals, counts = codes.new_empty(len(codes)), torch.ones(classes, device=codes.device)
    for cluster in clusters.unique().tolist():
        members = codes[clusters == cluster]
        found = anchor_codes[anchor_clusters == cluster]
        found = found if len(found) else members.mean(0, keepdim=True)
        parts = (
            torch.cdist(members, part, compute_mode="donot_use_mm_for_euclid_dist") for part in found.split(ANCHORS)
        )
        totals[clusters == cluster] = sum((part.sum(1) for part in parts), members.new_zeros(()))
        counts[cluster] = len(found)
    return totals, counts


def most_apart(codes: Tensor, totals: Tensor, n: int) -> Tensor:
    """Return n positions, each the farthest in total from the anchors and the picks before."""
    totals, picks = totals.clone(), []
    for _ in range(n):
        pick = totals.argmax()
        totals += (codes - codes[pick]).norm(dim=1)
        totals[pick] = -torch.inf
        picks.append(pick)
    return torch.stack(picks) if picks else torch.empty(0, dtype=torch.int64, device=codes.device)


def doubtful_and_apart(
    codes: Tensor, clusters: Tensor, doubts: Tensor, totals: Tensor, counts: Tensor, n: int
) -> Tensor:
    """Return n positions, each the largest product of doubt and mean distance; a pick costs its cluster's distances."""
    members = [torch.nonzero(clusters == cluster).squeeze(1) for cluster in range(len(counts))]
    doubts, totals, counts, picks = doubts.clone(), totals.clone(), counts.clone(), []
    scores = doubts * totals / counts[clusters]
    for _ in range(n):
        pick = scores.argmax()
        cluster = int(clusters[pick])
        own = members[cluster]
        counts[cluster] += 1
        totals[own] += (codes[own] - codes[pick]).norm(dim=1)
        doubts[pick], totals[pick] = 1, -torch.inf
        scores[own] = doubts[own] * totals[own] / counts[cluster]
        picks.append(pick)
    return torch.stack(picks)


def with_diagnoses(query: Query, pool: Pool, task: M2, logits: Tensor | None = None) -> Query:
    """Add to a query its notes and pictures; `logits` are D's of the unlabelled, where there is a D."""
    start, shown = clock(pool.device), evenly(query.indices, SHOWN)
    notes = {**finding(pool, task, logits), **rebuilding(pool, task)}
    images = reconstructions(pool, task, shown)
    return replace(query, notes=diagnosed(notes, start, pool.device), images=images, shown=shown)


def finding(pool: Pool, task: M2, logits: Tensor | None) -> dict[str, float]:
    """Note how well D tells the pools apart, and how hard the VAE works against it."""
    if logits is None:
        return {}
    batches = ((normalised(pool, task, evenly(indices, task.batch)),) for indices in (pool.labelled, pool.unlabelled))
    found = separation(task.labelled_logits(pool.rows(pool.labelled)), logits)
    return {**found, **adversary_share(task.game, *batches)}


def rebuilding(pool: Pool, task: M2) -> dict[str, float]:
    """Note what tells a live VAE from a collapsed one."""
    some = evenly(pool.unlabelled, WATCHED)
    codes, log_probs = task.codes(pool.rows(some))
    return reconstruction(task.vae, normalised(pool, task, some), codes, log_probs.exp())


def normalised(pool: Pool, task: M2, indices: Tensor) -> Tensor:
    """Return images as the VAE sees them."""
    return task.normalise(pool.rows(indices)[:].to(pool.device))


def reconstructions(pool: Pool, task: M2, indices: Tensor) -> dict[str, np.ndarray]:
    """Show images, their reconstructions, and the classes predicted, as figure 3 does."""
    shown = pool.rows(indices)
    predicted = task.log_probs(shown).argmax(1).tolist()
    return {
        "original": shown[:].cpu().numpy(),
        "reconstructed": task.reconstructed(shown).cpu().numpy(),
        "reconstructed_captions": np.array([str(label) for label in predicted]),
    }
