"""Schema: a row that does not fit the format of its file.

What it finds: rows that cannot be used as they stand: JSON that is broken, has a key twice, NaN, half a character or a hundred
levels; a column that is missing or holds something else than its format reads; a row of another format than the first of its
file; a line of more than 10 MB; a right that is none, such as a date that no calendar has. One finding a row with file, line,
reason and what to do, for the first 10,000; of the rest their number, by file.
Why it matters: a reader that passes over such rows trains on less than its owner thinks, and one that guesses trains on
something else.
Limits: a row that fits is not looked into here. Where the file itself is broken (not UTF-8, NUL bytes, cut off, a quote left
open in CSV) nothing after that place is sure: the audit reads the other files, names every file at fault with the rows that it
found not to fit, and stops. Such rows are never in the data set: `drop` goes on without them, `block` stops, and with the check
off the first of a file is a fault of the whole file.
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
    """Says what reading could not use; see `data.misfits`."""

    id: ClassVar[str] = "schema"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "block"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop")
    turn: ClassVar[int] = ROW_PHASE

    def examine(self, corpus: AuditTable) -> list[Finding]:
        misfits = corpus.signals.misfits
        said = [self._finding(one.file, one.line, one.description) for one in misfits.rows]
        rest = [
            self._finding(file, 0, f"{count:,} more rows do not fit; only the first {len(misfits.rows):,} are listed")
            for file, count in sorted(misfits.unlisted.items())
        ]
        return said + rest

    def _finding(self, file: str, line: int, reason: str) -> Finding:
        place = Place(row_id="", file=file, line=line)
        return Finding(rule=self.id, severity="error", action=self.default_action, place=place, reason=reason)
