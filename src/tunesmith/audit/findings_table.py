"""All findings of an audit as an Arrow table, compact enough for a million of them, and the row decisions they imply."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
from pyarrow import compute

from tunesmith.artifacts import Action, Finding, Span
from tunesmith.audit.audit_table import AuditTable

MAX_FINDINGS_PER_RULE: Final = 200
"""Findings of one rule listed in the report itself; all findings are in the store."""
CHUNK_FINDINGS: Final = 50_000
SPAN_TYPE: Final = pa.struct(
    [("message", pa.int32()), ("start", pa.int64()), ("end", pa.int64()), ("kind", pa.string())]
)
PLACE_TYPE: Final = pa.struct([("row_id", pa.string()), ("file", pa.string()), ("line", pa.int64())])
FINDINGS_SCHEMA: Final = pa.schema(
    [
        ("row", pa.int64()),
        ("rule", pa.string()),
        ("severity", pa.string()),
        ("action", pa.string()),
        ("place", PLACE_TYPE),
        ("reason", pa.string()),
        ("spans", pa.list_(SPAN_TYPE)),
        ("other", PLACE_TYPE),
        ("similarity", pa.float64()),
    ]
)
"""One line per finding; `row` is null for a finding about a whole file."""


@dataclass
class FindingsTable:
    """Collects findings in order of arrival. `dropped` maps each dropped row to the first rule that dropped it."""

    dropped: dict[int, str] = field(default_factory=dict)
    counts: Counter[tuple[str, Action]] = field(default_factory=Counter)
    _lines: list[dict[str, object]] = field(default_factory=list)
    _chunks: list[pa.Table] = field(default_factory=list)

    def add(self, finding: Finding, row: int | None) -> None:
        """Add a finding about a row (None: a whole file). The action `drop` also drops the row."""
        line = finding.model_dump(include=_FINDING_FIELDS)
        self._lines.append({"row": row, **line})
        self.counts[finding.rule, finding.action] += 1
        if finding.action == "drop" and row is not None:
            self.dropped.setdefault(row, finding.rule)
        if len(self._lines) >= CHUNK_FINDINGS:
            self._close_chunk()

    def to_arrow(self) -> pa.Table:
        """All findings in the columns of FINDINGS_SCHEMA, sorted by file, line, rule and row number."""
        self._close_chunk()
        table = pa.concat_tables(self._chunks) if self._chunks else FINDINGS_SCHEMA.empty_table()
        place = table.column("place").combine_chunks()
        keys = pa.table(
            {
                "file": place.field("file"),
                "line": place.field("line"),
                "rule": table.column("rule"),
                "row": compute.fill_null(table.column("row"), -1),
            }
        )
        order = compute.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])
        return table.take(order)

    def spans(self, table: pa.Table) -> dict[int, list[Span]]:
        """Spans to redact by row number, from the table of all findings."""
        spans: dict[int, list[Span]] = {}
        for line in _iter_findings(table.filter(compute.equal(table.column("action"), "redact")), ("row", "spans")):
            if line["row"] is not None:
                spans.setdefault(line["row"], []).extend(Span(**span) for span in line["spans"])
        return spans

    def count_by_rule(self, action: Action | None = None) -> dict[str, int]:
        """Number of findings by rule, optionally of one action only."""
        return {
            rule: count
            for (rule, finding_action), count in sorted(self.counts.items())
            if action in (None, finding_action)
        }

    def redacted_by_rule(self, table: pa.Table) -> dict[str, int]:
        """Number of findings that redacted a row, by rule; rows that were also dropped do not count."""
        redacted = table.filter(compute.equal(table.column("action"), "redact")).select(["row", "rule"])
        dropped = pa.array(sorted(self.dropped), type=pa.int64())
        redacted = redacted.filter(compute.invert(compute.is_in(redacted.column("row"), value_set=dropped)))
        return dict(sorted(Counter(redacted.column("rule").to_pylist()).items()))

    def _close_chunk(self) -> None:
        if self._lines:
            self._chunks.append(pa.Table.from_pylist(self._lines, schema=FINDINGS_SCHEMA))
            self._lines.clear()


_FINDING_FIELDS: Final = set(FINDINGS_SCHEMA.names) - {"row"}


def report_findings(table: pa.Table, corpus: AuditTable) -> tuple[Finding, ...]:
    """Findings listed in the report, with excerpts: the first MAX_FINDINGS_PER_RULE of each rule in table order."""
    findings: list[Finding] = []
    counts: Counter[str] = Counter()
    listed = []
    for number, rule in enumerate(table.column("rule").to_pylist()):
        counts[rule] += 1
        if counts[rule] <= MAX_FINDINGS_PER_RULE:
            listed.append(number)
    for line in _iter_findings(table.take(pa.array(listed, type=pa.int64())), table.column_names):
        row = line.pop("row")
        finding = Finding.model_validate(line)
        if row is not None:
            first = finding.spans[0] if finding.spans else None
            finding = finding.model_copy(update={"excerpt": corpus.excerpt(row, first)})
        findings.append(finding)
    return tuple(findings)


def _iter_findings(table: pa.Table, columns: tuple[str, ...] | list[str]) -> Iterator[dict[str, Any]]:
    """Lines as dictionaries, converted batch by batch."""
    for batch in table.select(list(columns)).to_batches(max_chunksize=CHUNK_FINDINGS):
        yield from batch.to_pylist()
