"""Tunesmith: supervised fine-tuning you can stand behind. Public names only; each is imported when it is first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tunesmith import process

if TYPE_CHECKING:
    from tunesmith.artifacts import Estimate, Example, Finding, Insufficient, Verdict
    from tunesmith.context import Context
    from tunesmith.errors import (
        DataError,
        IntegrityBroken,
        Interrupted,
        MachineFailure,
        Misuse,
        RecipeError,
        Refused,
        StoreLocked,
        TunesmithError,
    )
    from tunesmith.pipeline import RunResult, open_context, run
    from tunesmith.recipe import Limits, Recipe, limited, load_recipe, parse_recipe
    from tunesmith.trust import load_public_pem
    from tunesmith.trust import verify_release as verify

# Before any module of the package imports a library that reads them: telemetry off, network off, threads that sleep.
process.prepare()

__all__ = [
    "Context",
    "DataError",
    "Estimate",
    "Example",
    "Finding",
    "Insufficient",
    "IntegrityBroken",
    "Interrupted",
    "Limits",
    "MachineFailure",
    "Misuse",
    "Recipe",
    "RecipeError",
    "Refused",
    "RunResult",
    "StoreLocked",
    "TunesmithError",
    "Verdict",
    "limited",
    "load_public_pem",
    "load_recipe",
    "open_context",
    "parse_recipe",
    "run",
    "verify",
]

_HOMES = {
    "tunesmith.artifacts": ("Estimate", "Example", "Finding", "Insufficient", "Verdict"),
    "tunesmith.context": ("Context",),
    "tunesmith.errors": (
        "DataError",
        "IntegrityBroken",
        "Interrupted",
        "MachineFailure",
        "Misuse",
        "RecipeError",
        "Refused",
        "StoreLocked",
        "TunesmithError",
    ),
    "tunesmith.pipeline": ("RunResult", "open_context", "run"),
    "tunesmith.recipe": ("Limits", "Recipe", "limited", "load_recipe", "parse_recipe"),
    "tunesmith.trust": ("load_public_pem", "verify"),
}
_RENAMED = {"verify": "verify_release"}


def __getattr__(name: str) -> Any:
    """A public name from the module that defines it; torch and its like load only with what needs them."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), _RENAMED.get(name, name))
    raise AttributeError(f"module 'tunesmith' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
