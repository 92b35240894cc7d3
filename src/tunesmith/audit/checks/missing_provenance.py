"""Missing provenance: a file of which nobody says where it comes from or on what ground it may be used.

What it finds: files with rows that have no origin, no licence or no legal basis, neither of their own nor of their source.
One finding a file, at line 0.
Why it matters: the data card, an erasure request and any later question about rights start from these three.
Limits: whether what is stated is true or enough is not judged.
Reference: Data Provenance Standards 1.0.0 (Data & Trust Alliance); GDPR Art. 5(2), 6 and 30.
"""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Action, Finding, Place
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE

REQUIRED_RIGHTS = ("origin", "license", "basis")


@CHECKS.register
@dataclass(frozen=True)
class MissingProvenance:
    """A file with a gap is named once, with how many of its rows have it."""

    id: ClassVar[str] = "missing-provenance"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "warn")
    turn: ClassVar[int] = ROW_PHASE

    def examine(self, corpus: AuditTable) -> list[Finding]:
        files: dict[str, list[tuple[set[str], int]]] = {}
        alike = corpus.table.select(["file", *REQUIRED_RIGHTS]).group_by(["file", *REQUIRED_RIGHTS], use_threads=False)
        for line in alike.aggregate([([], "count_all")]).to_pylist():
            gaps = {name for name in REQUIRED_RIGHTS if line[name] is None or not line[name].strip()}
            files.setdefault(line["file"], []).append((gaps, line["count_all"]))
        return [self._finding(file, rows) for file, rows in files.items() if any(gaps for gaps, _ in rows)]

    def _finding(self, file: str, rows: list[tuple[set[str], int]]) -> Finding:
        """`rows` are the gaps of alike rows, and how many these are."""
        missing = [name for name in REQUIRED_RIGHTS if any(name in gaps for gaps, _ in rows)]
        count = sum(alike for gaps, alike in rows if gaps)
        return Finding(
            rule=self.id,
            severity="warning",
            action=self.default_action,
            place=Place(row_id="", file=file, line=0),
            reason=f"{count} of {sum(alike for _, alike in rows)} rows have no {' or '.join(missing)}",
        )
