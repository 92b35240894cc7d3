"""Protocol and registry of checks (one check finds one defect), and the phases in which checks run."""

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
"""Phases, in order. A check sees only the rows that earlier phases kept, so no row is dropped as a duplicate of a row that is
dropped itself."""


class Check(Protocol):
    """A frozen dataclass whose fields are its settings.

    Fields named `allowed_licenses`, `exempt`, `task` or `labels_are` (the task's `labels`) are filled from the recipe, and
    `today` from the clock. `actions` lists the actions a recipe may choose; only a check that reports spans can redact.
    """

    id: ClassVar[str]
    version: ClassVar[str]
    default_action: ClassVar[Action]
    actions: ClassVar[tuple[Action, ...]]
    phase: ClassVar[int]

    def examine(self, corpus: AuditTable) -> Iterable[Finding]:
        """All findings in any order, created by `corpus.finding`. A check that may flag every row yields them one by one."""
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
