"""Unlicensed source: a row without a licence, or with one the recipe does not allow.

What it finds: rows without a licence, with a licence that is not an SPDX expression, or whose expression is not satisfied by
`audit.allowed_licenses`: AND needs both sides, OR one, WITH is matched as a whole.
Why it matters: a model tuned on unlicensed rows cannot be distributed, and unlearning individual rows is not practical.
Limits: the declaration is checked, not whether it is true; compatibility between licences is not evaluated.
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
    """Evaluates each distinct licence once."""

    id: ClassVar[str] = "unlicensed-source"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "drop"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = ROW_PHASE

    allowed_licenses: tuple[str, ...] = ()

    def examine(self, corpus: AuditTable) -> Iterator[Finding]:
        licenses = corpus.rows.column("license")
        reasons = {
            license: license_refusal(license, self.allowed_licenses) for license in licenses.unique().to_pylist()
        }
        if all(reason is None for reason in reasons.values()):
            return
        for batch in corpus.rows.select(["row", "license"]).to_batches():
            for row, license in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                if (reason := reasons[license]) is not None:
                    yield corpus.finding(self, row, reason)
