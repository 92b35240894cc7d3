"""Faults: all that stands against a run, told at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.errors import RecipeError


@dataclass(frozen=True)
class Fault:
    """What is wrong, which setting, file or row it is, and the line or command that mends it."""

    what: str
    where: str
    hint: str


def raise_faults(faults: Sequence[Fault]) -> None:
    """Raises RecipeError with every fault, numbered when there are several; nothing when there is none."""
    if not faults:
        return
    if len(faults) == 1:
        raise RecipeError(faults[0].what, where=faults[0].where, hint=faults[0].hint)
    told = [
        f"  {number}. {fault.where}: {fault.what}\n     hint: {fault.hint}" for number, fault in enumerate(faults, 1)
    ]
    raise RecipeError(
        f"{len(faults)} things stand against this run; nothing was started\n" + "\n".join(told),
        where=", ".join(dict.fromkeys(fault.where for fault in faults)),
        hint="mend them and run the same command again",
    )
