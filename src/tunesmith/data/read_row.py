"""Lines: rows as they are read, in the values that their columns need, without an object for each message."""

from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring as quoted
from typing import NamedTuple

from tunesmith.artifacts import Example, Rights, Row
from tunesmith.data.examples import ExampleReader
from tunesmith.data.format import FORMATS, Columns, InvalidRow, PlainMessages, PlainMessagesFormat, Record
from tunesmith.data.row_rights import RowRightsReader
from tunesmith.data.rows import canonical_example
from tunesmith.errors import DataError


class Content(NamedTuple):
    """An example: its messages, else its text; the first of its labels; what the model should say (None where its format has
    no such thing); its canonical text."""

    turns: PlainMessages
    text: str | None
    label: str | None
    completion: str | None
    example: str


class StreamedRow(NamedTuple):
    """A row: its identity and place, the fields of its Content, its rights."""

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
    """Reads the records of one file: their examples as an ExampleReader does, and their rights.

    Where the rows of a file are plain texts and all have the same rights, there is a shorter way from the second row of the
    same columns on. A test holds what the two ways give against each other.
    """

    def __init__(self, reader: ExampleReader, rights: RowRightsReader, columns: Columns) -> None:
        self._reader = reader
        self._rights = rights
        self._columns = columns
        self._short: dict[tuple[str, ...], tuple[PlainMessagesFormat, Rights] | None] = {}

    def read(self, line: int, record: Record) -> tuple[Content, Rights] | InvalidRow:
        """The example and the rights of a row, or why there is none."""
        shape = tuple(record)
        short = self._short.get(shape)
        if short is not None:
            plugin, rights = short
            turns = plugin.turns(record, self._columns)
            if turns is not None:
                return plain_message_content(turns), rights
        example = self._reader.read(line, record)
        if isinstance(example, InvalidRow):
            return example
        try:
            rights = self._rights.of(record, self._reader.columns_read(record))
        except DataError as error:
            return InvalidRow(line, error.what, error.hint)
        if shape not in self._short:
            self._short[shape] = self._short_way(record)
        return example_content(example), rights

    def _short_way(self, record: Record) -> tuple[PlainMessagesFormat, Rights] | None:
        """That for rows with the columns of this one, which was read the long way."""
        rights = self._rights.of_all(record, self._reader.columns_read(record))
        plugin = FORMATS.build(self._reader.format_id)
        return (plugin, rights) if rights is not None and isinstance(plugin, PlainMessagesFormat) else None


def plain_message_content(turns: PlainMessages) -> Content:
    """That of a conversation of texts and nothing else; the canonical text as `rows.canonical` writes it."""
    said = ",".join(
        [f'{{"content":[{{"text":{quoted(text)},"type":"text"}}],"role":"{role}"}}' for text, role in turns]
    )
    text, role = turns[-1]
    completion = text if role == "assistant" else ""
    return Content(turns, None, None, completion, f'{{"labels":null,"messages":[{said}],"text":null}}')


def example_content(example: Example) -> Content:
    """That of any example."""
    turns = [(turn.text, turn.role) for turn in example.messages]
    completion = None if not turns and example.labels is None else example.completion
    return Content(
        turns, example.text, example.labels[0] if example.labels else None, completion, canonical_example(example)
    )


def to_streamed_row(row: Row) -> StreamedRow:
    """A row in memory as a line."""
    return StreamedRow(row.row_id, row.file, row.line, *example_content(row.example), row.rights)


def to_rows(lines: Iterable[StreamedRow]) -> Iterator[Row]:
    """Lines as rows in memory."""
    for one in lines:
        example = Example.from_bytes(one.example.encode())
        yield Row(row_id=one.row_id, file=one.file, line=one.line, example=example, rights=one.rights)
