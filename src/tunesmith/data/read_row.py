"""Read one record as a row in the values that the audit table and the store need, without an object for each message."""

from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring as json_string
from typing import NamedTuple

from tunesmith.artifacts import Example, Rights, Row
from tunesmith.data.examples import ExampleReader
from tunesmith.data.format import FORMATS, Columns, InvalidRow, PlainMessages, PlainMessagesFormat, Record
from tunesmith.data.row_rights import RowRightsReader
from tunesmith.data.rows import canonical_example
from tunesmith.errors import DataError

ExampleColumns = tuple[PlainMessages, str | None, str | None, str | None, str]
"""The fields `turns`, `text`, `label`, `completion` and `example` of a StreamedRow."""


class StreamedRow(NamedTuple):
    """A row while it is read; the columns of the audit table and of the store are built from these values.

    `turns` has (text, role) of each message; `text` is set for examples without messages; `label` is the first label;
    `completion` is the target text, None for a format without one; `example` is the canonical JSON of the example.
    """

    row_id: str
    file: str
    line: int
    turns: PlainMessages
    text: str | None
    label: str | None
    completion: str | None
    example: str
    rights: Rights


class RowReader:
    """Reads the records of one file as rows.

    The first record of each set of columns is read as an Example. When its format is a PlainMessagesFormat and all rows of the
    file share one Rights value, later records with the same columns take a fast path that builds no Example. A test compares
    the results of both paths.
    """

    def __init__(self, file: str, examples: ExampleReader, rights: RowRightsReader, *, columns: Columns) -> None:
        self._file = file
        self._examples = examples
        self._rights = rights
        self._columns = columns
        self._fast: dict[tuple[str, ...], tuple[PlainMessagesFormat, Rights] | None] = {}

    def read(self, row_id: str, line: int, record: Record) -> StreamedRow | InvalidRow:
        """The row of a record, or why it is invalid; `line` counts from 1."""
        keys = tuple(record)
        fast = self._fast.get(keys)
        if fast is not None:
            plugin, shared = fast
            turns = plugin.plain_messages(record, self._columns)
            if turns is not None:
                return StreamedRow(row_id, self._file, line, *_plain_columns(turns), shared)
        example = self._examples.read(line, record)
        if isinstance(example, InvalidRow):
            return example
        try:
            rights = self._rights.of(record, self._examples.columns_read(record))
        except DataError as error:
            return InvalidRow(line, error.what, error.hint)
        if keys not in self._fast:
            self._fast[keys] = self._fast_path(record)
        return StreamedRow(row_id, self._file, line, *_example_columns(example), rights)

    def _fast_path(self, record: Record) -> tuple[PlainMessagesFormat, Rights] | None:
        """What reads later records with the same columns as this one; None where each needs an Example."""
        rights = self._rights.shared(record, self._examples.columns_read(record))
        plugin = FORMATS.build(self._examples.format_id)
        return (plugin, rights) if rights is not None and isinstance(plugin, PlainMessagesFormat) else None


def _plain_columns(turns: PlainMessages) -> ExampleColumns:
    """The columns of a conversation of plain text; its canonical JSON is written as `rows.canonical_example` writes it."""
    messages = ",".join(
        [f'{{"content":[{{"text":{json_string(text)},"type":"text"}}],"role":"{role}"}}' for text, role in turns]
    )
    text, role = turns[-1]
    completion = text if role == "assistant" else ""
    return turns, None, None, completion, f'{{"labels":null,"messages":[{messages}],"text":null}}'


def _example_columns(example: Example) -> ExampleColumns:
    turns = [(turn.text, turn.role) for turn in example.messages]
    completion = None if not turns and example.labels is None else example.completion
    label = example.labels[0] if example.labels else None
    return turns, example.text, label, completion, canonical_example(example)


def to_streamed_row(row: Row) -> StreamedRow:
    """A Row as a StreamedRow."""
    return StreamedRow(row.row_id, row.file, row.line, *_example_columns(row.example), row.rights)


def to_rows(streamed: Iterable[StreamedRow]) -> Iterator[Row]:
    """StreamedRows as Rows."""
    for row in streamed:
        example = Example.from_bytes(row.example.encode())
        yield Row(row_id=row.row_id, file=row.file, line=row.line, example=example, rights=row.rights)
