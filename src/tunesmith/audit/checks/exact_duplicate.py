"""Exact duplicate: a training row identical to an earlier one.

What it finds: training rows whose messages (or text and labels) are byte-for-byte equal to those of an earlier row.
Why it matters: duplicated rows are weighted twice and are more likely to be memorized.
Limits: a single extra space is enough to pass (near-duplicate finds that). Held-out rows are not checked.
Reference: Lee et al. 2022, Deduplicating Training Data Makes Language Models Better, arXiv:2107.06499.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith import tables
from tunesmith.artifacts import Action, Finding
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, DUPLICATE_PHASE


@CHECKS.register
@dataclass(frozen=True)
class ExactDuplicate:
    """Keeps the first of equal rows."""

    id: ClassVar[str] = "exact-duplicate"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "drop"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = DUPLICATE_PHASE

    def examine(self, corpus: AuditTable) -> Iterator[Finding]:
        table = corpus.split("train").select(["row", "digest"])
        groups = tables.group_min_count(table, keys=["digest"], row="row")
        rows, firsts = (groups.column(name).to_pylist() for name in ("row", "minimum"))
        for row, first in zip(rows, firsts, strict=True):
            if row != first:
                yield corpus.finding(self, row, "says exactly what an earlier row says", other=first, similarity=1.0)
