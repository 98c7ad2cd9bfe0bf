"""The folder of the report: its pages, and what they share."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from alsuite.errors import UserError

__all__ = ["Site"]

ASSETS = Path(__file__).parent / "assets"
FOLDERS = ("assets", "experiments", "figures", "papers", "runs")


@dataclass(frozen=True)
class Site:
    """The folder that the pages are written to, and the templates that make them."""

    out: Path

    @cached_property
    def templates(self) -> Environment:
        loader = PackageLoader("alsuite.report")
        return Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )

    def write(self, template: str, address: str, **context: object) -> None:
        """Write a page; `home` leads from it to the start, so that the site works wherever it lies."""
        path = self.out / address
        path.parent.mkdir(parents=True, exist_ok=True)
        home = "../" * address.count("/")
        path.write_text(self.templates.get_template(template).render(home=home, **context), encoding="utf-8")

    def clear(self) -> None:
        """Remove the pages of an earlier report; write the style, the script, and plotly as its package brings it."""
        if self.out.is_symlink():
            raise UserError(f"{self.out} is a link, and folders in it would be emptied: delete it")
        there = [folder for folder in FOLDERS if (self.out / folder).exists()]
        if there and not (self.out / "assets" / "site.css").exists():
            raise UserError(f"{self.out / there[0]} is none of a report, and would be emptied: name another --root")
        for folder in reversed(there):  # the assets last, by which it is known
            shutil.rmtree(self.out / folder)
        shutil.copytree(ASSETS, self.out / "assets")
        (self.out / "assets" / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
