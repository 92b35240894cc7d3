"""Unlicensed source: a row under no licence, or under one that the recipe does not allow.

What it finds: rows without a licence, with one that is no SPDX expression, or whose expression `audit.allowed_licenses` does
not satisfy: AND needs both sides, OR one, WITH is matched as a whole.
Why it matters: a model tuned on rows nobody may use cannot be given away, and unlearning one row is not practical.
Limits: it judges what is stated, not whether it is true; compatibility of licences with each other is not worked out.
Reference: SPDX specification 3.0.1, annex on licence expressions; license-expression 30.4.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE
from tunesmith.data.licenses import license_refusal


@CHECKS.register
@dataclass(frozen=True)
class UnlicensedSource:
    """Each distinct licence is judged once."""

    id: ClassVar[str] = "unlicensed-source"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "drop"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = ROW_PHASE

    allowed_licenses: tuple[str, ...] = ()

    def examine(self, corpus: AuditTable) -> Iterator[Finding]:
        licenses = corpus.table.column("license")
        reasons = {
            license: license_refusal(license, self.allowed_licenses) for license in licenses.unique().to_pylist()
        }
        if all(reason is None for reason in reasons.values()):
            return
        for batch in corpus.table.select(["row", "license"]).to_batches():
            for row, license in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                if (reason := reasons[license]) is not None:
                    yield corpus.finding(self, row, reason)
