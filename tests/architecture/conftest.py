"""The package as a graph: every module's syntax tree and the first-party modules it imports."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PACKAGE = "tunesmith"


@dataclass(frozen=True)
class Import:
    """One import of a first-party module: `hidden` inside a function, `typing_only` under `if TYPE_CHECKING`."""

    target: str
    line: int
    hidden: bool = False
    typing_only: bool = False


@dataclass(frozen=True)
class Module:
    """A module of the package: dotted name, file, text, tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module = field(repr=False)
    is_package: bool = False


def read_modules(root: Path) -> dict[str, Module]:
    found = {}
    for path in sorted((root / "src" / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root / "src").with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, path, text, ast.parse(text), is_package)
    return found


def imports_of(module: Module, names: set[str]) -> list[Import]:
    """First-party imports; `from package import submodule` is an import of the submodule."""
    return list(_walk(module.tree, module, names, hidden=False, typing_only=False))


def _walk(node: ast.AST, module: Module, names: set[str], *, hidden: bool, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        for target in _targets(child, module, names):
            yield Import(target, child.lineno, hidden, typing_only)
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            body = ast.Module(body=child.body, type_ignores=[])
            yield from _walk(body, module, names, hidden=hidden, typing_only=True)
            rest = ast.Module(body=child.orelse, type_ignores=[])
            yield from _walk(rest, module, names, hidden=hidden, typing_only=typing_only)
            continue
        yield from _walk(child, module, names, hidden=hidden or inside, typing_only=typing_only)


def _targets(node: ast.AST, module: Module, names: set[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        parts = module.name.split(".")
        keep = len(parts) - node.level + (1 if module.is_package else 0)
        base = ".".join([*parts[:keep], *([node.module] if node.module else [])])
    if base.split(".")[0] != PACKAGE:
        return []
    submodules = [f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in names]
    rest = len(submodules) < len(node.names)
    return submodules + ([base] if rest else [])


@pytest.fixture(scope="session")
def modules(root: Path) -> dict[str, Module]:
    return read_modules(root)


@pytest.fixture(scope="session")
def imports(modules: dict[str, Module]) -> dict[str, list[Import]]:
    return {name: imports_of(module, set(modules)) for name, module in modules.items()}
