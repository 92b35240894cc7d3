"""Missing provenance: a file without a declared origin, licence or legal basis.

What it finds: files with rows for which neither the row nor its source declares an origin, a licence or a legal basis. One
finding per file, at line 0.
Why it matters: the data card, erasure requests and every later question about rights depend on these three.
Limits: whether the declaration is true or sufficient is not checked.
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
    """One finding per file with a gap, with the number of rows affected."""

    id: ClassVar[str] = "missing-provenance"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "warn")
    phase: ClassVar[int] = ROW_PHASE

    def examine(self, corpus: AuditTable) -> list[Finding]:
        files: dict[str, list[tuple[set[str], int]]] = {}
        groups = corpus.rows.select(["file", *REQUIRED_RIGHTS]).group_by(["file", *REQUIRED_RIGHTS], use_threads=False)
        for line in groups.aggregate([([], "count_all")]).to_pylist():
            gaps = {name for name in REQUIRED_RIGHTS if line[name] is None or not line[name].strip()}
            files.setdefault(line["file"], []).append((gaps, line["count_all"]))
        return [self._finding(file, rows) for file, rows in files.items() if any(gaps for gaps, _ in rows)]

    def _finding(self, file: str, rows: list[tuple[set[str], int]]) -> Finding:
        """`rows` are (missing fields, number of rows) pairs."""
        missing = [name for name in REQUIRED_RIGHTS if any(name in gaps for gaps, _ in rows)]
        count = sum(row_count for gaps, row_count in rows if gaps)
        return Finding(
            rule=self.id,
            severity="warning",
            action=self.default_action,
            place=Place(row_id="", file=file, line=0),
            reason=f"{count} of {sum(row_count for _, row_count in rows)} rows have no {' or '.join(missing)}",
        )
