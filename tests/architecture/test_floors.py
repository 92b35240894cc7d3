"""Imports point down only, and packages of one floor do not import each other. A new package must be given a floor here.

docs/concepts/architecture.md says what each package is for; its picture is drawn from this table.
"""

import ast
from typing import Any

import pytest

FLOORS = (
    ("tunesmith.errors", "tunesmith.ports", "tunesmith.process", "tunesmith.pages"),
    ("tunesmith.artifacts", "tunesmith.registry", "tunesmith.tables"),
    ("tunesmith.recipe", "tunesmith.store", "tunesmith.stats", "tunesmith.text"),
    ("tunesmith.context", "tunesmith.trust", "tunesmith.scoring", "tunesmith.detect"),
    ("tunesmith.data",),
    ("tunesmith.chat", "tunesmith.lineage"),
    ("tunesmith.models",),
    ("tunesmith.preflight",),
    ("tunesmith.audit", "tunesmith.train", "tunesmith.evaluate", "tunesmith.release", "tunesmith.serve"),
    ("tunesmith.pipeline",),
    ("tunesmith.cli",),
)
READ_SWITCHES_AT_IMPORT = ("torch", "transformers", "daft", "peft", "accelerate", "ray")
"""Libraries that read environment variables when they are imported."""


def unit_of(name: str) -> str:
    """`tunesmith.data.formats.text` is part of the unit `tunesmith.data`; the root package is a face of its own."""
    return ".".join(name.split(".")[:2])


def floor_of(name: str) -> int | None:
    if name == "tunesmith":
        return len(FLOORS) - 1
    return next((number for number, units in enumerate(FLOORS) if unit_of(name) in units), None)


def test_every_module_has_a_floor(modules: dict[str, Any]) -> None:
    assert [name for name in modules if floor_of(name) is None] == []


def test_no_import_points_up(imports: dict[str, list[Any]]) -> None:
    bad = [
        f"{name}:{item.line} imports {item.target}"
        for name, items in imports.items()
        for item in items
        if (floor_of(item.target) or 0) > (floor_of(name) or 0)
    ]
    assert not bad, "\n".join(bad)


def test_units_of_one_floor_do_not_know_each_other(imports: dict[str, list[Any]]) -> None:
    """Stages above all: what two of them need goes down a floor with a name of its own."""
    bad = [
        f"{name}:{item.line} imports {item.target}"
        for name, items in imports.items()
        for item in items
        if floor_of(name) == floor_of(item.target)
        if unit_of(name) != unit_of(item.target) and name != "tunesmith"
    ]
    assert not bad, "\n".join(bad)


def test_hidden_imports_are_for_faces(imports: dict[str, list[Any]]) -> None:
    bad = [
        f"{name}:{item.line} imports {item.target} inside a function"
        for name, items in imports.items()
        for item in items
        if item.hidden and floor_of(name) != len(FLOORS) - 1
    ]
    assert not bad, "\n".join(bad)


def test_the_module_graph_has_no_cycle(imports: dict[str, list[Any]]) -> None:
    graph = {name: {item.target for item in items if not item.typing_only} for name, items in imports.items()}
    assert cycles(graph) == []


def test_units_have_no_cycle(imports: dict[str, list[Any]]) -> None:
    graph: dict[str, set[str]] = {}
    for name, items in imports.items():
        targets = {unit_of(item.target) for item in items if not item.typing_only}
        graph.setdefault(unit_of(name), set()).update(targets - {unit_of(name)})
    assert cycles(graph) == []


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Every cycle met by a depth-first walk, as the path that closes it."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            found.append([*path[path.index(name) :], name])
            return
        if name in done:
            return
        for target in sorted(graph.get(name, ())):
            visit(target, [*path, name])
        done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return found


def test_cycles_are_found() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c", "a"]]
    assert cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_the_switches_are_set_once_before_any_heavy_import(modules: dict[str, Any]) -> None:
    """`tunesmith/__init__.py` runs before every other module of the package: it alone calls `process.prepare()`."""
    callers = [name for name, module in modules.items() if "process.prepare()" in _calls(module.tree)]
    assert callers == ["tunesmith"]
    body = modules["tunesmith"].tree.body
    call = next(number for number, node in enumerate(body) if ast.unparse(node) == "process.prepare()")
    early = [*body[:call], *modules["tunesmith.process"].tree.body]
    assert [library for node in early for library in imported_heavy_libraries(node)] == []


def _calls(tree: ast.AST) -> set[str]:
    return {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def imported_heavy_libraries(node: ast.stmt) -> list[str]:
    """The libraries of READ_SWITCHES_AT_IMPORT that a top-level import statement loads."""
    if isinstance(node, ast.Import):
        roots = [alias.name.split(".")[0] for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        roots = [(node.module or "").split(".")[0]]
    else:
        return []
    return [root for root in roots if root in READ_SWITCHES_AT_IMPORT]


@pytest.mark.parametrize(
    ("line", "expected"), [("import torch", ["torch"]), ("from torch.nn import Module", ["torch"]), ("import json", [])]
)
def test_heavy_imports_are_seen(line: str, expected: list[str]) -> None:
    assert imported_heavy_libraries(ast.parse(line).body[0]) == expected
