"""API pages of all modules by pdoc, in outputs/docs, each link among them checked.

Usage: python scripts/docs.py [FOLDER]
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINK, ANCHOR = re.compile(r'\shref="([^"]*)"'), re.compile(r'\sid="([^"]*)"')
SCRIPT = re.compile(r"<script.*?</script>", re.DOTALL)  # its links are made up only in a browser


def modules(package: Path) -> list[str]:
    """Return the names of all modules but those that are commands."""
    files = (path for path in sorted(package.rglob("*.py")) if path.stem != "__main__")
    return [
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__") for path in files
    ]


def broken(folder: Path) -> Iterator[str]:
    """Yield each link from a page to one that isn't there, or to no place in it."""
    pages = {page.resolve(): SCRIPT.sub("", page.read_text(encoding="utf-8")) for page in folder.rglob("*.html")}
    places = {page: {unescape(place) for place in ANCHOR.findall(text)} for page, text in pages.items()}
    for page, text in pages.items():
        for link in sorted({unescape(found) for found in LINK.findall(text)}):
            to = urlsplit(link)
            target = (page.parent / unquote(to.path)).resolve() if to.path else page
            lost = target not in pages or (to.fragment and unquote(to.fragment) not in places[target])
            if not (to.scheme or to.netloc) and lost:
                yield f"{page.relative_to(folder.resolve())}: {link} leads nowhere"


def main() -> None:
    """Write the pages, and fail where a link is broken."""
    from pdoc import pdoc, render  # pyright: ignore[reportMissingImports]

    import alsuite

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "outputs/docs")
    warnings.simplefilter("ignore")  # of names that only type checkers see, and of modules that several packages name
    render.configure(docformat="google", footer_text="alsuite")
    pdoc(*modules(Path(alsuite.__file__).parent), output_directory=folder)
    found = [*broken(folder)]
    print(*found, folder / "index.html", sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
