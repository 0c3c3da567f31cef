"""What the modules of this repository import, read from their text without running them."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def modules(*folders: str) -> list[Path]:
    """Every .py file of these folders, relative to the repository."""
    return sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def imported(module: Path) -> frozenset[str]:
    """The names a module imports anywhere in its text; `from a import b` gives `a` and `a.b`."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def packages(module: Path) -> set[str]:
    """The top-level packages a module imports."""
    return {name.partition(".")[0] for name in imported(module)}


def own_files(module: Path) -> set[Path]:
    """The files of this repository that a module imports; an __init__ that says no more than a docstring is none."""
    found = set()
    for name in imported(module):
        stem = Path(*name.split("."))
        for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
            if (ROOT / candidate).is_file() and _does_something(candidate):
                found.add(candidate)
    return found


@cache
def _does_something(module: Path) -> bool:
    body = ast.parse((ROOT / module).read_text("utf-8")).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)
