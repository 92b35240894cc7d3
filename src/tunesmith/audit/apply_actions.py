"""Apply the actions of all findings to the rows: redact, quarantine or keep them."""

import gzip
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy
import pyarrow as pa
from pyarrow import compute, parquet

from tunesmith.artifacts import Dataset, Example, Span, canonical_bytes
from tunesmith.audit.redact import Redactor
from tunesmith.data.rows import RowWriter, canonical_example, read_batches
from tunesmith.store import Store

_REASON_COLUMNS: Final = ["place", "rule", "reason", "other", "similarity"]


@dataclass
class ActionApplier:
    """`dropped_by` maps dropped rows to their rule, `spans` maps rows to the spans to redact; `findings` has all findings."""

    dropped_by: Mapping[int, str]
    spans: Mapping[int, Sequence[Span]]
    findings: pa.Table
    store: Store
    _redactor: Redactor = field(default_factory=Redactor)
    _quarantine: io.BytesIO = field(default_factory=io.BytesIO)

    def write_clean(self, name: str, container: Path, *, first: int) -> Dataset:
        """The clean data set of a split whose rows are numbered from `first`; dropped rows go to quarantine."""
        reasons = _drop_reasons(self.findings)
        with RowWriter(container.with_suffix(".clean.parquet")) as writer:
            for batch in read_batches(container):
                redacted = self._redact(batch, first)
                dropped = [position for position in range(batch.num_rows) if first + position in self.dropped_by]
                if dropped:
                    self._quarantine_rows(
                        redacted.take(pa.array(dropped)), [reasons[first + position] for position in dropped]
                    )
                is_clean = numpy.ones(batch.num_rows, dtype=bool)
                is_clean[dropped] = False
                writer.write(redacted.filter(pa.array(is_clean)))
                first += batch.num_rows
        return writer.finish(name, self.store)

    def dropped_by_rule(self) -> dict[str, int]:
        """Number of dropped rows by the first rule that dropped them."""
        return dict(sorted(Counter(self.dropped_by.values()).items()))

    def store_quarantine(self, schema_rule: str) -> str:
        """Digest of gzipped JSON lines: every reason a row was dropped, with the row itself after redaction.

        Invalid rows, which are findings of the rule `schema_rule`, come last, with an empty example.
        """
        invalid_rows = self.findings.filter(compute.equal(self.findings.column("rule"), schema_rule))
        for line in invalid_rows.select(_REASON_COLUMNS).to_pylist():
            self._quarantine.write(canonical_bytes({**line.pop("place"), **line, "example": {}}) + b"\n")
        return self.store.objects.put(gzip.compress(self._quarantine.getvalue(), compresslevel=6, mtime=0))

    def store_findings(self) -> str:
        """Digest of all findings as Parquet, in the columns of FINDINGS_SCHEMA; it contains no row text."""
        sink = io.BytesIO()
        parquet.write_table(self.findings.drop_columns("row"), sink, compression="zstd")
        return self.store.objects.put(sink.getvalue())

    def _redact(self, batch: pa.Table, first: int) -> pa.Table:
        """The batch after redaction, in row order, including dropped rows."""
        with_spans = [position for position in range(batch.num_rows) if first + position in self.spans]
        if not with_spans:
            return batch
        examples = batch.column("example").to_pylist()
        for position in with_spans:
            example = Example.from_bytes(examples[position].encode())
            examples[position] = canonical_example(self._redactor.redact(example, list(self.spans[first + position])))
        return batch.set_column(batch.column_names.index("example"), "example", pa.array(examples, type=pa.string()))

    def _quarantine_rows(self, rows: pa.Table, reasons: Sequence[Sequence[dict[str, Any]]]) -> None:
        for row, lines in zip(rows.column("example").to_pylist(), reasons, strict=True):
            example = Example.from_bytes(row.encode()).model_dump(mode="json")
            for line in lines:
                self._quarantine.write(canonical_bytes({**line, "example": example}) + b"\n")


def _drop_reasons(findings: pa.Table) -> dict[int, list[dict[str, Any]]]:
    """The findings that dropped each row, by row number."""
    reasons: dict[int, list[dict[str, Any]]] = {}
    drops = findings.filter(compute.equal(findings.column("action"), "drop"))
    for line in drops.select(["row", *_REASON_COLUMNS]).to_pylist():
        row, place = line.pop("row"), line.pop("place")
        if row is not None:
            reasons.setdefault(row, []).append({**place, **line})
    return reasons
