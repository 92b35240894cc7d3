"""Small files, small functions, few arguments, shallow nesting."""

import ast
from collections.abc import Iterator
from typing import Any

FILE_LINES = 400
FUNCTION_LINES = 60
ARGUMENTS = 6
POSITIONAL = 3
PRIVATE_POSITIONAL = 5
"""A private function is called a few lines away; a public one is called by people who have not read it."""

NESTING = 3
VERB = "command"
"""The function of a CLI verb: its arguments are the verb's options, given by name on the command line."""

THEIR_SIGNATURES = ("cached_attention", "packed_attention")
"""Registered with transformers as attention functions, which fixes their arguments."""

BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def each_function(modules: dict[str, Any]) -> Iterator[tuple[str, str, Function]]:
    """(place for messages, module name, function) of every function of the package."""
    for name, module in modules.items():
        for function in functions(module.tree):
            yield f"{name}:{function.lineno} {function.name}", name, function


def listed(found: dict[str, Any]) -> str:
    return "\n".join(f"{place}: {value}" for place, value in found.items())


def test_files_are_short(modules: dict[str, Any]) -> None:
    lengths = {name: module.text.count("\n") for name, module in modules.items()}
    assert {name: length for name, length in lengths.items() if length > FILE_LINES} == {}


def test_half_of_the_files_are_under_120_lines(modules: dict[str, Any]) -> None:
    lengths = sorted(module.text.count("\n") for module in modules.values())
    assert lengths[len(lengths) // 2] < 120


def test_functions_are_short(modules: dict[str, Any]) -> None:
    long = {
        place: length
        for place, _, function in each_function(modules)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES
    }
    assert not long, listed(long)


def test_functions_take_few_arguments(modules: dict[str, Any]) -> None:
    bad = {place: counts(one) for place, name, one in each_function(modules) if not fixed(name, one) and too_many(one)}
    assert not bad, listed(bad)


def fixed(module: str, function: Function) -> bool:
    """Whether the arguments are given by the command line or by another library."""
    return function.name in THEIR_SIGNATURES or (module.startswith("tunesmith.cli") and function.name == VERB)


def too_many(function: Function) -> bool:
    positional, named = counts(function)
    private = function.name.startswith("_")
    return positional + named > ARGUMENTS or positional > (PRIVATE_POSITIONAL if private else POSITIONAL)


def counts(function: Function) -> tuple[int, int]:
    """(positional, keyword-only) arguments, without self and cls."""
    positional = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    own = [name for name in positional if name not in ("self", "cls")]
    return len(own), len(function.args.kwonlyargs)


def test_nesting_is_shallow(modules: dict[str, Any]) -> None:
    deep = {place: depth for place, _, one in each_function(modules) if (depth := nesting(one.body)) > NESTING}
    assert not deep, listed(deep)


def nesting(body: list[ast.stmt]) -> int:
    """How many blocks stand inside each other; `elif` goes no deeper, and an inner function is counted by itself."""
    return max((_depth(statement) for statement in body), default=0)


def _depth(statement: ast.stmt) -> int:
    if not isinstance(statement, BLOCKS):
        return 0
    inner = 0
    for name in ("body", "orelse", "finalbody"):
        part = getattr(statement, name, [])
        chained = name == "orelse" and len(part) == 1 and isinstance(part[0], ast.If) and isinstance(statement, ast.If)
        inner = max(inner, nesting(part) - (1 if chained else 0))
    for branch in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
        inner = max(inner, nesting(branch.body))
    return 1 + inner


def test_nesting_is_counted_as_meant() -> None:
    chained = "if a:\n    b\nelif c:\n    d\nelif e:\n    f\n"
    deep = "for a in b:\n    with c:\n        if d:\n            while e:\n                f\n"
    assert nesting(ast.parse(chained).body) == 1
    assert nesting(ast.parse(deep).body) == 4
