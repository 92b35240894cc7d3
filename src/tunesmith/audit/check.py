"""Check: what finds one defect. The registry, and the turns in which checks look."""

from collections.abc import Iterable
from typing import ClassVar, Final, Protocol

from tunesmith.artifacts import Action, Finding
from tunesmith.audit import checks
from tunesmith.audit.audit_table import AuditTable
from tunesmith.registry import Registry

ROW_PHASE: Final = 0
SPLIT_PHASE: Final = 1
DUPLICATE_PHASE: Final = 2
NEAR_DUPLICATE_PHASE: Final = 3
FINAL_PHASE: Final = 4
"""Turns. A check sees only the rows that checks of earlier turns left, so that no row is dropped as the double of a row
that goes itself."""


class Check(Protocol):
    """A frozen dataclass whose fields are its settings.

    A field called `allowed_licenses`, `exempt`, `task` or `labels_are` (the task's `labels`) is filled from the recipe's own
    keys, and `today` from the clock.
    `actions` are those that the recipe may ask for; only a check that reports spans can redact.
    """

    id: ClassVar[str]
    version: ClassVar[str]
    default_action: ClassVar[Action]
    actions: ClassVar[tuple[Action, ...]]
    turn: ClassVar[int]

    def examine(self, corpus: AuditTable) -> Iterable[Finding]:
        """Every finding, in any order, made by `corpus.finding`; a check that may find every row gives them one by one."""
        ...


CHECKS: Registry[Check] = Registry("check")


def check_ids() -> tuple[str, ...]:
    """Ids of all checks, sorted."""
    CHECKS.load(checks)
    return tuple(CHECKS)


def check_class(name: str) -> type[Check]:
    """The class of an id. Raises Misuse with the nearest name."""
    CHECKS.load(checks)
    return CHECKS.get(name)
