"""Columns: rows as they are read, batch by batch, put into the columns that checks see."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy
import numpy.typing as npt
import pyarrow as pa

from tunesmith.artifacts import Row
from tunesmith.audit.corpus import Corpus, Signals
from tunesmith.audit.lines import PARTS, TABLE, tables_of
from tunesmith.audit.shelf import NoShelf, Shelf
from tunesmith.data.lines import Line, line_of
from tunesmith.data.misfits import Misfits
from tunesmith.data.normal import without_frames
from tunesmith.data.rows import BATCH


@dataclass
class Columns:
    """Gathers rows; numbers run on from the training rows to the held-out rows. `shards` are the row numbers of each batch."""

    _tables: list[pa.Table] = field(default_factory=list)
    _parts: list[pa.Table] = field(default_factory=list)
    rows: int = 0
    parts: int = 0

    def add(self, batch: Sequence[Line], split: str) -> None:
        """The next rows."""
        table, parts = tables_of(batch, split, row=self.rows, part=self.parts)
        self._tables.append(table)
        self._parts.append(parts)
        self.rows += table.num_rows
        self.parts += parts.num_rows

    def corpus(self, shelf: Shelf | None = None, *, misfits: Misfits | None = None) -> Corpus:
        """All rows so far; a shelf has what earlier audits worked out, `misfits` the rows that could not be read."""
        table = _joined(self._tables, TABLE)
        plain = table.column("plain")
        table = table.drop_columns("plain").append_column("normal", without_frames(plain, table.column("file")))
        parts = _joined(self._parts, PARTS)
        return Corpus(
            table, parts, Signals(table, parts, shelf or NoShelf(), misfits=Misfits() if misfits is None else misfits)
        )

    def divided(self, train: npt.NDArray[numpy.int64], test: npt.NDArray[numpy.int64]) -> "Columns":
        """The same rows numbered anew: those of `train` first, then those of `test`, which are held out."""
        table, parts = _joined(self._tables, TABLE), _joined(self._parts, PARTS)
        order = numpy.concatenate([train, test])
        rank = numpy.empty(len(order), dtype=numpy.int64)
        rank[order] = numpy.arange(len(order))
        split = pa.array(["train"] * len(train) + ["test"] * len(test))
        rows = rank[numpy.asarray(parts.column("row"))]
        messages = numpy.argsort(rows, kind="stable")
        table = _with(table.take(pa.array(order)), row=pa.array(numpy.arange(len(order))), split=split)
        parts = parts.take(pa.array(messages))
        parts = _with(parts, row=pa.array(rows[messages]), part=pa.array(numpy.arange(len(messages))))
        return Columns(_shards(table), _shards(parts), self.rows, self.parts)


def corpus_of(train: Sequence[Row], test: Sequence[Row]) -> Corpus:
    """Rows that are in memory already, in columns."""
    columns = Columns()
    for split, rows in (("train", train), ("test", test)):
        if rows:
            columns.add([line_of(row) for row in rows], split)
    return columns.corpus()


def _with(table: pa.Table, **columns: pa.Array) -> pa.Table:
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def _shards(table: pa.Table) -> list[pa.Table]:
    """The table in pieces of BATCH lines, by which values of signals are kept."""
    table = table.combine_chunks()
    return [table.slice(start, BATCH) for start in range(0, table.num_rows, BATCH)]


def _joined(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables(tables) if tables else schema.empty_table()
