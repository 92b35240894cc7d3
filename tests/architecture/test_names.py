"""Names that a machine can hold: no bare participle, no constant whose name says nothing, no two public classes of one name."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

BARE_WORDS = frozenset(
    "found one ones made known asked told said shown given led heard meant thing things stuff".split()
)
"""Participles and pronouns that tell nothing alone; `known_ids`, `lines_found` say what they hold."""

BARE_CONSTANTS = frozenset(
    "FEWEST LONGEST SHOWN CHUNK BATCH SHORT MOST LEAST ENOUGH MANY FEW SOME ALIKE TOGETHER".split()
)
"""A constant says what it bounds, and in which unit: `MAX_EXCERPT_CHARACTERS`."""

MAX_FILE_NAME_WORDS = 3
"""`lr_finder`, `system_prompt_attacks`: one or two terms of the field."""


def bound_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of every name that a module binds: definitions, parameters, assignments, loop variables, imports' aliases.

    Fields of classes are left out: they are read with their object before them, and some are keys of stored JSON.
    """
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    fields = {id(item.target) for kind in classes for item in kind.body if isinstance(item, ast.AnnAssign)}
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) if id(node) not in fields:
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)):
                yield node.lineno, name


def test_no_name_is_a_bare_participle(modules: dict[str, Any]) -> None:
    bad = [
        f"{module.path}:{line} {name}"
        for module in modules.values()
        for line, name in bound_names(module.tree)
        if name.strip("_") in BARE_WORDS
    ]
    assert not bad, f"{len(bad)} names\n" + "\n".join(bad[:40])


def test_constants_say_what_they_bound(modules: dict[str, Any]) -> None:
    bad = [
        f"{module.path}:{line} {name}"
        for module in modules.values()
        for line, name in bound_names(module.tree)
        if name.strip("_") in BARE_CONSTANTS
    ]
    assert not bad, "\n".join(bad)


def test_public_classes_have_names_of_their_own(modules: dict[str, Any]) -> None:
    places = defaultdict(list)
    for name, module in modules.items():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_file_names_are_one_or_two_terms(modules: dict[str, Any]) -> None:
    bad = [
        name for name, module in modules.items() if len(module.path.stem.strip("_").split("_")) > MAX_FILE_NAME_WORDS
    ]
    assert bad == []


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("found = 1", ["found"]),
        ("def f(one, *, told=1): ...", ["f", "one", "told"]),
        ("for made in x: pass", ["made"]),
        ("[known for known in x]", ["known"]),
        ("import a as one", ["one"]),
        ("x.found = one", []),
        ("class A:\n    found: int\n    said = 1", ["A", "said"]),
    ],
)
def test_bound_names_are_seen(code: str, names: list[str]) -> None:
    assert sorted(name for _, name in bound_names(ast.parse(code))) == sorted(names)
