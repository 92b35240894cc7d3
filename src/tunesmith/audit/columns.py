"""Columns: rows as they are read, batch by batch, put into the columns that checks see."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa

from tunesmith.artifacts import Rights, Row, digest_of
from tunesmith.audit.corpus import Corpus, Signals
from tunesmith.audit.shelf import NoShelf, Shelf
from tunesmith.data.misfits import Misfits
from tunesmith.data.normal import normal, without_frames
from tunesmith.data.rows import BATCH, canonical

TEXTS: Final = (
    "row_id",
    "split",
    "file",
    "system",
    "prompt",
    "completion",
    "label",
    "plain",
    "digest",
    *Rights.model_fields,
)
Turns = Sequence[tuple[str, str]]
"""Text and role of each message of a row."""
NUMBERS: Final = ("row", "line", "systems")
TABLE: Final = pa.schema([*((name, pa.int64()) for name in NUMBERS), *((name, pa.string()) for name in TEXTS)])
PARTS: Final = pa.schema(
    [("part", pa.int64()), ("row", pa.int64()), ("message", pa.int64()), ("text", pa.string()), ("role", pa.string())]
)


@dataclass
class Columns:
    """Gathers rows; numbers run on from the training rows to the held-out rows. `shards` are the row numbers of each batch."""

    _tables: list[pa.Table] = field(default_factory=list)
    _parts: list[pa.Table] = field(default_factory=list)
    rows: int = 0
    parts: int = 0

    def add(self, batch: Sequence[Row], split: str, *, examples: Sequence[str]) -> None:
        """The next rows, with the canonical texts of their examples."""
        turns = [[(turn.text, turn.role) for turn in row.example.messages] for row in batch]
        texts = [_prompt(row, said) for row, said in zip(batch, turns, strict=True)]
        columns: dict[str, list[object]] = {
            "row": list(range(self.rows, self.rows + len(batch))),
            "line": [row.line for row in batch],
            "systems": [_systems(said) for said in turns],
            "row_id": [row.row_id for row in batch],
            "split": [split] * len(batch),
            "file": [row.file for row in batch],
            "system": [system for system, _ in texts],
            "prompt": [prompt for _, prompt in texts],
            "completion": [_completion(row) for row in batch],
            "label": [row.example.labels[0] if row.example.labels else None for row in batch],
            "plain": [normal(prompt) for _, prompt in texts],
            "digest": [digest_of(example.encode())[7:] for example in examples],
        }
        same = all(row.rights is batch[0].rights for row in batch)
        for key in Rights.model_fields:
            columns[key] = [getattr(row.rights, key) for row in (batch[:1] if same else batch)]
            columns[key] *= len(batch) if same else 1
        self._tables.append(_table(columns, TABLE))
        self._parts.append(self._messages(batch, turns))
        self.rows += len(batch)
        self.parts += self._parts[-1].num_rows

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

    def _messages(self, batch: Sequence[Row], turns: Sequence[Turns]) -> pa.Table:
        """One line a message; a row that is a text has one, without a role."""
        said: Sequence[Sequence[tuple[str, str | None]]] = [
            spoken or [(row.example.text or "", None)] for row, spoken in zip(batch, turns, strict=True)
        ]
        counts = [len(one) for one in said]
        flat = [turn for one in said for turn in one]
        lines: dict[str, list[object]] = {
            "part": list(range(self.parts, self.parts + len(flat))),
            "row": [*numpy.repeat(numpy.arange(self.rows, self.rows + len(batch)), counts).tolist()],
            "message": [number for count in counts for number in range(count)],
            "text": [text for text, _ in flat],
            "role": [role for _, role in flat],
        }
        return _table(lines, PARTS)


def corpus_of(train: Sequence[Row], test: Sequence[Row]) -> Corpus:
    """Rows that are in memory already, in columns."""
    columns = Columns()
    for split, rows in (("train", train), ("test", test)):
        if rows:
            columns.add(rows, split, examples=[canonical(row.example) for row in rows])
    return columns.corpus()


def _table(columns: dict[str, list[object]], schema: pa.Schema) -> pa.Table:
    arrays = [pa.array(columns[name], type=kind) for name, kind in zip(schema.names, schema.types, strict=True)]
    return pa.table(arrays, schema=schema)


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


def _prompt(row: Row, said: Turns) -> tuple[str, str]:
    """(system turns, the rest of the prompt): what comes before the last turn of the assistant."""
    if not said:
        return "", row.example.text or ""
    asked = said[:-1] if said[-1][1] == "assistant" else said
    system = "\n".join(text for text, role in asked if role == "system")
    return system, "\n".join(text for text, role in asked if role != "system")


def _systems(said: Turns) -> int:
    """How many system turns come first; the message after them is the one to show."""
    return next((number for number, (_, role) in enumerate(said) if role != "system"), 0)


def _completion(row: Row) -> str | None:
    return None if not row.example.messages and row.example.labels is None else row.example.completion
