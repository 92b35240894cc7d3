"""Expired rights: rows whose right of use has run out, or hangs on a consent that nobody could withdraw.

What it finds: rows whose `expires`, the last day on which they may be used, lies before the day of the audit; and files with
rows on the basis of consent that name no subject, one finding a file, at line 0.
Why it matters: rows that may no longer be used must not be trained on; who gives consent may take it back at any time, and
without a subject their rows cannot be found.
Limits: it judges what is stated. What a licence forbids, or whether consent was given, is not judged. Consent is known by
the word `consent`, or by GDPR Art. 6(1)(a), in the basis.
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
    """Compares dates with `today`, the day on which the audit began; without it no row is expired."""

    id: ClassVar[str] = "expired-rights"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = ROW_PHASE

    today: date | None = field(default=None, repr=False)

    def examine(self, corpus: AuditTable) -> list[Finding]:
        return [*self._expired(corpus), *self._without_subject(corpus.table)]

    def _expired(self, corpus: AuditTable) -> Iterator[Finding]:
        if self.today is None:
            return
        dates = corpus.table.select(["row", "expires"])
        # ISO 8601 dates are in the order of their days
        late = dates.filter(compute.less(dates.column("expires"), self.today.isoformat()))
        for row, day in zip(late.column("row").to_pylist(), late.column("expires").to_pylist(), strict=True):
            yield corpus.finding(self, row, f"may be used until {day}, which is past", severity="error")

    def _without_subject(self, table: pa.Table) -> Iterator[Finding]:
        basis = compute.fill_null(table.column("basis"), "")
        consent = compute.match_substring_regex(basis, CONSENT_PATTERN)
        consent = compute.and_(consent, compute.invert(compute.match_substring_regex(basis, NO_CONSENT_PATTERN)))
        nobody = compute.and_(consent, compute.is_null(table.column("subject")))
        counted = pa.table({"file": table.column("file"), "nobody": nobody.cast(pa.int64())})
        files = counted.group_by("file", use_threads=False).aggregate([("nobody", "count"), ("nobody", "sum")])
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
    """The day after which the next row expires: until then this check finds what it finds today. None when no row will."""
    days = corpus.table.column("expires")
    later = days.filter(compute.fill_null(compute.greater_equal(days, today.isoformat()), False))
    found: str | None = compute.min(later).as_py()
    return found
