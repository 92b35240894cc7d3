"""Schema: a row that does not match the format of its file.

What it finds: rows that cannot be used as they are: JSON that is broken, repeats a key, contains NaN or a lone surrogate, or is
nested a hundred levels deep; a missing column, or a column of the wrong type; a row in a different format than the first row of
its file; a line of more than 10 MB; an invalid rights field, such as an impossible date. One finding per row with file, line,
reason and fix for the first 10,000 rows; the rest are counted per file.
Why it matters: a reader that skips such rows trains on less than the owner expects, and one that guesses trains on something
else.
Limits: rows that match their format are not examined further here. If the file itself is broken (not UTF-8, NUL bytes,
truncated, an unclosed quote in CSV) nothing after that point can be trusted: the audit reads the other files, lists every
broken file and the invalid rows found so far, and stops. Invalid rows never reach the data set: `drop` continues without them,
`block` stops, and with this check off the first one is an error for its whole file.
Reference: RFC 8259 (JSON), RFC 4180 (CSV), RFC 8785 (what JSON can be signed); docs/formats/data.md.
"""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Action, Finding, Place
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE


@CHECKS.register
@dataclass(frozen=True)
class Schema:
    """Reports the rows that reading found invalid; see `data.invalid_rows`."""

    id: ClassVar[str] = "schema"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "block"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop")
    phase: ClassVar[int] = ROW_PHASE

    def examine(self, corpus: AuditTable) -> list[Finding]:
        invalid_rows = corpus.signals.invalid_rows
        listed = [self._finding(row.file, row.line, row.description) for row in invalid_rows.rows]
        counted = [
            self._finding(
                file, 0, f"{count:,} more rows do not fit; only the first {len(invalid_rows.rows):,} are listed"
            )
            for file, count in sorted(invalid_rows.unlisted.items())
        ]
        return listed + counted

    def _finding(self, file: str, line: int, reason: str) -> Finding:
        place = Place(row_id="", file=file, line=line)
        return Finding(rule=self.id, severity="error", action=self.default_action, place=place, reason=reason)
