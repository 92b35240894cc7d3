"""Rows as they are read, batch by batch, converted to the columns that checks see."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa

from tunesmith.artifacts import Rights, Row
from tunesmith.audit.audit_table import AuditTable, Signals
from tunesmith.audit.signal_cache import NoSignalCache, SignalCache
from tunesmith.data.format import PlainMessages
from tunesmith.data.invalid_rows import InvalidRows
from tunesmith.data.read_row import StreamedRow, to_streamed_row
from tunesmith.data.rows import BATCH_ROWS
from tunesmith.text.normalize import normalize, strip_shared_affixes

TEXT_COLUMNS: Final = (
    "row_id",
    "split",
    "file",
    "system",
    "prompt",
    "completion",
    "label",
    "plain",
    "digest",
    "whole",
    *Rights.model_fields,
)
STRUCTURE_KEYS: Final = ('"tools":', '"tool_calls":', '"tool_call_id":', '"weight":', '"name":')
"""JSON keys of what a row can have besides the text of its messages."""
NUMBER_COLUMNS: Final = ("row", "line", "systems")
ROW_SCHEMA: Final = pa.schema(
    [*((name, pa.int64()) for name in NUMBER_COLUMNS), *((name, pa.string()) for name in TEXT_COLUMNS)]
)
MESSAGE_SCHEMA: Final = pa.schema(
    [("part", pa.int64()), ("row", pa.int64()), ("message", pa.int64()), ("text", pa.string()), ("role", pa.string())]
)


@dataclass
class CorpusBuilder:
    """Collects rows into an AuditTable. Row numbers start at 0 and continue from the training to the held-out rows."""

    _rows: list[pa.Table] = field(default_factory=list)
    _messages: list[pa.Table] = field(default_factory=list)
    row_count: int = 0
    message_count: int = 0

    def add(self, batch: Sequence[StreamedRow], split: str) -> None:
        """Append a batch of rows of one split."""
        rows, messages = batch_tables(batch, split, row=self.row_count, part=self.message_count)
        self._rows.append(rows)
        self._messages.append(messages)
        self.row_count += rows.num_rows
        self.message_count += messages.num_rows

    def build(self, cache: SignalCache | None = None, *, invalid_rows: InvalidRows | None = None) -> AuditTable:
        """All rows added so far. `cache` holds signal values of earlier audits, `invalid_rows` what could not be read."""
        rows = _concat_tables(self._rows, ROW_SCHEMA)
        plain = rows.column("plain")
        rows = rows.drop_columns("plain").append_column("normal", strip_shared_affixes(plain, rows.column("file")))
        messages = _concat_tables(self._messages, MESSAGE_SCHEMA)
        invalid = InvalidRows() if invalid_rows is None else invalid_rows
        return AuditTable(rows, messages, Signals(rows, messages, cache or NoSignalCache(), invalid_rows=invalid))

    def split(self, train: npt.NDArray[numpy.int64], test: npt.NDArray[numpy.int64]) -> "CorpusBuilder":
        """The same rows renumbered: those of `train` first, then those of `test`, which are held out."""
        rows, messages = _concat_tables(self._rows, ROW_SCHEMA), _concat_tables(self._messages, MESSAGE_SCHEMA)
        order = numpy.concatenate([train, test])
        new_numbers = numpy.empty(len(order), dtype=numpy.int64)
        new_numbers[order] = numpy.arange(len(order))
        split = pa.array(["train"] * len(train) + ["test"] * len(test))
        rows = _replace_columns(rows.take(pa.array(order)), row=pa.array(numpy.arange(len(order))), split=split)
        row_of_message = new_numbers[numpy.asarray(messages.column("row"))]
        order = numpy.argsort(row_of_message, kind="stable")
        messages = _replace_columns(
            messages.take(pa.array(order)),
            row=pa.array(row_of_message[order]),
            part=pa.array(numpy.arange(len(order))),
        )
        return CorpusBuilder(_split_into_shards(rows), _split_into_shards(messages), self.row_count, self.message_count)


def build_corpus(train: Sequence[Row], test: Sequence[Row]) -> AuditTable:
    """An AuditTable of rows that are already in memory."""
    builder = CorpusBuilder()
    for split, rows in (("train", train), ("test", test)):
        if rows:
            builder.add([to_streamed_row(row) for row in rows], split)
    return builder.build()


def _replace_columns(table: pa.Table, **columns: pa.Array) -> pa.Table:
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def _split_into_shards(table: pa.Table) -> list[pa.Table]:
    """The table in shards of BATCH_ROWS lines, the unit in which signal values are cached."""
    table = table.combine_chunks()
    return [table.slice(start, BATCH_ROWS) for start in range(0, table.num_rows, BATCH_ROWS)]


def _concat_tables(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables(tables) if tables else schema.empty_table()


def structured_example(example: str) -> str | None:
    """The example's canonical JSON if it has tools, calls, weights or names, which MESSAGE_SCHEMA lacks; None for most rows.

    Message text cannot match these keys, since its quotation marks are escaped.
    """
    return example if any(key in example for key in STRUCTURE_KEYS) else None


def batch_tables(lines: Sequence[StreamedRow], split: str, *, row: int, part: int) -> tuple[pa.Table, pa.Table]:
    """The rows in the columns of ROW_SCHEMA and their messages in those of MESSAGE_SCHEMA, numbered from `row` and `part`."""
    ids, files, line_numbers, conversations, texts, labels, completions, examples, rights = zip(*lines, strict=True)
    system_and_prompt = [_system_and_prompt(turns, text) for turns, text in zip(conversations, texts, strict=True)]
    prompts = [prompt for _, prompt in system_and_prompt]
    columns: dict[str, object] = {
        "row": numpy.arange(row, row + len(lines)),
        "line": line_numbers,
        "systems": [_leading_system_turns(turns) for turns in conversations],
        "row_id": ids,
        "split": pa.repeat(split, len(lines)),
        "file": files,
        "system": [system for system, _ in system_and_prompt],
        "prompt": prompts,
        "completion": completions,
        "label": labels,
        "plain": [normalize(prompt) for prompt in prompts],
        "digest": [hashlib.sha256(example.encode()).hexdigest() for example in examples],
        "whole": [structured_example(example) for example in examples],
        **_rights_columns(rights),
    }
    return _typed_table(columns, ROW_SCHEMA), _message_table(conversations, texts, row=row, part=part)


def _rights_columns(rights: Sequence[Rights]) -> dict[str, object]:
    if all(row_rights is rights[0] for row_rights in rights):
        return {
            key: pa.repeat(pa.scalar(getattr(rights[0], key), pa.string()), len(rights)) for key in Rights.model_fields
        }
    return {key: [getattr(row_rights, key) for row_rights in rights] for key in Rights.model_fields}


def _message_table(
    conversations: Sequence[PlainMessages], texts: Sequence[str | None], *, row: int, part: int
) -> pa.Table:
    """One line per message; a plain text row has one line, without a role."""
    messages: list[Sequence[tuple[str, str | None]]] = [
        turns or [(text or "", None)] for turns, text in zip(conversations, texts, strict=True)
    ]
    counts = [len(row_messages) for row_messages in messages]
    total = sum(counts)
    first_of_row = numpy.repeat(numpy.cumsum([0, *counts[:-1]]), counts)
    columns: dict[str, object] = {
        "part": numpy.arange(part, part + total),
        "row": numpy.repeat(numpy.arange(row, row + len(messages)), counts),
        "message": numpy.arange(total) - first_of_row,
        "text": [text for row_messages in messages for text, _ in row_messages],
        "role": [role for row_messages in messages for _, role in row_messages],
    }
    return _typed_table(columns, MESSAGE_SCHEMA)


def _typed_table(columns: dict[str, object], schema: pa.Schema) -> pa.Table:
    arrays = [
        pa.array(columns[name], type=column_type) for name, column_type in zip(schema.names, schema.types, strict=True)
    ]
    return pa.table(arrays, schema=schema)


def _system_and_prompt(turns: PlainMessages, text: str | None) -> tuple[str, str]:
    """(system turns, rest of the prompt): everything before the final assistant turn."""
    if not turns:
        return "", text or ""
    prompt_turns = turns[:-1] if turns[-1][1] == "assistant" else turns
    if len(prompt_turns) == 1 and prompt_turns[0][1] != "system":
        return "", prompt_turns[0][0]
    system = "\n".join([text for text, role in prompt_turns if role == "system"])
    return system, "\n".join([text for text, role in prompt_turns if role != "system"])


def _leading_system_turns(turns: PlainMessages) -> int:
    """Number of leading system turns; the message after them is used as the excerpt."""
    return next((number for number, (_, role) in enumerate(turns) if role != "system"), 0)
