"""Faults of a recipe, reported together."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.errors import RecipeError


@dataclass(frozen=True)
class Fault:
    """What is wrong, where (a setting, file or row), and the recipe line or command that fixes it."""

    what: str
    where: str
    hint: str


def raise_faults(faults: Sequence[Fault]) -> None:
    """Raises RecipeError with all faults, numbered when there are several; returns when there are none."""
    if not faults:
        return
    if len(faults) == 1:
        raise RecipeError(faults[0].what, where=faults[0].where, hint=faults[0].hint)
    lines = [
        f"  {number}. {fault.where}: {fault.what}\n     hint: {fault.hint}" for number, fault in enumerate(faults, 1)
    ]
    raise RecipeError(
        f"{len(faults)} problems prevent this run; nothing was started\n" + "\n".join(lines),
        where=", ".join(dict.fromkeys(fault.where for fault in faults)),
        hint="fix them and run the same command again",
    )
