"""What a test asks of a page: its links, tables and charts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ["Page", "broken_links"]


class Page(HTMLParser):
    """A page's elements, in order, each with its attributes, and what its charts draw."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.charts: list[dict[str, Any]] = []
        self._in_chart = False
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        self._in_chart = tag == "script" and attributes.get("type") == "application/json"

    def handle_data(self, data: str) -> None:
        if self._in_chart:
            self.charts.append(json.loads(data))
            self._in_chart = False

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def links(self) -> Iterator[str]:
        for _, attributes in self.elements:
            yield from (attributes[name] for name in ("href", "src") if name in attributes)

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


def broken_links(site: Path) -> list[str]:
    """List the links of a site that lead to no file or no place of it."""
    pages = {path: Page(path) for path in site.rglob("*.html")}
    return [f"{path}: {link}" for path, page in pages.items() for link in page.links if not _holds(page, link, pages)]


def _holds(page: Page, link: str, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme in ("https", "data"):
        return True
    target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    if parts.fragment:
        return parts.fragment in pages[target].ids
    return target.is_file()
