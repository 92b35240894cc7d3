"""Expired rights: rows whose right of use has expired, or that rely on consent nobody could withdraw.

What it finds: rows whose `expires` date, the last day on which they may be used, is before the day of the audit; and files
with rows that rely on consent but name no data subject (one finding per file, at line 0).
Why it matters: expired rows must not be trained on. Consent can be withdrawn at any time, and without a data subject the rows
to remove cannot be found.
Limits: only what is declared is checked, not what a licence forbids or whether consent was given. Consent is recognized by the
word `consent`, or by GDPR Art. 6(1)(a), in the basis.
Reference: GDPR Art. 5(1)(e), 6(1)(a) and 7(3); Data Provenance Standards 1.0.0 (Data & Trust Alliance).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar, Final

import pyarrow as pa
from pyarrow import compute

from tunesmith.artifacts import Action, Finding, Place
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE

CONSENT_PATTERN: Final = r"(?i)\bconsent\b|\b6 ?\(1\) ?\(?a\b"
NO_CONSENT_PATTERN: Final = r"(?i)\b(?:no|not|without) (?:\w+ )?consent"


@CHECKS.register
@dataclass(frozen=True)
class ExpiredRights:
    """Compares dates with `today`, the date the audit started; without it no row is expired."""

    id: ClassVar[str] = "expired-rights"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = ROW_PHASE

    today: date | None = field(default=None, repr=False)

    def examine(self, corpus: AuditTable) -> list[Finding]:
        return [*self._expired(corpus), *self._without_subject(corpus.rows)]

    def _expired(self, corpus: AuditTable) -> Iterator[Finding]:
        if self.today is None:
            return
        dates = corpus.rows.select(["row", "expires"])
        # ISO 8601 dates sort chronologically as strings
        expired = dates.filter(compute.less(dates.column("expires"), self.today.isoformat()))
        for row, day in zip(expired.column("row").to_pylist(), expired.column("expires").to_pylist(), strict=True):
            yield corpus.finding(self, row, f"may be used until {day}, which is past", severity="error")

    def _without_subject(self, table: pa.Table) -> Iterator[Finding]:
        basis = compute.fill_null(table.column("basis"), "")
        consent = compute.match_substring_regex(basis, CONSENT_PATTERN)
        consent = compute.and_(consent, compute.invert(compute.match_substring_regex(basis, NO_CONSENT_PATTERN)))
        without_subject = compute.and_(consent, compute.is_null(table.column("subject")))
        flags = pa.table({"file": table.column("file"), "nobody": without_subject.cast(pa.int64())})
        files = flags.group_by("file", use_threads=False).aggregate([("nobody", "count"), ("nobody", "sum")])
        for line in files.to_pylist():
            if line["nobody_sum"]:
                yield Finding(
                    rule=self.id,
                    severity="warning",
                    action=self.default_action,
                    place=Place(row_id="", file=line["file"], line=0),
                    reason=f"{line['nobody_sum']} of {line['nobody_count']} rows rest on consent and name no subject",
                )


def last_valid_day(corpus: AuditTable, today: date) -> str | None:
    """The earliest expiry date that is not past: until then this check finds the same as today. None if no row expires."""
    days = corpus.rows.column("expires")
    later = days.filter(compute.fill_null(compute.greater_equal(days, today.isoformat()), False))
    earliest: str | None = compute.min(later).as_py()
    return earliest
