"""Imbalance: one class or one source dominates the others.

What it finds: in the training rows, labels with fewer than `least` times the rows of the median label; label distributions
whose entropy is below `evenness` of that of a uniform distribution; and, for information, a source that supplies more than
`source` of all rows when there are others. A label's finding is at its first row, the others at a file, line 0.
Why it matters: a rare class is learned badly and hardly affects accuracy; one large source sets the tone for the whole model.
Limits: it counts training rows and does not know the class distribution in production, which may be just as uneven. Labels
are those of labelled text, or the completions when the task is `classify`.
Reference: He and Garcia 2009, Learning from Imbalanced Data, IEEE TKDE 21(9); evenness is Pielou's J (1966).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy
import pyarrow as pa
from pyarrow import compute
from pydantic import Field

from tunesmith.artifacts import Action, Finding, Place, Severity
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, FINAL_PHASE
from tunesmith.audit.checks.label_error import labelled_rows, quote_label


@CHECKS.register
@dataclass(frozen=True)
class Imbalance:
    """Runs in the final phase, on the rows that remain."""

    id: ClassVar[str] = "imbalance"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "warn")
    phase: ClassVar[int] = FINAL_PHASE

    least: Annotated[float, Field(gt=0, lt=1)] = 0.1
    evenness: Annotated[float, Field(ge=0, lt=1)] = 0.5
    rows: Annotated[int, Field(ge=2)] = 50
    source: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    task: str = "chat"
    labels_are: str = "single"

    def examine(self, corpus: AuditTable) -> list[Finding]:
        table = corpus.rows.select(["row", "split", "file", "source", "label", "completion"])
        train = table.filter(compute.equal(table.column("split"), "train"))
        lines = labelled_rows(train, self.task, self.labels_are)
        return [*self._label_findings(corpus, lines), *self._source_findings(train)]

    def _label_findings(self, corpus: AuditTable, lines: pa.Table) -> Iterator[Finding]:
        counts = _value_counts(lines, "label")
        if lines.num_rows < self.rows or counts.num_rows < 2:
            return
        rows = counts.column("row_count").to_numpy()
        median = float(numpy.median(rows))
        for label, count, first in zip(*(counts.column(name).to_pylist() for name in counts.column_names), strict=True):
            if count < self.least * median:
                reason = f"the label {quote_label(label)} stands on {count} rows, the median label on {median:g}"
                yield corpus.finding(self, first, reason)
        shares = rows / rows.sum()
        even = float(-(shares * numpy.log(shares)).sum() / numpy.log(len(rows)))
        if even < self.evenness:
            most = counts.column("label")[int(rows.argmax())].as_py()
            reason = f"the label {quote_label(most)} stands on {shares.max():.0%} of {rows.sum()} rows with {len(rows)} labels"
            yield self._file_finding(lines.column("file")[0].as_py(), f"{reason} (evenness {even:.2f})", "warning")

    def _source_findings(self, train: pa.Table) -> Iterator[Finding]:
        named = train.filter(compute.is_valid(train.column("source")))
        counts = _value_counts(named, "source")
        if named.num_rows < self.rows or counts.num_rows < 2:
            return
        rows = counts.column("row_count").to_numpy()
        if rows.max() > self.source * rows.sum():
            largest = int(rows.argmax())
            name, first = counts.column("source")[largest].as_py(), counts.column("row_min")[largest].as_py()
            file = named.filter(compute.equal(named.column("row"), first)).column("file")[0].as_py()
            reason = f"the source {name[:60]!r} gives {rows.max()} of {rows.sum()} rows; there are {len(rows)} sources"
            yield self._file_finding(file, reason, "info")

    def _file_finding(self, file: str, reason: str, severity: Severity) -> Finding:
        place = Place(row_id="", file=file, line=0)
        return Finding(rule=self.id, severity=severity, action=self.default_action, place=place, reason=reason)


def _value_counts(lines: pa.Table, column: str) -> pa.Table:
    """Each value with its `row_count` and first row (`row_min`), ordered by first row."""
    counts = lines.group_by(column).aggregate([("row", "count"), ("row", "min")])
    return counts.select([column, "row_count", "row_min"]).sort_by("row_min")
