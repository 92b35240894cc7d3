"""Columns: rows as they are read, batch by batch, put into the columns that checks see."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy
import numpy.typing as npt
import pyarrow as pa

from tunesmith.artifacts import Row
from tunesmith.audit.audit_table import AuditTable, Signals
from tunesmith.audit.corpus_builder import MESSAGE_SCHEMA, ROW_SCHEMA, batch_tables
from tunesmith.audit.signal_cache import NoSignalCache, SignalCache
from tunesmith.data.invalid_rows import InvalidRows
from tunesmith.data.read_row import StreamedRow, to_streamed_row
from tunesmith.data.rows import BATCH_ROWS
from tunesmith.text.normalize import strip_shared_affixes


@dataclass
class CorpusBuilder:
    """Gathers rows; numbers run on from the training rows to the held-out rows. `shards` are the row numbers of each batch."""

    _tables: list[pa.Table] = field(default_factory=list)
    _parts: list[pa.Table] = field(default_factory=list)
    rows: int = 0
    parts: int = 0

    def add(self, batch: Sequence[StreamedRow], split: str) -> None:
        """The next rows."""
        table, parts = batch_tables(batch, split, row=self.rows, part=self.parts)
        self._tables.append(table)
        self._parts.append(parts)
        self.rows += table.num_rows
        self.parts += parts.num_rows

    def corpus(self, shelf: SignalCache | None = None, *, misfits: InvalidRows | None = None) -> AuditTable:
        """All rows so far; a shelf has what earlier audits worked out, `misfits` the rows that could not be read."""
        table = _concat_tables(self._tables, ROW_SCHEMA)
        plain = table.column("plain")
        table = table.drop_columns("plain").append_column("normal", strip_shared_affixes(plain, table.column("file")))
        parts = _concat_tables(self._parts, MESSAGE_SCHEMA)
        return AuditTable(
            table,
            parts,
            Signals(table, parts, shelf or NoSignalCache(), misfits=InvalidRows() if misfits is None else misfits),
        )

    def divided(self, train: npt.NDArray[numpy.int64], test: npt.NDArray[numpy.int64]) -> "CorpusBuilder":
        """The same rows numbered anew: those of `train` first, then those of `test`, which are held out."""
        table, parts = _concat_tables(self._tables, ROW_SCHEMA), _concat_tables(self._parts, MESSAGE_SCHEMA)
        order = numpy.concatenate([train, test])
        rank = numpy.empty(len(order), dtype=numpy.int64)
        rank[order] = numpy.arange(len(order))
        split = pa.array(["train"] * len(train) + ["test"] * len(test))
        rows = rank[numpy.asarray(parts.column("row"))]
        messages = numpy.argsort(rows, kind="stable")
        table = _replace_columns(table.take(pa.array(order)), row=pa.array(numpy.arange(len(order))), split=split)
        parts = parts.take(pa.array(messages))
        parts = _replace_columns(parts, row=pa.array(rows[messages]), part=pa.array(numpy.arange(len(messages))))
        return CorpusBuilder(_split_into_shards(table), _split_into_shards(parts), self.rows, self.parts)


def build_corpus(train: Sequence[Row], test: Sequence[Row]) -> AuditTable:
    """Rows that are in memory already, in columns."""
    columns = CorpusBuilder()
    for split, rows in (("train", train), ("test", test)):
        if rows:
            columns.add([to_streamed_row(row) for row in rows], split)
    return columns.corpus()


def _replace_columns(table: pa.Table, **columns: pa.Array) -> pa.Table:
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def _split_into_shards(table: pa.Table) -> list[pa.Table]:
    """The table in pieces of BATCH lines, by which values of signals are kept."""
    table = table.combine_chunks()
    return [table.slice(start, BATCH_ROWS) for start in range(0, table.num_rows, BATCH_ROWS)]


def _concat_tables(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables(tables) if tables else schema.empty_table()
