"""The project's own source, parsed once, for the house tests."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("kit", "keys", "identity", "consent", "infobank", "cert", "portal")


@dataclass(frozen=True)
class Module:
    """One Python file of the packages."""

    path: str  # relative to the root, "/" between the parts
    text: str
    tree: ast.Module

    def where(self, node: ast.AST) -> str:
        """`kit/db.py:12: the line's text`, for a failure's message."""
        line = getattr(node, "lineno", 1)
        return f"{self.path}:{line}: {self.text.splitlines()[line - 1].strip()}"


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the seven packages (tests apart)."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            found.append(Module(path.relative_to(ROOT).as_posix(), text, ast.parse(text)))
    return tuple(found)


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute chain; calls and subscripts inside it become `()` and `[]`."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{dotted(value)}.{attr}"
        case ast.Call(func=func):
            return f"{dotted(func)}()"
        case ast.Subscript(value=value):
            return f"{dotted(value)}[]"
        case _:
            return "?"


def calls(module: Module) -> Iterator[tuple[str, ast.Call]]:
    """Each call in the module with the dotted name of what is called."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def imports(module: Module) -> Iterator[tuple[str, ast.stmt]]:
    """Each imported module or name, dotted: `from a.b import c` gives `a.b.c`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node
