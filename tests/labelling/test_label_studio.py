"""Label Studio: what it imports, and what is read of its export."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from alsuite.errors import AwaitingLabels, UserError
from alsuite.labelling.human import Human
from alsuite.labelling.label_studio import LabelStudio
from alsuite.pool import Pool
from alsuite.recorded import PREDICTED
from helpers.pools import synthetic_pool

NAMES = ["ant", 'a "bee" & more', "cat"]
QUERY = torch.tensor([7, 2, 11])


class Studio:
    """A run that asks by Label Studio, which is acted here by what it exports."""

    def __init__(self, run: Path) -> None:
        self.folder = run / "queries"
        self.pool: Pool = synthetic_pool(12, labelled=0)[0]

    @property
    def export(self) -> Path:
        return self.folder / "export_000000.json"

    def ask(self) -> list[int]:
        """As after a restart: with nothing in memory."""
        return Human(self.folder, NAMES, page=LabelStudio(self.folder, NAMES))(self.pool, QUERY).tolist()

    def tasks(self) -> list[dict[str, Any]]:
        return json.loads((self.folder / "tasks_000000.json").read_text())

    def answer(self, *labels: str | None) -> None:
        """Export the tasks that have an answer; with None one was skipped."""
        told = [
            {**task, "id": number, "annotations": [annotation(label)]}
            for number, (task, label) in enumerate(zip(self.tasks(), labels, strict=False))
        ]
        self.export.write_text(json.dumps(told))


def annotation(label: str | None) -> dict[str, Any]:
    result = [{"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [label]}}]
    return {"id": 1, "was_cancelled": label is None, "result": [] if label is None else result}


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """With tasks that wait."""
    studio = Studio(tmp_path)
    with pytest.raises(AwaitingLabels, match=r"3 images await .*tasks_000000\.json .*label_studio\.xml.*export_000000"):
        studio.ask()
    return studio


def test_tasks_hold_their_images_and_the_configuration_all_classes(studio: Studio) -> None:
    for task, index in zip(studio.tasks(), QUERY.tolist(), strict=True):
        assert task["data"]["index"] == index
        kind, _, content = task["data"]["image"].partition(";base64,")
        assert kind == "data:image/png"
        assert base64.b64decode(content) == (studio.folder / "images" / f"{index}.png").read_bytes()
        assert "predictions" not in task
    view = ElementTree.parse(studio.folder / "label_studio.xml").getroot()
    image, choices = view.find("Image"), view.find("Choices")
    assert image is not None
    assert choices is not None
    assert (image.get("value"), image.get("name"), choices.get("name")) == ("$image", "image", "label")
    assert [choice.get("value") for choice in choices] == [*NAMES, "unsure"]


def test_what_the_model_predicts_comes_along(tmp_path: Path) -> None:
    (tmp_path / "asked.json").write_text(json.dumps({"queried": {"indices": QUERY.tolist()}}))
    arrays: dict[str, Any] = {PREDICTED: np.array([2, 0, 1])}
    np.savez(tmp_path / "asked.npz", **arrays)
    studio = Studio(tmp_path)
    with pytest.raises(AwaitingLabels):
        studio.ask()
    results = [task["predictions"][0]["result"][0] for task in studio.tasks()]
    assert [result["value"]["choices"] for result in results] == [["cat"], ["ant"], [NAMES[1]]]
    assert {(result["from_name"], result["to_name"], result["type"]) for result in results} == {
        ("label", "image", "choices")
    }


def test_an_export_is_read_in_the_order_of_the_query(studio: Studio) -> None:
    studio.answer("cat", "unsure", NAMES[1])
    studio.export.write_text(json.dumps(json.loads(studio.export.read_text())[::-1]))
    assert studio.ask() == [2, -1, 1]


@pytest.mark.parametrize(("labels", "left"), [(("cat",), 2), (("cat", None, "ant"), 1)])
def test_a_restart_with_some_of_them_says_how_many_are_left(
    studio: Studio, labels: tuple[str | None, ...], left: int
) -> None:
    studio.answer(*labels)
    with pytest.raises(AwaitingLabels, match=f"^{left} of 3 images still await labels"):
        studio.ask()
    studio.answer("cat", "ant", "ant")
    assert studio.ask() == [2, 0, 0]


def test_a_wrong_export_is_told_in_one_line(studio: Studio) -> None:
    studio.answer("cat", "dog", "ant")
    with pytest.raises(UserError, match=r"export_000000\.json, index 2: 'dog' is no class; answer one of ant, "):
        studio.ask()
    for text in ("not JSON", "{}x", "[1]", "[" * 100_000, json.dumps([{"index": 7, "label": "cat"}])):
        studio.export.write_text(text)
        with pytest.raises(UserError, match=r"export_000000\.json is no export of these tasks: .* not as JSON-MIN$"):
            studio.ask()
    studio.export.write_text(json.dumps([{"data": {"index": 5}, "annotations": [annotation("cat")]}]))
    with pytest.raises(UserError, match="has index 5, which was not asked for"):
        studio.ask()


def test_of_several_answers_the_last_counts(studio: Studio) -> None:
    told = [{**task, "annotations": [annotation("cat"), annotation("ant")]} for task in studio.tasks()]
    studio.export.write_text(json.dumps(told))
    assert studio.ask() == [0, 0, 0]


def test_the_answer_given_last_counts_wherever_it_stands_and_a_note_is_no_answer(studio: Studio) -> None:
    last, first = ({**annotation(name), "updated_at": f"2026-0{month}-01"} for name, month in (("cat", 3), ("ant", 2)))
    note = {"from_name": "note", "to_name": "image", "type": "textarea", "value": {"text": ["blurred"]}}
    last["result"].insert(0, note)
    told = [{**task, "annotations": [last, first]} for task in studio.tasks()]
    studio.export.write_text(json.dumps(told))
    assert studio.ask() == [2, 2, 2]


def test_a_task_that_was_imported_twice_is_answered_once(studio: Studio) -> None:
    told = [{**task, "annotations": [annotation("cat")]} for task in studio.tasks()]
    left = [{**task, "annotations": []} for task in studio.tasks()]
    studio.export.write_text(json.dumps([*told, *left]))
    assert studio.ask() == [2, 2, 2]
    other = {**told[0], "annotations": [annotation("ant")]}
    studio.export.write_text(json.dumps([*told, other]))
    with pytest.raises(UserError, match=r"index \d+: 'cat' and 'ant': delete a task, and export again"):
        studio.ask()


def test_where_all_is_unsure_the_export_is_named(studio: Studio) -> None:
    studio.answer("unsure", "unsure", "unsure")
    with pytest.raises(UserError, match=r"export_000000\.json is unsure of every image: label one at least"):
        studio.ask()
