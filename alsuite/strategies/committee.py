"""Query by committee: an ensemble of networks, VAAL's strongest uncertainty baseline with variation ratios.

W. Beluch, T. Genewein, A. Nürnberger, J. Köhler: The Power of Ensembles for Active Learning in Image Classification,
2018. https://openaccess.thecvf.com/content_cvpr_2018/html/Beluch_The_Power_of_CVPR_2018_paper.html
W. Kuo, C. Häne, E. Yuh, P. Mukherjee, J. Malik: Cost-Sensitive Active Learning for Intracranial Hemorrhage Detection,
2018. https://doi.org/10.1007/978-3-030-00931-1_82

VAAL's committee for segmentation (qbc) is the second paper's, which asks for the largest Jensen-Shannon divergence of
the members' predictions: the mutual information of label and member.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from alsuite.errors import whole_number
from alsuite.notes import FIT_SECONDS
from alsuite.pool import Pool
from alsuite.scores import per_image
from alsuite.strategies import Query
from alsuite.tasks import Task
from alsuite.training.clock import clock
from alsuite.training.fit import infer

__all__ = ["Committee", "disagreement"]


class Committee:
    """Asks for the samples that its members disagree on. The first of them is the cycle's task model; the others learn
    from the same labels with another initialisation.

    task_model: makes the other members
    score: log-probabilities of all members (T, U, K) -> (U,)
    members: T, the cycle's task model among them
    """

    def __init__(self, task_model: Callable[[], Task], score: Callable[[Tensor], Tensor], members: int = 5) -> None:
        whole_number("strategy.", 2, members=members)
        self.task_model = task_model
        self.score = score
        self.members = members

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        among = pool.unlabelled
        start = clock(pool.device)
        others = [self.task_model().learn(pool) for _ in range(self.members - 1)]
        notes = {FIT_SECONDS: clock(pool.device) - start}
        return Query.best(among, disagreement((task, *others), pool, among, self.score), n, notes)


def disagreement(members: Sequence[Task], pool: Pool, among: Tensor, score: Callable[[Tensor], Tensor]) -> Tensor:
    """Return (N,) scores of the votes of all members, (T, B, K), a chunk of images at a time.

    Votes on pixels, (T, B, H, W, K), are scored apart and averaged, an image at a time.
    """

    def scored(chunk: Tensor) -> Tensor:
        return per_image(score(torch.stack([member.log_probs(chunk) for member in members])))

    return infer(scored, pool.rows(among), size=int(pool.per_pixel))
