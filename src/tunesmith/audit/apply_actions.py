"""Outcome: what becomes of the rows once every check has spoken: redacted, quarantined or kept."""

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
    """`dropped` has the rule that took a row out, `spans` what is to be redacted in a row, `findings` are all of them."""

    dropped_by: Mapping[int, str]
    spans: Mapping[int, Sequence[Span]]
    findings: pa.Table
    store: Store
    _redaction: Redactor = field(default_factory=Redactor)
    _quarantine: io.BytesIO = field(default_factory=io.BytesIO)

    def keep(self, name: str, container: Path, *, first: int) -> Dataset:
        """The clean data set of a split whose rows are numbered from `first`; what was dropped goes to quarantine."""
        reasons = _drop_reasons(self.findings)
        written = container.with_suffix(".clean.parquet")
        with RowWriter(written) as writer:
            for batch in read_batches(container):
                changed = self._redacted(batch, first)
                gone = [at for at in range(batch.num_rows) if first + at in self.dropped_by]
                if gone:
                    self._put_aside(changed.take(pa.array(gone)), [reasons[first + at] for at in gone])
                keep = numpy.ones(batch.num_rows, dtype=bool)
                keep[gone] = False
                writer.write(changed.filter(pa.array(keep)))
                first += batch.num_rows
        return writer.finish(name, self.store)

    def dropped(self) -> dict[str, int]:
        """Rows taken out, by the first rule that said so."""
        return dict(sorted(Counter(self.dropped_by.values()).items()))

    def keep_quarantine(self, unread: str) -> str:
        """Digest of gzip JSON lines: every reason for which a row was dropped, with the row itself after redaction.

        Rows that could not be read, which are found by the rule `unread`, come last, with an empty example.
        """
        for line in (
            self.findings.filter(compute.equal(self.findings.column("rule"), unread))
            .select(_REASON_COLUMNS)
            .to_pylist()
        ):
            self._quarantine.write(canonical_bytes({**line.pop("place"), **line, "example": {}}) + b"\n")
        return self.store.objects.put(gzip.compress(self._quarantine.getvalue(), compresslevel=6, mtime=0))

    def keep_findings(self) -> str:
        """Digest of all findings as Parquet, in the columns of `book.SCHEMA`; no text of any row stands in it."""
        sink = io.BytesIO()
        parquet.write_table(self.findings.drop_columns("row"), sink, compression="zstd")
        return self.store.objects.put(sink.getvalue())

    def _redacted(self, batch: pa.Table, first: int) -> pa.Table:
        """The batch with what must not stand in it replaced, in order of rows, dropped ones too."""
        marked = [at for at in range(batch.num_rows) if first + at in self.spans]
        if not marked:
            return batch
        examples = batch.column("example").to_pylist()
        for at in marked:
            example = Example.from_bytes(examples[at].encode())
            examples[at] = canonical_example(self._redaction.of(example, list(self.spans[first + at])))
        return batch.set_column(batch.column_names.index("example"), "example", pa.array(examples, type=pa.string()))

    def _put_aside(self, rows: pa.Table, reasons: Sequence[Sequence[dict[str, Any]]]) -> None:
        for row, lines in zip(rows.column("example").to_pylist(), reasons, strict=True):
            example = Example.from_bytes(row.encode()).model_dump(mode="json")
            for line in lines:
                self._quarantine.write(canonical_bytes({**line, "example": example}) + b"\n")


def _drop_reasons(findings: pa.Table) -> dict[int, list[dict[str, Any]]]:
    """Why each row was dropped, by its number, by rule."""
    reasons: dict[int, list[dict[str, Any]]] = {}
    marked = findings.filter(compute.equal(findings.column("action"), "drop"))
    for line in marked.select(["row", *_REASON_COLUMNS]).to_pylist():
        row, place = line.pop("row"), line.pop("place")
        if row is not None:
            reasons.setdefault(row, []).append({**place, **line})
    return reasons
