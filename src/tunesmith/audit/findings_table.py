"""Book: every finding of an audit in columns, so that a million of them take little room, and what was decided by them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
from pyarrow import compute

from tunesmith.artifacts import Action, Finding, Span
from tunesmith.audit.audit_table import AuditTable

MAX_FINDINGS_PER_RULE: Final = 200
"""Findings of one rule that a report holds itself; the rest lie in the store."""
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
"""One line a finding; `row` is null where a whole file is meant."""


@dataclass
class FindingsTable:
    """Findings in the order in which they come; `dropped` has the first rule that took a row out."""

    dropped: dict[int, str] = field(default_factory=dict)
    found: Counter[tuple[str, Action]] = field(default_factory=Counter)
    _lines: list[dict[str, object]] = field(default_factory=list)
    _chunks: list[pa.Table] = field(default_factory=list)

    def add(self, finding: Finding, row: int | None) -> None:
        """Write down a finding about a row (None: a whole file); an action of `drop` takes the row out."""
        line = finding.model_dump(include=_FINDING_FIELDS)
        self._lines.append({"row": row, **line})
        self.found[finding.rule, finding.action] += 1
        if finding.action == "drop" and row is not None:
            self.dropped.setdefault(row, finding.rule)
        if len(self._lines) >= CHUNK_FINDINGS:
            self._close_chunk()

    def table(self) -> pa.Table:
        """All findings in the columns of SCHEMA, by file, line, rule and number of the row."""
        self._close_chunk()
        whole = pa.concat_tables(self._chunks) if self._chunks else FINDINGS_SCHEMA.empty_table()
        place = whole.column("place").combine_chunks()
        keys = pa.table(
            {
                "file": place.field("file"),
                "line": place.field("line"),
                "rule": whole.column("rule"),
                "row": compute.fill_null(whole.column("row"), -1),
            }
        )
        order = compute.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])
        return whole.take(order)

    def spans(self, table: pa.Table) -> dict[int, list[Span]]:
        """Spans to redact, by row, from the table of all findings."""
        found: dict[int, list[Span]] = {}
        for line in _iter_findings(table.filter(compute.equal(table.column("action"), "redact")), ("row", "spans")):
            if line["row"] is not None:
                found.setdefault(line["row"], []).extend(Span(**span) for span in line["spans"])
        return found

    def counted(self, action: Action | None = None) -> dict[str, int]:
        """Findings by rule; with an action, those alone."""
        return {rule: count for (rule, taken), count in sorted(self.found.items()) if action in (None, taken)}

    def rows_redacted(self, table: pa.Table) -> dict[str, int]:
        """Findings that changed a row, by rule; rows that were dropped as well do not count."""
        marked = table.filter(compute.equal(table.column("action"), "redact")).select(["row", "rule"])
        gone = pa.array(sorted(self.dropped), type=pa.int64())
        kept = marked.filter(compute.invert(compute.is_in(marked.column("row"), value_set=gone)))
        return dict(sorted(Counter(kept.column("rule").to_pylist()).items()))

    def _close_chunk(self) -> None:
        if self._lines:
            self._chunks.append(pa.Table.from_pylist(self._lines, schema=FINDINGS_SCHEMA))
            self._lines.clear()


_FINDING_FIELDS: Final = set(FINDINGS_SCHEMA.names) - {"row"}


def report_findings(table: pa.Table, corpus: AuditTable) -> tuple[Finding, ...]:
    """The findings that stand in the report: of each rule the first SHOWN in the order of the table, with an excerpt."""
    kept: list[Finding] = []
    counts: Counter[str] = Counter()
    rules = table.column("rule").to_pylist()
    wanted = []
    for number, rule in enumerate(rules):
        counts[rule] += 1
        if counts[rule] <= MAX_FINDINGS_PER_RULE:
            wanted.append(number)
    for line in _iter_findings(table.take(pa.array(wanted, type=pa.int64())), table.column_names):
        row = line.pop("row")
        finding = Finding.model_validate(line)
        if row is not None:
            first = finding.spans[0] if finding.spans else None
            finding = finding.model_copy(update={"excerpt": corpus.excerpt(row, first)})
        kept.append(finding)
    return tuple(kept)


def _iter_findings(table: pa.Table, columns: tuple[str, ...] | list[str]) -> Iterator[dict[str, Any]]:
    """Lines as Python values, a batch at a time."""
    for batch in table.select(list(columns)).to_batches(max_chunksize=CHUNK_FINDINGS):
        yield from batch.to_pylist()
