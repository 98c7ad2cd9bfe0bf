"""The code that numbers depend on, found and read without executing any of it.

Modules are found by name, parsed, and hashed without what changes no number: docstrings, comments, annotations, and
imports that serve these alone. So a hash stays the same until the code would do something else.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from alsuite.errors import UserError

__all__ = ["code_at_work", "code_behind", "digest", "own_file"]

NO_RESULT = {
    "__init__",
    "__main__",
    "code",
    "command",
    "data",
    "errors",
    "figures",
    "files",
    "journal",
    "labelling",
    "pick",
    "places",
    "progress",
    "recorded",
    "results",
    "walk",
}
"""Parts of alsuite whose code is not compared: most change no number; of `data` the files have a hash of their own,
those that it makes or, of folders and shards, those that it reads."""
YET = {"alsuite.data.dataset", "alsuite.data.enlarged", "alsuite.data.imbalanced"}  # which change the images of runs
INSTALLED = {"site-packages", "dist-packages"}

Read = tuple[str, tuple[str, ...]]  # a module's hash, and the dotted names that it imports
_first: dict[str, str] = {}  # the hash of each module as it was first read


def code_behind(names: Iterable[str]) -> dict[str, str]:
    """Return module name -> hash of the named modules and of what they import; nothing of it is executed.

    These are modules of alsuite and the user's own; packages from an index are told by their versions.

    Arguments:
        names: dotted names of modules, or of what they hold, as `_target_` has them
    """
    waiting = [*names]
    seen: set[str] = set()
    found: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting += [name.rpartition(".")[0]] if "." in name else []
        if path := own_file(name):
            found[name], imported = _read(name, path)
            waiting += imported
    return dict(sorted(found.items()))


def code_at_work(names: Iterable[str]) -> dict[str, str]:
    """Return what `code_behind` does, and refuse a module that changed after this process first looked at it, since it
    runs as it was."""
    found = code_behind(names)
    for name, its in found.items():
        if its != _first[name]:
            raise UserError(f"{name} changed after this process began: start it again")
    return found


def own_file(name: str) -> Path | None:
    """Return the file of a module of alsuite or of the user's own; None for others, and for what holds no module."""
    top, *rest = name.split(".")
    if _installed(top) or (top == "alsuite" and name not in YET and _left_out(rest)):
        return None
    spec = _spec(name)
    path = Path(spec.origin) if spec and spec.origin else None
    return path if path and path.suffix == ".py" else None


def _left_out(parts: Sequence[str]) -> bool:
    """Tell whether the code of a part of alsuite is not compared."""
    return not parts or parts[0] in NO_RESULT


@functools.cache
def _installed(top: str) -> bool:
    """Tell whether a package comes with Python or from an index, so that its version says what it is."""
    if top == "alsuite" or top in sys.stdlib_module_names:
        return top != "alsuite"
    spec = _spec(top)
    places = [*(spec.submodule_search_locations or []), spec.origin or ""] if spec else []
    return any(INSTALLED & {*Path(place).parts} for place in places)


def _spec(name: str) -> ModuleSpec | None:
    """Find a module without importing the packages around it."""
    parent = name.rpartition(".")[0]
    try:
        if not parent:
            return importlib.util.find_spec(name)
        around = _spec(parent)
        places = around.submodule_search_locations if around else None
        return None if places is None else PathFinder.find_spec(name.rpartition(".")[2], [*places])
    except (ImportError, ValueError):
        return None


def _read(name: str, path: Path) -> Read:
    """Return a file's hash and imports, from memory as long as it hasn't been written again."""
    status = path.stat()
    read = _read_once(name, path, status.st_mtime_ns, status.st_size)
    _first.setdefault(name, read[0])
    return read


@functools.cache
def _read_once(name: str, path: Path, changed: int, size: int) -> Read:
    """Parse a file; one that isn't Python is hashed as it stands."""
    content = path.read_bytes()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return digest(content), ()
    bare = _Bare()
    tree = bare.visit(tree)
    _Imports(bare.types, _used(tree)).visit(tree)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return digest(repr(_plain(tree)).encode()), tuple(_imported(tree, package))


def _plain(node: object) -> object:
    """Return a syntax tree as plain tuples, which all versions of Python write alike.

    Fields that are empty are left out, since later versions have more of them.
    """
    if isinstance(node, ast.AST):
        fields = ((name, _plain(value)) for name, value in ast.iter_fields(node) if name not in ("ctx", "kind"))
        return type(node).__name__, *((name, value) for name, value in fields if value not in (None, ()))
    if isinstance(node, list):
        return tuple(map(_plain, node))
    return None if node is None else repr(node)


class _Bare(ast.NodeTransformer):
    """Takes out docstrings and annotations, and remembers the names in these."""

    def __init__(self) -> None:
        self.types: set[str] = set()

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        idle = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if idle else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = self._without(node.returns)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = self._without(node.annotation)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self._without(node.annotation)
        node.annotation = ast.Constant(None)  # a field of a dataclass stays one
        return self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Drop the empty parts that Python 3.12 gives an f-string."""
        node.values = [part for part in node.values if not (isinstance(part, ast.Constant) and part.value == "")]
        return self.generic_visit(node)

    def _without(self, annotation: ast.expr | None) -> None:
        self.types |= set(re.findall(r"\w+", ast.unparse(annotation))) if annotation else set()


class _Imports(ast.NodeTransformer):
    """Takes out imports that do nothing: of names that only annotations use, and unused ones of Python's own."""

    def __init__(self, types: set[str], used: set[str]) -> None:
        self.types, self.used = types, used

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        node.names = [name for name in node.names if self._counts(name, name.name)]
        return node if node.names else None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        node.names = [name for name in node.names if self._counts(name, "" if node.level else str(node.module))]
        return node if node.names else None

    def _counts(self, name: ast.alias, source: str) -> bool:
        """Tell whether an import may do something: its name is used, or importing it could have an effect."""
        bound = (name.asname or name.name).split(".")[0]
        idle = bound in self.types or source.split(".")[0] in sys.stdlib_module_names
        return bound in self.used or not idle


def _used(tree: ast.AST) -> set[str]:
    """Return the names that code uses, and those that stand in strings, as in `__all__`."""
    nodes = [*ast.walk(tree)]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the dotted names of what a module imports; relative ones are resolved within its package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join(filter(None, [*above, node.module]))
            yield from (source if name.name == "*" else f"{source}.{name.name}" for name in node.names)


def digest(*parts: bytes) -> str:
    """Return the first 12 digits of a hash of all parts together."""
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]
