"""A query that somebody is asked: written down before, never made again, recorded as if answered at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from alsuite import question
from alsuite.budget import Budget
from alsuite.errors import AwaitingLabels, UserError
from alsuite.journal import Journal
from alsuite.loop import Run
from alsuite.oracle import Ideal, Oracle
from alsuite.pool import VOID, Pool
from alsuite.question import Question
from alsuite.ranks import Lost
from alsuite.scores import entropy
from alsuite.strategies import Query, Strategy
from alsuite.strategies.uncertainty import Uncertainty
from alsuite.tasks import Task
from alsuite.tasks.segmentation import Segmentation
from helpers.commands import lasting
from helpers.masks import fast_segmentation, masks_of
from helpers.pools import digit_pool
from helpers.tasks import fast_task

ABOUT = {"config": {}, "code": {"mine": "1"}, "commit": "abc", "versions": {"torch": "2"}, "device": "cpu"}


class Person:
    """Answers rightly, but for the first few of many, once it has come."""

    def __init__(self, targets: Tensor, here: bool = True, unsure: int = 0) -> None:
        self.targets = targets
        self.here = here
        self.unsure = unsure

    def __call__(self, pool: Pool, indices: Tensor) -> Tensor:
        if not self.here:
            raise AwaitingLabels("nobody is here")
        answers = self.targets[indices].clone()
        answers[: self.unsure * (len(indices) > 5)] = -1
        return answers

    def judge(self, pool: Pool, images: Tensor) -> None:
        return None


class Negatives:
    """Asks for negatives of unlabelled images, which join the pool, and shows every other one."""

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        models = pool.unlabelled[:n]
        indices = pool.extend(255 - pool.images[models])
        images = {"original": pool.rows(models[::2])[:].numpy()}
        return Query(indices, torch.linspace(1, 0.5, n), {"made": n}, images, shown=indices[::2])


def never(*_: object) -> Task:
    raise AssertionError("nothing may be trained or chosen again")


class Never:
    def query(self, pool: Pool, task: Task, n: int) -> Query:
        raise AssertionError("nothing may be trained or chosen again")


def run(folder: Path, oracle: Oracle, strategy: Strategy, task_model: Callable[[], Task] = fast_task) -> Run:
    pool, targets = digit_pool(0)
    journal = Journal(folder)
    journal.start(ABOUT)
    tests = {"digits": (pool.images[:50], targets[:50])}
    return Run(pool, tests, task_model, strategy, oracle, Budget(20, 10, 40), torch.arange(20), journal, 0)


def all_targets() -> Tensor:
    targets = digit_pool(0)[1]
    return torch.cat([targets, torch.arange(20) % 10])  # of the synthetic images, too


def away(made: Run) -> None:
    """Go until somebody is awaited, and end as a process does."""
    with pytest.raises(AwaitingLabels):
        made.go()
    made.journal.close()


@pytest.mark.parametrize(("void", "wrong"), [(0, 0.5), (2, 1.0), (4, None)])
def test_pixels_that_nobody_knows_are_not_judged(void: int, wrong: float | None) -> None:
    labels = torch.tensor([[[1, 1], [0, 0]]], dtype=torch.uint8)
    labels.flatten()[:void] = VOID
    question = Question({}, Query(torch.tensor([0])), torch.ones(1, 2, 2, dtype=torch.uint8), {})
    assert question.wrong(labels, torch.tensor([True])) == wrong


@pytest.mark.parametrize("strategy", [Uncertainty(entropy), Negatives()])
def test_a_run_that_waits_for_each_answer_ends_in_the_same_records(strategy: Strategy, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", Ideal(all_targets()), strategy)
    whole.go()
    folder, waits = tmp_path / "waits", 0
    away(run(folder, Person(all_targets(), here=False), strategy))
    while True:
        person = Person(all_targets())
        made = run(folder, person, strategy, fast_task)
        made.journal.ask = leaving(made.journal.ask, person)  # type: ignore[method-assign]
        try:
            made.go()
        except AwaitingLabels:
            waits += 1
            made.journal.close()
            continue
        break
    assert waits == 2
    assert lasting(folder) == lasting(tmp_path / "whole")
    for cycle in (0, 1):
        ours, theirs = made.journal, whole.journal
        if isinstance(strategy, Negatives):
            assert {k: v.tolist() for k, v in ours.images(cycle).items()} == {
                k: v.tolist() for k, v in theirs.images(cycle).items()
            }
    assert not [*folder.glob("asked.*")]


def leaving(ask: Callable[..., None], person: Person) -> Callable[..., None]:
    def asked(*arguments: object) -> None:
        person.here = False
        ask(*arguments)

    return asked


def leaving_later(ask: Callable[..., None], person: Person) -> Callable[..., None]:
    """Go away when the first query is asked, after the labels to start from."""

    def asked(record: dict[str, object], *arrays: object) -> None:
        person.here = record["queried"] is None
        ask(record, *arrays)

    return asked


def test_what_a_person_was_to_start_from_is_kept_though_another_draw_would_differ(tmp_path: Path) -> None:
    away(run(tmp_path, Person(all_targets(), here=False), Uncertainty(entropy)))
    again = replace(run(tmp_path, Person(all_targets()), Uncertainty(entropy)), initial=torch.arange(100, 120))
    again.go()
    assert again.journal.records[0]["initial"]["indices"] == [*range(20)]


def test_a_waiting_query_is_answered_without_any_training(tmp_path: Path) -> None:
    person = Person(all_targets())
    made = run(tmp_path, person, Uncertainty(entropy))
    made.journal.ask = leaving_later(made.journal.ask, person)  # type: ignore[method-assign]
    away(made)
    waiting = json.loads((tmp_path / "asked.json").read_text())
    assert waiting["made_by"] == {key: ABOUT[key] for key in ("commit", "versions", "device", "code")}
    assert len(waiting["queried"]["scores"]) == len(waiting["queried"]["indices"]) == 10
    assert waiting["queried"]["labels"] is None
    again = run(tmp_path, Person(all_targets()), Never(), never)
    with pytest.raises(AssertionError, match="nothing may be trained"):
        again.go()  # in the next cycle
    (record,) = again.journal.records
    indices = waiting["queried"]["indices"]
    assert record["queried"]["indices"] == indices
    assert record["queried"]["labels"] == all_targets()[indices].tolist()
    assert record["initial"]["indices"] == [*range(20)]
    again.journal.close()


def test_what_somebody_is_unsure_of_is_never_asked_again(tmp_path: Path) -> None:
    made = run(tmp_path, Person(all_targets(), unsure=2), Uncertainty(entropy))
    made.go()
    first, second, third, *_ = made.journal.records
    assert [first["labelled"], second["labelled"], third["labelled"]] == [18, 26, 34]
    assert first["initial"]["unsure"] == [0, 1]
    assert len(first["queried"]["indices"]) == len(first["queried"]["scores"]) == 8
    left = [*first["initial"]["unsure"], *first["queried"]["unsure"], *second["queried"]["unsure"]]
    later = [index for record in (second, third) for index in record["queried"]["indices"]]
    assert not {*left} & {*later}
    made.journal.close()
    replayed = run(tmp_path, Person(all_targets()), Never())
    replayed.go()
    assert torch.equal(replayed.pool.left_out, made.pool.left_out)
    assert torch.equal(replayed.pool.labelled, made.pool.labelled)


def test_a_person_who_is_unsure_of_all_that_is_left_ends_the_run(tmp_path: Path) -> None:
    pool, targets = digit_pool(0)
    small = Pool(pool.images[:30], 10, pool.normalise.mean, pool.normalise.std)
    journal, oracle = Journal(tmp_path), Person(targets, unsure=3)
    Run(small, {}, fast_task, Uncertainty(entropy), oracle, Budget(20, 10, 30), torch.arange(20), journal, 0).go()
    assert [record["labelled"] for record in journal.records] == [17, 24]
    assert journal.records[-1]["queried"] is None
    journal.close()


class Endless:
    """Asks for negatives of labelled images, of which there are always enough."""

    makes_images = True

    def query(self, pool: Pool, task: Task, n: int) -> Query:
        return Query(pool.extend(255 - pool.images[pool.labelled[:n]]))


def test_a_strategy_that_makes_images_is_not_held_to_what_is_left_of_the_pool(tmp_path: Path) -> None:
    pool, targets = digit_pool(0)
    small = Pool(pool.images[:25], 10, pool.normalise.mean, pool.normalise.std)
    journal, oracle = Journal(tmp_path), Person(torch.cat([targets[:25], targets]), unsure=3)
    Run(small, {}, fast_task, Endless(), oracle, Budget(20, 10, 40), torch.arange(20), journal, 0).go()
    assert [record["labelled"] for record in journal.records] == [17, 24, 31, 37, 40]
    journal.close()


class Undecided(Person):
    """Can't tell anything of the first queries, and goes away before each answer but the last."""

    def __init__(self, targets: Tensor, times: int, leaves: bool) -> None:
        super().__init__(targets)
        self.times = times
        self.leaves = leaves
        self.told: set[tuple[int, ...]] = set()

    def __call__(self, pool: Pool, indices: Tensor) -> Tensor:
        asked = (*indices.tolist(),)
        if self.leaves and asked not in self.told:
            self.told.add(asked)
            raise AwaitingLabels("nobody is here")
        self.times -= len(asked) == 1
        return self.targets[indices] if self.times < 0 or len(asked) > 1 else torch.full_like(indices, -1)


def test_what_nobody_can_label_is_followed_by_the_next_best(tmp_path: Path) -> None:
    def made(name: str, oracle: Oracle, query: int) -> Run:
        one = run(tmp_path / name, oracle, Uncertainty(entropy))
        return replace(one, budget=Budget(20, query, 23 if query > 1 else 22))

    best = made("best", Ideal(all_targets()), 3)
    best.go()
    first, second, third = best.journal.records[0]["queried"]["indices"]
    whole = made("whole", Undecided(all_targets(), 2, leaves=False), 1)
    whole.go()
    queried = whole.journal.records[0]["queried"]
    assert (queried["unsure"], queried["indices"]) == ([first, second], [third])
    assert [record["labelled"] for record in whole.journal.records] == [20, 21, 22]
    person = Undecided(all_targets(), 2, leaves=True)
    for _ in range(5):  # the first labels, two that nobody can tell, and two labels
        away(made("waits", person, 1))
    waits = made("waits", person, 1)
    waits.go()
    assert lasting(tmp_path / "waits") == lasting(tmp_path / "whole")
    waits.journal.close()
    replayed = made("waits", person, 1)
    replayed.go()
    assert torch.equal(replayed.pool.left_out, whole.pool.left_out)


def test_masks_that_are_awaited_need_no_training_either(tmp_path: Path) -> None:
    images, targets = masks_of(40)

    class Painter(Ideal):
        knows = False
        here = True

        def __call__(self, pool: Pool, indices: Tensor) -> Tensor:
            if not self.here:
                raise AwaitingLabels("nobody is here")
            return super().__call__(pool, indices)

    def segmenting(folder: Path, oracle: Oracle, task_model: Callable[[], Task]) -> Run:
        pool = Pool(images, 3, [0.4] * 3, [0.25] * 3, label_shape=targets.shape[1:])
        budget, journal = Budget(initial=6, query=6, end=12), Journal(folder)
        return Run(pool, {}, task_model, Uncertainty(entropy), oracle, budget, torch.arange(6), journal, 0)

    def task_model() -> Segmentation:
        return fast_segmentation(epochs=2)

    whole = segmenting(tmp_path / "whole", Ideal(targets), task_model)
    whole.go()
    painter = Painter(targets)
    first = segmenting(tmp_path / "waits", painter, task_model)
    first.journal.ask = leaving_later(first.journal.ask, painter)  # type: ignore[method-assign]
    away(first)
    again = segmenting(tmp_path / "waits", Ideal(targets), never)
    with pytest.raises(AssertionError, match="nothing may be trained"):
        again.go()
    assert lasting(tmp_path / "waits")[0] == lasting(tmp_path / "whole")[0]
    ours, theirs = again.journal.images(0), whole.journal.images(0)
    assert {name: rows.tolist() for name, rows in ours.items()} == {k: rows.tolist() for k, rows in theirs.items()}


def test_changed_code_bars_no_run_that_a_person_labels(tmp_path: Path) -> None:
    for name, hand in (("by_hand", True), ("by_code", False)):
        journal = Journal(tmp_path / name)
        journal.start(ABOUT)
        if hand:
            (tmp_path / name / "queries").mkdir()
        journal.ask({"cycle": 0, "initial": {"indices": [1]}, "queried": None})
        journal.close()
    other = {**ABOUT, "code": {"mine": "2"}}
    journal = Journal(tmp_path / "by_hand")
    journal.start(other)
    with pytest.raises(UserError, match="made with another"):
        journal.start({**other, "config": {"seed": 1}})
    journal.close()
    journal = Journal(tmp_path / "by_code")
    with pytest.raises(UserError, match="mine changed since"):
        journal.start(other)
    journal.close()


@pytest.mark.parametrize("content", ["", "[]", "3", '{"cycle": ', '{"made_by": {}}'])
def test_a_damaged_query_is_told_and_never_made_again_by_itself(content: str, tmp_path: Path) -> None:
    away(run(tmp_path, Person(all_targets(), here=False), Uncertainty(entropy)))
    (tmp_path / "asked.json").write_text(content)
    with pytest.raises(UserError, match=r"asked\.json is damaged: delete it, and its sheet, to have another query"):
        run(tmp_path, Person(all_targets()), Uncertainty(entropy))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 torn"])
def test_what_the_answers_are_compared_with_must_be_whole(content: bytes | None, tmp_path: Path) -> None:
    person = Person(all_targets())
    made = run(tmp_path, person, Uncertainty(entropy))
    made.journal.ask = leaving_later(made.journal.ask, person)  # type: ignore[method-assign]
    away(made)
    if content is None:
        (tmp_path / "asked.npz").unlink()
    else:
        (tmp_path / "asked.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"asked\.npz is missing or damaged: delete it and asked\.json"):
        run(tmp_path, Person(all_targets()), Uncertainty(entropy)).go()


def test_pictures_say_of_what_somebody_is_unsure(tmp_path: Path) -> None:
    class Pictured:
        def query(self, pool: Pool, task: Task, n: int) -> Query:
            indices = pool.unlabelled[:n]
            return Query(indices, images={"original": pool.images[indices[:4]].numpy()})

    made = run(tmp_path, Person(all_targets(), unsure=2), Pictured())
    made.go()
    indices = [*made.journal.records[0]["queried"]["unsure"], *made.journal.records[0]["queried"]["indices"]]
    assert made.journal.images(0)["original_captions"].tolist() == [
        "unsure",
        "unsure",
        *map(str, all_targets()[indices[2:4]].tolist()),
    ]
    made.journal.close()


def test_a_query_that_has_been_recorded_is_asked_no_more(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.ask({"cycle": 0, "queried": None})
    assert journal.asked == {"cycle": 0, "queried": None}
    left = (tmp_path / "asked.json").read_text()
    journal.append({"cycle": 0, "queried": {}})
    assert journal.asked is None
    (tmp_path / "asked.json").write_text(left)  # as a process leaves it that is killed right after the record
    assert journal.asked is None
    journal.close()


def test_a_process_that_is_lost_has_damaged_no_cycle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise Lost("another process of this run has ended")

    made = run(tmp_path, Person(all_targets()), Uncertainty(entropy))
    made.go()
    made.journal.close()
    monkeypatch.setattr(question, "_replay", lost)
    with pytest.raises(Lost, match=r"^another process"):
        run(tmp_path, Person(all_targets()), Never()).go()
