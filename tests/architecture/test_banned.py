"""What must not stand in the code: drawers without a name, ambient state, swallowed errors, inherited behaviour."""

import ast
from typing import Any

import pytest

DRAWERS = ("utils", "util", "common", "helpers", "helper", "misc", "manager", "managers")
AMBIENT_MODULES = ("random", "time", "os.environ")
AMBIENT_CALLS = (
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "os.getenv",
    "os.putenv",
    "os.environb",
)
CONTEXT = ("tunesmith.process", "tunesmith.context")
PLUGIN_RUNNERS = ("tunesmith.audit.run",)
"""A crash of a plugin is recorded as Insufficient or as a finding of its own; elsewhere only faces catch everything."""

UNSAFE_CALLS = ("pickle.load", "pickle.loads", "torch.load", "eval", "exec", "yaml.load", "yaml.unsafe_load")


def dotted(node: ast.AST) -> str:
    """`os.environ` for an attribute chain, the name for a name, else nothing."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            return f"{dotted(value)}.{attribute}"
        case _:
            return ""


def imported(node: ast.AST) -> list[str]:
    """Modules and names that an import statement brings in."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), names=names, level=0):
            return [module, *(f"{module}.{alias.name}" for alias in names)]
        case _:
            return []


def ambient(tree: ast.AST) -> list[str]:
    """Reads of time, randomness and environment that did not come through a Context."""
    found = []
    for node in ast.walk(tree):
        found += [name for name in imported(node) if name in AMBIENT_MODULES]
        name = dotted(node) if isinstance(node, ast.Attribute) else ""
        found += [name] if name.endswith(("os.environ", *AMBIENT_CALLS)) else []
    return found


def calls(tree: ast.AST, names: tuple[str, ...]) -> list[str]:
    found = [dotted(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [name for name in found if name in names]


def catches_everything(handler: ast.ExceptHandler) -> bool:
    kinds = [] if handler.type is None else [dotted(node) for node in ast.walk(handler.type)]
    return handler.type is None or "Exception" in kinds


def silent(handler: ast.ExceptHandler) -> bool:
    return all(isinstance(node, ast.Pass) for node in handler.body)


def handlers(tree: ast.AST) -> list[ast.ExceptHandler]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]


def is_face(name: str) -> bool:
    return name.startswith("tunesmith.cli")


def offenders(modules: dict[str, Any], find: Any, allowed: Any = lambda name: False) -> dict[str, Any]:
    return {name: found for name, module in modules.items() if not allowed(name) and (found := find(module.tree))}


def test_no_drawers(modules: dict[str, Any]) -> None:
    assert [name for name in modules if set(name.split(".")) & set(DRAWERS)] == []


def test_time_randomness_and_environment_come_through_the_context(modules: dict[str, Any]) -> None:
    assert offenders(modules, ambient, lambda name: name in CONTEXT) == {}


def test_nothing_outside_the_faces_catches_everything(modules: dict[str, Any]) -> None:
    def find(tree: ast.AST) -> list[int]:
        return [handler.lineno for handler in handlers(tree) if catches_everything(handler)]

    assert offenders(modules, find, lambda name: is_face(name) or name in PLUGIN_RUNNERS) == {}


def test_no_error_is_passed_over(modules: dict[str, Any]) -> None:
    assert offenders(modules, lambda tree: [one.lineno for one in handlers(tree) if silent(one)]) == {}


def test_no_inherited_implementation_and_no_duck_tests(modules: dict[str, Any]) -> None:
    assert offenders(modules, lambda tree: calls(tree, ("super", "hasattr"))) == {}


def test_no_unsafe_loading(modules: dict[str, Any]) -> None:
    assert offenders(modules, lambda tree: calls(tree, UNSAFE_CALLS)) == {}


def trusts_remote_code(tree: ast.AST) -> list[int]:
    keywords = [node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "trust_remote_code"]
    return [node.value.lineno for node in keywords if ast.unparse(node.value) != "False"]


def test_remote_code_stays_off(modules: dict[str, Any]) -> None:
    assert offenders(modules, trusts_remote_code) == {}


def test_weights_load_from_safetensors_only(modules: dict[str, Any]) -> None:
    """`torch.load` is banned above; `from_pretrained` of a model must say `use_safetensors=True`."""

    def find(tree: ast.AST) -> list[int]:
        loads = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and "Model" in dotted(node.func)]
        loads = [node for node in loads if dotted(node.func).endswith("ForCausalLM.from_pretrained")]
        return [node.lineno for node in loads if "use_safetensors=True" not in ast.unparse(node)]

    assert offenders(modules, find) == {}


@pytest.mark.parametrize(
    "code",
    [
        "import random",
        "from time import time",
        "import os\nos.environ['A'] = '1'",
        "from os import environ",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime\ndatetime.now()",
    ],
)
def test_ambient_reads_are_seen(code: str) -> None:
    assert ambient(ast.parse(code)) != []


@pytest.mark.parametrize(
    "code", ["import numpy.random", "clock.now()", "from datetime import datetime", "context.seconds()"]
)
def test_other_reads_are_not(code: str) -> None:
    assert ambient(ast.parse(code)) == []


def test_wide_and_silent_handlers_are_seen() -> None:
    wide, named = handlers(ast.parse("try:\n    a\nexcept (OSError, Exception):\n    pass\nexcept OSError:\n    raise"))
    assert (catches_everything(wide), silent(wide)) == (True, True)
    assert (catches_everything(named), silent(named)) == (False, False)
