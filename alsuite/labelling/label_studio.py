"""Label Studio in place of the sheet: tasks and a configuration that it imports, and its export, which is read.

https://labelstud.io. A query's images stand in its tasks themselves, so that no server has to reach this machine. What
the task model takes them for comes along as predictions, which a person confirms or corrects.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr
from zipfile import BadZipFile

import numpy as np

from alsuite.data.images import for_browsers
from alsuite.errors import UserError
from alsuite.files import write_text
from alsuite.labelling.sheet import UNSURE, ByHand, Sheet
from alsuite.recorded import ASKED, ASKED_ARRAYS, PREDICTED, Options

__all__ = ["LabelStudio"]

LABEL, IMAGE = "label", "image"  # what the configuration calls the answer and the picture


class LabelStudio(ByHand):
    """Writes tasks_<...>.json beside a sheet, and fills the sheet from export_<...>.json once it is there.

    folder: where the sheets lie; the run's own is the one above
    names: of the classes
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.names = list(names)
        self.configuration = folder / "label_studio.xml"

    def fill(self, sheet: Sheet, wanted: Sequence[int], one_at_least: bool) -> None:
        """Write what is to be imported, unless it is there, and take over what has been exported."""
        if not self._beside(sheet, "tasks").exists():
            write_text(self.configuration, _configuration(self.names))
            write_text(self._beside(sheet, "tasks"), json.dumps([*self._tasks(sheet)]))
        export = self.source(sheet)
        if export.exists():
            told = _answers(export, self.names)
            rows = sheet.rows()
            if others := sorted(told.keys() - {row["index"] for row in rows}):
                raise UserError(f"{export} has index {others[0]}, which was not asked for: export this query's project")
            sheet.write([{**row, "label": told.get(row["index"]) or row["label"]} for row in rows])

    def advice(self, sheet: Sheet) -> str:
        tasks, export = self._beside(sheet, "tasks"), self.source(sheet)
        return (
            f"import {tasks} into a Label Studio project with {self.configuration}, and export it as JSON to {export}"
        )

    def source(self, sheet: Sheet) -> Path:
        return self._beside(sheet, "export")

    def _beside(self, sheet: Sheet, kind: str) -> Path:
        return sheet.path.with_name(f"{sheet.path.stem.replace('labels', kind)}.json")

    def _tasks(self, sheet: Sheet) -> Iterator[Mapping[str, object]]:
        """Yield a task for each image, with what the model takes it for, if one has learned yet."""
        predicted = self._predicted()
        for row in sheet.rows():
            task = {"data": {"index": int(row["index"]), "file": row["image"], IMAGE: _uri(self.folder / row["image"])}}
            guess = predicted.get(int(row["index"]))
            yield task if guess is None else {**task, "predictions": [_prediction(self.names[guess])]}

    def _predicted(self) -> dict[int, int]:
        """Return index -> the class that the task model predicts, of the query that is asked."""
        run = self.folder.parent
        try:
            asked = json.loads((run / ASKED).read_text())["queried"]
            with np.load(run / ASKED_ARRAYS, allow_pickle=False) as arrays:
                return dict(zip(asked["indices"], arrays[PREDICTED].tolist(), strict=True))
        except (OSError, ValueError, TypeError, KeyError, BadZipFile):
            return {}  # the first labels, before anything was learned


def _configuration(names: Sequence[str]) -> str:
    """Return the labelling configuration: a picture, and one of the classes."""
    choices = "".join(f"\n    <Choice value={quoteattr(name)}/>" for name in (*names, UNSURE))
    picture = f'<Image name="{IMAGE}" value="${IMAGE}"/>'
    return f'''<View>
  {picture}
  <Choices name="{LABEL}" toName="{IMAGE}" choice="single-radio" required="true" showInline="true">{choices}
  </Choices>
</View>
'''


def _uri(path: Path) -> str:
    """Return an image's file as an address that holds it."""
    content, kind = for_browsers(path)
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _prediction(name: str) -> dict[str, object]:
    result = {"from_name": LABEL, "to_name": IMAGE, "type": "choices", "value": {"choices": [name]}}
    return {"model_version": "alsuite", "result": [result]}


def _answers(export: Path, names: Sequence[str]) -> dict[str, str]:
    """Return index -> class, or "unsure", of what somebody has answered; what was skipped is left out."""
    try:
        tasks = json.loads(export.read_text(encoding="utf-8"))
        told = [(str(task["data"]["index"]), _choice(task["annotations"])) for task in tasks]
    except (OSError, ValueError, TypeError, KeyError, IndexError, RecursionError):
        raise UserError(f"{export} is no export of these tasks: export the project as JSON, not as JSON-MIN") from None
    found: dict[str, str] = {}
    for index, name in told:
        if name and name not in (*names, UNSURE):
            known = ", ".join([*names[:12], UNSURE])
            raise UserError(f"{export}, index {index}: '{name}' is no class; answer one of {known}, and export again")
        if name and found.setdefault(index, name) != name:
            raise UserError(f"{export}, index {index}: '{found[index]}' and '{name}': delete a task, and export again")
    return found


def _choice(annotations: Sequence[Options]) -> str:
    """Return what was chosen last, by whoever did; "" if nobody did. Other controls than ours are passed over."""
    in_time = sorted(annotations, key=lambda each: str(each.get("updated_at", "")))
    values = [one["value"] for each in in_time if not each.get("was_cancelled") for one in each["result"]]
    chosen = [str(value["choices"][0]) for value in values if "choices" in value]
    return chosen[-1] if chosen else ""
