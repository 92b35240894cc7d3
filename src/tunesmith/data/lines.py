"""Lines: rows as they are read, in the values that their columns need, without an object for each message."""

from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring as quoted
from typing import NamedTuple

from tunesmith.artifacts import Example, Rights, Row
from tunesmith.data.examples import ExampleReader
from tunesmith.data.format import FORMATS, Columns, Misfit, Plain, Record, Turns
from tunesmith.data.own_rights import OwnRights
from tunesmith.data.rows import canonical
from tunesmith.errors import DataError


class Content(NamedTuple):
    """An example: its messages, else its text; the first of its labels; what the model should say (None where its format has
    no such thing); its canonical text."""

    turns: Turns
    text: str | None
    label: str | None
    completion: str | None
    example: str


class Line(NamedTuple):
    """A row: its identity and place, the fields of its Content, its rights."""

    row_id: str
    file: str
    line: int
    turns: Turns
    text: str | None
    label: str | None
    completion: str | None
    example: str
    rights: Rights


class RecordReader:
    """Reads the records of one file: their examples as an ExampleReader does, and their rights.

    Where the rows of a file are plain texts and all have the same rights, there is a shorter way from the second row of the
    same columns on. A test holds what the two ways give against each other.
    """

    def __init__(self, reader: ExampleReader, rights: OwnRights, columns: Columns) -> None:
        self._reader = reader
        self._rights = rights
        self._columns = columns
        self._short: dict[tuple[str, ...], tuple[Plain, Rights] | None] = {}

    def read(self, line: int, record: Record) -> tuple[Content, Rights] | Misfit:
        """The example and the rights of a row, or why there is none."""
        shape = tuple(record)
        short = self._short.get(shape)
        if short is not None:
            plugin, rights = short
            turns = plugin.turns(record, self._columns)
            if turns is not None:
                return plain_content(turns), rights
        example = self._reader.read(line, record)
        if isinstance(example, Misfit):
            return example
        try:
            rights = self._rights.of(record, self._reader.columns_read(record))
        except DataError as error:
            return Misfit(line, error.what, error.hint)
        if shape not in self._short:
            self._short[shape] = self._short_way(record)
        return content_of(example), rights

    def _short_way(self, record: Record) -> tuple[Plain, Rights] | None:
        """That for rows with the columns of this one, which was read the long way."""
        rights = self._rights.of_all(record, self._reader.columns_read(record))
        plugin = FORMATS.build(self._reader.format_id)
        return (plugin, rights) if rights is not None and isinstance(plugin, Plain) else None


def plain_content(turns: Turns) -> Content:
    """That of a conversation of texts and nothing else; the canonical text as `rows.canonical` writes it."""
    said = ",".join(
        [f'{{"content":[{{"text":{quoted(text)},"type":"text"}}],"role":"{role}"}}' for text, role in turns]
    )
    text, role = turns[-1]
    completion = text if role == "assistant" else ""
    return Content(turns, None, None, completion, f'{{"labels":null,"messages":[{said}],"text":null}}')


def content_of(example: Example) -> Content:
    """That of any example."""
    turns = [(turn.text, turn.role) for turn in example.messages]
    completion = None if not turns and example.labels is None else example.completion
    return Content(turns, example.text, example.labels[0] if example.labels else None, completion, canonical(example))


def line_of(row: Row) -> Line:
    """A row in memory as a line."""
    return Line(row.row_id, row.file, row.line, *content_of(row.example), row.rights)


def rows_of(lines: Iterable[Line]) -> Iterator[Row]:
    """Lines as rows in memory."""
    for one in lines:
        example = Example.from_bytes(one.example.encode())
        yield Row(row_id=one.row_id, file=one.file, line=one.line, example=example, rights=one.rights)
