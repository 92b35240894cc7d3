"""No setting without a reader: every key of the recipe is read somewhere outside the recipe itself."""

import ast
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from tunesmith.recipe import Limits, Recipe

NO_READERS = ("tunesmith.recipe.data", "tunesmith.recipe.stages", "tunesmith.recipe.training", "tunesmith.cli")
"""Where settings are declared, and the face that only passes them on."""


def parts(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """The settings classes that a recipe is made of."""
    if model in seen:
        return
    seen.add(model)
    yield model
    for field in model.model_fields.values():
        for inner in models_in(field.annotation):
            yield from parts(inner, seen)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in models_in(argument)]


def reads(tree: ast.AST) -> set[str]:
    """Names of attributes that are read, keywords of `case Class(name=...)`, and fields of plugins, which the recipe fills.

    In a module that reads attributes by name, its text constants count too.
    """
    by_name = any(isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" for node in ast.walk(tree))
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name, ctx=ast.Load()):
                found.add(name)
            case ast.MatchClass(kwd_attrs=names):
                found.update(names)
            case ast.ClassDef(decorator_list=[first, *_]) if "register" in ast.unparse(first):
                found.update(ast.unparse(item.target) for item in node.body if isinstance(item, ast.AnnAssign))
            case ast.Constant(value=str(name)) if by_name:
                found.add(name)
            case _:
                continue
    return found


def test_every_setting_has_a_reader(modules: dict[str, Any]) -> None:
    known: set[str] = set()
    for name, module in modules.items():
        if not name.startswith(NO_READERS):
            known |= reads(module.tree)
    unread = [
        f"{part.__name__}.{field}"
        for part in (*parts(Recipe, set()), Limits)
        for field in part.model_fields
        if field not in known
    ]
    assert not unread, "\n".join(unread)


def test_a_read_is_told_from_a_write() -> None:
    assert reads(ast.parse("a.b = 1")) == set()
    assert reads(ast.parse("a = c.b")) == {"b"}
